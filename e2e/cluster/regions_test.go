// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"strings"
	"testing"
	"time"

	suite "supervisor/e2e/cluster"
)

// TestRegions cuts a whole region off from the other one, which has the store. Neither
// may fence the other, and all serve when the cut is over.
func TestRegions(t *testing.T) {
	o := suite.Options{HAProxy: true, HintWindow: 3 * time.Hour, Policy: patient,
		Datacenters: []suite.Datacenter{{Name: "dc1", Racks: []int{1, 1, 1}}, {Name: "dc2", Racks: []int{1, 1, 1}, Region: "us"}}}
	tell(t, o, []story{{"a region is cut off and comes back", unharmed(cutOff)}})
}

func cutOff(t *testing.T, c *suite.Cluster) {
	must(t, c.CutOff(t.Context(), c.In("dc2")...))
	healed(t, c, cutFor)
}

// TestRegionsApart has two regions with a store each. The second one is cut off: each
// goes on with its own nodes, and leaves those of the other alone.
func TestRegionsApart(t *testing.T) {
	o := suite.Options{HintWindow: 3 * time.Hour, Policy: patient, Datacenters: []suite.Datacenter{
		{Name: "dc1", Racks: []int{1, 1, 1}}, {Name: "dc2", Racks: []int{1, 1, 1}, Region: "us", Store: true}}}
	tell(t, o, []story{
		{"a Cassandra that is killed returns with the words of both regions", killedAbroad},
		{"a region that is cut off starts its own node, and keeps it asleep until the copies of the other one are there", killedApart},
	})
}

// killedAbroad kills a Cassandra of the region that is not the first.
func killedAbroad(t *testing.T, c *suite.Cluster) {
	n4, n6 := c.Host("n4"), c.Host("n6")
	known := known(t, n4)
	must(t, n6.KillCassandra(t.Context()))
	_, story := closed(t, n4, n6, known, 10*time.Minute)
	if !strings.Contains(story, "n1, n2, n3, n4, n5 say DOWN of n6") {
		t.Error("not everybody was asked")
	}
}

func killedApart(t *testing.T, c *suite.Cluster) {
	n1, n4, n6 := c.Host("n1"), c.Host("n4"), c.Host("n6")
	knownHere, knownThere := known(t, n1), known(t, n4)
	before := processes(t, c)
	must(t, c.CutOff(t.Context(), c.In("dc2")...))
	for _, h := range c.Hosts {
		must(t, h.AwaitStatus(t.Context(), time.Minute, "the other region is not read", func(s suite.Status) bool { return s.Finds("REGION_UNREAD") && s.Store.Available }))
	}
	must(t, n6.KillCassandra(t.Context()))
	in, err := n4.AwaitIncident(t.Context(), "n6", knownThere, 5*time.Minute, "it hibernates and waits for copies", func(i suite.Incident) bool {
		story, err := n4.Timeline(t.Context(), i.ID)
		return err == nil && strings.Contains(story, "of its replicas can be compared")
	})
	must(t, err)
	t.Logf("%s in %s while its region is cut off", in.ID, in.Phase)
	healed(t, c, 0)
	_, story := closed(t, n4, n6, knownThere, 10*time.Minute)
	for _, want := range []string{"start n6, hibernate", "n1, n2, n3, n4, n5 say UP of n6"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q", want)
		}
	}
	serves(t, c)
	for name, p := range processes(t, c) {
		if (p != before[name]) != (name == n6.Name) {
			t.Errorf("Cassandra of %s is process %s, was %s", name, p, before[name])
		}
	}
	unfenced(t, c, knownHere, nil)
}
