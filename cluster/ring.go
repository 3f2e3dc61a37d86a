// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Member is one node of the ring as Cassandra describes it.
type Member struct {
	Name       Name       `json:"name"` // the address when no roster line matches
	HostID     HostID     `json:"host_id"`
	Address    string     `json:"address"` // storage address, without port
	Datacenter Datacenter `json:"datacenter"`
	Rack       Rack       `json:"rack"`
	Tokens     []int64    `json:"tokens"`
}

// TokenRange is the half-open piece (Start, End] of the ring. Start >= End
// wraps around; Start == End is the whole ring.
type TokenRange struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// Contains says whether token lies in the range. The start does not, the end
// does.
func (t TokenRange) Contains(token int64) bool {
	if t.Start < t.End {
		return t.Start < token && token <= t.End
	}
	return token > t.Start || token <= t.End
}

// String writes the range as Cassandra's repair option "ranges" reads it:
// START:END, also when it wraps around.
func (t TokenRange) String() string {
	return strconv.FormatInt(t.Start, 10) + ":" + strconv.FormatInt(t.End, 10)
}

// Schema is what the store of record, Cassandra itself, says of the ring and
// the keyspaces. It is read by adapters and only looked at by decisions.
type Schema struct {
	Members   []Member   `json:"members"`
	Keyspaces []Keyspace `json:"keyspaces"`
	Version   string     `json:"version"` // of the schema, as the node that was read told with the rest; empty: it did not
	ready     *Ring      // of Members, made by Ready; nil: made by each question
}

// walksMax is the ring, in tokens, up to which Ready keeps where each range
// stands: 16 tokens on 2,000 nodes.
const walksMax = 1 << 15

// Ready prepares a schema for many questions: its ring is made once, and where
// its ranges stand is found once for each replication setting. Nobody may change
// its members afterwards. A ring that cannot be made stays for each question to
// report.
func (s Schema) Ready() Schema {
	if s.isReady() {
		return s
	}
	r, err := NewRing(s.Members)
	if err != nil {
		return s
	}
	if len(r.tokens) <= walksMax {
		walks := map[string][][]int{}
		for _, ks := range s.Keyspaces {
			key := settings(ks.Replication)
			if _, known := walks[key]; known || ks.Replication.Strategy == Local {
				continue
			}
			found := make([][]int, len(r.tokens))
			if r.each(ks.Replication, func(i int, replicas []int) { found[i] = slices.Clone(replicas) }) == nil {
				walks[key] = found
			}
		}
		r.walks = walks
	}
	s.ready = &r
	return s
}

// isReady tells whether the ring that was made is of these very members.
func (s Schema) isReady() bool {
	return s.ready != nil && len(s.Members) == len(s.ready.members) && len(s.Members) > 0 && &s.Members[0] == s.ready.of
}

// Ring is the ring of the schema's members.
func (s Schema) Ring() (Ring, error) {
	if s.isReady() {
		return *s.ready, nil
	}
	return NewRing(s.Members)
}

// Ring is the token ring made ready for questions about replicas. It is a
// value: nothing changes it, copies share its tables.
type Ring struct {
	members []Member
	tokens  []int64 // sorted; token i ends range i
	owner   []int   // member that owns token i
	places  places
	walks   map[string][][]int // who holds each range, by settings; nil: found out each time
	of      *Member            // the first of the members it was made of
}

// places counts datacenters and racks once, so that a walk around the ring
// compares small numbers only. A member without tokens has a place but is not
// counted: Cassandra does not place replicas on it either.
type places struct {
	datacenters []Datacenter
	ofMember    []int // datacenter of member i
	rackOf      []int // rack of member i; equal names in two datacenters are two racks
	nodes       []int // members with tokens per datacenter
	racks       []int // racks with such members per datacenter
	rackTotal   int
}

// NewRing checks what Cassandra said of its members and prepares it. A token
// or name that appears twice, a blank name, datacenter or rack, and a ring
// without any token are errors, all reported at once: replica sets computed
// from half a ring would be wrong without anybody noticing.
func NewRing(members []Member) (Ring, error) {
	r := Ring{members: make([]Member, len(members))}
	for i, m := range members {
		m.Tokens = slices.Clone(m.Tokens)
		r.members[i] = m
	}
	if err := errors.Join(r.checkNames(), r.sortTokens()); err != nil {
		return Ring{}, fmt.Errorf("read ring of %d members: %w", len(members), err)
	}
	r.places, r.of = placesOf(r.members), &members[0]
	return r, nil
}

func (r Ring) checkNames() error {
	var faults []error
	seen := make(map[Name]bool, len(r.members))
	for i, m := range r.members {
		switch {
		case m.Name == "":
			faults = append(faults, fmt.Errorf("member %d has no name", i))
		case seen[m.Name]:
			faults = append(faults, fmt.Errorf("member %s appears twice", m.Name))
		}
		if m.Datacenter == "" || m.Rack == "" {
			faults = append(faults, fmt.Errorf("member %s has datacenter %q and rack %q; both are needed", m.Name, m.Datacenter, m.Rack))
		}
		seen[m.Name] = true
	}
	return errors.Join(faults...)
}

func (r *Ring) sortTokens() error {
	type owned struct {
		token int64
		by    int
	}
	var all []owned
	for i, m := range r.members {
		for _, t := range m.Tokens {
			all = append(all, owned{t, i})
		}
	}
	if len(all) == 0 {
		return errors.New("no member owns a token")
	}
	slices.SortFunc(all, func(a, b owned) int {
		return cmp.Or(cmp.Compare(a.token, b.token), cmp.Compare(a.by, b.by))
	})
	var faults []error
	r.tokens, r.owner = make([]int64, len(all)), make([]int, len(all))
	for i, o := range all {
		if i > 0 && all[i-1].token == o.token {
			faults = append(faults, fmt.Errorf("token %d is owned by %s and by %s", o.token, r.members[all[i-1].by].Name, r.members[o.by].Name))
		}
		r.tokens[i], r.owner[i] = o.token, o.by
	}
	return errors.Join(faults...)
}

func placesOf(members []Member) places {
	type location struct {
		datacenter Datacenter
		rack       Rack
	}
	p := places{ofMember: make([]int, len(members)), rackOf: make([]int, len(members))}
	racks := make(map[location]int)
	counted := make(map[location]bool)
	for i, m := range members {
		d := slices.Index(p.datacenters, m.Datacenter)
		if d < 0 {
			d = len(p.datacenters)
			p.datacenters = append(p.datacenters, m.Datacenter)
			p.nodes, p.racks = append(p.nodes, 0), append(p.racks, 0)
		}
		at := location{m.Datacenter, m.Rack}
		rack, known := racks[at]
		if !known {
			rack = len(racks)
			racks[at] = rack
		}
		p.ofMember[i], p.rackOf[i] = d, rack
		if len(m.Tokens) == 0 {
			continue
		}
		p.nodes[d]++
		if !counted[at] {
			counted[at] = true
			p.racks[d]++
		}
	}
	p.rackTotal = len(racks)
	return p
}

// Members returns the members in the order they were given.
func (r Ring) Members() []Member {
	out := slices.Clone(r.members)
	for i := range out {
		out[i].Tokens = slices.Clone(out[i].Tokens)
	}
	return out
}

// Ranges returns all ranges of the ring sorted by their end, so the one that
// wraps around comes first. Together they are the whole ring, once.
func (r Ring) Ranges() []TokenRange {
	out := make([]TokenRange, len(r.tokens))
	for i := range out {
		out[i] = r.rangeAt(i)
	}
	return out
}

func (r Ring) rangeAt(i int) TokenRange {
	before := i - 1
	if i == 0 {
		before = len(r.tokens) - 1
	}
	return TokenRange{Start: r.tokens[before], End: r.tokens[i]}
}

// indexOf is the range that token lies in: the first that does not end before
// it, or past the last end the one that wraps around.
func (r Ring) indexOf(token int64) int {
	i, _ := slices.BinarySearch(r.tokens, token)
	if i == len(r.tokens) {
		return 0
	}
	return i
}

// memberIndex is -1 for a name that is no member.
func (r Ring) memberIndex(n Name) int {
	return slices.IndexFunc(r.members, func(m Member) bool { return m.Name == n })
}
