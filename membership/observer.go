// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"time"

	"supervisor/cluster"
)

const (
	// formerMax bounds how many earlier starts of an agent are remembered.
	formerMax = 16
	// stragglerMax is how long datagrams of a start may still trickle in after
	// a later start was heard. What comes after that is a second agent.
	stragglerMax = 2 * time.Second
	// twinHold is how long a name stays disbelieved after the last sign that
	// two agents use it.
	twinHold = 30 * time.Second
)

// hear notes that the observer of r was heard. It is false when r is of a
// start of the agent that a later start replaced; when such a word comes too
// late for a straggler, two agents bear one name and neither is believed. The
// older is the observer again when the younger has been silent for long: it was
// a copy of the host, perhaps.
func (u *turn) hear(r Report) bool {
	h, known := u.v.Observers[r.Observer]
	before := h
	current := true
	switch {
	case !known || h.Boot == r.Boot:
		h.Boot = r.Boot
	case slices.Contains(h.Former, r.Boot) && r.arrived().Sub(h.At) > twinQuiet:
		h = h.restarted(r)
	case slices.Contains(h.Former, r.Boot):
		current = false
		if r.arrived().Sub(h.Replaced) > stragglerMax {
			h.Twin = max(h.Twin, r.arrived().Add(twinHold))
		}
	default:
		h = h.restarted(r)
	}
	if current && r.arrived() >= h.At {
		h.At, h.Unwell = r.arrived(), r.Unwell
		if r.Process != "" {
			if h.Process != "" && h.Process != r.Process {
				h.Renewed = r.arrived()
			}
			h.Process = r.Process
		}
	}
	u.v.Observers[r.Observer] = h
	if !known || before.Boot != h.Boot || before.Unwell != h.Unwell || before.Twin != h.Twin ||
		u.now.Sub(before.At) > u.b.Fresh {
		u.flipped[r.Observer] = true
	}
	if before.Process != h.Process {
		u.stir[u.t.seats.of(r.Observer, 0)] = true
	}
	return current
}

// restarted is the same observer after a new start of its agent, or when an
// earlier one is left alone again.
func (h Heard) restarted(r Report) Heard {
	former := slices.DeleteFunc(append(slices.Clone(h.Former), h.Boot), func(b cluster.Boot) bool { return b == r.Boot })
	if len(former) > formerMax {
		former = former[len(former)-formerMax:]
	}
	h.Former, h.Boot, h.Replaced = former, r.Boot, r.arrived()
	return h
}

// freshFor is how long a look on path p says something. The supporting paths
// are looked at every 2 s, so one window would let them flicker.
func (b Bars) freshFor(p Path) time.Duration {
	if p == Process || p == CQL {
		return b.Fresh
	}
	return 2 * b.Fresh
}

// ballot fills in what an observer contributes to the verdict of n. The result
// is when the looks that speak for Gone began; it means something for For only.
func (u *turn) ballot(t *Ballot, n cluster.Name, o *watcher) cluster.Moment {
	t.Observer, t.Datacenter, t.Rack, t.Own = o.name, o.place.Datacenter, o.place.Rack, o.name == n
	w := u.witness(o.seat)
	if !w.known {
		return 0
	}
	h := &w.heard
	t.Age, t.Duplicate = u.now.Sub(h.At), h.Twin > u.now
	u.wait(h.Twin)
	if t.Age > u.b.Fresh {
		return 0
	}
	t.Unwell = h.Unwell
	u.wait(h.At.Add(u.b.Fresh) + 1)
	t.Cites = u.cites(w.about(n), h.Boot)
	switch {
	case t.Unwell && !t.Duplicate && t.look(CQL).answered():
		t.Vote = Against // its silences may be its own fault, an answer is none
		return 0
	case t.Unwell || t.Duplicate:
		t.Vote = Abstains
		return 0
	}
	var onset cluster.Moment
	t.Vote, onset = vote(t, u.b)
	return onset
}

// cites are the looks that still say something, of the observer's present start:
// what an earlier start saw died with it.
func (u *turn) cites(looks []Report, boot cluster.Boot) []Report {
	cites := looks
	for i := range looks {
		if !u.says(&looks[i], boot) {
			cites = u.without(looks, i, boot)
			break
		}
	}
	if len(cites) == 0 {
		return nil
	}
	for i := range cites {
		u.wait(cites[i].At.Add(u.b.freshFor(cites[i].Path)) + 1)
	}
	return cites
}

// without are the looks that count, of which the one at i does not. Mostly it
// is the last, and nothing is copied.
func (u *turn) without(looks []Report, i int, boot cluster.Boot) []Report {
	counts := func(r Report) bool { return u.says(&r, boot) }
	if !slices.ContainsFunc(looks[i:], counts) {
		return looks[:i:i]
	}
	cites := slices.Clone(looks[:i])
	for _, r := range looks[i:] {
		if counts(r) {
			cites = append(cites, r)
		}
	}
	return cites
}

// says tells whether a look counts: of this start of its observer, and fresh.
func (u *turn) says(r *Report, boot cluster.Boot) bool {
	return r.Boot == boot && u.now.Sub(r.At) <= u.b.freshFor(r.Path)
}

// wait asks for the node to be judged again at m, if that is still to come.
func (u *turn) wait(m cluster.Moment) {
	if m > u.now && m < u.next {
		u.next = m
	}
}

// look is the ballot's cited look on a path; its Outcome is NoWord when there is
// none.
func (t *Ballot) look(p Path) *Report {
	for i := range t.Cites {
		if t.Cites[i].Path == p {
			return &t.Cites[i]
		}
	}
	return &noReport
}

// noReport is what nobody said; nobody changes it.
var noReport Report

// vote reads one well observer's looks. Doubt speaks for the node: slow
// answers and fewer than MissesMax silences are no word for Gone. Without a
// word on the CQL path the observer abstains, whatever else it saw; only the
// own agent's exit and disk need no CQL path.
func vote(t *Ballot, b Bars) (Vote, cluster.Moment) {
	if t.Own {
		if r := t.look(Process); r.Outcome == Exited {
			return For, r.onset()
		}
		if r := t.look(Disk); r.Outcome == Wrong || r.Outcome == Refused {
			return For, r.onset()
		}
	}
	switch r := t.look(CQL); {
	case r.Outcome == NoWord || r.Outcome == Leaving:
		return Abstains, 0
	case r.bad(b):
		return For, r.onset()
	}
	return Against, 0
}

// bad tells whether a look on the CQL path speaks for Gone.
func (r *Report) bad(b Bars) bool {
	switch r.Outcome {
	case Refused, Wrong, Exited:
		return true
	case Silent:
		return r.Misses >= b.MissesMax
	}
	return false
}

// answered tells whether the other side answered, however slowly.
func (l *Look) answered() bool { return l.Outcome == Good || l.Outcome == Late }
