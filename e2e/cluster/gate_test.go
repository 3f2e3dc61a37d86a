// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"strings"
	"testing"
	"time"

	"supervisor/e2e/cluster"
)

// TestGate starts Cassandras that may not serve, or not yet, as people and machines start
// them: by hand and at boot, without agent and store.
func TestGate(t *testing.T) {
	tell(t, cluster.Options{Etcd: true, Policy: patient}, []story{
		{"a fenced node that somebody starts by hand stays behind its fence, without agent and store", fencedByHand},
		{"a cluster that lost its power starts by itself while the store is gone", coldStart(storeGone)},
		{"a cluster that lost its power starts by itself without any agent", coldStart(agentsOff)},
	})
}

// hibernates wants a Cassandra that runs by the gate's word and takes no client.
func hibernates(t *testing.T, h *cluster.Host, how string) {
	t.Helper()
	must(t, h.AwaitCassandra(t.Context()))
	said := gateSaid(t, h)
	serves, err := h.TakesClients(t.Context())
	must(t, err)
	t.Logf("%s: the gate says %q", how, said)
	if !strings.HasPrefix(said, "hibernate") || serves {
		t.Errorf("%s: the gate says %q, clients are taken: %v", how, said, serves)
	}
}

// gateSaid is the gate's last line in the journal of Cassandra's unit.
func gateSaid(t *testing.T, h *cluster.Host) string {
	t.Helper()
	out, err := h.Run(t.Context(), "journalctl", "--no-pager", "--output=cat", "--unit=cassandra.service", "--grep=^(hibernate|normal|refuse)", "--lines=1")
	must(t, err)
	return strings.TrimSpace(out)
}

func fencedByHand(t *testing.T, c *cluster.Cluster) {
	n1, n3 := c.Host("n1"), c.Host("n3")
	before := known(t, n1)
	rows := write(t, c)
	said, err := n1.Supervisor(t.Context(), "fence", "n3", "--yes", "--reason", "its memory is changed")
	if err != nil {
		t.Fatal(said, err)
	}
	in, err := n1.AwaitIncident(t.Context(), "n3", before, time.Minute, "the fence stands", func(i cluster.Incident) bool { return i.Phase == "held" })
	must(t, err)
	must(t, n3.RestartCassandra(t.Context()))
	hibernates(t, n3, "started by hand")

	must(t, c.LoseEtcd(t.Context(), 2))
	must(t, n3.StopAgent(t.Context()))
	must(t, n3.RestartCassandra(t.Context()))
	hibernates(t, n3, "started by hand, without agent and store")

	must(t, n3.KeepAgent(t.Context(), false))
	must(t, n3.PowerCut(t.Context()))
	must(t, n3.PowerOn(t.Context()))
	hibernates(t, n3, "booted, without agent and store")

	// Peers may see a hibernating node UP for good, and nobody is there to end it: what is
	// written for it then is no hint. Of one without power they give up.
	must(t, n3.PowerCut(t.Context()))
	must(t, rows.Rewrite(t.Context(), n3))
	must(t, n3.PowerOn(t.Context()))
	hibernates(t, n3, "booted again")
	must(t, c.RegainEtcd(t.Context()))
	must(t, n3.KeepAgent(t.Context(), true))
	must(t, n3.StartAgent(t.Context()))
	must(t, n1.AwaitStatus(t.Context(), time.Minute, "the store answers again", func(s cluster.Status) bool { return s.Store.Available }))
	if said, err := n1.Supervisor(t.Context(), "unfence", "n3", "--yes", "--reason", "the memory is new"); err != nil {
		t.Fatal(said, err)
	}
	if _, story := closed(t, n1, n3, before, 5*time.Minute); !strings.Contains(story, "repaired") {
		t.Errorf("%s was given back without a repair", in.ID)
	}
	clean(t, c, rows, time.Time{})
}

// coldStart cuts the power of all nodes at once and boots them while something else is
// missing. Nobody may wait for a person. What a power cut takes of the last writes nobody
// knows, so when there is somebody to lead again one node after the other is repaired.
func coldStart(without func(*testing.T, *cluster.Cluster) (back func())) func(*testing.T, *cluster.Cluster) {
	return func(t *testing.T, c *cluster.Cluster) {
		n1 := c.Host("n1")
		before := known(t, n1)
		back := without(t, c)
		for _, h := range c.Hosts {
			must(t, h.PowerCut(t.Context()))
		}
		began := time.Now()
		for _, h := range c.Hosts {
			must(t, h.PowerOn(t.Context()))
		}
		session, err := c.Session(t.Context())
		must(t, err)
		session.Close()
		t.Logf("all take clients %.0f s after the power came back", time.Since(began).Seconds())
		for _, h := range c.Hosts {
			t.Logf("%s: the gate says %q", h.Name, gateSaid(t, h))
		}
		back()
		for _, h := range c.Hosts {
			if _, story := closed(t, n1, h, before, 5*time.Minute); !strings.Contains(story, "repaired") {
				t.Errorf("%s serves without a repair", h.Name)
			}
		}
		t.Logf("all are repaired %.0f s after the power came back", time.Since(began).Seconds())
	}
}

func storeGone(t *testing.T, c *cluster.Cluster) func() {
	must(t, c.LoseEtcd(t.Context(), 2))
	return func() { must(t, c.RegainEtcd(t.Context())) }
}

func agentsOff(t *testing.T, c *cluster.Cluster) func() {
	for _, h := range c.Hosts {
		must(t, h.KeepAgent(t.Context(), false))
	}
	return func() {
		for _, h := range c.Hosts {
			must(t, h.KeepAgent(t.Context(), true))
			must(t, h.StartAgent(t.Context()))
		}
	}
}

// pastDeadline leaves n3 to a person: its data are no longer wanted.
func pastDeadline(t *testing.T, c *cluster.Cluster) {
	n1, n3 := c.Host("n1"), c.Host("n3")
	before := known(t, n1)
	session, err := c.Session(t.Context())
	must(t, err)
	must(t, session.Query("CREATE TABLE IF NOT EXISTS demo.forgets (id text PRIMARY KEY) WITH gc_grace_seconds = 40").Exec())
	must(t, session.AwaitSchemaAgreement(t.Context()))
	session.Close()

	must(t, n3.PowerCut(t.Context()))
	must(t, n1.AwaitStatus(t.Context(), time.Minute, "the deadline is told", func(s cluster.Status) bool { return s.Finds("GC_GRACE_ENDING") }))
	must(t, n1.AwaitStatus(t.Context(), 2*time.Minute, "the deadline has passed", func(s cluster.Status) bool { return s.Finds("NODE_EXPIRED") }))
	must(t, n3.PowerOn(t.Context()))
	in, err := n1.AwaitIncident(t.Context(), "n3", before, time.Minute, "a person is asked", func(i cluster.Incident) bool { return i.Phase == "held" })
	must(t, err)
	t.Logf("held: %s", in.Held)
	if !strings.Contains(in.Held, "forgets") || !strings.Contains(in.Held, "replace the node") {
		t.Errorf("neither the table nor the way out: %s", in.Held)
	}
	if err := n3.RestartCassandra(t.Context()); err == nil {
		t.Error("it started by hand")
	}
	if said := gateSaid(t, n3); !strings.HasPrefix(said, "refuse") || !strings.Contains(said, "deadline") {
		t.Errorf("the gate says %q", said)
	}
}
