// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
)

// Holds is what people asked the supervisor to leave alone, with who, why and
// until when: the key holds. Every transaction of a leader compares it.
type Holds struct {
	Pauses []Pause `json:"pauses,omitempty"`
	Mutes  []Mute  `json:"mutes,omitempty"`
}

// Pause lets nothing new start in a datacenter. What stands, stays.
type Pause struct {
	Datacenter cluster.Datacenter `json:"datacenter,omitempty"` // empty: every one of the region
	By         string             `json:"by"`
	Why        string             `json:"why"`
	From       time.Time          `json:"from"`
	Until      time.Time          `json:"until"`
}

// Mute hides a finding and disarms nothing: guards go on refusing.
type Mute struct {
	Code     string    `json:"code"`
	Subjects []string  `json:"subjects"` // those that were known; it does not hide another one
	By       string    `json:"by"`
	Why      string    `json:"why"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
}

// The longest that a hold may stand: what has no end is forgotten.
const (
	HoldMax  = 7 * 24 * time.Hour
	holdMin  = time.Second
	mutesMax = 256
)

// stands tells whether a hold that ends at until stands. The last instant
// counts as over.
func stands(until, wall time.Time) bool { return wall.Before(until) }

// Paused is the pause that stands for a datacenter at wall; of two, that which
// ends later.
func (h Holds) Paused(dc cluster.Datacenter, wall time.Time) (p Pause, paused bool) {
	for _, each := range h.Pauses {
		if (each.Datacenter == "" || each.Datacenter == dc) && stands(each.Until, wall) && (!paused || each.Until.After(p.Until)) {
			p, paused = each, true
		}
	}
	return p, paused
}

// Muted is the mute that hides a finding at wall.
func (h Holds) Muted(code, subject string, wall time.Time) (m Mute, muted bool) {
	i := slices.IndexFunc(h.Mutes, func(m Mute) bool {
		return m.Code == code && slices.Contains(m.Subjects, subject) && stands(m.Until, wall)
	})
	if i < 0 {
		return Mute{}, false
	}
	return h.Mutes[i], true
}

// lapsedMax is how much Lapsed takes away at once: the rest comes with the next
// transaction, which has room for as few lines.
const lapsedMax = 8

// Lapsed takes away what has ended at wall, with a line for each; none: nothing
// has.
func (h Holds) Lapsed(wall time.Time) (Holds, []Line) {
	var rest Holds
	var lines []Line
	for _, p := range h.Pauses {
		if stands(p.Until, wall) || len(lines) == lapsedMax {
			rest.Pauses = append(rest.Pauses, p)
			continue
		}
		lines = append(lines, Line{Kind: Saw, Code: "pause_over", Rule: RulePaused, Args: map[string]string{
			"scope": Scoped(p.Datacenter), "by": p.By, "until": Stamp(p.Until)}})
	}
	for _, m := range h.Mutes {
		if stands(m.Until, wall) || len(lines) == lapsedMax {
			rest.Mutes = append(rest.Mutes, m)
			continue
		}
		lines = append(lines, Line{Kind: Saw, Code: "mute_over", Args: map[string]string{"code": m.Code, "by": m.By, "until": Stamp(m.Until)}})
	}
	return rest, lines
}

// Scoped is what a pause is about, in words.
func Scoped(dc cluster.Datacenter) string {
	if dc == "" {
		return "the region"
	}
	return string(dc)
}

// Words say who paused what, until when and why.
func (p Pause) Words() string {
	return fmt.Sprintf("%s paused %s until %s: %s", p.By, Scoped(p.Datacenter), Stamp(p.Until), p.Why)
}

// without are the holds without those that match.
func (h Holds) without(pause func(Pause) bool, mute func(Mute) bool) Holds {
	return Holds{Pauses: slices.DeleteFunc(slices.Clone(h.Pauses), pause), Mutes: slices.DeleteFunc(slices.Clone(h.Mutes), mute)}
}

// paused is the pause of the record's datacenter.
func (t *turn) paused() (Pause, bool) { return t.w.Holds.Paused(t.r.Datacenter, t.w.Wall) }

// pausedAway stops an incident whose datacenter is paused where it stands:
// nothing more is done, nothing that stands is undone. What only was seen waits,
// and is over when the node answers with the same process; what was begun is
// Held, and goes on by itself when the pause is over.
func (t *turn) pausedAway() bool {
	p, paused := t.paused()
	if !paused {
		return false
	}
	switch t.r.Phase {
	case Suspected:
		same, _ := t.sameProcess(t.r.Process)
		if v := t.w.verdict(t.r.Node); answers(v) && same && !t.beyondHints(v) {
			t.close("closed_untouched")
			return true
		}
		t.wait(RulePaused, "waits_paused", "pause", p.Words())
	case Draining, Fencing, Deciding, Returning, Replacing, Verifying:
		t.hold(RulePaused, p.Words()+"; what was done stays; it goes on when that is over, or with supervisor resume")
	case PhaseUnknown, Held, Closed:
	}
	return true
}

// pauses and approvals are rows of the findings.
func pauses(w World) []Subjected {
	var out []Subjected
	for _, dc := range w.datacenters() {
		if p, paused := w.Holds.Paused(dc, w.Wall); paused {
			out = append(out, subject(string(dc), "datacenter", string(dc), "by", p.By, "until", Stamp(p.Until), "why", p.Why))
		}
	}
	return out
}

func approvals(w World) []Subjected {
	var out []Subjected
	for _, r := range w.Open {
		if r.Phase == Held && r.Proposal != nil {
			p := Propose(r, w)
			out = append(out, subject(r.ID, "incident", r.ID, "node", string(r.Node), "levels", p.Levels.String(), "plan", p.Hash))
		}
	}
	return out
}
