// SPDX-License-Identifier: Apache-2.0

package isolate

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
)

func TestAllCutAndStillCut(t *testing.T) {
	now, before := cluster.Token{Era: 1, Rev: 9}, cluster.Token{Era: 1, Rev: 8}
	peers := []cluster.Name{"n1", "n2"}
	rows := []struct {
		why   string
		seen  map[cluster.Name]Seen
		cut   bool
		rest  []cluster.Name
		still []cluster.Name
	}{
		{"both read it back", map[cluster.Name]Seen{"n1": {Token: now, Cut: true}, "n2": {Token: now, Cut: true}}, true, nil, peers},
		{"one behind an earlier fence", map[cluster.Name]Seen{"n1": {Token: now, Cut: true}, "n2": {Token: before, Cut: true}}, false, []cluster.Name{"n2"}, peers},
		{"one does not", map[cluster.Name]Seen{"n1": {Token: now, Cut: true}, "n2": {Token: now, Uncut: "foreign"}}, false, []cluster.Name{"n2"}, peers},
		{"silence is neither", nil, false, peers, peers},
		{"one does not know whether it still does", map[cluster.Name]Seen{"n1": {Token: now}, "n2": {Token: now, Uncut: "no guard answers"}}, false, peers, []cluster.Name{"n2"}},
		{"both let it in", map[cluster.Name]Seen{"n1": {Token: now}, "n2": {Token: now}}, false, peers, nil},
		{"one that let in before this fence was written may cut by now", map[cluster.Name]Seen{"n1": {Token: before}, "n2": {Token: now}}, false, peers, []cluster.Name{"n1"}},
		{"a stranger's word is no peer's", map[cluster.Name]Seen{"n9": {Token: now, Cut: true}, "n2": {Token: now, Cut: true}}, false, []cluster.Name{"n1"}, peers},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			cut, rest := AllCut(r.seen, peers, now)
			if still := StillCut(r.seen, peers, now); cut != r.cut || !slices.Equal(rest, r.rest) || !slices.Equal(still, r.still) {
				t.Errorf("cut %v, not by %v, still by %v", cut, rest, still)
			}
		})
	}
	if cut, _ := AllCut(nil, nil, now); cut {
		t.Error("nobody who cuts it off is no fence")
	}
}

func TestCloses(t *testing.T) {
	far := Clients | Reads | Process | Ring
	fences := map[cluster.Name]Fence{"n1": {Levels: far}, "n2": {Levels: Clients | Reads}, "n3": {Levels: far}, "n4": {Levels: far}}
	storage := map[cluster.Name]string{"n1": "10.0.0.1:7000", "n3": "[2001:db8::3]:7000", "n4": "its-name:7000"}
	want, unplaced := Closes("n3", fences, func(n cluster.Name) string { return storage[n] })
	if !want.Equal(Closed{Clients: true, Cut: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}) || !slices.Equal(unplaced, []cluster.Name{"n4"}) {
		t.Errorf("on n3: %+v, unplaced %v", want, unplaced)
	}
	want, _ = Closes("n2", fences, func(n cluster.Name) string { return storage[n] })
	if !want.Equal(Closed{Clients: true, Cut: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::3")}}) {
		t.Errorf("on n2: %+v", want)
	}
	if want, _ = Closes("n2", nil, nil); !want.Equal(Closed{}) {
		t.Errorf("without a fence: %+v", want)
	}
}

func TestCovers(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	all := Closed{Clients: true, Cut: []netip.Addr{a, b}}
	for _, less := range []Closed{{}, {Clients: true}, {Cut: []netip.Addr{a}}, {Clients: true, Cut: []netip.Addr{b}}, {Cut: []netip.Addr{a, b}}} {
		if !all.Covers(less) || less.Covers(all) {
			t.Errorf("%+v and %+v", all, less)
		}
	}
	if !all.Covers(all) {
		t.Error("itself")
	}
}

// A Cassandra that starts where a host is to be cut off, and is not yet, would
// speak to it.
func TestTheGateWaitsForACut(t *testing.T) {
	served := Local{EverServed: true}
	rows := []struct {
		why  string
		a    Asked
		want Start
	}{
		{"a clean start", Asked{Local: Local{EverServed: true, Clean: true}, Store: true, Uncut: []cluster.Name{"n1"}}, Wait},
		{"the first one", Asked{Store: true, Uncut: []cluster.Name{"n1"}}, Wait},
		{"in mode observe too: what stands is not undone", Asked{Local: served, Observe: true, Store: true, Uncut: []cluster.Name{"n1"}}, Wait},
		{"a refusal stays one", Asked{Local: served, Store: true, Standing: &Fence{Levels: Process, Start: Refuse}, Uncut: []cluster.Name{"n1"}}, Refuse},
		{"nobody is to be cut off", Asked{Store: true}, Normal},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if got := Ask(r.a, time.Unix(0, 0)); got.Start != r.want {
				t.Errorf("got %+v, want %s", got, r.want)
			}
		})
	}
}
