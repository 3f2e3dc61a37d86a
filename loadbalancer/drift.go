// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import (
	"cmp"
	"fmt"
	"slices"

	"supervisor/cluster"
)

// Actual is what one proxy says of one server.
type Actual struct {
	Server     cluster.Name `json:"server"`
	Want       Want         `json:"want"`        // the administrative state the proxy stands at
	Weight     int          `json:"weight"`      // percent of Normal
	Normal     int          `json:"normal"`      // the server's normal weight in the proxy's own units; 0: not known
	Up         bool         `json:"up"`          // the proxy's own check; says nothing unless CheckKnown
	CheckKnown bool         `json:"check_known"` // the proxy checks this server and has a result
	Sessions   int          `json:"sessions"`    // client connections open now
}

// Change is one order for a proxy. To differs from a pool's wish only where
// the proxy could not show the wished weight: see reachable.
type Change struct {
	Server cluster.Name `json:"server"`
	From   Wish         `json:"from"` // what the proxy stands at
	To     Wish         `json:"to"`
}

// String renders a change for the journal: "n3 ready 100 % -> drain".
func (c Change) String() string { return fmt.Sprintf("%s %s -> %s", c.Server, c.From, c.To) }

// Drift is how far a proxy is from the wanted pool.
type Drift struct {
	Changes []Change       `json:"changes"` // those that give back first, then by name
	Missing []cluster.Name `json:"missing"` // wanted, and the proxy has no such server
	Foreign []cluster.Name `json:"foreign"` // the proxy has it, and the pool does not name it; never touched
	Damaged []cluster.Name `json:"damaged"` // the pool names it with a wish that orders nothing
}

// InStep says that every member stands as wanted. Foreign servers do not
// count: they are a finding and nobody's order. A missing one does: it may
// receive clients under another name.
func (d Drift) InStep() bool {
	return len(d.Changes) == 0 && len(d.Missing) == 0 && len(d.Damaged) == 0
}

// Unknown returns the servers only one of the two sides knows, sorted.
func (d Drift) Unknown() []cluster.Name {
	return slices.Sorted(slices.Values(slices.Concat(d.Missing, d.Foreign)))
}

// Difference compares a proxy with the wanted pool. The changes that give
// servers back come first, so that applying them in order never passes
// through a state with fewer ready servers than both ends have.
func Difference(want Pool, actual []Actual) Drift {
	var d Drift
	seen := make(map[cluster.Name]bool, len(actual))
	for _, a := range actual {
		seen[a.Server] = true
		wish, named := want.Wants[a.Server]
		if !named {
			d.Foreign = append(d.Foreign, a.Server)
			continue
		}
		if _, err := wish.settled(); err != nil {
			d.Damaged = append(d.Damaged, a.Server)
			continue
		}
		if to := reachable(wish, a.Normal); !stands(a, to) {
			d.Changes = append(d.Changes, Change{a.Server, Wish{a.Want, a.Weight}, to})
		}
	}
	for _, n := range want.Members() {
		if !seen[n] {
			d.Missing = append(d.Missing, n)
		}
	}
	slices.Sort(d.Foreign)
	slices.Sort(d.Damaged)
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Server, b.Server))
	})
	return d
}

// InStep says that the proxy stands as the pool wants it.
func InStep(want Pool, actual []Actual) bool { return Difference(want, actual).InStep() }

func rank(c Change) int {
	if c.To.Want == Ready {
		return 0
	}
	return 1
}

// reachable raises a weight to the smallest one that is not nothing: proxies
// weigh in whole units, so 10 % of a normal weight of 5 would be no client at
// all, for a server that everybody believes to be on its way back.
func reachable(w Wish, normal int) Wish {
	if w.Want == Ready && normal > 0 {
		w.Weight = max(w.Weight, (100+normal-1)/normal)
	}
	return w
}

// stands says whether a server is where the wish wants it. Weights are
// compared in the proxy's units, rounded down as proxies do.
func stands(a Actual, w Wish) bool {
	switch {
	case a.Want != w.Want:
		return false
	case w.Want != Ready:
		return true
	case a.Normal <= 0:
		return a.Weight == w.Weight
	}
	return a.Weight*a.Normal/100 == w.Weight*a.Normal/100
}
