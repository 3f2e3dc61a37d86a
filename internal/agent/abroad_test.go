// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
)

func TestHostsOfOtherRegionsAreCutOff(t *testing.T) {
	ours, far := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.9.1")
	both, one, none := isolate.Closed{Cut: []netip.Addr{ours, far}}, isolate.Closed{Cut: []netip.Addr{far}}, isolate.Closed{}
	now := bubbleClock{}.Now()
	cut := standing{fence: isolate.Fence{Levels: isolate.Clients | isolate.Ring}, storage: "10.0.9.1:7000"}
	stray := standing{fence: cut.fence, storage: "10.0.0.1:7000"}
	revs := map[string]int64{store.Fence("b1"): 5}
	rows := []struct {
		why    string
		at     cluster.Moment
		fences map[cluster.Name]standing
		revs   map[string]int64
		stands isolate.Closed
		last   map[string]int64 // the fences of this region, as its store has them now
		want   isolate.Closed
	}{
		{"a fence there wants it", now, map[cluster.Name]standing{"b1": cut}, revs, none, nil, one},
		{"one that bears this host's name there shuts nobody out here", now, map[cluster.Name]standing{"n3": cut}, revs, none, nil, one},
		{"one about a host whose address is one of ours by now", now, map[cluster.Name]standing{"b1": stray}, revs, none, nil, none},
		{"also while that region is not read any more", 0, map[cluster.Name]standing{"b1": cut}, revs, none, nil, one},
		{"no fence wants it any more", now, nil, nil, both, nil, none},
		{"that region is not read: its host stays cut off, and ours is let in", 0, nil, nil, both, nil, one},
		{"it told that too long ago, before this host stood still perhaps", now.Add(-lead.AbroadFresh - time.Second), nil, nil, both, nil, one},
		{"a fence of an earlier era there", now, nil, revs, both, nil, one},
		{"the own store has another word", now, nil, nil, both, map[string]int64{store.Fence("n1"): 7}, both},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			guard := guardOf{stands: r.stands}
			a := &Agent{o: Options{Self: "n3", Journal: writtenFences{revs: r.last}, Ports: &guard, Log: quietLog(), Clock: bubbleClock{}}}
			k := fenceKeeper{a: a, work: fenceWork{whole: true, revs: map[string]int64{}, ours: map[netip.Addr]bool{ours: true},
				abroad: []fencesAbroad{{region: "us", at: r.at, fences: r.fences, revs: r.revs}}}}
			k.keepPorts(t.Context())
			if !guard.stands.Equal(r.want) {
				t.Errorf("closed is %+v, want %+v", guard.stands, r.want)
			}
		})
	}
}

func TestWhatIsSaidOfAFenceInAnotherRegion(t *testing.T) {
	s := standing{token: cluster.Token{Era: 2, Rev: 9}, fence: isolate.Fence{Node: "b1", Levels: isolate.Reads}, storage: "10.0.9.1:7000"}
	p := pulse{running: true, state: cassandra.NodeState{DynamicSnitch: true,
		Peers: map[string]cassandra.PeerState{"10.0.9.1:7000": {Up: true, Generation: 7, Severity: 50}}}}
	a := &Agent{o: Options{Self: "b1"}}
	k := fenceKeeper{a: a, work: fenceWork{abroad: []fencesAbroad{{region: "us", fences: map[cluster.Name]standing{"b1": s}}}}}
	if seen := k.seenOther(s, p); seen.Sight != isolate.Up || seen.Generation != 7 || seen.Severity != 50 || seen.Token != s.token || seen.Own != nil {
		t.Errorf("a host there that is called like this one: %+v", seen)
	}
}

func TestWhomThisCassandraMisses(t *testing.T) {
	d := &desk{a: &Agent{o: Options{Regions: map[cluster.Region]RegionStore{"us": nil}}}, state: lead.New("demo", "n1", "eu")}
	d.state.Picture.Hosts["n2"] = cluster.Host{Name: "n2", Storage: "10.0.0.2:7000"}
	peers := map[string]cassandra.PeerState{"10.0.0.2:7000": {}, "10.0.9.1:7000": {}, "10.0.9.2:7000": {Up: true}}
	rows := []struct {
		why  string
		p    pulse
		want string
	}{
		{"those of other regions that are down", pulse{running: true, state: cassandra.NodeState{Peers: peers}}, "&{true [10.0.9.1]}"},
		{"nobody, when it does not answer", pulse{running: true, err: cassandra.ErrSilent, state: cassandra.NodeState{Peers: peers}}, "<nil>"},
		{"nobody, when nobody knows whether it runs", pulse{unitErr: errStore}, "<nil>"},
		{"it does not run", pulse{}, "&{false []}"},
	}
	for _, r := range rows {
		if d.seesAbroad(r.p); fmt.Sprint(d.sights) != r.want {
			t.Errorf("%s: %v, want %s", r.why, d.sights, r.want)
		}
	}
	d.a.o.Regions = nil
	if d.seesAbroad(rows[0].p); d.sights != nil {
		t.Error("something is said where no other region is named")
	}
}
