// SPDX-License-Identifier: Apache-2.0

//go:build real

package load_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"supervisor/internal/cassandra"
	"supervisor/internal/demo"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
)

func upCluster(t *testing.T) demo.Plan {
	t.Helper()
	base, err := os.MkdirTemp("", "load")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "d")
	t.Cleanup(func() {
		_ = demo.Down(context.WithoutCancel(t.Context()), dir, false)
		_ = os.Remove(base)
	})
	p, err := demo.Up(t.Context(), demo.Options{Dir: dir, Net: "127.0.25", Progress: demo.NewProgress(os.Stderr, demo.UpSteps)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// await asks until done says yes.
func await(t *testing.T, what string, limit time.Duration, done func() bool) {
	t.Helper()
	began := time.Now()
	for !done() {
		if time.Since(began) > limit {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%s after %.1f s", what, time.Since(began).Seconds())
}

// pinned is the number of answers that the readers got so far, and of those
// that failed through node.
func pinned(l *load.Load, node string) (answered, failed int) {
	c := l.Counts()
	return c.Reads, c.ReadErrors[node].Count
}

// hang stops the victim for a while: the load goes on, no request waits
// without bound, and the reader finds back.
func hang(t *testing.T, l *load.Load, victim node.Node) {
	t.Helper()
	id, err := process.Read(victim.PidFile())
	if err != nil {
		t.Fatal(err)
	}
	before := l.Counts()
	if err := id.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(6 * time.Second)
	d := l.Counts().Since(before)
	t.Logf("hung: %d writes, errors %+v; reads %d, through n3 failed %+v", d.WritesAcked, d.WriteErrors, d.Reads, d.ReadErrors[victim.Name])
	if d.WritesAcked == 0 || d.ReadErrors[victim.Name].Count == 0 {
		t.Error("the load did not go on, or did not miss the node")
	}
	if err := id.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, "its reader is back", 20*time.Second, func() bool {
		answered, failed := pinned(l, victim.Name)
		time.Sleep(time.Second)
		later, still := pinned(l, victim.Name)
		return later-answered > 400 && still == failed // 3 x 200 a second, and none through two nodes only
	})
}

// TestPlainRestartIsSeenToBeStale proves the measure itself: an outage beyond
// the hint window and a plain restart leave old rows, which the audit must
// find, and a full repair leaves none, which the audit must not invent.
func TestPlainRestartIsSeenToBeStale(t *testing.T) {
	p := upCluster(t)
	victim := p.Nodes[2]
	o := load.Normal(p.LoadNodes(), "t")
	o.WriteVia = p.Proxy.Frontend
	l, err := load.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	time.Sleep(10 * time.Second) // a stretch of health
	if c := l.Counts(); c.StaleReads != 0 || c.Reads < 3000 || c.WriteErrors.Count != 0 {
		t.Errorf("in health: %d reads, %d stale, write errors %+v, first stale %+v", c.Reads, c.StaleReads, c.WriteErrors, c.Stale)
	}
	hang(t, l, victim)
	tail, err := l.StartTail(t.Context(), victim.Name)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)

	before := l.Counts()
	id, err := process.Read(victim.PidFile())
	if err != nil {
		t.Fatal(err)
	}
	fault := time.Now()
	if err := id.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	rows := tail.Stop(fault)
	if len(rows) < 20 {
		t.Errorf("%d tail rows, want at least 20", len(rows))
	}
	patience, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	noticed, err := p.AwaitNoticed(patience, victim.Name)
	if err != nil || !noticed.Whole() {
		t.Errorf("a killed node is noticed by all: %+v, %v", noticed, err)
	}
	t.Logf("noticed: Cassandra %s to %s, HAProxy %s", noticed.CassandraFirst.Sub(fault), noticed.CassandraAll.Sub(fault), noticed.HAProxy.Sub(fault))
	await(t, "hints are no longer stored", 60*time.Second, func() bool {
		refused, err := p.HintsRefused(t.Context(), victim.Name)
		return err == nil && refused
	})
	if err := l.RewriteCold(t.Context(), victim.Name); err != nil {
		t.Fatal(err)
	}
	outage := l.Counts().Since(before)
	t.Logf("outage: %d writes, errors %+v; reads through n3 failed %+v", outage.WritesAcked, outage.WriteErrors, outage.ReadErrors[victim.Name])
	if outage.WritesAcked == 0 || outage.ReadErrors[victim.Name].Count == 0 {
		t.Error("the load did not go on, or did not miss the node")
	}

	if _, err := node.Start(t.Context(), victim, "", io.Discard); err != nil {
		t.Fatal(err)
	}
	back := l.Counts()
	await(t, "the node answers", 90*time.Second, func() bool {
		return cassandra.NewProber(victim.CQL(), time.Second).Ask(t.Context()) == nil
	})
	await(t, "its reader is back", 20*time.Second, func() bool {
		c := l.Counts()
		failed := c.ReadErrors[victim.Name]
		return c.Reads > back.Reads && time.Since(failed.Last) > time.Second
	})
	time.Sleep(3 * time.Second)
	final := l.Stop()
	t.Logf("after the start: stale %d of %d reads; all errors %+v %+v", final.Since(back).StaleReads, final.Since(back).Reads, final.WriteErrors, final.ReadErrors)

	setSeverity(t, victim, 50) // the node reads past itself, as it may do by its own snitch
	past, err := l.Audit(t.Context(), rows, func(_ string, read func() error) error { return read() })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the node reads past itself: %s", words(past, l, rows))
	audit := auditOwn(t, p, l, rows)
	setSeverity(t, victim, 0)
	t.Logf("plain restart: %s", words(audit, l, rows))
	if cold := audit.Of(l.Cold()); cold <= len(l.Cold())/2 {
		t.Errorf("%d of %d cold rows old: the measure does not see what is there", cold, len(l.Cold()))
	}
	if past.Of(l.Cold()) > audit.Of(l.Cold())/2 {
		t.Errorf("%d cold rows old though the node reads past itself, %d on its own disk: Severity did nothing", past.Of(l.Cold()), audit.Of(l.Cold()))
	}
	if err := demo.Repair(t.Context(), victim, load.Keyspace); err != nil {
		t.Fatal(err)
	}
	patience, cancel = context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := p.AwaitRest(patience); err != nil {
		t.Error(err)
	}
	if audit = auditOwn(t, p, l, rows); audit.OldOrMissing() != 0 {
		t.Errorf("after a full repair: %s", words(audit, l, rows))
	}
	if lost, err := l.Lost(t.Context()); err != nil || lost != 0 {
		t.Errorf("lost writes: %d, %v", lost, err)
	}
}

// auditOwn asks each node about the rows on its own disk: the dynamic snitch
// of a node that has just started may prefer all others for minutes.
func auditOwn(t *testing.T, p demo.Plan, l *load.Load, rows []string) load.Audit {
	t.Helper()
	audit, err := l.Audit(t.Context(), rows, func(node string, read func() error) error {
		return p.OwnReplica(t.Context(), node, read)
	})
	if err != nil {
		t.Fatal(err)
	}
	return audit
}

func setSeverity(t *testing.T, n node.Node, v float64) {
	t.Helper()
	admin := cassandra.NewAdmin(n.Jolokia(), cassandra.DefaultAdminOptions())
	defer admin.Close()
	if err := admin.SetSeverity(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

func words(a load.Audit, l *load.Load, tail []string) string {
	return fmt.Sprintf("%d row reads, %d old, %d missing; cold %d of %d, tail %d of %d", a.Rows, a.Old, a.Missing,
		a.Of(l.Cold()), len(l.Cold()), a.Of(tail), len(tail))
}
