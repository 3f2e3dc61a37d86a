// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
	suite "supervisor/e2e/cluster"
	"supervisor/incident"
)

// TestUnharmed breaks everything but a Cassandra: agents, the site's etcd, the network,
// and makes a Cassandra stand still for less than its peers mind. No node may be fenced,
// ended or started again for that, and all serve in the end, in the proxy too.
func TestUnharmed(t *testing.T) {
	tell(t, suite.Options{Etcd: true, HAProxy: true, HintWindow: 3 * time.Hour, Policy: patient}, []story{
		{"agents are killed, the leader's too", unharmed(agentsKilled)},
		{"the leader's agent is frozen until its watchdog ends it", unharmed(leaderFrozen)},
		{"a member of etcd is lost and comes back", unharmed(memberLost)},
		{"etcd is gone for minutes", unharmed(etcdGone)},
		{"Cassandra pauses for five seconds, on each node in its turn", unharmed(pauses)},
		{"a node hears nobody", unharmed(deaf)},
		{"nobody hears a node for ten seconds", unharmed(mute)},
		{"two nodes hear a third one and not each other", unharmed(notTransitive)},
		{"a node loses 30 % of its packets for minutes", unharmed(lossOfOne)},
		// Nobody leads for most of that time, and whoever does then has not seen how long a
		// node was away: it may be kept from readers for a repair where it runs.
		{"all lose 30 % of their packets for minutes", unharmed(lossOfAll, "decided_repair_in_place", "decided_fence_reads")},
	})
}

// patient makes a policy for a cluster that is broken ten times in ten minutes: on a
// site's the fourth time is a person's business, and would hide what is asked here.
func patient(p *incident.Policy) {
	p.Budgets.StartsMax, p.Budgets.SilencesMax, p.Budgets.FencesMax = 100, 100, 100
	p.Return.TriesMax = 6 // of three nodes a peer sees about every second sleeper
}

// unharmed tells a story in which nothing is done to any Cassandra, but what is borne:
// codes of the journal. No process is ended or started in any case.
func unharmed(tell func(*testing.T, *suite.Cluster), borne ...string) func(*testing.T, *suite.Cluster) {
	return func(t *testing.T, c *suite.Cluster) {
		known := known(t, c.Hosts[0])
		before := processes(t, c)
		tell(t, c)
		serves(t, c)
		for _, h := range c.Hosts {
			must(t, c.AwaitProxy(t.Context(), h.Name, "is at rest", suite.ServerState.AtRest))
		}
		for name, p := range processes(t, c) {
			if p != before[name] {
				t.Errorf("Cassandra of %s is process %s, was %s", name, p, before[name])
			}
		}
		unfenced(t, c, known, borne)
	}
}

// processes are those of Cassandra, by node.
func processes(t *testing.T, c *suite.Cluster) map[cluster.Name]string {
	t.Helper()
	all := map[cluster.Name]string{}
	for _, h := range c.Hosts {
		all[h.Name] = pid(t, h)
	}
	return all
}

// unfenced wants no word of a fence in the journal since.
func unfenced(t *testing.T, c *suite.Cluster, known map[string]bool, borne []string) {
	t.Helper()
	journal, err := c.Hosts[0].Journal(t.Context(), known)
	must(t, err)
	incidents := map[string]bool{}
	for _, e := range journal {
		t.Logf("%s %s %-8s %s", e.At, e.Incident, e.Kind, e.Sentence)
		incidents[e.Incident] = true
	}
	fences := slices.DeleteFunc(suite.Fences(journal), func(e suite.Entry) bool { return slices.Contains(borne, e.Code) })
	t.Logf("%d incidents, %d wrong fences", len(incidents), len(fences))
	for _, e := range fences {
		t.Errorf("a wrong fence of %s, %s: %s", e.Subject.Node, e.Code, e.Sentence)
	}
}

// lasts lets a fault stand for a time: that is the fault, and no wait for something.
func lasts(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	case <-time.After(d):
	}
}

func agentsKilled(t *testing.T, c *suite.Cluster) {
	leader, err := c.Leader(t.Context())
	must(t, err)
	for _, h := range []*suite.Host{follower(c, leader), leader} {
		old, err := h.AgentProcess(t.Context())
		must(t, err)
		must(t, h.KillAgent(t.Context()))
		must(t, h.AwaitAgent(t.Context(), old))
		serves(t, c)
	}
}

// follower is a node whose agent does not lead.
func follower(c *suite.Cluster, leader *suite.Host) *suite.Host {
	for _, h := range c.Hosts {
		if h != leader {
			return h
		}
	}
	return nil
}

func leaderFrozen(t *testing.T, c *suite.Cluster) {
	leader, err := c.Leader(t.Context())
	must(t, err)
	old, err := leader.AgentProcess(t.Context())
	must(t, err)
	must(t, leader.FreezeAgent(t.Context()))
	began := time.Now()
	must(t, leader.AwaitAgent(t.Context(), old))
	t.Logf("another agent after %.0f s", time.Since(began).Seconds())
}

func memberLost(t *testing.T, c *suite.Cluster) {
	must(t, c.LoseEtcd(t.Context(), 1))
	serves(t, c)
	for _, h := range c.Hosts {
		must(t, h.AwaitStatus(t.Context(), time.Minute, "the store answers without its member", hasStore))
	}
	must(t, c.RegainEtcd(t.Context()))
}

func hasStore(s suite.Status) bool { return s.Store.Available }

// long is how long that lasts which is said to last for minutes: as HOSTS_LASTS says,
// or two minutes.
func long(t *testing.T) time.Duration {
	text := os.Getenv("HOSTS_LASTS")
	if text == "" {
		return 2 * time.Minute
	}
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

// etcdGone takes the majority away.
func etcdGone(t *testing.T, c *suite.Cluster) {
	gone := long(t)
	must(t, c.LoseEtcd(t.Context(), 2))
	began := time.Now()
	for _, h := range c.Hosts {
		must(t, h.AwaitStatus(t.Context(), time.Minute, "the store is gone", func(s suite.Status) bool { return !s.Store.Available }))
	}
	lasts(t, gone-time.Since(began))
	states, err := c.ProxyStates(t.Context())
	must(t, err)
	for name, s := range states {
		if !s.AtRest() {
			t.Errorf("the pool without a store: %s is %+v", name, s)
		}
	}
	must(t, c.RegainEtcd(t.Context()))
	for _, h := range c.Hosts {
		must(t, h.AwaitStatus(t.Context(), time.Minute, "the store answers again", hasStore))
	}
}

func pauses(t *testing.T, c *suite.Cluster) {
	for _, h := range c.Hosts {
		must(t, h.PauseCassandra(t.Context(), 5*time.Second))
		serves(t, c)
	}
}

// cutFor is longer than a fence asks of evidence.
const cutFor = 40 * time.Second

func deaf(t *testing.T, c *suite.Cluster) {
	must(t, c.Host("n3").CutFrom(t.Context()))
	healed(t, c, cutFor)
}

// mute lets nobody hear a node, for less than a fence asks of evidence: for longer it is
// like a host that is gone, and cut off (TestFaults).
func mute(t *testing.T, c *suite.Cluster) {
	muted(t, c, c.Host("n2"))
	healed(t, c, 10*time.Second)
}

func notTransitive(t *testing.T, c *suite.Cluster) {
	must(t, c.Host("n1").Cut(t.Context(), c.Host("n2")))
	healed(t, c, cutFor)
}

func lossOfOne(t *testing.T, c *suite.Cluster) {
	n3 := c.Host("n3")
	for _, h := range c.All() {
		if h != n3 {
			must(t, h.LoseFrom(t.Context(), 30, n3))
		}
	}
	must(t, n3.LoseFrom(t.Context(), 30))
	healed(t, c, long(t))
}

func lossOfAll(t *testing.T, c *suite.Cluster) {
	for _, h := range c.All() {
		must(t, h.LoseFrom(t.Context(), 30))
	}
	healed(t, c, long(t))
}

// healed lets cuts and losses stand for a time, and ends them. Something must have
// been dropped.
func healed(t *testing.T, c *suite.Cluster, after time.Duration) {
	t.Helper()
	lasts(t, after)
	dropped := 0
	for _, h := range c.All() {
		n, err := h.Dropped(t.Context())
		must(t, err)
		dropped += n
	}
	t.Logf("%d packets were dropped", dropped)
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
	must(t, c.Heal(t.Context()))
}
