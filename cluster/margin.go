// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Margin is how far the worst range of a keyspace is from losing its quorum.
type Margin struct {
	Keyspace    string     `json:"keyspace"`
	Datacenter  Datacenter `json:"datacenter"`    // blank: counted over the whole ring
	RF          int        `json:"rf"`            // replicas the keyspace asks for, also where nodes are too few
	Need        int        `json:"need"`          // RF/2 + 1, as Cassandra counts a quorum
	Have        int        `json:"have"`          // replicas of the worst range that serve
	Range       TokenRange `json:"range"`         // the first range with that few
	RangesAtMin int        `json:"ranges_at_min"` // how many ranges have that few
}

// Spare is how many more replicas of the worst range may stop before its
// quorum is lost. Below zero it is lost already.
func (m Margin) Spare() int { return m.Have - m.Need }

// Quorum is how many of rf replicas must answer: rf/2 + 1.
func Quorum(rf int) int { return rf/2 + 1 }

// Margins returns the worst range of each keyspace and datacenter, sorted by
// keyspace, then datacenter. Keyspaces that place replicas without regard to
// datacenters are counted over the whole ring; Local ones have no margin.
// serving is asked once per member.
//
// A keyspace whose strategy is unknown has no margin that could be trusted:
// it is missing from the answer and named in the error, and the margins of
// the others are good all the same.
func Margins(s Schema, serving func(Name) bool) ([]Margin, error) {
	return margins(s, serving, count{})
}

// MarginsOf is Margins over the ranges that node holds, and only where it
// counts: its own datacenter, or the whole ring. It says what taking the node
// away would cost. A node that holds nothing has no margins.
func MarginsOf(s Schema, node Name, serving func(Name) bool) ([]Margin, error) {
	return margins(s, serving, count{only: node})
}

// MarginsAcross counts over all datacenters together, with the sum of their
// factors: what clients at QUORUM need, as those at LOCAL_QUORUM need Margins.
func MarginsAcross(s Schema, serving func(Name) bool) ([]Margin, error) {
	return margins(s, serving, count{across: true})
}

// MarginsAcrossOf is MarginsAcross over the ranges that node holds.
func MarginsAcrossOf(s Schema, node Name, serving func(Name) bool) ([]Margin, error) {
	return margins(s, serving, count{only: node, across: true})
}

// count says what is counted: everything or one node's ranges, by datacenter
// or over all of them.
type count struct {
	only   Name
	across bool
}

func margins(s Schema, serving func(Name) bool, c count) ([]Margin, error) {
	r, err := s.Ring()
	if err != nil {
		return nil, fmt.Errorf("count margins: %w", err)
	}
	only := r.memberIndex(c.only)
	if c.only != "" && only < 0 {
		return nil, fmt.Errorf("count margins of %s: not a member of the ring", c.only)
	}
	up := make([]bool, len(r.members))
	for i, m := range r.members {
		up[i] = serving(m.Name)
	}
	var out []Margin
	var faults []error
	known := make(map[string][]Margin) // most keyspaces share their settings with another
	for _, ks := range s.Keyspaces {
		key := settings(ks.Replication)
		rows, counted := known[key]
		if !counted {
			if rows, err = r.worst(ks.Replication, up, only, c.across); err != nil {
				faults = append(faults, fmt.Errorf("count margins of keyspace %s: %w", ks.Name, err))
				continue
			}
			known[key] = rows
		}
		for _, m := range rows {
			m.Keyspace = ks.Name
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b Margin) int {
		return cmp.Or(cmp.Compare(a.Keyspace, b.Keyspace), cmp.Compare(a.Datacenter, b.Datacenter))
	})
	return out, errors.Join(faults...)
}

// settings is equal for equal replication settings.
func settings(rep Replication) string {
	var few [8]Datacenter // most have no more, and are asked for often
	dcs := few[:0]
	for dc := range rep.Factors { // order: sorted below
		dcs = append(dcs, dc)
	}
	slices.Sort(dcs)
	b := strconv.AppendUint(make([]byte, 0, 64), uint64(rep.Strategy), 10)
	b = strconv.AppendInt(append(b, '/'), int64(rep.Factor), 10)
	for _, dc := range dcs {
		b = append(append(b, '/'), dc...)
		b = strconv.AppendInt(append(b, '='), int64(rep.Factors[dc]), 10)
	}
	return string(b)
}

// everyDatacenter is the place of a Margin that is counted over the ring;
// noDatacenter that of one where no member stands.
const (
	everyDatacenter = -1
	noDatacenter    = -2
)

// worst counts one replication setting. only is the member whose ranges
// count, or -1 for all.
func (r Ring) worst(rep Replication, up []bool, only int, across bool) ([]Margin, error) {
	rows, at := r.blank(rep, only, across)
	err := r.each(rep, func(i int, replicas []int) {
		if only >= 0 && !slices.Contains(replicas, only) {
			return
		}
		for k := range rows {
			have := r.have(replicas, up, at[k])
			switch m := &rows[k]; {
			case m.RangesAtMin == 0 || have < m.Have:
				m.Have, m.Range, m.RangesAtMin = have, r.rangeAt(i), 1
			case have == m.Have:
				m.RangesAtMin++
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rows, func(m Margin) bool { return m.RangesAtMin == 0 }), nil
}

// blank returns the rows to be counted, and for each where it counts.
func (r Ring) blank(rep Replication, only int, across bool) ([]Margin, []int) {
	if rep.Strategy != NetworkTopology || across {
		rf := r.Total(rep)
		if rf == 0 {
			return nil, nil
		}
		return []Margin{{RF: rf, Need: Quorum(rf)}}, []int{everyDatacenter}
	}
	var rows []Margin
	var at []int
	for _, dc := range slices.Sorted(maps.Keys(rep.Factors)) {
		rf := rep.Factors[dc]
		d := slices.Index(r.places.datacenters, dc)
		if d < 0 {
			d = noDatacenter
		}
		if rf <= 0 || only >= 0 && d != r.places.ofMember[only] {
			continue
		}
		rows, at = append(rows, Margin{Datacenter: dc, RF: rf, Need: Quorum(rf)}), append(at, d)
	}
	return rows, at
}

func (r Ring) have(replicas []int, up []bool, at int) int {
	n := 0
	for _, m := range replicas {
		if up[m] && (at == everyDatacenter || at == r.places.ofMember[m]) {
			n++
		}
	}
	return n
}

// Total is how many replicas of each range the setting asks for over all
// datacenters, also where there are fewer nodes than that. Everywhere asks
// for all nodes that own tokens; Local and unknown strategies for none.
func (r Ring) Total(rep Replication) int {
	switch rep.Strategy {
	case NetworkTopology:
		total := 0
		for _, rf := range rep.Factors {
			total += max(0, rf)
		}
		return total
	case Simple:
		return max(0, rep.Factor)
	case Everywhere:
		return r.owners()
	}
	return 0
}
