// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"cmp"
	"maps"
	"slices"

	"supervisor/cluster"
)

// Judge merges fresh reports into what was known and says of every node of
// the roster what follows. Fresh is what Inbox.Take gave, a digest each, in the
// order in which they arrived. Judge changes nothing it was given. A now before
// prev.At counts as prev.At.
//
// A node is Gone when a majority of the eligible observers that are heard and
// do not abstain say so, at least two of them, and their picture stood still;
// or when its own agent says that the data disk refuses writes, which alone
// never drains. It is Alive when a majority of them, at least two where there
// are two, say so, and one of them has an answer, if it was not Alive before.
// Everything else is Unknown. With fewer eligible observers
// than Bars.ObserversMin the answer is advice: Drain stays false.
//
// Only nodes are judged again about which something new was said, whose
// observers changed, or whose Due has come; so a turn costs what its news cost.
// That a node that lives still lives is new once in retold.
func Judge(prev View, fresh [][]Report, t Topology, b Bars, now cluster.Moment) View {
	u := begin(prev, t, b, now)
	if !prev.Topology.Same(t) || prev.Bars != b {
		u.reroster()
	}
	for _, digest := range fresh {
		if len(digest) > 0 {
			u.take(digest)
		}
	}
	u.stirWatched()
	for seat, n := range u.t.seats.names {
		due, judged := u.v.Due[n]
		if !judged || due <= u.now || u.stir[seat] {
			u.judge(seat)
		}
	}
	u.v.Duplicates = nil
	for o, h := range u.v.Observers {
		if h.Twin > u.now {
			if u.v.Duplicates == nil {
				u.v.Duplicates = map[cluster.Name]bool{}
			}
			u.v.Duplicates[o] = true
		}
	}
	return u.v
}

// turn is one call of Judge at work on its own copy of the view.
type turn struct {
	v       View
	t       Topology
	b       Bars
	now     cluster.Moment
	own     parts                 // which maps of the view are this turn's own copies
	stir    []bool                // nodes to judge again, by seat
	flipped map[cluster.Name]bool // observers whose standing changed: all they watch is judged again
	next    cluster.Moment        // Due of the node being judged
	said    []said                // by seat
	// witnesses are those who were asked for a ballot, by seat. What they said is
	// taken before anybody is judged.
	witnesses []witness
	measures  map[cluster.Name][]measured // what answers take to an observer, of those that were asked
}

// parts are the maps of a view that most turns leave alone: the first write
// copies them.
type parts struct{ verdicts, changed, planned, ignored, paces bool }

func begin(prev View, t Topology, b Bars, now cluster.Moment) *turn {
	if t.seats == nil {
		t.seats = seated(t)
	}
	v := prev
	v.At = max(now, prev.At)
	if prev.Verdicts == nil && prev.Began == 0 {
		v.Began = v.At
	}
	v.Topology, v.Bars = t, b
	v.Observers = cloned(prev.Observers)
	v.Reports = cloned(prev.Reports)
	return &turn{v: v, t: t, b: b, now: v.At, stir: make([]bool, len(t.seats.names)),
		said: make([]said, len(t.seats.names)), flipped: map[cluster.Name]bool{}}
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// ownVerdicts makes the verdicts and their dues this turn's own.
func (u *turn) ownVerdicts() {
	if !u.own.verdicts {
		u.own.verdicts, u.v.Verdicts, u.v.Due = true, cloned(u.v.Verdicts), cloned(u.v.Due)
	}
}

func (u *turn) ownChanged() {
	if !u.own.changed {
		u.own.changed, u.v.Changed, u.v.Unrest = true, cloned(u.v.Changed), cloned(u.v.Unrest)
	}
}

func (u *turn) ownPlanned() {
	if !u.own.planned {
		u.own.planned, u.v.Planned = true, cloned(u.v.Planned)
	}
}

func (u *turn) ownPaces() {
	if !u.own.paces {
		u.own.paces, u.v.Paces = true, cloned(u.v.Paces)
	}
}

func (u *turn) ignore(why Reason, reports int) {
	if !u.own.ignored {
		u.own.ignored, u.v.Ignored = true, cloned(u.v.Ignored)
	}
	u.v.Ignored[why] += reports
}

// reroster forgets who left the roster and has every node judged again.
func (u *turn) reroster() {
	u.ownVerdicts()
	u.ownChanged()
	u.ownPlanned()
	u.ownPaces()
	gone := func(n cluster.Name) bool { _, listed := u.t.Nodes[n]; return !listed }
	maps.DeleteFunc(u.v.Observers, func(n cluster.Name, _ Heard) bool { return gone(n) })
	maps.DeleteFunc(u.v.Verdicts, func(n cluster.Name, _ Verdict) bool { return gone(n) })
	maps.DeleteFunc(u.v.Paces, func(n cluster.Name, _ Pace) bool { return gone(n) })
	for _, m := range []map[cluster.Name]cluster.Moment{u.v.Changed, u.v.Unrest, u.v.Due, u.v.Planned} {
		maps.DeleteFunc(m, func(n cluster.Name, _ cluster.Moment) bool { return gone(n) })
	}
	for o, reports := range u.v.Reports { // order: each observer keeps its own
		if gone(o) {
			delete(u.v.Reports, o)
			continue
		}
		u.v.Reports[o] = slices.DeleteFunc(slices.Clone(reports), func(r Report) bool { return !slices.Contains(u.t.Watch[r.Subject], o) })
	}
	for seat := range u.stir {
		u.stir[seat] = true
	}
}

// Same tells whether the roster stayed as it was; mostly it is the very same one.
func (t Topology) Same(o Topology) bool {
	return t.seats != nil && t.seats == o.seats || maps.Equal(t.Nodes, o.Nodes) && maps.EqualFunc(t.Watch, o.Watch, slices.Equal)
}

// compareLooks is the order in which the reports of one observer are kept.
func compareLooks(a, b *Report) int {
	if c := cmp.Compare(a.Subject, b.Subject); c != 0 {
		return c
	}
	return cmp.Compare(a.Path, b.Path)
}

// arrived is when the digest of the report came in, on the judge's clock.
func (r Report) arrived() cluster.Moment { return r.At.Add(r.Age) }

// onset is when the outcome began, on the judge's clock.
func (r Report) onset() cluster.Moment { return r.At.Add(-r.Held) }

// possible tells whether the look could have been made at all; what it lets
// through cannot overflow a Moment.
func (l Look) possible() bool {
	return (l.Path != PathUnknown || l.Subject == "") && l.Age >= 0 && l.Age <= spanMax && l.Held >= 0 && l.Held <= spanMax && l.Misses >= 0 && l.Took >= 0 &&
		int(l.Path) < len(pathWords) && int(l.Outcome) < len(outcomeWords)
}

// stirWatched has all nodes judged again that a flipped observer watches.
func (u *turn) stirWatched() {
	if len(u.flipped) == 0 {
		return
	}
	for seat, watchers := range u.t.seats.watchers {
		u.stir[seat] = u.stir[seat] || slices.ContainsFunc(watchers, func(o watcher) bool { return u.flipped[o.name] })
	}
}
