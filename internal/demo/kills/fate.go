// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"fmt"
	"slices"

	"supervisor/cluster"
	"supervisor/incident"
)

// Fate is what was seen to become of one order.
type Fate struct {
	Effect   string
	Incident string
	Verb     incident.Verb
	By       []cluster.Boot // boots of agents that claimed it
	Ends     []incident.Outcome
	settled  bool
}

func (f *Fate) note(o incident.Order) {
	if o.Once != nil {
		f.Verb = o.Once.Verb
	}
	if o.State == incident.Claimed && !slices.Contains(f.By, o.By) {
		f.By = append(f.By, o.By)
	}
	if o.State == incident.Settled && !f.settled {
		f.Ends = append(f.Ends, o.Outcome)
	}
	f.settled = o.State == incident.Settled
}

func (f *Fate) clone() Fate {
	c := *f
	c.By, c.Ends = slices.Clone(f.By), slices.Clone(f.Ends)
	return c
}

// did tells whether it was done, as far as its executor can tell.
func (f *Fate) did() bool { return slices.Contains(f.Ends, incident.Done) }

// Story is what is known of one incident when it is over.
type Story struct {
	Entries []incident.Entry
	Fates   []Fate
	// Starts are those of the node's Cassandra by its own log, from the fault
	// until the end.
	Starts int
}

// onceOnly are codes that one incident's journal may hold once.
var onceOnly = []string{"judged", "decided_drain", "decided_fence", "decided_return", "closed_returned"}

// Twice names every effect that was done twice, and every start that the
// journal does not know; none is what has to be.
func (s Story) Twice() []string {
	return slices.Concat(s.journalTwice(), s.ordersTwice(), s.startsTwice())
}

func (s Story) journalTwice() []string {
	var out []string
	codes, effects := map[string]int{}, map[string]int{}
	for _, e := range s.Entries {
		codes[e.Code]++
		if e.Kind == incident.Did && e.Effect != "" {
			effects[e.Effect]++
			if effects[e.Effect] == 2 {
				out = append(out, fmt.Sprintf("the journal did %s twice", e.Effect))
			}
		}
	}
	for _, code := range onceOnly {
		if codes[code] > 1 {
			out = append(out, fmt.Sprintf("%s %d times", code, codes[code]))
		}
	}
	return out
}

func (s Story) ordersTwice() []string {
	var out []string
	for _, f := range s.Fates {
		if len(f.By) > 1 {
			out = append(out, fmt.Sprintf("%s (%s) was claimed by %d boots", f.Effect, f.Verb, len(f.By)))
		}
		if len(f.Ends) > 1 {
			out = append(out, fmt.Sprintf("%s (%s) was settled %d times", f.Effect, f.Verb, len(f.Ends)))
		}
	}
	return out
}

// startsTwice compares three books: what the journal ordered, what executors
// did, and what Cassandra's own log tells.
func (s Story) startsTwice() []string {
	var out []string
	ordered, done := 0, 0
	for _, e := range s.Entries {
		if e.Code == "did_start" {
			ordered++
		}
	}
	for _, f := range s.Fates {
		if f.Verb == incident.VerbStart && f.did() {
			done++
		}
	}
	if s.Starts > ordered {
		out = append(out, fmt.Sprintf("Cassandra started %d times, the journal ordered %d", s.Starts, ordered))
	}
	if s.Starts != done {
		out = append(out, fmt.Sprintf("Cassandra started %d times, executors did %d", s.Starts, done))
	}
	return out
}

// Count is how many orders of a verb were done.
func (s Story) Count(v incident.Verb) int {
	n := 0
	for _, f := range s.Fates {
		if f.Verb == v && f.did() {
			n++
		}
	}
	return n
}
