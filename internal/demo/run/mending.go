// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo"
	"supervisor/internal/demo/agents"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
)

// Mending is one outage in which one row of a hundred was changed, mended twice in
// one cluster: by the supervisor, and after a plain start by nodetool repair -full.
type Mending struct {
	Rows       int         `json:"rows"`
	Changed    int         `json:"changed"`
	Tables     int         `json:"tables"`
	Idle       int         `json:"idle_rows"` // in each of the others
	Supervisor MendingHalf `json:"supervisor"`
	Full       MendingHalf `json:"full"`
}

// MendingHalf is one way to mend, and what was missing on the node afterwards.
type MendingHalf struct {
	RepairMS  int64     `json:"repair_ms"`
	CompareMS int64     `json:"compare_ms"` // of the comparison that follows; 0: there is none
	Repair    Validated `json:"repair"`
	Compare   Validated `json:"compare"`
	Old       int       `json:"old"`
	Missing   int       `json:"missing"`
	Story     string    `json:"story,omitempty"` // what it said to have left out
	Phase     string    `json:"phase,omitempty"`
}

// MendingSteps is how many steps of progress it shows.
const MendingSteps = demo.UpSteps + 3

const (
	// quietWait is for how long nothing is written before the outage: tables count as
	// quiet when they were so for a minute, twice the hint window and what a commit log
	// may lose before it.
	quietWait   = 110 * time.Second
	mendMax     = 60 * time.Minute
	factorLeast = 5.0
)

// RunMending brings a cluster up, mends the two outages and leaves it running.
func RunMending(ctx context.Context, rows, idle int, o Options) (Mending, error) {
	if err := o.check(); err != nil {
		return Mending{}, err
	}
	o.Up.Attach = agents.Attach(o.Binary, o.members())
	plan, err := demo.Up(ctx, o.Up)
	if err != nil {
		return Mending{}, UpFailed{err}
	}
	s, err := newStage(o, plan)
	if err != nil {
		return Mending{}, err
	}
	defer s.close()
	return s.mending(ctx, load.Bulk{Nodes: plan.LoadNodes(), Rows: rows, Idle: idle})
}

func (s *stage) mending(ctx context.Context, b load.Bulk) (Mending, error) {
	m := Mending{Rows: b.Rows, Changed: b.Changes(), Tables: b.Tables(), Idle: b.Idle}
	s.show.Step("fill")
	if err := s.fill(ctx, b); err != nil {
		return m, err
	}
	s.show.Step("supervisor")
	var err error
	if m.Supervisor, err = s.mendOurs(ctx, b); err != nil {
		return m, fmt.Errorf("first outage: %w", err)
	}
	if err := s.restAgain(ctx); err != nil {
		return m, err
	}
	s.show.Step("nodetool")
	if m.Full, err = s.mendFully(ctx, b); err != nil {
		return m, fmt.Errorf("second outage: %w", err)
	}
	s.show.Done("")
	return m, nil
}

func (s *stage) fill(ctx context.Context, b load.Bulk) error {
	err := b.Fill(ctx, demo.Datacenter, func(done, of int) { s.show.Show("fill", fmt.Sprintf("%s of %s rows", grouped(done), grouped(of))) })
	if err != nil {
		return err
	}
	for _, n := range s.plan.Nodes {
		if err := node.Tool(ctx, n, "flush"); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) restAgain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restMax)
	defer cancel()
	return errors.Join(s.plan.AwaitRest(ctx), s.awaitQuiet(ctx))
}

// away kills the node and its agent, and changes rows when no peer keeps hints for it
// any more; then the agent is started again.
func (s *stage) away(ctx context.Context, b load.Bulk, version int64) (time.Time, map[string]bool, error) {
	known, err := s.known(ctx)
	if err != nil {
		return time.Time{}, nil, err
	}
	at := time.Now()
	if err := s.strike(); err != nil {
		return at, known, err
	}
	s.tell(s.o.Scenario.words())
	if err := s.awaitRefused(ctx); err != nil {
		return at, known, err
	}
	if err := b.Change(ctx, Victim, version); err != nil {
		return at, known, err
	}
	s.tell(fmt.Sprintf("T+%s %s rows changed; the agent of %s is started again", since(at), grouped(b.Changes()), Victim))
	return at, known, s.fleet.Start(s.victim)
}

// mendOurs lets the supervisor bring the node back.
func (s *stage) mendOurs(ctx context.Context, b load.Bulk) (MendingHalf, error) {
	var h MendingHalf
	if err := s.mode(ctx, incident.Auto); err != nil {
		return h, err
	}
	s.show.Show("quiet", fmt.Sprintf("nothing is written for %.0f s", quietWait.Seconds()))
	if err := pause(ctx, quietWait); err != nil {
		return h, err
	}
	from, err := mark(s.plan.Nodes)
	if err != nil {
		return h, err
	}
	at, known, err := s.away(ctx, b, 1)
	if err != nil {
		return h, err
	}
	story, err := s.followTo(ctx, known, at)
	if err != nil {
		return h, err
	}
	compared := h.take(*story)
	if h.Repair, h.Compare, err = from.since(s.plan.Nodes, compared); err != nil {
		return h, err
	}
	return h, s.compare(ctx, b, 1, &h)
}

// followTo prints the story until the incident is closed, or held.
func (s *stage) followTo(ctx context.Context, known map[string]bool, at time.Time) (*api.Timeline, error) {
	ctx, cancel := context.WithDeadline(ctx, at.Add(mendMax))
	defer cancel()
	t := tale{stage: s, before: known}
	for !t.over() {
		t.goOn(ctx)
		if err := pause(ctx, lookEvery); err != nil {
			return nil, fmt.Errorf("wait until the incident is closed: %w", err)
		}
	}
	return t.story, nil
}

// take reads from the journal how long repairs and comparison took, and returns when
// the comparison began.
func (h *MendingHalf) take(t api.Timeline) (compared time.Time) {
	h.Phase = t.Incident.Phase.String()
	var began time.Time // of the repair that runs
	var done time.Time
	for _, ev := range t.Events {
		switch at := atOf(ev); ev.Code {
		case "decided_left_out":
			h.Story = strings.TrimPrefix(h.Story+"; "+ev.Sentence, "; ")
		case "proved_down", "proved_up":
			began, compared, done = at, at, time.Time{}
		case "did_repair":
			if !done.IsZero() {
				began = done
			}
			h.RepairMS += at.Sub(began).Milliseconds()
			done, compared = at, at
		case "proved_preview", "saw_preview_differs":
			h.CompareMS += at.Sub(compared).Milliseconds()
		}
	}
	return compared
}

// mendFully starts the node as people do it, and repairs all of it.
func (s *stage) mendFully(ctx context.Context, b load.Bulk) (MendingHalf, error) {
	var h MendingHalf
	if err := s.mode(ctx, incident.Observe); err != nil {
		return h, err
	}
	if _, _, err := s.away(ctx, b, 2); err != nil {
		return h, err
	}
	if err := s.await(ctx, s.victim, func(st api.Status) bool { return leader(st) != "" }); err != nil {
		return h, err
	}
	if err := errors.Join(s.startPlainly(ctx), s.awaitBack(ctx)); err != nil {
		return h, err
	}
	from, err := mark(s.plan.Nodes)
	if err != nil {
		return h, err
	}
	s.show.Show("full", "nodetool repair -full on "+Victim)
	began := time.Now()
	if err := node.Tool(ctx, s.victim, "repair", "-full"); err != nil {
		return h, err
	}
	h.RepairMS = time.Since(began).Milliseconds()
	if h.Repair, _, err = from.since(s.plan.Nodes, time.Now()); err != nil {
		return h, err
	}
	return h, s.compare(ctx, b, 2, &h)
}

// compare reads every row of the changed table from the node's own disk.
func (s *stage) compare(ctx context.Context, b load.Bulk, version int64, h *MendingHalf) error {
	s.show.Show("compare", fmt.Sprintf("reading %s rows at ONE from the disk of %s", grouped(b.Rows), Victim))
	return s.plan.OwnReplica(ctx, Victim, func() (err error) {
		h.Old, h.Missing, err = b.Compare(ctx, Victim, version)
		return err
	})
}

// Factors are by how many times less time both repairs took, and fewer bytes they
// validated, than nodetool repair -full, which compares nothing afterwards.
func (m Mending) Factors() (took, bytes float64) {
	return ratio(m.Full.RepairMS, m.Supervisor.RepairMS), ratio(m.Full.Repair.Bytes, m.Supervisor.Repair.Bytes)
}

// WithComparison are the same with the comparison by another node counted in.
func (m Mending) WithComparison() (took, bytes float64) {
	ours := m.Supervisor.Repair.plus(m.Supervisor.Compare)
	return ratio(m.Full.RepairMS, m.Supervisor.RepairMS+m.Supervisor.CompareMS), ratio(m.Full.Repair.Bytes, ours.Bytes)
}

func ratio(a, b int64) float64 {
	if b <= 0 {
		return 0 // nothing was measured
	}
	return float64(a) / float64(b)
}

// Faults are the reasons why it did not reach what it must; none is a success.
func (m Mending) Faults() []string {
	var out []string
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	took, bytes := m.Factors()
	add(m.Supervisor.Phase != incident.Closed.String(), "the incident is not closed: %s", m.Supervisor.Phase)
	add(m.Supervisor.Old+m.Supervisor.Missing > 0, "%d old and %d missing rows on %s after the return", m.Supervisor.Old, m.Supervisor.Missing, Victim)
	add(m.Full.Repair.Tables == 0 || m.Supervisor.Repair.Tables == 0, "no validation was seen: the run proves nothing")
	add(took < factorLeast, "%.1f times less time, want %.0f", took, factorLeast)
	add(bytes < factorLeast, "%.1f times fewer bytes, want %.0f", bytes, factorLeast)
	return out
}

// Table is the result as people read it.
func (m Mending) Table() string {
	var b strings.Builder
	took, bytes := m.Factors()
	u, f := m.Supervisor, m.Full
	fmt.Fprintf(&b, "%s of %s rows of one table changed; %d others at rest with %s each\n", grouped(m.Changed), grouped(m.Rows), m.Tables-1, grouped(m.Idle))
	row := func(name, ours, compared, full string) {
		fmt.Fprintf(&b, "  %s%s%s%s\n", left(name, nameWidth), right(ours, ownWidth), right(compared, cassWidth), right(full, haWidth))
	}
	row("", "both repairs", "comparison", "nodetool -full")
	row("time", took1(u.RepairMS), took1(u.CompareMS), took1(f.RepairMS))
	row("MiB validated, all nodes", mebi(u.Repair.Bytes), mebi(u.Compare.Bytes), mebi(f.Repair.Bytes))
	row("partitions validated", grouped(int(u.Repair.Partitions)), grouped(int(u.Compare.Partitions)), grouped(int(f.Repair.Partitions)))
	row("tables validated, all nodes", grouped(u.Repair.Tables), grouped(u.Compare.Tables), grouped(f.Repair.Tables))
	row("old, missing rows afterwards", fmt.Sprintf("%d, %d", u.Old, u.Missing), "", fmt.Sprintf("%d, %d", f.Old, f.Missing))
	tookAll, bytesAll := m.WithComparison()
	fmt.Fprintf(&b, "  less time: %.1f times, with the comparison %.1f; fewer bytes: %.1f times, with it %.1f\n", took, tookAll, bytes, bytesAll)
	if u.Story != "" {
		fmt.Fprintf(&b, "  %s\n", u.Story)
	}
	for _, fault := range m.Faults() {
		fmt.Fprintf(&b, "NOT REACHED: %s\n", fault)
	}
	return b.String()
}

func took1(ms int64) string { return fmt.Sprintf("%.1f s", float64(ms)/1000) }

// JSON is it on one line.
func (m Mending) JSON() (string, error) {
	took, bytes := m.Factors()
	tookAll, bytesAll := m.WithComparison()
	text, err := json.Marshal(struct {
		Mending
		TimeFactor   float64  `json:"time_factor"`
		BytesFactor  float64  `json:"bytes_factor"`
		TimeCompared float64  `json:"time_factor_with_comparison"`
		ByteCompared float64  `json:"bytes_factor_with_comparison"`
		Faults       []string `json:"faults"`
	}{m, took, bytes, tookAll, bytesAll, m.Faults()})
	return string(text), err
}
