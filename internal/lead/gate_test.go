// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// shelf is a store as n3 has read it.
func shelf(t *testing.T, values map[string]any) *State {
	t.Helper()
	s := New("c", "n3", "eu")
	var kvs []store.KV
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for i, key := range keys {
		b, err := json.Marshal(values[key])
		if err != nil {
			t.Fatal(err)
		}
		kvs = append(kvs, store.KV{Key: key, Value: b, Mod: int64(10 + i), Create: int64(10 + i)})
	}
	s.Picture.Apply(store.Batch{Rev: 99, Whole: true, KVs: kvs})
	if len(s.Picture.Strange) > 0 {
		t.Fatalf("cannot be read: %v", s.Picture.Strange)
	}
	return s
}

var (
	host    = cluster.Host{Name: "n3", Region: "eu", Datacenter: "dc1", Rack: "r1"}
	peer    = cluster.Host{Name: "n2", Region: "eu", Datacenter: "dc1", Rack: "r2"}
	asleep  = isolate.Fence{Node: "n3", Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate, Incident: "inc-dc1-1"}
	waiting = EraDoc{Era: 2, EtcdClusterID: "c2", Recovered: &incident.Recovery{By: "ana", From: "copy", Rev: 5}}
)

func moded(m incident.Mode) incident.Policy {
	p := incident.DefaultPolicy()
	p.Version, p.Modes["dc1"], p.Gate.Unasked = 1, m, isolate.Refuse
	return p
}

func TestAGateIsAnsweredByWhatIsKnown(t *testing.T) {
	silent := []membership.Look{{Subject: "n2", Path: membership.CQL, Outcome: membership.Silent, Misses: 99}}
	known := map[string]any{store.Host("n3"): host, store.Host("n2"): peer, store.Policy: moded(incident.Auto), store.Fence("n3"): asleep, store.Open("n3"): "inc-dc1-1"}
	local := isolate.Local{EverServed: true, Fence: &isolate.Fence{Incident: "older"}}

	q := shelf(t, known).Asked(Gate{Local: local, Looks: silent, Whole: true, Answers: true, Waited: time.Second})
	if !q.Store || q.Observe || q.Fence != nil || q.Standing == nil || *q.Standing != asleep || q.Incident != "inc-dc1-1" || q.Peers != 1 || q.PeersAnswering != 0 || q.Waited != time.Second {
		t.Errorf("a store that answers: %+v", q)
	}
	if q := shelf(t, known).Asked(Gate{Local: local, Looks: silent, Whole: true}); q.Store || q.Fence != local.Fence || q.Standing == nil || q.Incident == "" {
		t.Errorf("a store that answers no more: %+v", q)
	}
	if q := shelf(t, nil).Asked(Gate{Local: local, Looks: silent, Answers: true}); q.Store || q.Observe || q.Peers != 0 {
		t.Errorf("a store that was not read yet knows no mode and no peers: %+v", q)
	}
	if q := shelf(t, nil).Asked(Gate{Local: local, Whole: true, Answers: true}); !q.Store || !q.Observe {
		t.Errorf("a store without a policy only observes: %+v", q)
	}
	known[store.Policy] = moded(incident.Observe)
	if q := shelf(t, known).Asked(Gate{Local: local, Whole: true, Answers: true}); !q.Observe {
		t.Errorf("mode observe: %+v", q)
	}
	known[store.Era] = waiting
	if q := shelf(t, known).Asked(Gate{Local: local, Whole: true, Answers: true}); q.Store || q.Observe || q.Fence != local.Fence {
		t.Errorf("nobody has acknowledged the recovery: %+v", q)
	}
}

// An incident about slowness alone says nothing about a start; when the node is gone
// after all it does.
func TestAGateOfASlowNode(t *testing.T) {
	rec := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-1", Node: "n3", Phase: incident.Draining, Cause: membership.Slow, Slow: &incident.Slowed{}}
	known := map[string]any{store.Host("n3"): host, store.Policy: moded(incident.Auto), store.Open("n3"): rec.ID, store.Record(rec.ID): rec}
	s := shelf(t, known)
	if q := s.Asked(Gate{Whole: true, Answers: true}); q.Incident != "" || s.Picture.Doubted("n3") {
		t.Errorf("only slow: %+v, doubted %v", q, s.Picture.Doubted("n3"))
	}
	rec.Cause = membership.ProcessDown
	known[store.Record(rec.ID)] = rec
	s = shelf(t, known)
	if q := s.Asked(Gate{Whole: true, Answers: true}); q.Incident != rec.ID || !s.Picture.Doubted("n3") {
		t.Errorf("gone: %+v, doubted %v", q, s.Picture.Doubted("n3"))
	}
}

func TestWhatIsKeptForTheGate(t *testing.T) {
	deadline := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	avoided := isolate.Fence{Node: "n3", Levels: isolate.Reads, Start: isolate.Normal, Incident: "inc-dc1-2"}
	rec := incident.Record{ID: "inc-dc1-1", Node: "n3", Outage: incident.Outage{Deadline: deadline}}
	over := func(n cluster.Name) incident.Record { return incident.Record{ID: "inc-dc1-1", Node: n} }
	returning := isolate.Local{Returning: true, Incident: "inc-dc1-1", Fence: &asleep, EverServed: true}
	rows := []struct {
		why   string
		store map[string]any
		local isolate.Local
		want  isolate.Local
	}{
		{"a standing fence", map[string]any{store.Fence("n3"): asleep}, isolate.Local{}, isolate.Local{Fence: &asleep, Incident: "inc-dc1-1"}},
		{"a fence that is gone says nothing about a return", nil, returning, returning},
		{"the archived incident ends it", map[string]any{store.Archived("inc-dc1-1"): over("n3")}, returning, isolate.Local{EverServed: true}},
		{"an archived incident of that name about another node does not", map[string]any{store.Archived("inc-dc1-1"): over("n2")}, returning, returning},
		{"a name that is kept without fence and return goes, too", map[string]any{store.Archived("inc-dc1-1"): over("n3")}, isolate.Local{Incident: "inc-dc1-1"}, isolate.Local{}},
		{"the policy's word and the deadline", map[string]any{store.Policy: moded(incident.Auto), store.Open("n3"): "inc-dc1-1", store.Record("inc-dc1-1"): rec},
			isolate.Local{}, isolate.Local{Unasked: isolate.Refuse, Deadline: deadline}},
		{"the fence of a slow node is none of the gate's", map[string]any{store.Fence("n3"): avoided}, isolate.Local{EverServed: true}, isolate.Local{EverServed: true}},
		{"and an older incident ends as without it", map[string]any{store.Fence("n3"): avoided, store.Archived("inc-dc1-1"): over("n3")}, returning, isolate.Local{EverServed: true}},
		{"neither stands any more", nil, isolate.Local{Unasked: isolate.Refuse, Deadline: deadline}, isolate.Local{}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			stands := map[string]any{store.Host("n3"): host}
			for key, v := range r.store {
				stands[key] = v
			}
			p := shelf(t, stands).Picture
			got := p.Kept("n3", r.local)
			if again := p.Kept("n3", got); again != got {
				t.Errorf("kept again it is something else to write: %+v, %+v", got, again)
			}
			fence := got.Fence != nil && r.want.Fence != nil && *got.Fence == *r.want.Fence || got.Fence == r.want.Fence
			got.Fence, r.want.Fence = nil, nil
			if !fence || got != r.want {
				t.Errorf("kept %+v (fence %v), want %+v", got, fence, r.want)
			}
			delete(stands, store.Host("n3"))
			if got := shelf(t, stands).Picture.Kept("n3", r.local); got != r.local {
				t.Errorf("by a store that does not know the host: %+v", got)
			}
			stands[store.Host("n3")], stands[store.Era] = host, waiting
			if got := shelf(t, stands).Picture.Kept("n3", r.local); got != r.local {
				t.Errorf("by a store that waits for a person: %+v", got)
			}
		})
	}
}

// Only the fence of a return repairs, and only once it survives a restart.
func TestAReturnHasTakenTheNode(t *testing.T) {
	plain := isolate.Fence{Node: "n3", Start: isolate.Normal, Incident: "inc-dc1-1"}
	rows := []struct {
		why     string
		fence   isolate.Fence
		kept    *isolate.Fence
		retaken bool
	}{
		{"it stands and the gate knows", asleep, &asleep, true},
		{"the gate does not know it yet", asleep, nil, false},
		{"the gate knows another", asleep, &plain, false},
		{"the whole ring is started plainly", plain, &plain, false},
	}
	for _, r := range rows {
		p := shelf(t, map[string]any{store.Fence("n3"): r.fence}).Picture
		if got := p.Retaken("n3", isolate.Local{Fence: r.kept}); got != r.retaken {
			t.Errorf("%s: retaken %v", r.why, got)
		}
	}
}

func TestAStartGoesByTheFenceOfItsOwnIncident(t *testing.T) {
	p := shelf(t, map[string]any{store.Fence("n3"): asleep}).Picture
	if f, stands := p.FenceOf("n3", "inc-dc1-1"); !stands || f != asleep {
		t.Errorf("its own: %+v, %v", f, stands)
	}
	if _, stands := p.FenceOf("n3", "inc-dc1-2"); stands {
		t.Error("the fence of another incident says how to start")
	}
	if _, stands := p.FenceOf("n2", "inc-dc1-1"); stands {
		t.Error("a fence on another node says how to start")
	}
	if _, stands := p.FenceOf("n3", ""); stands {
		t.Error("an order without an incident is started by a fence")
	}
}

func TestOrdersAreAwaitedAndInOrder(t *testing.T) {
	order := func(id string) incident.Order {
		return incident.Order{Era: 1, Incident: "inc-dc1-1", Effect: incident.Effect{ID: id, Once: &incident.Once{Agent: "n3", Verb: incident.VerbStart}}}
	}
	rec := incident.Record{ID: "inc-dc1-1", Node: "n3", Pending: []incident.Effect{{ID: "a"}}}
	p := shelf(t, map[string]any{store.Record("inc-dc1-1"): rec}).Picture
	if !p.Awaits(order("a")) || p.Awaits(order("b")) {
		t.Error("the record waits for a and for nothing else")
	}
	elsewhere := order("a")
	elsewhere.Incident = "inc-dc1-2"
	if p.Awaits(elsewhere) {
		t.Error("an incident that is not open waits for an order")
	}
	p.Orders = map[string]OrderAt{"z": {Create: 3}, "b": {Create: 7}, "a": {Create: 7}, "y": {Create: 5}}
	if got := p.OrdersByToken(); !slices.Equal(got, []string{"z", "y", "a", "b"}) {
		t.Errorf("in order: %v", got)
	}
}

// A gate is told of the hosts that are to be cut off here and are not, if there
// is anybody here who could do it.
func TestAGateKnowsWhoIsNotCutOff(t *testing.T) {
	cut := func(n cluster.Name, more isolate.Levels) isolate.Fence {
		return isolate.Fence{Node: n, Levels: isolate.Clients | isolate.Reads | isolate.Process | more, Start: isolate.Refuse, Incident: "inc-dc1-" + string(n)}
	}
	s := shelf(t, map[string]any{store.Host("n3"): host, store.Fence("n1"): cut("n1", isolate.Ring), store.Fence("n2"): cut("n2", isolate.Ring),
		store.Fence("n3"): cut("n3", isolate.Ring), store.Fence("n4"): cut("n4", 0)})
	for _, r := range []struct {
		why  string
		g    Gate
		want []cluster.Name
	}{
		{"one is", Gate{Guard: true, Cuts: []cluster.Name{"n2"}}, []cluster.Name{"n1"}},
		{"none is", Gate{Guard: true}, []cluster.Name{"n1", "n2"}},
		{"both are", Gate{Guard: true, Cuts: []cluster.Name{"n1", "n2"}}, nil},
		{"no guard answers", Gate{}, nil},
	} {
		if got := s.Asked(r.g).Uncut; !slices.Equal(got, r.want) {
			t.Errorf("%s: %v, want %v", r.why, got, r.want)
		}
	}
}
