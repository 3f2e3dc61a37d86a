// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"strings"
	"testing"
	"time"

	"supervisor/e2e/cluster"
)

// TestFaults breaks a node in every way that takes it from its clients, and wants it
// back without an old row.
func TestFaults(t *testing.T) {
	c := tell(t, cluster.Options{HAProxy: true, Policy: patient}, []story{
		{"a port for clients that is off costs a drain, until it is on", cqlClosed},
		{"a host that hears nobody and that nobody hears is cut off by its peers, and let in again", apart(bothWays)},
		{"a host that nobody hears, though it hears all, likewise", apart(muted)},
		{"a host that loses its power is drained, and repaired when it has booted", powerCut},
		{"a host that its operator boots again comes back by itself", rebooted},
		{"a Cassandra that hangs is ended, and repaired before it is read", hung},
	})
	if !t.Failed() { // the last, for it leaves a node to be replaced
		t.Run("a node past the deadline of a table is refused at boot and by hand", func(t *testing.T) { pastDeadline(t, c) })
	}
}

// drains waits for an incident that is more than a suspicion, and for the proxy.
func drains(t *testing.T, c *cluster.Cluster, at, about *cluster.Host, known map[string]bool) cluster.Incident {
	t.Helper()
	began := time.Now()
	in, err := at.AwaitIncident(t.Context(), about.Name, known, time.Minute, "the others know", func(i cluster.Incident) bool { return i.Phase != "suspected" })
	must(t, err)
	must(t, c.AwaitProxy(t.Context(), about.Name, "is drained", drained))
	t.Logf("%s: %s %s, out of the pool after %.1f s", about.Name, in.Cause, in.Phase, time.Since(began).Seconds())
	return in
}

// drained tells whether the proxy sends no new client.
func drained(s cluster.ServerState) bool { return s.Admin != 0 }

// returns waits until the incident is closed and the proxy sends clients again.
func returns(t *testing.T, c *cluster.Cluster, at, about *cluster.Host, known map[string]bool) string {
	t.Helper()
	_, story := closed(t, at, about, known, 5*time.Minute)
	must(t, c.AwaitProxy(t.Context(), about.Name, "is at rest", cluster.ServerState.AtRest))
	return story
}

func known(t *testing.T, h *cluster.Host) map[string]bool {
	t.Helper()
	incidents, err := h.Known(t.Context())
	must(t, err)
	return incidents
}

func cqlClosed(t *testing.T, c *cluster.Cluster) {
	n1, n2 := c.Host("n1"), c.Host("n2")
	before, process := known(t, n1), pid(t, n2)
	must(t, n2.CloseCQL(t.Context()))
	if in := drains(t, c, n1, n2, before); in.Cause != "cql_dead" {
		t.Errorf("the cause is %s", in.Cause)
	}
	must(t, n2.OpenCQL(t.Context()))
	returns(t, c, n1, n2, before)
	if now := pid(t, n2); now != process {
		t.Errorf("Cassandra is process %s, was %s", now, process)
	}
}

// apart takes a host's network, so that nobody reaches it, until its peers have cut it off.
// Who asks it directly meanwhile gets what it has, as from any Cassandra that is alone:
// it knows of no fence. Once it is heard nobody does.
func apart(part func(*testing.T, *cluster.Cluster, *cluster.Host)) func(*testing.T, *cluster.Cluster) {
	return func(t *testing.T, c *cluster.Cluster) {
		n1, n2 := c.Host("n1"), c.Host("n2")
		before, process := known(t, n1), pid(t, n2)
		rows := write(t, c)
		began := time.Now()
		part(t, c, n2)
		parted := time.Now()
		drains(t, c, n1, n2, before)
		cutProven(t, c, n2, began, before)
		must(t, rows.Rewrite(t.Context(), n2))
		must(t, c.Heal(t.Context()))
		heard := time.Now()
		letIn(t, n1, n2, before, process)
		must(t, c.AwaitProxy(t.Context(), "n2", "is at rest", cluster.ServerState.AtRest))
		cleanBut(t, c, rows, func(s cluster.Stale) bool {
			alone := s.Through == "n2" && s.Began.Before(heard.Add(wakingMax))
			// The hosts' rules are not made at one moment: n2 and another one may
			// have acknowledged what the third could not hear any more.
			between := s.Acked.After(began.Add(-time.Second)) && s.Acked.Before(parted.Add(time.Second))
			return alone || between
		})
		nothingClosed(t, c)
	}
}

func bothWays(t *testing.T, _ *cluster.Cluster, h *cluster.Host) { must(t, h.Cut(t.Context())) }

func muted(t *testing.T, c *cluster.Cluster, about *cluster.Host) {
	for _, h := range c.All() {
		if h != about {
			must(t, h.CutFrom(t.Context(), about))
		}
	}
}

func powerCut(t *testing.T, c *cluster.Cluster) {
	n1, n3 := c.Host("n1"), c.Host("n3")
	before := known(t, n1)
	rows := write(t, c)
	must(t, n3.PowerCut(t.Context()))
	drains(t, c, n1, n3, before)
	must(t, rows.Rewrite(t.Context(), n3))
	must(t, n3.PowerOn(t.Context()))
	if story := returns(t, c, n1, n3, before); !strings.Contains(story, "repaired") {
		t.Error("it was given back without a repair")
	}
	clean(t, c, rows, time.Time{})
}

func rebooted(t *testing.T, c *cluster.Cluster) {
	n1 := c.Host("n1")
	rows := write(t, c)
	must(t, n1.Reboot(t.Context()))
	serves(t, c)
	must(t, c.AwaitProxy(t.Context(), "n1", "is at rest", cluster.ServerState.AtRest))
	clean(t, c, rows, time.Time{})
}

func hung(t *testing.T, c *cluster.Cluster) {
	n2, n1 := c.Host("n2"), c.Host("n1")
	before, process := known(t, n2), pid(t, n1)
	rows := write(t, c)
	must(t, n1.StopCassandra(t.Context()))
	if in := drains(t, c, n2, n1, before); in.Cause != "hung" {
		t.Errorf("the cause is %s", in.Cause)
	}
	must(t, rows.Rewrite(t.Context(), n1))
	story := returns(t, c, n2, n1, before)
	if !strings.Contains(story, "ended the process") || pid(t, n1) == process {
		t.Errorf("it was not ended: process %s, was %s", pid(t, n1), process)
	}
	clean(t, c, rows, time.Time{})
}
