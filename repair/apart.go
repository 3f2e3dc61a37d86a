// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"

	"supervisor/cluster"
)

// apartMax bounds the names of tables in all segments of a job, in bytes: a record
// has to fit into one step of the store, with all that is beside it. A keyspace that
// does not fit is repaired with all its tables.
const apartMax = 128 << 10

// Apart are tables that a plan treats apart from the others of their keyspaces.
type Apart struct {
	// Left are not repaired, by keyspace.
	Left map[string][]string
	// Compared are those of Left that are compared all the same: their segments are
	// done from the start.
	Compared map[string][]string
	// Sample is one of Left, as keyspace and table, of which one range is compared;
	// blank: none.
	Sample [2]string
}

// tables divides the tables of a keyspace: those that are repaired, with all of them
// blank, and those that are compared only; none is true when nothing is repaired.
func (a Apart) tables(ks cluster.Keyspace, all []string) (repaired, compared []string, none bool) {
	left := a.Left[ks.Name]
	if len(left) == 0 {
		return all, nil, false
	}
	for _, t := range ks.Tables {
		asked := len(all) == 0 || slices.Contains(all, t.Name)
		switch {
		case asked && !slices.Contains(left, t.Name):
			repaired = append(repaired, t.Name)
		case asked && slices.Contains(a.Compared[ks.Name], t.Name):
			compared = append(compared, t.Name)
		}
	}
	slices.Sort(repaired)
	slices.Sort(compared)
	return repaired, compared, len(repaired) == 0
}

// Fit returns what of it has room in a job: the keyspaces come by name, and one whose
// tables' names take too much in its segments is left out of it. The sample stays only
// with its keyspace.
func (a Apart) Fit(in PlanInput) Apart {
	p, err := newPlanner(in)
	if err != nil {
		return Apart{}
	}
	out, room := Apart{Left: map[string][]string{}, Compared: map[string][]string{}}, apartMax
	for _, ks := range p.wanted() {
		if len(a.Left[ks.Name]) == 0 {
			continue
		}
		repaired, compared, _ := a.tables(ks, in.Tables[ks.Name])
		bytes := p.segmentsOf(ks) * (length(repaired) + length(compared))
		if bytes > room {
			continue
		}
		room -= bytes
		out.Left[ks.Name], out.Compared[ks.Name] = a.Left[ks.Name], a.Compared[ks.Name]
		if a.Sample[0] == ks.Name && slices.Contains(a.Left[ks.Name], a.Sample[1]) {
			out.Sample = a.Sample
		}
	}
	return out
}

// nothing tells whether a table is neither repaired nor compared, but for a sample.
func (a Apart) nothing(keyspace, table string) bool {
	return slices.Contains(a.Left[keyspace], table) && !slices.Contains(a.Compared[keyspace], table)
}

func length(names []string) int {
	n := 0
	for _, name := range names {
		n += len(name) + 3 // as JSON
	}
	return n
}

// segmentsOf counts the segments that a keyspace has.
func (p *planner) segmentsOf(ks cluster.Keyspace) int {
	placed, err := p.ring.PlacementOf(ks.Replication, p.Node)
	if err != nil {
		return 0
	}
	n, size := 0, p.sized(ks, placed)
	for _, g := range groupsOf(placed) {
		n += len(p.cut(g.ranges, size))
	}
	return n
}

// Covers tells whether a job has, in each of its ranges, a table of a keyspace that
// it names, or does not single out.
func (j Job) Covers(keyspace, table string) bool {
	covers := false
	for _, s := range j.Segments {
		if s.Keyspace == keyspace && s.has(table) {
			covers = true
		}
	}
	return covers
}

// has tells whether a segment is about a table of its keyspace.
func (s Segment) has(table string) bool {
	return len(s.Tables) == 0 || slices.Contains(s.Tables, table)
}

// Holds tells whether another segment is a part of this one: the same ranges of the
// same keyspace, of all or some of its tables.
func (s Segment) Holds(part Segment) bool {
	if s.Keyspace != part.Keyspace || !slices.Equal(s.Ranges, part.Ranges) {
		return false
	}
	return len(s.Tables) == 0 || len(part.Tables) > 0 && !slices.ContainsFunc(part.Tables, func(t string) bool { return !s.has(t) })
}
