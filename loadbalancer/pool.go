// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import (
	"fmt"
	"maps"
	"slices"

	"supervisor/cluster"
)

// Pool is the wanted state of one pool. It always names every declared
// member, so an absent one is a mistake and never an order.
type Pool struct {
	Name  string                `json:"name"`
	Wants map[cluster.Name]Wish `json:"wants"`
}

// Members returns the names of the pool, sorted.
func (p Pool) Members() []cluster.Name { return slices.Sorted(maps.Keys(p.Wants)) }

// Clone returns a copy that shares nothing with p.
func (p Pool) Clone() Pool {
	return Pool{Name: p.Name, Wants: maps.Clone(p.Wants)}
}

// PoolFloor is the name of the rule that keeps a pool from being emptied, as
// it stands in ARCHITECTURE.md, in events and in metrics.
const PoolFloor = "pool-floor"

// Refusal is the answer of a rule that says no. It keeps its parts, so that
// the incident and the operator can be told how far it was.
type Refusal struct {
	Rule  string // PoolFloor
	Pool  string
	Nodes []cluster.Name // what was asked to leave; nil when the set itself is at fault
	Left  int            // ready members that answer and would be left
	Floor int            // how many must be left
	Why   string
}

// Error makes a Refusal printable where errors are.
func (r Refusal) Error() string {
	if len(r.Nodes) == 0 {
		return fmt.Sprintf("refused by %s: pool %s: %s", r.Rule, r.Pool, r.Why)
	}
	return fmt.Sprintf("refused by %s: taking %v from pool %s: %s, %d left, floor %d",
		r.Rule, r.Nodes, r.Pool, r.Why, r.Left, r.Floor)
}

// Sign is what is known of a member.
type Sign uint8

// The signs. Unsure is the zero value: one of which nobody knows may serve, so
// it counts where the floor is measured and not where it is met.
const (
	Unsure  Sign = iota
	Silent       // it serves nobody
	Answers      // it serves clients
)

// Floor is the number of ready members that must be left in a pool of which
// this many declared members answer: half of them, rounded up, and at least 1.
func Floor(answering int) int { return max(1, (answering+1)/2) }

// Take returns the pool with the wish w for the nodes: taken out (Drain,
// Maint) or given back (Ready). p is not changed.
//
// Whoever takes a member out that is ready and not Silent must leave the floor,
// which is measured by all that are not Silent. A Silent one serves nobody, so
// its drain lowers nothing; it is let go as long as one ready member answers.
// When nobody answers, nobody is taken out: that the whole pool died is less
// likely than that we are blind. What changes nothing is never refused, so an
// order may be repeated.
//
// sign must give the same result for the same name during the call. The
// error is a Refusal when the rule says no, and something else when the
// request is wrong: no nodes, a node that is no member, a bad weight.
func Take(p Pool, nodes []cluster.Name, w Wish, sign func(cluster.Name) Sign) (Pool, error) {
	w, err := w.settled()
	if err != nil {
		return Pool{}, fmt.Errorf("change pool %s: %w", p.Name, err)
	}
	if len(p.Wants) == 0 {
		return Pool{}, Refusal{Rule: PoolFloor, Pool: p.Name, Floor: Floor(0), Why: "the wanted set is empty"}
	}
	if len(nodes) == 0 {
		return Pool{}, fmt.Errorf("change pool %s: no node named", p.Name)
	}
	after := p.Clone()
	for _, n := range nodes {
		if _, is := p.Wants[n]; !is {
			return Pool{}, fmt.Errorf("change pool %s: %s is no member; members: %v", p.Name, n, p.Members())
		}
		after.Wants[n] = w
	}
	if w.Want == Ready || maps.Equal(p.Wants, after.Wants) {
		return after, nil
	}
	if err := spare(p, after, nodes, sign); err != nil {
		return Pool{}, err
	}
	return after, nil
}

// spare says whether going from p to after leaves enough ready members.
func spare(p, after Pool, nodes []cluster.Name, sign func(cluster.Name) Sign) error {
	answering, unsure, left, lowers := 0, 0, 0, false
	for n := range p.Wants { // order: only counts
		ready := after.Wants[n].Want == Ready
		switch sign(n) {
		case Silent:
			continue
		case Unsure:
			unsure++
		case Answers:
			answering++
			if ready {
				left++
			}
		}
		lowers = lowers || p.Wants[n].Want == Ready && !ready
	}
	r := Refusal{Rule: PoolFloor, Pool: p.Name, Nodes: slices.Clone(nodes), Left: left, Floor: Floor(answering + unsure)}
	switch {
	case left == 0:
		r.Why = "no ready member that answers would be left"
		return r
	case lowers && left < r.Floor:
		r.Why = fmt.Sprintf("%d members answer", answering)
		if unsure > 0 {
			r.Why += fmt.Sprintf(" and %d may", unsure)
		}
		return r
	}
	return nil
}
