// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"supervisor/cluster"
)

func places(n, racks int) map[cluster.Name]Place {
	m := map[cluster.Name]Place{}
	for i := range n {
		m[cluster.Name(fmt.Sprintf("n%04d", i))] = Place{Region: "r", Datacenter: "dc", Rack: cluster.Rack(fmt.Sprint("r", i%racks))}
	}
	return m
}

func TestElevenNodesWatchEachOther(t *testing.T) {
	nodes := places(11, 3)
	for n := range nodes {
		if got := Watchers(nodes, n, Degree); len(got) != 11 {
			t.Errorf("%s is watched by %d", n, len(got))
		}
	}
}

func TestWatchersStandInAllRacks(t *testing.T) {
	nodes := places(300, 3)
	load := map[cluster.Name]int{}
	for n := range nodes {
		watchers := Watchers(nodes, n, Degree)
		if len(watchers) != Degree+1 || !slices.Contains(watchers, n) || !slices.IsSorted(watchers) {
			t.Fatalf("%s is watched by %v", n, watchers)
		}
		racks := map[cluster.Rack]int{}
		for _, w := range watchers {
			load[w]++
			if w != n {
				racks[nodes[w].Rack]++
			}
		}
		for r := range map[cluster.Rack]bool{"r0": true, "r1": true, "r2": true} {
			if racks[r] < 3 {
				t.Errorf("%s has %d watchers in rack %s, want at least 3 of 10", n, racks[r], r)
			}
		}
	}
	for n, l := range load {
		if l > 25 {
			t.Errorf("%s watches %d nodes: its digest would not fit", n, l)
		}
	}
}

func TestOneLeaverChangesFewLists(t *testing.T) {
	nodes := places(100, 4)
	changed := 0
	before := map[cluster.Name][]cluster.Name{}
	for n := range nodes {
		before[n] = Watchers(nodes, n, Degree)
	}
	delete(nodes, "n0042")
	for n := range nodes {
		after := Watchers(nodes, n, Degree)
		gone, come := 0, 0
		for _, w := range before[n] {
			if !slices.Contains(after, w) {
				gone++
			}
		}
		for _, w := range after {
			if !slices.Contains(before[n], w) {
				come++
			}
		}
		if gone > 1 || come > 1 {
			t.Errorf("list of %s lost %d and won %d", n, gone, come)
		}
		if gone+come > 0 {
			changed++
		}
	}
	if changed == 0 || changed > 25 {
		t.Errorf("%d of 99 lists changed, want about 10", changed)
	}
}

func TestOtherRegionsDoNotWatch(t *testing.T) {
	nodes := places(6, 3)
	nodes["far"] = Place{Region: "elsewhere", Datacenter: "dc2", Rack: "r0"}
	if got := Watchers(nodes, "far", Degree); !reflect.DeepEqual(got, []cluster.Name{"far"}) {
		t.Errorf("a node alone in its region is watched by %v", got)
	}
	if got := Watchers(nodes, "n0000", Degree); slices.Contains(got, "far") {
		t.Errorf("n0000 is watched over a border: %v", got)
	}
	if got := Watchers(nodes, "nobody", Degree); got != nil {
		t.Errorf("a name that is not on the roster is watched by %v", got)
	}
}

func TestTopologyListsWhatOneLooksAt(t *testing.T) {
	top := four()
	if got := top.Watched("n2"); !reflect.DeepEqual(got, []cluster.Name{"n1", "n2", "n3", "n4"}) {
		t.Errorf("n2 looks at %v", got)
	}
}
