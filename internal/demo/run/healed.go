// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo/load"
)

// Healed is the second half: the supervisor.
type Healed struct {
	Fault     time.Time
	Proxy     seen
	Story     *api.Timeline // nil when no incident was opened
	Away      time.Duration // from the fault to the first start; 0 when there was none
	CalmStale int
	Counts    load.Counts // from the fault on
	Audit     *load.Audit // nil when a node did not answer
	Lost      *int        // nil when it could not be looked for
	Unclear   error       // why one of those is nil
	Killed    time.Time   // or stopped: the leader's agent, and whose; zero: none was
	Leader    string
	Done      string // what was done to it: killed, or stopped
}

// healed gives the fault while the supervisor is at work and follows it.
func (s *stage) healed(ctx context.Context, prefix string) (Healed, error) {
	var h Healed
	l, err := s.load(ctx, prefix)
	if err != nil {
		return h, err
	}
	defer l.Close()
	heir := s.heir(&h)
	if err := heir.choose(ctx); err != nil {
		return h, err
	}
	f, err := s.struck(ctx, l, heir.freeze)
	if err != nil {
		return h, err
	}
	h.Fault, h.CalmStale = f.at, f.stale
	watch, enough := context.WithCancel(ctx)
	defer enough()
	proxy := s.watchProxy(watch)
	if h.Story, err = s.follow(ctx, l, f, heir); err != nil {
		return h, err
	}
	h.Away = awayOf(h.Story, f.at)
	if err := pause(ctx, afterwards); err != nil {
		return h, err
	}
	enough()
	h.Proxy = <-proxy
	h.Counts = l.Stop().Since(f.before)
	s.look(ctx, l, f, &h)
	return h, ctx.Err()
}

// look reads every row again. The audit comes first: a read at quorum mends
// what it finds.
func (s *stage) look(ctx context.Context, l *load.Load, f fault, h *Healed) {
	s.show.Show("audit", "the load has ended; every tail and cold row is read at ONE through every node")
	audit, err := s.audit(ctx, l, f)
	if err != nil {
		h.Unclear = err
	} else {
		h.Audit = &audit
	}
	lost, err := l.Lost(ctx)
	if err != nil {
		h.Unclear = errors.Join(h.Unclear, err)
		return
	}
	h.Lost = &lost
}

// audit reads every tail and cold row from every node's own disk.
func (s *stage) audit(ctx context.Context, l *load.Load, f fault) (load.Audit, error) {
	return l.Audit(ctx, f.tail, func(node string, read func() error) error {
		return s.plan.OwnReplica(ctx, node, read)
	})
}

// follow shows the story while it happens, and does what the scenario does
// meanwhile. It returns when the incident is closed or held, or after healMax.
func (s *stage) follow(ctx context.Context, l *load.Load, f fault, heir *heir) (*api.Timeline, error) {
	ctx, cancel := context.WithDeadline(ctx, f.at.Add(healMax))
	defer cancel()
	done := make(chan error, 1)
	notes := make(chan string, 8)
	go func() { done <- s.absence(ctx, l, f, func(text string) { notes <- text }) }()
	t := tale{stage: s, before: f.known}
	acting := true
	for {
		t.goOn(ctx)
		if err := heir.turn(ctx, t.story); err != nil {
			return t.story, err
		}
		for len(notes) > 0 {
			s.tell(<-notes)
		}
		if !acting && t.over() && heir.done() {
			return t.story, nil
		}
		select {
		case err := <-done:
			if err != nil {
				return t.story, err
			}
			acting, done = false, nil
		case <-ctx.Done():
			if acting {
				<-done
			}
			s.tell(fmt.Sprintf("T+%s not closed after %s", since(f.at), healMax))
			return t.story, nil
		case <-time.After(lookEvery):
		}
	}
}

// tale prints an incident's story as it grows.
type tale struct {
	*stage
	before map[string]bool
	id     string
	told   int64 // sequence number of the last event that was printed
	story  *api.Timeline
	held   time.Time // since when it has been held
}

// goOn prints what is new. An agent that does not answer is asked again.
func (t *tale) goOn(ctx context.Context) {
	if t.id == "" {
		t.id, _ = t.opened(ctx, t.before)
	}
	if t.id == "" {
		return
	}
	story, err := t.timeline(ctx, t.id)
	if err != nil {
		return
	}
	t.story = &story
	for _, ev := range story.Events {
		if ev.Seq > t.told {
			t.told = ev.Seq
			t.show.Print(t.o.Line(ev))
		}
	}
	switch {
	case story.Incident.Phase != incident.Held:
		t.held = time.Time{}
	case t.held.IsZero():
		t.held = time.Now()
	}
}

// heldFor is how long an incident has to be held before nobody waits any
// more: some are released by the next look.
const heldFor = 20 * time.Second

func (t *tale) over() bool {
	return t.story != nil && (t.story.Incident.Phase == incident.Closed || !t.held.IsZero() && time.Since(t.held) > heldFor)
}

// awayOf is when the supervisor had the node started first.
func awayOf(t *api.Timeline, fault time.Time) time.Duration {
	if t == nil {
		return 0
	}
	for _, ev := range t.Events {
		if ev.Code == "did_start" {
			return atOf(ev).Sub(fault)
		}
	}
	return 0
}

// atOf is the wall time of an event; this machine has one clock.
func atOf(ev api.Event) time.Time {
	at, err := time.Parse(time.RFC3339Nano, ev.At)
	if err != nil {
		return time.Time{}
	}
	return at
}
