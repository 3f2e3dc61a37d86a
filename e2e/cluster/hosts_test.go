// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/e2e/cluster"
	"supervisor/incident"
)

func TestMain(m *testing.M) { os.Exit(withDaemon(m)) }

// withDaemon runs the tests with a daemon, of its own where none answers.
func withDaemon(m *testing.M) int {
	dir := os.Getenv("HOSTS_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "supervisor-hosts")
	}
	stop, err := cluster.StartDaemon(context.Background(), dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// deb is the package that `make package` built last.
func deb(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("../../dist/cassandra-supervisor_*.deb")
	if err != nil || len(found) == 0 {
		t.Fatalf("no package in dist; make package builds it: %v", err)
	}
	return slices.MaxFunc(found, func(a, b string) int { return built(t, a).Compare(built(t, b)) })
}

func built(t *testing.T, path string) time.Time {
	t.Helper()
	s, err := os.Stat(path)
	must(t, err)
	return s.ModTime()
}

// TestHosts tells its stories to one cluster: each begins and ends with nodes that
// serve and nothing open.
func TestHosts(t *testing.T) {
	// An etcd beside the hosts: a host that carries a member which leads costs the time
	// of an election too.
	tell(t, cluster.Options{Etcd: true, Policy: patient}, []story{
		{"a Cassandra that is killed is started through its unit and repaired before it is read", killed},
		{"systemd is asked about the unit, and lets the agent's user start it and no more", asked},
		{"a host that stands still for some seconds is drained, and goes on with the same process", frozen},
		{"a host that freezes for longer is cut off by its peers, and let in again when nothing runs there", cutFromRing(false)},
		{"one that carries the leader's agent likewise", cutFromRing(true)},
		{"a killed agent is started by its unit, and nothing else happens", agentKilled},
	})
}

type story struct {
	name string
	tell func(*testing.T, *cluster.Cluster)
}

// tell tells stories to a cluster of their own. Package, mode and network are those of
// all suites.
func tell(t *testing.T, o cluster.Options, stories []story) *cluster.Cluster {
	t.Helper()
	o.Package, o.Mode, o.Subnet = deb(t), incident.Auto, os.Getenv("HOSTS_SUBNET")
	c := cluster.Start(t, o)
	for _, story := range stories {
		began := time.Now()
		if !t.Run(story.name, func(t *testing.T) { story.tell(t, c); serves(t, c) }) {
			serves(t, c) // else the cluster is not what the next story begins with
		}
		t.Logf("%s: %.0f s", story.name, time.Since(began).Seconds())
	}
	return c
}

func serves(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	if err := c.AwaitServing(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// must fails the test with what went wrong.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pid is the process of Cassandra on a host.
func pid(t *testing.T, h *cluster.Host) string {
	t.Helper()
	out, err := h.Run(t.Context(), "cat", "/run/cassandra/cassandra.pid")
	must(t, err)
	return strings.TrimSpace(out)
}

// closed waits for the end of a new incident and returns its story.
func closed(t *testing.T, at, about *cluster.Host, known map[string]bool, limit time.Duration) (cluster.Incident, string) {
	t.Helper()
	in, err := at.AwaitIncident(t.Context(), about.Name, known, limit, "the incident is closed", cluster.Incident.Closed)
	must(t, err)
	story, err := at.Timeline(t.Context(), in.ID)
	must(t, err)
	t.Log(story)
	return in, story
}

// write begins to write rows, and to read them through every node.
func write(t *testing.T, c *cluster.Cluster) *cluster.Rows {
	t.Helper()
	rows, err := c.StartRows(t.Context())
	must(t, err)
	return rows
}

// clean ends that: no node may have an old row. Nor may anybody have got one, but in
// the few seconds after a node woke in which the others cannot have known of it.
func clean(t *testing.T, c *cluster.Cluster, rows *cluster.Rows, woke time.Time) {
	t.Helper()
	cleanBut(t, c, rows, func(s cluster.Stale) bool {
		after := s.Began.Sub(woke)
		return !woke.IsZero() && after >= 0 && after <= wakingMax
	})
}

// cleanBut is clean where some old reads are nobody's fault.
func cleanBut(t *testing.T, c *cluster.Cluster, rows *cluster.Rows, excused func(cluster.Stale) bool) {
	t.Helper()
	serves(t, c)
	a, err := rows.End(t.Context())
	must(t, err)
	t.Logf("%d reads; of %d cold rows %d old or missing; %d writes lost", a.Reads, a.Cold, a.Old, a.Lost)
	if a.Reads == 0 || a.Cold == 0 || a.Old > 0 || a.Lost > 0 {
		t.Errorf("want answers, and none of them old: %+v", a)
	}
	stale := map[string]int{}
	for _, s := range a.Stale {
		stale[string(s.Through)]++
		if !excused(s) {
			t.Errorf("a stale read through %s at %s", s.Through, s.Began.UTC().Format(time.TimeOnly))
		}
	}
	t.Logf("stale reads by node: %v", stale)
}

// wakingMax bounds the time from when a node answers again until readers are kept
// off it: a look, a verdict, a transaction, a round of gossip.
const wakingMax = 5 * time.Second

func killed(t *testing.T, c *cluster.Cluster) {
	n1, n3 := c.Host("n1"), c.Host("n3")
	known, err := n1.Known(t.Context())
	must(t, err)
	must(t, n3.KillCassandra(t.Context()))
	_, story := closed(t, n1, n3, known, 5*time.Minute)
	for _, want := range []string{"ProcessDown", "start n3, hibernate", "say DOWN of n3", "left hibernation"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q", want)
		}
	}
	state, err := n3.Run(t.Context(), "systemctl", "show", "--property=ActiveState,SubState,MainPID", "cassandra.service")
	must(t, err)
	if want := "MainPID=" + pid(t, n3); !strings.Contains(state, "ActiveState=active") || !strings.Contains(state, "SubState=running") || !strings.Contains(state, want) {
		t.Errorf("its unit says %q, want an active one of %s", state, want)
	}
}

// asked asks as the agent's user: what the gate's drop-in and the rule for polkit allow
// is the host's own systemd to say.
func asked(t *testing.T, c *cluster.Cluster) {
	n3 := c.Host("n3")
	const (
		config = "/etc/cassandra-supervisor/agent.yaml"
		dropIn = "/etc/systemd/system/cassandra.service.d/90-ungated.conf"
	)
	as := func(argv ...string) (string, error) {
		return n3.Run(t.Context(), append([]string{"runuser", "-u", "cassandra", "--"}, argv...)...)
	}
	said, err := as("supervisor", "config", "check", config)
	must(t, err)
	if !strings.Contains(said, "cassandra.service is loaded and the gate stands in front of it") {
		t.Errorf("gated: %s", said)
	}
	before := pid(t, n3)
	for _, verb := range []string{"stop", "restart", "kill", "reload-or-restart"} {
		if said, err := as("systemctl", "--no-ask-password", verb, "cassandra.service"); err == nil {
			t.Errorf("the agent's user may %s it: %s", verb, said)
		}
	}
	if said, err := as("systemctl", "--no-ask-password", "start", "cassandra-supervisor-ports.service"); err == nil {
		t.Errorf("the agent's user may start another unit: %s", said)
	}
	if now := pid(t, n3); now != before {
		t.Errorf("Cassandra is %s, was %s", now, before)
	}
	ungate := func(lines string) {
		must(t, n3.Write(t.Context(), dropIn, []byte(lines), 0o644))
		_, err := n3.Run(t.Context(), "systemctl", "daemon-reload")
		must(t, err)
	}
	_, err = n3.Run(t.Context(), "mkdir", "-p", filepath.Dir(dropIn))
	must(t, err)
	ungate("[Service]\nExecStartPre=\n")
	said, err = as("supervisor", "config", "check", config)
	ungate("")
	if err == nil || !strings.Contains(said, "would start past the gate") {
		t.Errorf("without its gate: %v: %s", err, said)
	}
}

// freeze is a host that stands still while rows are written.
type freeze struct {
	host   *cluster.Host
	at     *cluster.Host // is asked about it
	known  map[string]bool
	before string // its Cassandra's process
	rows   *cluster.Rows
	began  time.Time
}

// freezes freezes a host until the others know. It is one whose agent leads, or not.
func freezes(t *testing.T, c *cluster.Cluster, leads bool) freeze {
	t.Helper()
	leader, err := c.Leader(t.Context())
	must(t, err)
	f := freeze{host: leader, at: follower(c, leader)}
	if !leads {
		f.host, f.at = f.at, f.host
	}
	f.known, f.before = known(t, f.at), pid(t, f.host)
	f.rows = write(t, c)
	must(t, f.host.Freeze(t.Context()))
	f.began = time.Now()
	in, err := f.at.AwaitIncident(t.Context(), f.host.Name, f.known, 30*time.Second, "the others know", func(i cluster.Incident) bool { return i.Phase != "suspected" })
	must(t, err)
	t.Logf("%s, which leads: %v: %s %s after %.1f s", f.host.Name, leads, in.Cause, in.Phase, time.Since(f.began).Seconds())
	return f
}

func frozen(t *testing.T, c *cluster.Cluster) {
	f := freezes(t, c, false)
	woke := time.Now()
	must(t, f.host.Thaw(t.Context()))
	closed(t, f.at, f.host, f.known, 5*time.Minute)
	if after := pid(t, f.host); after != f.before {
		t.Errorf("Cassandra is process %s, was %s", after, f.before)
	}
	clean(t, c, f.rows, woke)
}

func agentKilled(t *testing.T, c *cluster.Cluster) {
	n1, n3 := c.Host("n1"), c.Host("n3")
	known, err := n1.Known(t.Context())
	must(t, err)
	before := pid(t, n3)
	must(t, n3.KillAgent(t.Context()))
	serves(t, c)
	after, err := n1.Known(t.Context())
	must(t, err)
	if len(after) != len(known) || pid(t, n3) != before {
		t.Errorf("%d incidents, were %d; Cassandra is %s, was %s", len(after), len(known), pid(t, n3), before)
	}
}
