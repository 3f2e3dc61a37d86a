// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"cmp"
	"maps"
	"slices"

	"supervisor/cluster"
)

// Judge merges fresh reports into what was known and says of every node of
// the roster what follows. It changes nothing it was given; the order of
// fresh does not matter. A now before prev.At counts as prev.At.
//
// A node is Gone when a majority of the eligible observers that are heard and
// do not abstain say so, at least two of them, and their picture stood still;
// or when its own agent says that the data disk refuses writes, which alone
// never drains. It is Alive when a majority of them, at least two where there
// are two, say so. Everything else is Unknown. With fewer eligible observers
// than Bars.ObserversMin the answer is advice: Drain stays false.
//
// Only nodes are judged again about which something was said, whose observers
// changed, or whose Due has come; so a turn costs what its news cost.
func Judge(prev View, fresh []Report, t Topology, b Bars, now cluster.Moment) View {
	u := begin(prev, t, b, now)
	if !sameTopology(prev.Topology, t) || prev.Bars != b {
		u.reroster()
	}
	u.merge(fresh)
	u.stirWatched()
	for n := range t.Nodes { // order: each node is judged by its own reports
		due, judged := u.v.Due[n]
		if !judged || due <= u.now || u.stir[n] {
			u.judge(n)
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
	copied  map[cluster.Name]bool // subjects whose reports are already this turn's own copy
	stir    map[cluster.Name]bool // nodes to judge again
	flipped map[cluster.Name]bool // observers whose standing changed: all they watch is judged again
	next    cluster.Moment        // Due of the node being judged
}

func begin(prev View, t Topology, b Bars, now cluster.Moment) *turn {
	v := prev
	v.At = max(now, prev.At)
	if prev.Verdicts == nil && prev.Began == 0 {
		v.Began = v.At
	}
	v.Topology, v.Bars = t, b
	v.Verdicts = cloned(prev.Verdicts)
	v.Observers = cloned(prev.Observers)
	v.Reports = cloned(prev.Reports)
	v.Changed = cloned(prev.Changed)
	v.Unrest = cloned(prev.Unrest)
	v.Due = cloned(prev.Due)
	v.Planned = cloned(prev.Planned)
	v.Ignored = cloned(prev.Ignored)
	return &turn{v: v, t: t, b: b, now: v.At, copied: map[cluster.Name]bool{},
		stir: map[cluster.Name]bool{}, flipped: map[cluster.Name]bool{}}
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// reroster forgets who left the roster and has every node judged again.
func (u *turn) reroster() {
	listed := func(n cluster.Name) bool { _, ok := u.t.Nodes[n]; return ok }
	maps.DeleteFunc(u.v.Observers, func(n cluster.Name, _ Heard) bool { return !listed(n) })
	maps.DeleteFunc(u.v.Verdicts, func(n cluster.Name, _ Verdict) bool { return !listed(n) })
	maps.DeleteFunc(u.v.Reports, func(n cluster.Name, _ map[Key]Report) bool { return !listed(n) })
	for _, m := range []map[cluster.Name]cluster.Moment{u.v.Changed, u.v.Unrest, u.v.Due, u.v.Planned} {
		maps.DeleteFunc(m, func(n cluster.Name, _ cluster.Moment) bool { return !listed(n) })
	}
	for n := range u.v.Reports { // order: each node keeps its own reports
		maps.DeleteFunc(u.reports(n), func(k Key, _ Report) bool { return !slices.Contains(u.t.Watch[n], k.Observer) })
	}
	for n := range u.t.Nodes {
		u.stir[n] = true
	}
}

func sameTopology(a, b Topology) bool {
	return maps.Equal(a.Nodes, b.Nodes) && maps.EqualFunc(a.Watch, b.Watch, slices.Equal)
}

// merge believes or ignores each fresh report, oldest arrival first, so that
// the same reports in another order give the same view.
func (u *turn) merge(fresh []Report) {
	if !slices.IsSortedFunc(fresh, compareReports) {
		fresh = slices.Clone(fresh)
		slices.SortFunc(fresh, compareReports)
	}
	for _, r := range fresh {
		if why := u.believe(r); why != "" {
			u.v.Ignored[why]++
		}
	}
}

func compareReports(a, b Report) int {
	if c := cmp.Compare(a.arrived(), b.arrived()); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Observer, b.Observer), cmp.Compare(a.Boot, b.Boot),
		cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Outcome, b.Outcome),
		cmp.Compare(a.Misses, b.Misses), cmp.Compare(a.Held, b.Held), cmp.Compare(a.Process, b.Process),
		compareBools(a.Unwell, b.Unwell))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// arrived is when the digest of the report came in, on the judge's clock.
func (r Report) arrived() cluster.Moment { return r.At.Add(r.Age) }

// onset is when the outcome began, on the judge's clock.
func (r Report) onset() cluster.Moment { return r.At.Add(-r.Held) }

// believe keeps the report or tells why not.
func (u *turn) believe(r Report) Reason {
	if _, ok := u.t.Nodes[r.Observer]; !ok {
		return UnknownObserver
	}
	if !r.possible() {
		return Impossible
	}
	if r.arrived() > u.now {
		return FromFuture
	}
	if !u.hear(r) {
		return Superseded
	}
	if r.Path == PathUnknown {
		return "" // an empty digest: hearing the observer was all
	}
	if _, ok := u.t.Nodes[r.Subject]; !ok {
		return UnknownSubject
	}
	own := r.Observer == r.Subject
	if !own && (r.Path == Process || r.Path == Admin || r.Path == Disk || r.Outcome == Leaving || r.Outcome == Exited) {
		return NotOwn
	}
	if !slices.Contains(u.t.Watch[r.Subject], r.Observer) {
		return NotAssigned
	}
	u.keep(r)
	return ""
}

// possible tells whether the look could have been made at all; what it lets
// through cannot overflow a Moment.
func (l Look) possible() bool {
	return l.Age >= 0 && l.Age <= spanMax && l.Held >= 0 && l.Held <= spanMax && l.Misses >= 0 &&
		int(l.Path) < len(pathWords) && int(l.Outcome) < len(outcomeWords)
}

// keep replaces what this observer said before of this path, unless that was
// younger by more than the luck of a datagram.
func (u *turn) keep(r Report) {
	m := u.reports(r.Subject)
	k := Key{r.Observer, r.Path}
	if old, ok := m[k]; ok && old.Boot == r.Boot && old.At > r.At.Add(slack) {
		return
	}
	m[k] = r
	u.stir[r.Subject] = true
}

// reports is this turn's own copy of the reports about n.
func (u *turn) reports(n cluster.Name) map[Key]Report {
	if !u.copied[n] {
		u.v.Reports[n] = cloned(u.v.Reports[n])
		u.copied[n] = true
	}
	return u.v.Reports[n]
}

// stirWatched has all nodes judged again that a flipped observer watches.
func (u *turn) stirWatched() {
	if len(u.flipped) == 0 {
		return
	}
	for n, watchers := range u.t.Watch {
		if !u.stir[n] && slices.ContainsFunc(watchers, func(o cluster.Name) bool { return u.flipped[o] }) {
			u.stir[n] = true
		}
	}
}
