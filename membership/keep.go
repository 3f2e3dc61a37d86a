// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"time"

	"supervisor/cluster"
)

// retold is how old the verdict about a node that lives grows while everybody
// only says again what was said.
const retold = time.Second

// take hears an observer and keeps what it says, as far as it can be believed.
func (u *turn) take(digest []Report) {
	if _, listed := u.t.Nodes[digest[0].Observer]; !listed {
		u.ignore(UnknownObserver, len(digest))
		return
	}
	digest = u.sift(digest, func(r *Report) Reason {
		switch {
		case !r.possible():
			return Impossible
		case r.arrived() > u.now:
			return FromFuture
		}
		return ""
	})
	if len(digest) == 0 {
		return
	}
	if !u.hear(digest[0]) {
		u.ignore(Superseded, len(digest))
		return
	}
	if digest[0].Path == PathUnknown {
		digest = digest[1:] // of an empty digest: hearing the observer was all
	}
	u.keep(digest)
}

// sift leaves out reports for a reason, and counts them under it.
func (u *turn) sift(digest []Report, why func(*Report) Reason) []Report {
	bad := 0
	for i := range digest {
		if why(&digest[i]) != "" {
			bad++
		}
	}
	if bad == 0 {
		return digest
	}
	good := make([]Report, 0, len(digest)-bad)
	for i := range digest {
		if reason := why(&digest[i]); reason != "" {
			u.ignore(reason, 1)
			continue
		}
		good = append(good, digest[i])
	}
	return good
}

// unfit tells why an observer has no say about what it speaks of.
func (u *turn) unfit(r *Report) Reason {
	if _, listed := u.t.Nodes[r.Subject]; !listed {
		return UnknownSubject
	}
	switch {
	case notOwn(r):
		return NotOwn
	case !slices.Contains(u.t.Watch[r.Subject], r.Observer):
		return NotAssigned
	}
	return ""
}

// notOwn tells whether an observer speaks of the inside of a node that is not
// its own.
func notOwn(r *Report) bool {
	return r.Observer != r.Subject &&
		(r.Path == Process || r.Path == Admin || r.Path == Disk || r.Outcome == Leaving || r.Outcome == Exited)
}

// keep replaces what this observer said before, look by look. A digest that
// speaks of the same as the one before takes its place whole.
func (u *turn) keep(digest []Report) {
	if len(digest) == 0 {
		return
	}
	o := digest[0].Observer
	kept := u.v.Reports[o]
	if !u.replaces(kept, digest) {
		u.v.Reports[o] = u.merged(kept, u.sift(digest, u.unfit))
		return
	}
	seat := 0
	for i := range digest {
		if i == 0 || digest[i].Subject != digest[i-1].Subject {
			seat = u.t.seats.of(digest[i].Subject, seat)
		}
		u.heard(seat, &kept[i], &digest[i])
	}
	u.v.Reports[o] = digest
}

// replaces tells whether a digest speaks of the same looks as what is kept, and
// none of them is older. What is kept was fit, and the roster is the same.
func (u *turn) replaces(kept, digest []Report) bool {
	if len(kept) != len(digest) {
		return false
	}
	for i := range digest {
		if kept[i].Subject != digest[i].Subject || kept[i].Path != digest[i].Path || older(&digest[i], &kept[i]) || notOwn(&digest[i]) {
			return false
		}
	}
	return true
}

// older tells whether a look is from before another one of the same start, by
// more than the luck of a datagram.
func older(r, than *Report) bool { return than.Boot == r.Boot && than.At > r.At.Add(slack) }

// merged is what is kept with a digest of other looks worked in.
func (u *turn) merged(kept, digest []Report) []Report {
	digest = slices.Clone(digest)
	slices.SortStableFunc(digest, func(a, b Report) int { return compareLooks(&a, &b) })
	out := make([]Report, 0, len(kept)+len(digest))
	seat := 0
	for i := range digest {
		r := &digest[i]
		seat = u.t.seats.of(r.Subject, seat)
		for len(kept) > 0 && compareLooks(&kept[0], r) <= 0 {
			out, kept = append(out, kept[0]), kept[1:]
		}
		last := len(out) - 1
		switch {
		case last < 0 || compareLooks(&out[last], r) != 0:
			u.stir[seat] = true
			out = append(out, *r)
		case !older(r, &out[last]):
			u.heard(seat, &out[last], r)
			out[last] = *r
		}
	}
	return append(out, kept...)
}

// heard has the node on a seat judged again when a look says something else than
// the one that it replaces, or says again that it lives and nobody was told for a
// while.
func (u *turn) heard(seat int, old, r *Report) {
	s := &u.said[seat]
	if !s.known {
		x, judged := u.v.Verdicts[r.Subject]
		*s = said{known: true, quiet: judged && x.Answer == Alive && x.For == 0 && u.now.Sub(x.At) < retold, lastAlive: x.LastAlive}
	}
	again := u.says(old, r.Boot) && old.Outcome == r.Outcome && old.bad(u.b) == r.bad(u.b) && (old.Took > u.b.SlowFloor) == (r.Took > u.b.SlowFloor)
	if again && s.quiet && (r.Path != CQL || r.At.Sub(s.lastAlive) < retold) {
		return
	}
	u.stir[seat] = true
	u.lastWord(old, r)
}

// said is how a node stood when it was spoken of first in this turn. A last word
// changes that, and then the node is judged again already.
type said struct {
	known     bool // it was spoken of
	quiet     bool // it lives, and that was counted a moment ago
	lastAlive cluster.Moment
}

// lastWord remembers an answer that a later look of the same observer
// overwrites before a verdict cited it.
func (u *turn) lastWord(old, r *Report) {
	if old.Path != CQL || !old.answered() || r.answered() {
		return
	}
	if h := u.v.Observers[old.Observer]; h.Boot != old.Boot || h.Twin > u.now {
		return
	}
	if x, judged := u.v.Verdicts[old.Subject]; judged && old.At > x.LastAlive {
		u.ownVerdicts()
		x.LastAlive = old.At
		u.v.Verdicts[old.Subject] = x
	}
}
