// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// Turn is one call of membership.Judge: its arguments but for the view, and
// what came of it.
type Turn struct {
	Now      cluster.Moment
	Fresh    [][]membership.Report
	Topology membership.Topology
	Rules    Rules
	Changes  []Change // what the judge said
}

// Rules are what verdicts are held against; they come from the policy.
type Rules struct {
	membership.Bars
	FenceAge time.Duration // evidence for a fence stands so long
}

// start is how a block begins: the judge's memory before its first turn. A
// recording may begin with any block.
type start struct {
	View  membership.View
	Rules Rules
}

// memory is what turns are told by, on either side: what the ones before said.
type memory struct {
	now      cluster.Moment
	topology membership.Topology
	rules    Rules
	last     map[cluster.Name][]membership.Report // the last digest of each observer
}

func remember(s start, base cluster.Moment) memory {
	m := memory{now: base, topology: s.View.Topology, rules: s.Rules, last: maps.Clone(s.View.Reports)}
	if m.last == nil {
		m.last = map[cluster.Name][]membership.Report{}
	}
	return m
}

// The flags before a turn say what it has besides its moment.
const (
	hasFresh = 1 << iota
	hasTopology
	hasRules
	hasChanges
)

func (w *writer) turn(m *memory, t *Turn) {
	flags := byte(0)
	fresh := slices.ContainsFunc(t.Fresh, func(d []membership.Report) bool { return len(d) > 0 })
	for flag, has := range [...]bool{fresh, !m.topology.Same(t.Topology), m.rules != t.Rules, len(t.Changes) > 0} {
		flags |= boolOctet(has) << flag
	}
	w.octet(flags)
	w.signed(int64(t.Now - m.now))
	m.now = t.Now
	if flags&hasTopology != 0 {
		w.value(reflect.ValueOf(t.Topology))
		m.topology = t.Topology
	}
	if flags&hasRules != 0 {
		w.value(reflect.ValueOf(t.Rules))
		m.rules = t.Rules
	}
	if flags&hasFresh != 0 {
		w.fresh(m, t)
	}
	if flags&hasChanges != 0 {
		w.value(reflect.ValueOf(t.Changes))
	}
}

func (w *writer) fresh(m *memory, t *Turn) {
	w.number(uint64(len(t.Fresh)))
	for _, d := range t.Fresh {
		if len(d) == 0 {
			w.word("")
			continue
		}
		o := d[0].Observer
		w.word(string(o))
		w.digest(m.last[o], d, t.Now)
		m.last[o] = d
	}
}

func (r *reader) turn(m *memory) (t Turn) {
	flags := r.octet()
	m.now += cluster.Moment(r.signed())
	if flags&hasTopology != 0 {
		roster := membership.Topology{}
		r.value(reflect.ValueOf(&roster).Elem())
		if fitting(roster, nil) != nil {
			r.fail()
		}
		m.topology = roster.Seated()
	}
	if flags&hasRules != 0 {
		r.value(reflect.ValueOf(&m.rules).Elem())
	}
	t.Now, t.Topology, t.Rules = m.now, m.topology, m.rules
	if flags&hasFresh != 0 {
		t.Fresh = r.fresh(m)
	}
	if flags&hasChanges != 0 {
		r.value(reflect.ValueOf(&t.Changes).Elem())
	}
	return t
}

func (r *reader) fresh(m *memory) (fresh [][]membership.Report) {
	for range r.count() {
		o := cluster.Name(r.word())
		if r.failed {
			return nil
		}
		if o == "" {
			fresh = append(fresh, nil)
			continue
		}
		d := r.digest(o, m.last[o], m.now)
		m.last[o] = d
		fresh = append(fresh, d)
	}
	return fresh
}

// fitting tells whether a judge can have had this memory. The judge relies on
// what it kept itself; a file may say anything.
func fitting(t membership.Topology, kept map[cluster.Name][]membership.Report) error {
	for n := range t.Watch { // order: any misfit will do
		if _, listed := t.Nodes[n]; !listed {
			return fmt.Errorf("%s is watched and not on the roster", n)
		}
	}
	for o, reports := range kept { // order: any misfit will do
		if _, listed := t.Nodes[o]; !listed {
			return fmt.Errorf("%s was heard and is not on the roster", o)
		}
		for _, r := range reports {
			if !slices.Contains(t.Watch[r.Subject], o) {
				return fmt.Errorf("%s does not watch %s and was believed about it", o, r.Subject)
			}
		}
	}
	return nil
}
