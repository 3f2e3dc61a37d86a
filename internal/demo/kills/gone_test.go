// SPDX-License-Identifier: Apache-2.0

//go:build real

package kills

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/demo/agents"
	"supervisor/internal/demo/node"
)

// Bounds of an agent's absence.
const (
	bereftFor = 10 * time.Second // two members of the store are gone: longer than a lease
	wakeMax   = 90 * time.Second // a stopped agent sleeps no longer, whatever it waits for
	heldMax   = 45 * time.Second // an incident may be held so long before a person has it tried again
	awareMax  = 30 * time.Second // from waking until the old leader says that it leads no more
	askMax    = 500 * time.Millisecond
)

// death is what happens to the leader's agent, and with Both to another one.
type death struct {
	at     Moment
	deed   Deed
	leader node.Node
	too    *node.Node
	log    int64 // length of the leader's log when it was chosen
	done   atomic.Bool
	when   time.Time // valid once done is true
	fail   error
}

// strike is called with every moment; the first that fits is the agent's end.
func (d *death) strike(victim string, after time.Time) func(Sight) {
	return func(s Sight) {
		if d.done.Load() || s.Moment != d.at || s.Node != cluster.Name(victim) || s.At.Before(after) {
			return
		}
		d.when = time.Now()
		d.fail = signal(d.deed.Signal, d.leader.AgentPidFile())
		if d.too != nil {
			d.fail = errors.Join(d.fail, signal(d.deed.Signal, d.too.AgentPidFile()))
		}
		d.done.Store(true)
	}
}

// prepare chooses who goes and seats the store's own leader accordingly. What
// is written about it meanwhile is read from members that stay.
func (s *stage) prepare(t *testing.T, at Moment, deed Deed, leader cluster.Name, victim node.Node) *death {
	t.Helper()
	if at == (Moment{}) {
		return nil
	}
	d := &death{at: at, deed: deed}
	var third node.Node
	for _, n := range s.plan.Nodes {
		switch n.Name {
		case string(leader):
			d.leader = n
		case victim.Name:
		default:
			third = n
		}
	}
	seat, stay := third, []node.Node{victim, third}
	switch deed.Seat {
	case With:
		seat = d.leader
	case Both:
		d.too, stay = &third, []node.Node{victim}
	case Apart:
	}
	s.seat(t, seat)
	s.watch(t, stay)
	info, err := os.Stat(d.leader.Agent("").Log)
	if err != nil {
		t.Fatal(err)
	}
	d.log = info.Size()
	return d
}

// seat moves the store's own leadership to the member of a node.
func (s *stage) seat(t *testing.T, n node.Node) {
	t.Helper()
	await(t, "the store's leader is seated", time.Minute, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		st, err := s.store.Health(ctx)
		if err != nil {
			return err
		}
		var leads string
		var wanted uint64
		for _, e := range st.Endpoints {
			if e.Leads {
				leads = e.URL
			}
			if e.URL == endpoint(n) {
				wanted = e.Member
			}
		}
		switch {
		case leads == endpoint(n):
			return nil
		case leads == "" || wanted == 0:
			return errors.New("no leader, or a member that does not answer")
		}
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{leads}, DialTimeout: 2 * time.Second})
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := c.MoveLeader(ctx, wanted); err != nil {
			return fmt.Errorf("move the store's leader to %s: %w", n.Name, err)
		}
		return fmt.Errorf("%s has just been told to lead", n.Name)
	})
}

// carries is who carries the store's leader; empty: nobody tells.
func (s *stage) carries(ctx context.Context) cluster.Name {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	st, err := s.store.Health(ctx)
	if err != nil {
		return ""
	}
	for _, e := range st.Endpoints {
		i := slices.IndexFunc(s.plan.Nodes, func(n node.Node) bool { return endpoint(n) == e.URL })
		if e.Leads && i >= 0 {
			return cluster.Name(s.plan.Nodes[i].Name)
		}
	}
	return ""
}

// inherit waits for the death, for another leader, and brings the agent back.
// A moment that does not come again is no death: the incident ends without.
func (s *stage) inherit(t *testing.T, b blow, row *Row) {
	t.Helper()
	d := b.death
	if d == nil {
		return
	}
	var asked time.Time
	err := until(t.Context(), closeMax, func() error {
		switch {
		case d.done.Load():
			return nil
		case s.over(row.Victim, b.at) && d.at != Over:
			return nil
		case time.Since(asked) > time.Second:
			asked = time.Now()
			if name := s.carries(t.Context()); name != "" && !d.done.Load() {
				row.Store = name
			}
		}
		return errors.New("still under way")
	})
	if err != nil || d.done.Load() && d.fail != nil {
		t.Fatalf("%s: the moment: %v, the signal: %v", row.At, err, d.fail)
	}
	if !d.done.Load() {
		return
	}
	row.Gone = cluster.Name(d.leader.Name)
	defer func() { _ = signal(syscall.SIGCONT, d.leader.AgentPidFile()) }() // also after a failure
	if d.too != nil {
		row.Too = cluster.Name(d.too.Name)
		defer func() { _ = signal(syscall.SIGCONT, d.too.AgentPidFile()) }()
		rest(t.Context(), bereftFor-time.Since(d.when))
		s.bring(t, d, *d.too)
	}
	var heir Term
	await(t, "another one leads", 2*heirMax, func() error {
		var ok bool
		if heir, ok = s.book.Heir(row.Gone, d.when); !ok {
			return errors.New("nobody")
		}
		return nil
	})
	row.Heir = heir.At.Sub(d.when)
	row.Late = until(t.Context(), wakeMax-time.Since(d.when), func() error { return s.due(d.deed.Back, row.Victim, b.at, heir.At) }) != nil
	row.BackAt = s.stands(row.Victim, b.at)
	s.bring(t, d, d.leader)
	row.Back = time.Since(d.when)
	s.closed(t, row, b.at)
	if at, ok := s.book.Word(row.Gone, heir.At); ok {
		row.Word = at.Sub(d.when)
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// bring wakes an agent up, or starts it again.
func (s *stage) bring(t *testing.T, d *death, n node.Node) {
	t.Helper()
	if !d.deed.Stops() {
		if err := s.fleet.Start(n); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := signal(syscall.SIGCONT, n.AgentPidFile()); err != nil {
		t.Fatal(err)
	}
}

// due tells whether it is time for the agent to be back.
func (s *stage) due(back Back, victim cluster.Name, after, heir time.Time) error {
	if back == AtOnce || s.over(victim, after) {
		return nil
	}
	sights := s.book.Sights(victim, after)
	if back == Midway && sights[len(sights)-1].At.After(heir) {
		return nil
	}
	return errors.New("not yet")
}

// stands is where the record of the incident after a fault stands now.
func (s *stage) stands(victim cluster.Name, after time.Time) Moment {
	sights := s.book.Sights(victim, after)
	if len(sights) == 0 {
		return Moment{}
	}
	return sights[len(sights)-1].Moment
}

// unheld has a person try an incident again that is held with a reason, once
// all agents are there; what is held by nobody's rule stays, and is a fault.
func (s *stage) unheld(t *testing.T, sight Sight, row *Row) {
	t.Helper()
	if sight.Moment.Phase != incident.Held || sight.Rule == "" || row.Gone == "" || !row.Deed.Stops() || row.Rule != "" ||
		time.Since(sight.At) < heldMax {
		return
	}
	row.Rule = sight.Rule
	i := slices.IndexFunc(s.plan.Nodes, func(n node.Node) bool { return n.Name == string(row.Victim) })
	out, err := exec.CommandContext(t.Context(), s.fleet.Binary, "incident", "retry", sight.Incident, "--yes",
		"--reason", "the old leader is back", "--socket", agents.Socket(s.plan.Nodes[i])).CombinedOutput()
	t.Logf("%s was held by %s and is tried again: %v %s", sight.Incident, sight.Rule, err, out)
}

// aware reads in the log of an agent that woke up what it did then.
func (s *stage) aware(t *testing.T, d *death, row *Row) {
	t.Helper()
	if d == nil || row.Gone == "" || !d.deed.Stops() {
		return
	}
	row.Unaware = until(t.Context(), awareMax, func() error {
		f, err := os.Open(d.leader.Agent("").Log)
		if err != nil {
			return err
		}
		defer f.Close()
		b, err := io.ReadAll(io.NewSectionReader(f, d.log, 1<<30))
		if err != nil {
			return err
		}
		knows := false
		if row.Refused, knows = Woken(string(b)); !knows {
			return errors.New("it has not said that it leads no more")
		}
		return nil
	}) != nil
}
