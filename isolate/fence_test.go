// SPDX-License-Identifier: Apache-2.0

package isolate

import (
	"encoding/json"
	"slices"
	"testing"

	"supervisor/cluster"
)

func TestOnlyTheFenceOfASlowNodeLeavesTheStart(t *testing.T) {
	rows := []struct {
		f              Fence
		avoids, leaves bool
	}{
		{Fence{Levels: Reads, Start: Normal}, true, true},
		{Fence{Levels: 0, Start: Wait}, false, true},
		{Fence{Levels: 0, Start: Normal}, false, false},        // a cold start
		{Fence{Levels: 0, Start: Hibernate}, false, false},     // a return that is opened
		{Fence{Levels: Reads, Start: Hibernate}, false, false}, // by hand
		{Fence{Levels: Clients | Reads, Start: Normal}, false, false},
		{Fence{Levels: Reads | Process, Start: Normal}, false, false},
		{Fence{}, false, false},
	}
	for _, r := range rows {
		if r.f.Avoids() != r.avoids || r.f.LeavesStart() != r.leaves {
			t.Errorf("%+v: avoids %v, leaves the start %v", r.f, r.f.Avoids(), r.f.LeavesStart())
		}
	}
}

// What the agent does for it, also of a process that somebody started anew.
func TestASlowNodeIsAvoidedAndNothingElse(t *testing.T) {
	avoid := Fence{Levels: Reads, Start: Normal}
	fresh := OwnState{Running: true, Mode: "NORMAL", Native: true}
	if got := Converge(avoid, fresh); !slices.Equal(got, []Act{RaiseSeverity}) {
		t.Errorf("a process that began anew: %v", got)
	}
	raised := fresh
	raised.Severity = SeverityFenced
	if got := Converge(avoid, raised); len(got) > 0 || !Stands(avoid, raised) || Stands(avoid, fresh) {
		t.Errorf("raised: %v", got)
	}
	if got := Converge(Fence{Start: Wait}, raised); !slices.Equal(got, []Act{LowerSeverity}) {
		t.Errorf("let in: %v", got)
	}
}

func TestConverge(t *testing.T) {
	closed, open := Fence{Levels: Clients | Reads}, Fence{}
	rows := []struct {
		why  string
		f    Fence
		own  OwnState
		want []Act
	}{
		{"what does not run is fenced by the gate", closed, OwnState{Native: true}, nil},
		{"Severity comes before the transport: coordinators are quicker than clients", closed,
			OwnState{Running: true, Mode: "NORMAL", Native: true}, []Act{RaiseSeverity, StopNative}},
		{"Severity is raised as soon as it can be, while the node starts", closed, OwnState{Running: true, Mode: "STARTING"}, []Act{RaiseSeverity}},
		{"half a Severity is none", closed, OwnState{Running: true, Mode: "NORMAL", Severity: 49}, []Act{RaiseSeverity}},
		{"what stands is left alone", closed, OwnState{Running: true, Mode: "NORMAL", Severity: 50}, nil},
		{"the transport waits until Severity was read back as 0", open, OwnState{Running: true, Mode: "NORMAL", Severity: 50}, []Act{LowerSeverity}},
		{"then it is opened", open, OwnState{Running: true, Mode: "NORMAL"}, []Act{StartNative}},
		{"a node that is not in the ring is not opened", open, OwnState{Running: true, Mode: "JOINING", Severity: 50}, nil},
		{"one level of two", Fence{Levels: Reads}, OwnState{Running: true, Mode: "NORMAL", Severity: 50}, nil},
		{"clients kept off, readers not", Fence{Levels: Clients}, OwnState{Running: true, Mode: "NORMAL", Severity: 50, Native: true}, []Act{StopNative, LowerSeverity}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if got := Converge(r.f, r.own); !slices.Equal(got, r.want) {
				t.Errorf("got %v, want %v", got, r.want)
			}
		})
	}
}

func TestStands(t *testing.T) {
	rows := []struct {
		why  string
		f    Fence
		own  OwnState
		want bool
	}{
		{"both levels", Fence{Levels: Clients | Reads}, OwnState{Running: true, Severity: 50}, true},
		{"the transport still runs", Fence{Levels: Clients | Reads}, OwnState{Running: true, Severity: 50, Native: true}, false},
		{"Severity not high enough", Fence{Levels: Clients | Reads}, OwnState{Running: true, Severity: 49}, false},
		{"open", Fence{}, OwnState{Running: true, Native: true}, true},
		{"a rest of Severity is not open", Fence{}, OwnState{Running: true, Native: true, Severity: 1}, false},
		{"open, and the transport off", Fence{}, OwnState{Running: true}, false},
		{"a dead process proves nothing about levels", Fence{Levels: Clients | Reads}, OwnState{Severity: 50}, false},
		{"a process fence stands when nothing runs", Fence{Levels: Process}, OwnState{}, true},
		{"and not while something does", Fence{Levels: Process}, OwnState{Running: true}, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if got := Stands(r.f, r.own); got != r.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// Whatever the state, doing what Converge says once or twice makes the fence
// stand, as far as it can in that mode.
func TestConvergingEndsWhereTheFenceStands(t *testing.T) {
	for _, levels := range []Levels{0, Clients, Reads, Clients | Reads} {
		for _, severity := range []float64{0, 1, 50} {
			for _, native := range []bool{false, true} {
				f, own := Fence{Levels: levels}, OwnState{Running: true, Mode: "NORMAL", Severity: severity, Native: native}
				for range 3 {
					for _, act := range Converge(f, own) {
						switch act {
						case RaiseSeverity:
							own.Severity = SeverityFenced
						case LowerSeverity:
							own.Severity = 0
						case StopNative:
							own.Native = false
						case StartNative:
							own.Native = true
						}
					}
				}
				if !Stands(f, own) {
					t.Errorf("levels %s from severity %v native %v end at %+v", levels, severity, native, own)
				}
			}
		}
	}
}

func TestAllDown(t *testing.T) {
	peers := []cluster.Name{"n1", "n2"}
	rows := []struct {
		why     string
		seen    map[cluster.Name]Seen
		down    bool
		up      int
		missing int
	}{
		{"both say DOWN of this process", map[cluster.Name]Seen{"n1": {Sight: Down, Generation: 7}, "n2": {Sight: Down, Generation: 7}}, true, 0, 0},
		{"a word about an earlier process is none", map[cluster.Name]Seen{"n1": {Sight: Down, Generation: 6}, "n2": {Sight: Down, Generation: 7}}, false, 0, 1},
		{"also when it says UP", map[cluster.Name]Seen{"n1": {Sight: Up, Generation: 6}, "n2": {Sight: Down, Generation: 7}}, false, 0, 1},
		{"Cassandra there did not say", map[cluster.Name]Seen{"n1": {Generation: 7}, "n2": {Sight: Down, Generation: 7}}, false, 0, 1},
		{"one UP breaks the fence", map[cluster.Name]Seen{"n1": {Sight: Up, Generation: 7}, "n2": {Sight: Down, Generation: 7}}, false, 1, 0},
		{"silence", nil, false, 0, 2},
		{"a stranger's word does not stand for a peer's", map[cluster.Name]Seen{"n1": {Sight: Down, Generation: 7}, "n9": {Sight: Down, Generation: 7}}, false, 0, 1},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			down, up, missing := AllDown(r.seen, peers, 7)
			if down != r.down || len(up) != r.up || len(missing) != r.missing {
				t.Errorf("got %v up %v missing %v", down, up, missing)
			}
		})
	}
	if down, _, _ := AllDown(nil, nil, 7); down {
		t.Error("nobody to ask is nobody who says DOWN")
	}
}

func TestAllUp(t *testing.T) {
	rows := []struct {
		why    string
		seen   Seen
		raised bool
		want   bool
	}{
		{"UP and raised", Seen{Sight: Up, Generation: 7, Severity: 50}, true, true},
		{"UP and not raised yet", Seen{Sight: Up, Generation: 7}, true, false},
		{"UP and open", Seen{Sight: Up, Generation: 7}, false, true},
		{"the last Severity still in gossip", Seen{Sight: Up, Generation: 7, Severity: 50}, false, false},
		{"a rest of Severity is not open", Seen{Sight: Up, Generation: 7, Severity: 2}, false, false},
		{"DOWN", Seen{Sight: Down, Generation: 7, Severity: 50}, true, false},
		{"of an earlier process", Seen{Sight: Up, Generation: 6, Severity: 50}, true, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			got, rest := AllUp(map[cluster.Name]Seen{"n1": r.seen}, []cluster.Name{"n1"}, 7, r.raised)
			if got != r.want || got == (len(rest) > 0) {
				t.Errorf("got %v, rest %v", got, rest)
			}
		})
	}
	if ok, _ := AllUp(nil, nil, 7, false); ok {
		t.Error("nobody to ask is nobody who says UP")
	}
}

func TestLevelsOnTheWire(t *testing.T) {
	for l := range Levels(16) {
		b, err := json.Marshal(l)
		var back Levels
		if err != nil || json.Unmarshal(b, &back) != nil || back != l {
			t.Errorf("%s became %s and then %s (%v)", l, b, back, err)
		}
	}
	var l Levels
	if err := json.Unmarshal([]byte(`["clients","moat"]`), &l); err == nil {
		t.Error("a level nobody taught us was taken for a weaker fence")
	}
}
