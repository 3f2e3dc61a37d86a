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
	for n, watchers := range Assign(places(11, 3)) {
		if len(watchers) != 11 {
			t.Errorf("%s is watched by %d", n, len(watchers))
		}
	}
}

func TestWatchersStandInAllRacks(t *testing.T) {
	nodes := places(300, 3)
	for n, watchers := range Assign(nodes) {
		if len(watchers) != Degree+1 || !slices.Contains(watchers, n) || !slices.IsSorted(watchers) {
			t.Fatalf("%s is watched by %v", n, watchers)
		}
		racks := map[cluster.Rack]int{}
		for _, w := range watchers {
			if w != n {
				racks[nodes[w].Rack]++
			}
		}
		for r := range map[cluster.Rack]bool{"r0": true, "r1": true, "r2": true} {
			if racks[r] < 2 {
				t.Errorf("%s has %d watchers in rack %s, want at least 2 of 10", n, racks[r], r)
			}
		}
	}
}

// Whoever stands alone in a rack is everybody's first choice: it must neither
// get more than it can look at, nor be left out, nor leave others short.
func TestNobodyWatchesTooManyAndNobodyGoesShort(t *testing.T) {
	for _, racks := range [][]int{{10, 10, 1}, {1}, {1, 1}, {11}, {12}, {20, 1}, {21}, {22}, {30, 1}, {10, 10, 2}, {100, 100, 1}, {100, 100, 5},
		{40, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {300}, {150, 150, 150}, {7, 7, 7}, {500, 3}} {
		nodes := map[cluster.Name]Place{}
		for r, size := range racks {
			for i := range size {
				nodes[cluster.Name(fmt.Sprintf("n%d-%04d", r, i))] = Place{Region: "r", Datacenter: "dc", Rack: cluster.Rack(fmt.Sprint(r))}
			}
		}
		load := map[cluster.Name]int{}
		for n, watchers := range Assign(nodes) {
			if want := min(Degree, len(nodes)-1) + 1; len(watchers) != want || !slices.Contains(watchers, n) {
				t.Errorf("racks %v: %s is watched by %d, want %d: %v", racks, n, len(watchers), want, watchers)
			}
			for _, w := range watchers {
				if w != n {
					load[w]++
				}
			}
		}
		for n := range nodes {
			if load[n] > WatchMax || len(nodes) > 1 && load[n] == 0 {
				t.Errorf("racks %v: %s watches %d others, at most %d", racks, n, load[n], WatchMax)
			}
		}
	}
}

func TestOneLeaverChangesFewLists(t *testing.T) {
	for _, size := range []int{100, 300} {
		nodes := places(size, 4)
		before := Assign(nodes)
		delete(nodes, "n0042")
		changed := 0
		for n, after := range Assign(nodes) {
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
			if gone > 2 || come > 2 {
				t.Errorf("list of %s lost %d and won %d", n, gone, come)
			}
			if gone+come > 0 {
				changed++
			}
		}
		if changed == 0 || changed > 40 {
			t.Errorf("%d of %d lists changed, want about 10", changed, size)
		}
	}
}

func TestOtherRegionsDoNotWatch(t *testing.T) {
	nodes := places(6, 3)
	nodes["far"] = Place{Region: "elsewhere", Datacenter: "dc2", Rack: "r0"}
	watch := Assign(nodes)
	if got := watch["far"]; !reflect.DeepEqual(got, []cluster.Name{"far"}) {
		t.Errorf("a node alone in its region is watched by %v", got)
	}
	if got := watch["n0000"]; slices.Contains(got, "far") {
		t.Errorf("n0000 is watched over a border: %v", got)
	}
}

func BenchmarkAssign(b *testing.B) {
	for _, size := range []int{21, 100, 1000} {
		nodes := places(size, 3)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				Assign(nodes)
			}
		})
	}
}

func TestTopologyListsWhatOneLooksAt(t *testing.T) {
	top := four()
	if got := top.Watched("n2"); !reflect.DeepEqual(got, []cluster.Name{"n1", "n2", "n3", "n4"}) {
		t.Errorf("n2 looks at %v", got)
	}
}
