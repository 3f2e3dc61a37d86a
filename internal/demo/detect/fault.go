// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fault is what is done to a node.
type Fault string

// The faults.
const (
	Crash  Fault = "crash"
	Hang   Fault = "hang"
	Host   Fault = "host"
	Leader Fault = "leader"
	CQL    Fault = "cql"
	Disk   Fault = "disk"
	Slow   Fault = "slow"
)

// Faults lists them, in the order of the table.
func Faults() []Fault { return []Fault{Crash, Hang, Host, Leader, CQL, Disk, Slow} }

// trait is what a fault is, and what has to be reached under it.
type trait struct {
	words   string
	drained time.Duration // the 99th percentile until it is drained; 0: no goal is set
	faster  float64       // than Cassandra's own detector, medians; 0: no goal is set
	host    bool          // the whole host is gone: whoever watches hosts alone can see it
}

var traits = map[Fault]trait{
	Crash:  {words: "Cassandra killed", drained: 1500 * time.Millisecond, faster: 15},
	Hang:   {words: "Cassandra stopped, its ports open", drained: 3500 * time.Millisecond, faster: 6},
	Host:   {words: "host frozen", drained: 3500 * time.Millisecond, host: true},
	Leader: {words: "host of the leader frozen, with its member of the store", drained: 15 * time.Second, host: true},
	CQL:    {words: "CQL off, process alive"},
	Disk:   {words: "data directory read-only, then a flush"},
	Slow:   {words: "10 times slower: stopped 90 of 100 ms", drained: 20 * time.Second},
}

// Parse reads a list of faults, separated by commas; empty: all. The order is that
// of the table.
func Parse(list string) ([]Fault, error) {
	if strings.TrimSpace(list) == "" {
		return Faults(), nil
	}
	asked := map[Fault]bool{}
	for _, word := range strings.Split(list, ",") {
		f := Fault(strings.TrimSpace(word))
		if !slices.Contains(Faults(), f) {
			return nil, fmt.Errorf("fault %q is not known; known: %s", f, join(Faults()))
		}
		asked[f] = true
	}
	return slices.DeleteFunc(Faults(), func(f Fault) bool { return !asked[f] }), nil
}

func join(faults []Fault) string {
	words := make([]string, len(faults))
	for i, f := range faults {
		words[i] = string(f)
	}
	return strings.Join(words, ", ")
}
