// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

var bounds = Bounds{Compactions: 100, Dropped: 0, DiskFree: 0.1, LatencyFactor: 3}

func quiet(n cluster.Name) Peer { return Peer{Name: n, Load: &Load{Free: 500, Total: 1000}} }

// loaded is a quiet peer of which something is otherwise.
func loaded(change func(*Peer)) []Peer {
	p := quiet("n2")
	change(&p)
	return []Peer{quiet("n1"), p, quiet("n3")}
}

func TestDecide(t *testing.T) {
	rows := []struct {
		why   string
		peers []Peer
		rule  string
		words string // in why it waits
		batch int    // of four, where it does not
	}{
		{"nobody has much to do", loaded(func(*Peer) {}), "", "", 4},
		{"nobody takes part", nil, "", "", 4},
		{"as many compactions as are allowed", loaded(func(p *Peer) { p.Load.Compactions = 100 }), "", "", 4},
		{"one more", loaded(func(p *Peer) { p.Load.Compactions = 101 }), CompactionsRule, "n2 has 101 pending compactions, at most 100", 0},
		{"a mutation was dropped", loaded(func(p *Peer) { p.Load.Dropped = 1 }), DroppedRule, "dropped 1 mutations within a minute, at most 0", 0},
		{"the node itself dropped what it is about to get", loaded(func(p *Peer) { p.Load.Dropped, p.Node = 1, true }), "", "", 4},
		{"as little room as is allowed", loaded(func(p *Peer) { p.Load.Free = 100 }), "", "", 4},
		{"less", loaded(func(p *Peer) { p.Load.Free = 99 }), DiskRule, "99 B of 1000 B of its disk free, 9.9 %, at least 10.0 %", 0},
		{"the node's own disk counts", loaded(func(p *Peer) { p.Load.Free, p.Node = 99, true }), DiskRule, "n2", 0},
		{"three times as slow as before", loaded(func(p *Peer) { p.Before, p.Load.Latency = 20*time.Millisecond, 60*time.Millisecond }), "", "", 4},
		{"slower", loaded(func(p *Peer) { p.Before, p.Load.Latency = 20*time.Millisecond, 61*time.Millisecond }), LatencyRule, "61ms (p99), 20ms before the repair, at most 60ms", 0},
		{"many times of next to nothing", loaded(func(p *Peer) { p.Before, p.Load.Latency = time.Millisecond, 29*time.Millisecond }), "", "", 4},
		{"slow, and nobody knows how slow it was", loaded(func(p *Peer) { p.Load.Latency = time.Hour }), "", "", 4},
		{"a repair of somebody else", loaded(func(p *Peer) { p.Load.Sessions = 1 }), ForeignRule, "n2 takes part in a repair that the supervisor did not begin", 0},
		{"a repair of ours", loaded(func(p *Peer) { p.Load.Sessions, p.Ours = 1, 1 }), "", "", 4},
		{"both", loaded(func(p *Peer) { p.Load.Sessions, p.Ours = 2, 1 }), ForeignRule, "n2", 0},
		{"a repair that stands still", loaded(func(p *Peer) { p.Load.Sessions, p.Idle = 1, IdleAfter }), "", "", 4},
		{"a release that does not tell", loaded(func(p *Peer) { p.Load.Sessions = -1 }), "", "", 4},
		{"it validates", loaded(func(p *Peer) { p.Load.Validations = 1 }), ValidationRule, "n2 validates already (1 at once)", 0},
		{"it validated for the batch before", loaded(func(p *Peer) { p.Load.Validations, p.Busy = 1, true }), "", "", 4},
		{"it validates for what its own agent waits for", loaded(func(p *Peer) { p.Load.Validations, p.Load.Own = 1, 1 }), "", "", 4},
		{"it said nothing", loaded(func(p *Peer) { p.Load = nil }), UnheardRule, "n2 has not said how much", 0},
		{"its word is as old as may be", loaded(func(p *Peer) { p.Age = LoadFresh }), "", "", 4},
		{"its word is older, whatever it says", loaded(func(p *Peer) { p.Age, p.Load.Compactions = LoadFresh+1, 999 }), UnheardRule, "not said for 30s", 0},
		{"its disk is not known", loaded(func(p *Peer) { p.Load.Total = 0 }), UnheardRule, "how full its disk is", 0},
		{"its agent does not understand Jolokia", loaded(func(p *Peer) { p.Load.Fault = "dropped mutations: nonsense" }), UnheardRule, "n2 cannot say how much it has to do: dropped mutations: nonsense", 0},
		{"it was waited for long enough", loaded(func(p *Peer) { p.Load, p.GivenUp = nil, true }), "", "", 1},
		{"what is known of one stops it before what is not known of another",
			append(loaded(func(p *Peer) { p.Load = nil }), Peer{Name: "n4", Load: &Load{Total: 1000}}), DiskRule, "n4", 0},
	}
	for _, row := range rows {
		got := Decide(row.peers, bounds, 4)
		if got.Rule != row.rule || !strings.Contains(got.Why, row.words) || got.Segments != row.batch {
			t.Errorf("%s: got %+v", row.why, got)
		}
		if got.Waits() && (got.Why == "" || got.Next == "" || got.Of == "") {
			t.Errorf("%s: a wait that does not tell: %+v", row.why, got)
		}
	}
}

// More load never lets a batch begin that less load kept waiting, and the order in
// which participants are told changes nothing.
func TestMoreLoadNeverHelps(t *testing.T) {
	peer := rapid.Custom(func(t *rapid.T) Peer {
		n := func(label string, most int64) int64 { return rapid.Int64Range(0, most).Draw(t, label) }
		p := Peer{Name: cluster.Name(rapid.StringMatching("n[1-9]").Draw(t, "name")), Age: time.Duration(n("age", 60)) * time.Second,
			Before: time.Duration(n("before", 50)) * time.Millisecond, Ours: n("ours", 2), Busy: rapid.Bool().Draw(t, "busy"), GivenUp: rapid.Bool().Draw(t, "given up")}
		if rapid.Bool().Draw(t, "told") {
			p.Load = &Load{Compactions: n("compactions", 200), Dropped: n("dropped", 2), Free: n("free", 200), Total: 1000, Latency: time.Duration(n("latency", 200)) * time.Millisecond,
				Validations: n("validations", 2), Sessions: n("sessions", 3)}
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		peers := rapid.SliceOfN(peer, 1, 5).Draw(t, "peers")
		before := Decide(peers, bounds, 4)
		turned := append(peers[1:len(peers):len(peers)], peers[0])
		if got := Decide(turned, bounds, 4); got.Rule != before.Rule || got.Segments != before.Segments {
			t.Fatalf("in another order: %+v, then %+v", before, got)
		}
		i := rapid.IntRange(0, len(peers)-1).Draw(t, "whose")
		if peers[i].Load == nil {
			return
		}
		more := *peers[i].Load
		more.Compactions += rapid.Int64Range(0, 200).Draw(t, "more compactions")
		more.Dropped += rapid.Int64Range(0, 2).Draw(t, "more dropped")
		more.Free -= rapid.Int64Range(0, more.Free).Draw(t, "less free")
		more.Latency += time.Duration(rapid.Int64Range(0, 200).Draw(t, "slower")) * time.Millisecond
		more.Sessions += rapid.Int64Range(0, 2).Draw(t, "more sessions")
		peers[i].Load = &more
		if after := Decide(peers, bounds, 4); before.Waits() && !after.Waits() || after.Segments > before.Segments {
			t.Fatalf("with more load: %+v, then %+v", before, after)
		}
	})
}

func TestPace(t *testing.T) {
	wall := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var p Pace
	var sizes []int
	for range 6 {
		sizes = append(sizes, p.Next(4))
		p = p.Went(4)
	}
	if want := []int{1, 2, 3, 4, 4, 4}; !slices.Equal(sizes, want) {
		t.Errorf("a quiet repair goes on by %v, want %v", sizes, want)
	}
	p = p.Pressed(wall)
	if p.Next(4) != 2 || !p.Since.Equal(wall) {
		t.Errorf("pressed: %+v", p)
	}
	if p = p.Pressed(wall.Add(time.Minute)); p.Next(4) != 1 || !p.Since.Equal(wall) {
		t.Errorf("pressed by another rule, the wait is the same one: %+v", p)
	}
	if p = p.Pressed(wall); p.Next(4) != 1 {
		t.Errorf("one segment at least: %+v", p)
	}
	if p = p.Went(4); !p.Since.IsZero() {
		t.Errorf("it waits for nothing any more: %+v", p)
	}
	p.Batch = 9
	if p.Next(3) != 3 {
		t.Errorf("a policy with smaller batches holds at once: %d", p.Next(3))
	}
}
