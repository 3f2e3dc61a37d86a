// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"supervisor/cluster"
	"supervisor/residency"
)

// QuorumRule is the name of the rule that refuses a range too few replicas of
// which can be compared.
const QuorumRule = "repair-quorum"

// PlanInput is all that Plan looks at.
type PlanInput struct {
	Schema cluster.Schema
	Node   cluster.Name // whose ranges are repaired; it coordinates and counts as live
	// Live says which other replicas can be compared with now.
	Live func(cluster.Name) bool
	// Lacks says which of them lack writes themselves: they are compared with, but
	// do not count for a quorum. Nil: none.
	Lacks     func(cluster.Name) bool
	Regions   map[cluster.Name]cluster.Region // a name that is missing stands nowhere known
	Residency residency.Policy
	Keyspaces []string            // blank: all that are replicated
	Tables    map[string][]string // per keyspace; one that is missing is repaired with all its tables
	// Local are the keyspaces whose clients ask their own datacenter only. For
	// the others a quorum over all datacenters is needed as well.
	Local            []string
	Apart            Apart
	RangesPerSegment int // at least 1: one repair command names that many ranges at most
	// Sizes are the bytes the node has, by keyspace and table; one that is missing
	// has next to none. By them a segment gets about SegmentBytes, in RangesJoined
	// ranges at most where that is more than RangesPerSegment. Nil: not known.
	Sizes        map[string]map[string]int64
	SegmentBytes int64
	RangesJoined int
}

// Segment is what one repair command compares.
type Segment struct {
	Keyspace string               `json:"keyspace"`
	Tables   []string             `json:"tables,omitempty"` // blank: all
	Ranges   []cluster.TokenRange `json:"ranges"`           // all with the same replicas
	Hosts    []cluster.Name       `json:"hosts"`            // the coordinator first, then by name; two at least
}

// Refused is a set of ranges that must not or cannot be repaired now. As long
// as there is one, the node is not repaired, whatever the Job says.
type Refused struct {
	Keyspace string               `json:"keyspace"`
	Ranges   []cluster.TokenRange `json:"ranges"`
	Rule     string               `json:"rule"` // QuorumRule or residency.Invariant
	Why      string               `json:"why"`
}

// Plan divides the ranges of a node into segments of equal replicas. Equal
// input gives an equal Job: keyspaces by name, ranges in ring order.
//
// Hosts are the node and all its live, permitted peers. Ranges for which
// those are fewer than a quorum of the replicas are refused: an acknowledged
// write might stand on none of them. One that lacks writes itself does not count,
// unless all replicas take part: then there is nobody else who could have what
// they lack. Refused are also keyspaces that the residency
// policy does not permit in the node's region. A peer in a forbidden region is
// left out. A keyspace of one copy has nothing to compare and no segment.
//
// A range that wraps around the ring stays one piece: Cassandra itself holds
// it so, and its repair option reads START:END with a start behind the end.
// Measured on 5.0.9: such a repair leaves both halves in sync. (START:START,
// the whole ring, it refuses; but a ring of one token has one node and nothing
// to compare.) Of a range that is split for its size one piece wraps so.
//
// The error tells of input nobody can plan with: a ring that contradicts
// itself, a node or keyspace that is not in it.
func Plan(in PlanInput) (Job, []Refused, error) {
	p, err := newPlanner(in)
	if err != nil {
		return Job{}, nil, fmt.Errorf("plan repair of %s: %w", in.Node, err)
	}
	for _, ks := range p.wanted() {
		p.keyspace(ks)
	}
	job := Job{Segments: p.segments, Done: newBitmap(len(p.segments))}
	for _, i := range p.done {
		job = job.Mark(i)
	}
	return job, p.refused, nil
}

type planner struct {
	PlanInput
	ring       cluster.Ring
	datacenter map[cluster.Name]cluster.Datacenter
	segments   []Segment
	done       []int // those that are only compared
	refused    []Refused
	sampled    bool
	admitted   struct { // of the keyspace that is planned
		keyspace string
		in       map[cluster.Region]bool
	}
}

func newPlanner(in PlanInput) (*planner, error) {
	ring, ringErr := in.Schema.Ring()
	p := &planner{PlanInput: in, ring: ring, datacenter: make(map[cluster.Name]cluster.Datacenter)}
	for _, m := range in.Schema.Members {
		p.datacenter[m.Name] = m.Datacenter
	}
	faults := []error{ringErr}
	if p.datacenter[in.Node] == "" {
		faults = append(faults, errors.New("it is not a member of the ring"))
	}
	if in.RangesPerSegment < 1 {
		faults = append(faults, fmt.Errorf("%d ranges per segment, want 1 or more", in.RangesPerSegment))
	}
	for _, name := range in.Keyspaces {
		if !slices.ContainsFunc(in.Schema.Keyspaces, func(ks cluster.Keyspace) bool { return ks.Name == name }) {
			faults = append(faults, fmt.Errorf("keyspace %s is not in the schema", name))
		}
	}
	return p, errors.Join(faults...)
}

// wanted returns the keyspaces to repair by name, without those that have
// nothing to compare.
func (p *planner) wanted() []cluster.Keyspace {
	var out []cluster.Keyspace
	for _, ks := range p.Schema.Keyspaces {
		asked := len(p.Keyspaces) == 0 || slices.Contains(p.Keyspaces, ks.Name)
		if asked && ks.Replication.Replicated() && !cluster.NeverReplicated(ks.Name) {
			out = append(out, ks)
		}
	}
	slices.SortFunc(out, func(a, b cluster.Keyspace) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (p *planner) keyspace(ks cluster.Keyspace) {
	if p.ring.Total(ks.Replication) == 1 {
		return // everywhere, and there is one node: the only copy there is meant to be
	}
	placed, err := p.ring.PlacementOf(ks.Replication, p.Node)
	if err != nil {
		p.refuse(ks, p.ring.Ranges(), QuorumRule, "its replicas are not known: "+err.Error())
		return
	}
	groups := groupsOf(placed)
	if err := p.Residency.Admit([]string{ks.Name}, p.Regions[p.Node]); err != nil {
		for _, g := range groups {
			p.refuse(ks, g.ranges, residency.Invariant, err.Error())
		}
		return
	}
	size := p.sized(ks, placed)
	for _, g := range groups {
		p.group(ks, g, size)
	}
}

// group is the ranges that the same nodes hold.
type group struct {
	ranges   []cluster.TokenRange
	replicas []cluster.Name // by name
}

// groupsOf collects ranges in the order in which their replica sets are met
// first.
func groupsOf(placed []cluster.Placed) []group {
	var out []group
	index := make(map[string]int)
	var key []byte
	var replicas []cluster.Name
	for _, p := range placed {
		replicas = append(replicas[:0], p.Replicas...)
		slices.Sort(replicas)
		key = key[:0]
		for _, n := range replicas {
			key = append(append(key, n...), 0)
		}
		i, known := index[string(key)]
		if !known {
			i = len(out)
			index[string(key)] = i
			out = append(out, group{replicas: slices.Clone(replicas)})
		}
		out[i].ranges = append(out[i].ranges, p.Range)
	}
	return out
}

func (p *planner) group(ks cluster.Keyspace, g group, size sizing) {
	hosts, abroad := p.hosts(ks.Name, g)
	if why := p.short(ks, hosts, len(g.replicas)); why != "" {
		rule := QuorumRule
		if p.short(ks, append(slices.Clone(hosts), abroad...), len(g.replicas)) == "" {
			rule = residency.Invariant
			why += fmt.Sprintf("; not permitted: %s", spelled(abroad))
		}
		if lacking := p.lacking(hosts); len(lacking) > 0 {
			why += fmt.Sprintf("; lacking writes themselves: %s", spelled(lacking))
		}
		p.refuse(ks, g.ranges, rule, why)
		return
	}
	repaired, compared, none := p.Apart.tables(ks, p.Tables[ks.Name])
	for _, ranges := range p.cut(g.ranges, size) {
		if !none {
			p.segment(ks, repaired, ranges, hosts)
		}
		if len(compared) > 0 {
			p.compared(ks, compared, ranges, hosts)
		}
		if p.Apart.Sample[0] == ks.Name && !p.sampled {
			p.compared(ks, []string{p.Apart.Sample[1]}, ranges[:1], hosts)
			p.sampled = true
		}
	}
}

func (p *planner) segment(ks cluster.Keyspace, tables []string, ranges []cluster.TokenRange, hosts []cluster.Name) {
	p.segments = append(p.segments, Segment{Keyspace: ks.Name, Tables: slices.Clone(tables), Ranges: slices.Clone(ranges), Hosts: slices.Clone(hosts)})
}

// compared adds a segment that has nothing to repair.
func (p *planner) compared(ks cluster.Keyspace, tables []string, ranges []cluster.TokenRange, hosts []cluster.Name) {
	p.done = append(p.done, len(p.segments))
	p.segment(ks, tables, ranges, hosts)
}

// hosts divides the live replicas: those that may be compared, the node first,
// and those that stand where the data must not be.
func (p *planner) hosts(keyspace string, g group) (hosts, abroad []cluster.Name) {
	hosts = []cluster.Name{p.Node}
	for _, n := range g.replicas {
		switch {
		case n == p.Node || !p.Live(n):
		case !p.admits(keyspace, p.Regions[n]):
			abroad = append(abroad, n)
		default:
			hosts = append(hosts, n)
		}
	}
	return hosts, abroad
}

// admits tells whether a keyspace may stand in a region; the policy is asked once
// for all ranges.
func (p *planner) admits(keyspace string, region cluster.Region) bool {
	if p.admitted.keyspace != keyspace {
		p.admitted.keyspace, p.admitted.in = keyspace, map[cluster.Region]bool{}
	}
	yes, asked := p.admitted.in[region]
	if !asked {
		yes = p.Residency.Admit([]string{keyspace}, region) == nil
		p.admitted.in[region] = yes
	}
	return yes
}

// lacking are the peers among some hosts that lack writes.
func (p *planner) lacking(hosts []cluster.Name) []cluster.Name {
	return slices.DeleteFunc(slices.Clone(hosts), func(n cluster.Name) bool { return !p.lacks(n) })
}

func (p *planner) lacks(n cluster.Name) bool { return n != p.Node && p.Lacks != nil && p.Lacks(n) }

// short says what the hosts lack, or nothing when they suffice. A quorum is
// counted in the node's datacenter where the keyspace counts by datacenter,
// and over the ring unless its clients never ask another datacenter.
func (p *planner) short(ks cluster.Keyspace, hosts []cluster.Name, replicas int) string {
	if len(hosts) < replicas {
		hosts = slices.DeleteFunc(slices.Clone(hosts), p.lacks)
	}
	if len(hosts) < 2 {
		return fmt.Sprintf("none of its %d other replicas can be compared with", replicas-1)
	}
	byDatacenter := ks.Replication.Strategy == cluster.NetworkTopology
	if byDatacenter {
		home, here := p.datacenter[p.Node], 0
		for _, n := range hosts {
			if p.datacenter[n] == home {
				here++
			}
		}
		if need := cluster.Quorum(ks.Replication.Factors[home]); here < need {
			return fmt.Sprintf("%d of its replicas in %s can be compared (%s), want %d", here, home, spelled(hosts), need)
		}
	}
	if byDatacenter && slices.Contains(p.Local, ks.Name) {
		return ""
	}
	if need := cluster.Quorum(p.ring.Total(ks.Replication)); len(hosts) < need {
		return fmt.Sprintf("%d of its replicas can be compared (%s), want %d", len(hosts), spelled(hosts), need)
	}
	return ""
}

func (p *planner) refuse(ks cluster.Keyspace, ranges []cluster.TokenRange, rule, why string) {
	p.refused = append(p.refused, Refused{Keyspace: ks.Name, Ranges: ranges, Rule: rule, Why: why})
}

func spelled(names []cluster.Name) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}
