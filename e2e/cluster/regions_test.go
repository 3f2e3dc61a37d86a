// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"testing"
	"time"

	suite "supervisor/e2e/cluster"
)

// TestRegions cuts a whole region off from the other one, which has the store. Neither
// may fence the other, and all serve when the cut is over.
func TestRegions(t *testing.T) {
	o := suite.Options{HAProxy: true, HintWindow: 3 * time.Hour, Policy: patient,
		Datacenters: []suite.Datacenter{{Name: "dc1", Racks: []int{1, 1, 1}}, {Name: "dc2", Racks: []int{1, 1}, Region: "us"}}}
	tell(t, o, []story{{"a region is cut off and comes back", unharmed(cutOff)}})
}

func cutOff(t *testing.T, c *suite.Cluster) {
	must(t, c.CutOff(t.Context(), c.In("dc2")...))
	healed(t, c, cutFor)
}
