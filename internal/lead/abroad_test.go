// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// batchOf is a store with these values, read whole.
func batchOf(t *testing.T, rev int64, values map[string]any) store.Batch {
	t.Helper()
	b := store.Batch{Rev: rev, Whole: true}
	for i, key := range slices.Sorted(maps.Keys(values)) {
		text, err := json.Marshal(values[key])
		if err != nil {
			t.Fatal(err)
		}
		b.KVs = append(b.KVs, store.KV{Key: key, Value: text, Mod: 10 + int64(i), Create: 10 + int64(i)})
	}
	return b
}

var (
	farHost = cluster.Host{Name: "b1", Region: "us", Datacenter: "dc2", Rack: "r1", Storage: "10.0.9.1:7000"}
	farEra  = EraDoc{Era: 1, EtcdClusterID: "c9"}
	runs    = incident.Agent{Sights: &incident.Sights{Runs: true}, Cassandra: &incident.CassandraFacts{Mode: "NORMAL"}}
	farCut  = isolate.Fence{Node: "b1", Levels: isolate.Clients | isolate.Ring, Start: isolate.Refuse}
)

// far is the store of region us.
func far() map[string]any {
	return map[string]any{store.Era: farEra, store.Level: 1, store.Host("b1"): farHost, store.Agent("b1"): runs, store.Fence("b1"): farCut,
		store.Record("inc-dc2-1"):            incident.Record{Schema: incident.SchemaNow, ID: "inc-dc2-1", Node: "b1", Phase: incident.Draining, Cause: membership.HostGone},
		store.SeenAbroad("b1", "eu", "n3"):   isolate.Seen{Sight: isolate.Down, Generation: 7},
		store.SeenAbroad("b1", "asia", "n3"): isolate.Seen{Sight: isolate.Up}}
}

const noon = cluster.Moment(time.Hour)

// besideUs is n3 of region eu, which names region us too and has read it at noon.
func besideUs(t *testing.T, values map[string]any) *State {
	t.Helper()
	s := shelf(t, map[string]any{store.Host("n3"): host, store.Host("n2"): peer})
	s.ReadAlso([]cluster.Region{"us"})
	s.Schema = &cluster.Schema{Members: []cluster.Member{{Name: "n2"}, {Name: "n3"}, {Name: "b1", Address: "10.0.9.1", Datacenter: "dc2"}, {Name: "10.0.9.2"}}}
	s.Turn(Abroad{Region: "us", Batch: batchOf(t, 99, values), EtcdCluster: "c9"}, noon, time.Time{})
	return s
}

func TestWhatAnotherRegionSays(t *testing.T) {
	s := besideUs(t, far())
	w := s.World("dc1", noon, time.Time{})
	f := w.Abroad["b1"]
	if !f.Told || !f.Heard || !f.Fenced || f.Region != "us" || f.Record == nil || f.Record.Cause != membership.HostGone {
		t.Errorf("b1: %+v", f)
	}
	if seen := w.SeenAbroad["n3"]["b1"]; seen.Sight != isolate.Down || seen.Generation != 7 {
		t.Errorf("what b1 says of n3: %+v", seen)
	}
	if unlisted, is := w.Abroad["10.0.9.2"]; !is || unlisted.Told || unlisted.Region != "" {
		t.Errorf("a member on no roster: %+v", unlisted)
	}
	if _, ours := w.Abroad["n2"]; ours || len(w.Agents) > 0 || len(w.Open) > 0 || len(w.Fences) > 0 {
		t.Error("what is said there is mixed with what stands here")
	}
	fences := s.FencesAbroad("us", noon)
	if fences.At != noon || len(fences.Fences) != 1 || fences.Fences[0].Storage != farHost.Storage || fences.Fences[0].Token.Era != 1 || fences.Revs[store.Fence("b1")] == 0 {
		t.Errorf("its fences: %+v", fences)
	}
	if roster := s.Roster(); len(roster) != 3 || len(s.Picture.Hosts) != 2 {
		t.Errorf("hosts of all regions: %v", roster)
	}
}

func TestWordsOfAnotherRegionGrowOld(t *testing.T) {
	s := besideUs(t, far())
	late := noon.Add(AbroadFresh + 1)
	if why, _ := s.UnreadAbroad("us", noon.Add(AbroadFresh)); why != "" {
		t.Errorf("too early: %s", why)
	}
	f := s.World("dc1", late, time.Time{}).Abroad["b1"]
	if f.Told || f.Heard || f.Record == nil || f.Agent.Cassandra == nil || !f.Fenced {
		t.Errorf("what was read before stands, and is not said now: %+v", f)
	}
	if s.FencesAbroad("us", late).At != 0 || len(s.FencesAbroad("us", late).Fences) != 1 {
		t.Error("a fence that was read goes on standing, and nobody knows whether it is the last word")
	}
	s.Turn(Abroad{Region: "us", Batch: store.Batch{Rev: 100, KVs: []store.KV{{Key: store.Agent("b2"), Value: []byte("{}"), Mod: 100}}}, EtcdCluster: "c9"}, late, time.Time{})
	if why, _ := s.UnreadAbroad("us", late); why == "" {
		t.Error("a change may come from a member that lags behind: what else is said may be untrue by now")
	}
	s.Turn(Abroad{Region: "us", Batch: store.Batch{Rev: 99}, EtcdCluster: "c9"}, late, time.Time{})
	if why, since := s.UnreadAbroad("us", late); why != "" || since != late {
		t.Errorf("an answer with nothing new is an answer: %s", why)
	}
}

func TestAStoreOfAnotherRegionThatIsNotBelieved(t *testing.T) {
	with := func(key string, v any) map[string]any {
		values := far()
		if values[key] = v; v == nil {
			delete(values, key)
		}
		return values
	}
	rows := []struct {
		why    string
		values map[string]any
		want   string
	}{
		{"a copy of it in another etcd", with(store.Era, EraDoc{Era: 1, EtcdClusterID: "c8"}), "copy of another store"},
		{"one of a later format", with(store.Level, LevelNow+1), "run the later version"},
		{"none", with(store.Era, nil), "no store of this region"},
		{"a recovered one that waits for a person", with(store.Era, EraDoc{Era: 2, EtcdClusterID: "c9", Recovered: &incident.Recovery{Rev: 1}}), "nobody has acknowledged"},
		{"one with a fence that this program cannot read", with(store.Fence("b2"), 7), "fence/b2 cannot be read"},
		{"one that has a host of this region's name", with(store.Host("n3"), farHost), "n3 is a host of another region too"},
	}
	for _, r := range rows {
		s := besideUs(t, r.values)
		why, _ := s.UnreadAbroad("us", noon)
		if w := s.World("dc1", noon, time.Time{}); !strings.Contains(why, r.want) || w.Abroad["b1"].Told || w.Abroad["b1"].Heard {
			t.Errorf("%s: %q, and heard %v", r.why, why, w.Abroad["b1"].Heard)
		}
	}
	s := besideUs(t, with(store.Era, EraDoc{Era: 2, EtcdClusterID: "c9"}))
	s.Turn(Abroad{Region: "us", Batch: batchOf(t, 200, far()), EtcdCluster: "c9"}, noon, time.Time{})
	if why, _ := s.UnreadAbroad("us", noon); !strings.Contains(why, "older store") {
		t.Errorf("an earlier era: %q", why)
	}
	s.ForgetAbroad("us")
	if why, since := s.UnreadAbroad("us", noon); why != unreadAbroad || since != 0 || len(s.Roster()) != 2 {
		t.Errorf("another store is gone over to: %q", why)
	}
}

func TestNobodyIsSpokenForWhereNoRegionIsNamed(t *testing.T) {
	s := shelf(t, map[string]any{store.Host("n3"): host})
	s.Schema = &cluster.Schema{Members: []cluster.Member{{Name: "n3"}, {Name: "10.0.9.2"}}}
	if w := s.World("dc1", noon, time.Time{}); w.Abroad != nil || w.SeenAbroad != nil {
		t.Errorf("%+v", w.Abroad)
	}
	s.Turn(Abroad{Region: "us", Batch: batchOf(t, 99, far())}, noon, time.Time{})
	if len(s.Elsewhere()) != 0 {
		t.Error("a region that nobody named is read")
	}
}

// The leader measures on its own clock since when a member is missed.
func TestSinceWhenAMemberIsMissed(t *testing.T) {
	s := besideUs(t, far())
	misses := incident.Agent{Sights: &incident.Sights{Runs: true, Down: []string{"10.0.9.1"}}}
	s.Picture.Agents = map[cluster.Name]incident.Agent{"n2": misses, "n3": misses}
	alive := membership.Verdict{Answer: membership.Alive}
	s.view = membership.View{Began: 1, Verdicts: map[cluster.Name]membership.Verdict{"n2": alive, "n3": alive}}
	tick := func(at cluster.Moment) incident.Foreign {
		s.Turn(Ticked{}, at, time.Time{})
		return s.World("dc1", at, time.Time{}).Abroad["b1"]
	}
	if f := tick(noon); f.Up || f.Lost {
		t.Errorf("just missed: %+v", f)
	}
	if f := tick(noon.Add(incident.LostAfter)); !f.Lost {
		t.Error("missed by all for long enough, and not out of reach")
	}
	s.Picture.Agents["n2"] = runs
	if f := tick(noon.Add(incident.LostAfter + 1)); f.Lost || f.Up {
		t.Errorf("n2 sees it again: %+v", f)
	}
	s.Picture.Agents["n2"] = misses
	if f := tick(noon.Add(incident.LostAfter + 2)); f.Lost {
		t.Error("it is missed anew, and that has lasted for no time")
	}
}

func TestAGateKnowsOfAnotherRegion(t *testing.T) {
	silent := []membership.Look{{Subject: "n2", Path: membership.CQL, Outcome: membership.Silent, Misses: 99}}
	rests := far()
	rests[store.Agent("b1")] = incident.Agent{Sights: &incident.Sights{}}
	unsaid := far()
	unsaid[store.Agent("b1")] = incident.Agent{}
	rows := []struct {
		why    string
		values map[string]any
		at     cluster.Moment
		cold   bool
	}{
		{"nothing runs there either", rests, noon, true},
		{"a Cassandra runs there", far(), noon, false},
		{"it is not read now", rests, noon.Add(time.Minute), false},
		{"an agent there has not said", unsaid, noon, false},
	}
	for _, r := range rows {
		s := besideUs(t, r.values)
		q := s.Asked(Gate{Local: isolate.Local{EverServed: true}, Looks: silent, Whole: true, Answers: true, At: r.at, Guard: true})
		if cold := q.Peers > 0 && q.PeersAnswering == 0; cold != r.cold {
			t.Errorf("%s: %d of %d answer", r.why, q.PeersAnswering, q.Peers)
		}
		if !slices.Equal(q.Uncut, []cluster.Name{"b1"}) {
			t.Errorf("%s: still to be cut off: %v", r.why, q.Uncut)
		}
	}
}
