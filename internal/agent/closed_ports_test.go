// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"supervisor/cluster"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// guardOf is a guard of ports that does what it is told, or says why not.
type guardOf struct {
	stands isolate.Closed
	still  uint64 // the standstill that it waits for a word about
	fails  error
	told   int
}

func (g *guardOf) guarded() Guarded { return Guarded{g.stands, g.still} }

func (g *guardOf) Closed(context.Context) (Guarded, error) { return g.guarded(), nil }

func (g *guardOf) Close(_ context.Context, want isolate.Closed, standstill uint64, _ string) (Guarded, error) {
	g.told++
	if g.fails == nil {
		g.stands = want
	}
	if standstill == g.still {
		g.still = 0
	}
	return g.guarded(), g.fails
}

func TestThatIsClosedWhichTheFencesWant(t *testing.T) {
	n1, n2 := netip.MustParseAddr("10.0.3.11"), netip.MustParseAddr("10.0.3.12")
	far := isolate.Fence{Node: "n1", Levels: isolate.Clients | isolate.Reads | isolate.Process | isolate.Ring}
	fences := map[cluster.Name]standing{"n1": {fence: far, storage: "10.0.3.11:7000"}}
	known := map[string]int64{store.Fence("n1"): 5}
	cut, both := isolate.Closed{Cut: []netip.Addr{n1}}, isolate.Closed{Cut: []netip.Addr{n1, n2}}
	rows := []struct {
		why   string
		work  fenceWork
		last  map[string]int64 // what the store holds
		guard guardOf
		want  isolate.Closed
		cuts  bool // n1 is said to be cut off
		still bool // clients are refused still, for a standstill
	}{
		{"a host is cut off", fenceWork{whole: true, fences: fences, revs: known}, known, guardOf{}, cut, true, false},
		{"its own agent is shut to clients, and cuts nobody off", fenceWork{whole: true, fences: map[cluster.Name]standing{"n3": {fence: far}}}, nil, guardOf{}, isolate.Closed{Clients: true}, false, false},
		{"what no fence wants is opened", fenceWork{whole: true, fences: fences, revs: known}, known, guardOf{stands: both}, cut, true, false},
		{"not by an old word", fenceWork{whole: true, fences: fences, revs: known}, map[string]int64{store.Fence("n2"): 7}, guardOf{stands: both}, both, true, false},
		{"while the store is not known nothing is changed", fenceWork{}, nil, guardOf{stands: both}, both, true, false},
		{"nor by an agent that obeys nothing", fenceWork{whole: true, closed: true, fences: fences, revs: known}, known, guardOf{}, isolate.Closed{}, false, false},
		{"a guard that fails has cut nobody off", fenceWork{whole: true, fences: fences, revs: known}, known, guardOf{fails: errors.New("foreign")}, isolate.Closed{}, false, false},
		{"what a fence of an earlier era has closed is not undone", fenceWork{whole: true, revs: known}, known, guardOf{stands: cut}, cut, true, false},
		{"nor has one whose host has no address", fenceWork{whole: true, fences: map[cluster.Name]standing{"n1": {fence: far}}, revs: known}, known, guardOf{}, isolate.Closed{}, false, false},
		{"a host that stood still opens when the store was asked", fenceWork{whole: true, revs: known}, known, guardOf{still: 3}, isolate.Closed{}, false, false},
		{"and not by what it knew before", fenceWork{whole: true, revs: known}, map[string]int64{store.Fence("n3"): 9}, guardOf{still: 3}, isolate.Closed{}, false, true},
		{"nor while nobody knows the store", fenceWork{}, nil, guardOf{still: 3}, isolate.Closed{}, false, true},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			guard := r.guard
			a := &Agent{o: Options{Self: "n3", Journal: writtenFences{revs: r.last}, Ports: &guard, Log: quietLog(), Clock: bubbleClock{}}}
			k := fenceKeeper{a: a, work: r.work}
			k.keepPorts(t.Context())
			if !guard.stands.Equal(r.want) {
				t.Errorf("closed is %+v, want %+v", guard.stands, r.want)
			}
			if is, why := a.closedPorts.cuts("10.0.3.11:7000", true); is != r.cuts || is == (why != "") {
				t.Errorf("cut off: %v, because %q; want %v", is, why, r.cuts)
			}
			if still := guard.still != 0; still != r.still {
				t.Errorf("clients are refused for a standstill: %v, want %v", still, r.still)
			}
			told := guard.told
			if k.keepPorts(t.Context()); guard.told != told {
				t.Error("it is asked again at once")
			}
		})
	}
}
