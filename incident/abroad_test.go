// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/membership"
	"supervisor/repair"
	"supervisor/residency"
)

func init() { commands["abroad"] = (*stage).abroad }

// abroad has ring members that another region looks after: abroad b1 b2 replicas=2.
// All is in order there but for what is named: told=no heard=no up=no lost=yes
// cuts=no snitch=off runs=no cause=process_down.
func (s *stage) abroad(names []cluster.Name, args map[string]string) string {
	if s.w.Abroad == nil {
		s.w.Abroad, s.w.SeenAbroad = map[cluster.Name]Foreign{}, map[cluster.Name]map[cluster.Name]isolate.Seen{}
		s.policy.Regions["us"] = []cluster.Datacenter{"dc2"}
		s.policy.Residency = residency.Open([]cluster.Region{"eu", "us"})
	}
	schema := *s.w.Schema
	for i, n := range names {
		if _, known := s.w.Abroad[n]; !known {
			schema.Members = append(slices.Clone(schema.Members), cluster.Member{Name: n, Datacenter: "dc2", Rack: "r1", Address: string(n), Tokens: []int64{int64(i)*100 + 50}})
		}
		f := Foreign{Region: "us", Told: args["told"] != "no", Up: args["up"] != "no", Lost: args["lost"] == "yes"}
		f.Heard = f.Told && args["heard"] != "no"
		f.Agent = Agent{Cuts: args["cuts"] != "no", Sights: &Sights{Runs: args["runs"] != "no"},
			Cassandra: &CassandraFacts{Mode: normalMode, SnitchOff: args["snitch"] == "off"}}
		if word := args["cause"]; word != "" {
			f.Record = &Record{Node: n, Began: s.w.Wall, Phase: Draining}
			if err := f.Record.Cause.UnmarshalText([]byte(word)); err != nil {
				s.t.Fatal(err)
			}
		}
		s.w.Abroad[n] = f
	}
	if args["replicas"] != "" {
		schema.Keyspaces = slices.Clone(schema.Keyspaces)
		schema.Keyspaces[0].Replication.Factors = maps.Clone(schema.Keyspaces[0].Replication.Factors)
		schema.Keyspaces[0].Replication.Factors["dc2"] = s.number(args["replicas"])
		if args["only"] == "there" { // and one copy here
			schema.Keyspaces[0].Replication.Factors["dc1"] = 1
		}
	}
	s.w.Schema = &schema
	return ""
}

var inOrder = Foreign{Region: "us", Told: true, Heard: true, Up: true,
	Agent: Agent{Sights: &Sights{Runs: true}, Cassandra: &CassandraFacts{Mode: "NORMAL"}}}

func changed(change func(*Foreign)) Foreign {
	f := inOrder
	change(&f)
	return f
}

func TestWhatAMemberOfAnotherRegionIsTakenFor(t *testing.T) {
	down := &Record{Node: "b1", Cause: membership.ProcessDown, Phase: Draining}
	rows := []struct {
		why                   string
		f                     Foreign
		reads, serves, cutter bool
	}{
		{"all is in order", inOrder, true, true, true},
		{"its region's store does not answer", changed(func(f *Foreign) { f.Told, f.Heard = false, false }), true, false, true},
		{"its agent is silent", changed(func(f *Foreign) { f.Heard = false }), true, false, true},
		{"one Cassandra here misses it", changed(func(f *Foreign) { f.Up = false }), true, false, true},
		{"nothing passes between it and this region", changed(func(f *Foreign) { f.Up, f.Lost = false, true }), false, false, true},
		{"and its own region knows why", changed(func(f *Foreign) { f.Up, f.Lost, f.Record = false, true, down }), false, false, false},
		{"its own region said so, and is not heard now", changed(func(f *Foreign) { f.Told, f.Heard, f.Up, f.Lost, f.Record = false, false, false, true, down }), false, false, true},
		{"it is fenced there", changed(func(f *Foreign) { f.Fenced = true }), true, false, true},
		{"its process ended, and nobody has noticed yet", changed(func(f *Foreign) { f.Agent.Sights = &Sights{} }), true, false, true},
		{"its agent names no other region", changed(func(f *Foreign) { f.Agent.Sights = nil }), true, false, true},
		{"it hibernates", changed(func(f *Foreign) { f.Agent.Cassandra = &CassandraFacts{Mode: "STARTING"} }), true, false, true},
		{"nobody has said how it is made up", changed(func(f *Foreign) { f.Agent.Cassandra = nil }), true, false, true},
	}
	for _, r := range rows {
		w := World{Abroad: map[cluster.Name]Foreign{"b1": r.f}, Schema: &cluster.Schema{Members: []cluster.Member{{Name: "b1"}}}}
		reads, serves, cutter := w.mayRead("b1"), w.Serves("b1"), len(w.keepers("n1")) == 1
		if reads != r.reads || serves != r.serves || cutter != r.cutter || w.compares("b1") != r.serves {
			t.Errorf("%s: may read %v, serves %v, is asked for a cut %v", r.why, reads, serves, cutter)
		}
	}
}

// Whom another region's agent sees it may read, whatever the Cassandras here believe.
func TestWhoSeesANodeIsAsked(t *testing.T) {
	far := changed(func(f *Foreign) { f.Up, f.Lost = false, true })
	w := World{Abroad: map[cluster.Name]Foreign{"b1": far}, Schema: &cluster.Schema{Members: []cluster.Member{{Name: "b1"}}},
		SeenAbroad: map[cluster.Name]map[cluster.Name]isolate.Seen{"n1": {"b1": {Sight: isolate.Up}}}}
	if peers := w.livePeers("n1"); len(peers) != 1 {
		t.Errorf("b1 sees n1 and is not asked: %v", peers)
	}
	far.Heard = false
	w.Abroad["b1"] = far
	if peers, seen := w.livePeers("n1"), w.sightings("n1"); len(peers) != 0 || len(seen) != 0 {
		t.Errorf("what b1 said before it went counts still: %v, %v", peers, seen)
	}
}

func TestWhenAMemberIsOutOfReach(t *testing.T) {
	sees := func(down ...string) Agent { return Agent{Sights: &Sights{Runs: true, Down: down}} }
	alive := membership.Verdict{Answer: membership.Alive}
	gone := membership.Verdict{Answer: membership.Gone, Cause: membership.ProcessDown, Own: membership.Exited, Drain: true}
	since := map[cluster.Name]cluster.Moment{"b1": cluster.Moment(time.Hour)}
	rows := []struct {
		why      string
		a1, a2   Agent
		v2       membership.Verdict
		since    map[cluster.Name]cluster.Moment
		after    time.Duration
		up, lost bool
	}{
		{"all here miss it, for long enough", sees("10.0.0.1"), sees("10.0.0.1"), alive, since, LostAfter, false, true},
		{"not for long enough yet", sees("10.0.0.1"), sees("10.0.0.1"), alive, since, LostAfter - 1, false, false},
		{"they have begun to miss it", sees("10.0.0.1"), sees("10.0.0.1"), alive, nil, LostAfter, false, false},
		{"one here sees it", sees("10.0.0.1"), sees(), alive, since, LostAfter, false, false},
		{"they miss another one", sees("10.0.0.2"), sees("10.0.0.2"), alive, since, LostAfter, true, false},
		{"one here was not asked", sees("10.0.0.1"), Agent{}, alive, since, LostAfter, false, false},
		{"one here was not asked, and the other one sees it", sees(), Agent{}, alive, since, LostAfter, true, false},
		{"nobody here was asked", Agent{}, Agent{}, alive, nil, LostAfter, false, false},
		{"one here has no process, by its own agent alone", sees("10.0.0.1"), Agent{Sights: &Sights{}}, alive, since, LostAfter, false, false},
		{"one here is gone", sees("10.0.0.1"), Agent{Sights: &Sights{}}, gone, since, LostAfter, false, true},
		{"one here hibernates, and sees it", sees("10.0.0.1"), sees(), gone, since, LostAfter, false, false},
		{"nobody here misses it", sees(), sees(), alive, nil, LostAfter, true, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			w := World{Now: cluster.Moment(time.Hour).Add(r.after), Abroad: map[cluster.Name]Foreign{"b1": {}},
				Hosts:  map[cluster.Name]cluster.Host{"a1": {}, "a2": {}},
				Agents: map[cluster.Name]Agent{"a1": r.a1, "a2": r.a2},
				View:   membership.View{Verdicts: map[cluster.Name]membership.Verdict{"a1": alive, "a2": r.v2}},
				Schema: &cluster.Schema{Members: []cluster.Member{{Name: "a1", Address: "10.0.0.11"}, {Name: "a2", Address: "10.0.0.12"}, {Name: "b1", Address: "10.0.0.1"}}}}
			w.LookAbroad(w.NowLost(r.since))
			if f := w.Abroad["b1"]; f.Up != r.up || f.Lost != r.lost {
				t.Errorf("up %v, lost %v", f.Up, f.Lost)
			}
		})
	}
}

func TestWhereTheSeedsOfARegionAreThatIsDown(t *testing.T) {
	gone := membership.Verdict{Answer: membership.Gone, Cause: membership.ProcessDown, Own: membership.Exited, Drain: true}
	alive := membership.Verdict{Answer: membership.Alive}
	missed := changed(func(f *Foreign) { f.Up = false })
	rows := []struct {
		why  string
		a1   Agent
		v1   membership.Verdict
		b1   Foreign
		want bool
	}{
		{"nothing runs here", Agent{Sights: &Sights{}}, gone, missed, true},
		{"its agent is not heard", Agent{Sights: &Sights{}}, gone, changed(func(f *Foreign) { f.Up, f.Heard = false, false }), false},
		{"it hibernates", Agent{Sights: &Sights{}}, gone, changed(func(f *Foreign) { f.Up, f.Agent.Cassandra = false, &CassandraFacts{Mode: "STARTING"} }), false},
		{"one here runs and misses it", Agent{Sights: &Sights{Runs: true, Down: []string{"10.0.0.1"}}}, alive, missed, false},
		{"one here was not asked", Agent{}, alive, missed, false},
		{"one here sees it", Agent{Sights: &Sights{Runs: true}}, alive, inOrder, true},
	}
	for _, r := range rows {
		w := World{Abroad: map[cluster.Name]Foreign{"b1": r.b1}, Hosts: map[cluster.Name]cluster.Host{"a1": {}}, Agents: map[cluster.Name]Agent{"a1": r.a1},
			View:   membership.View{Verdicts: map[cluster.Name]membership.Verdict{"a1": r.v1}},
			Schema: &cluster.Schema{Members: []cluster.Member{{Name: "a1", Address: "10.0.0.11"}, {Name: "b1", Address: "10.0.0.1"}}}}
		if got := w.seeds("b1"); got != r.want {
			t.Errorf("%s: a seed %v", r.why, got)
		}
	}
}

func TestTheSameCauseElsewhereIsAStorm(t *testing.T) {
	wall := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rows := []struct {
		why   string
		cause membership.Cause
		began time.Time
		told  bool
		storm bool
	}{
		{"the same cause", membership.HostGone, wall.Add(-time.Minute), true, true},
		{"by a clock that is ahead", membership.HostGone, wall.Add(time.Minute), true, true},
		{"long ago", membership.HostGone, wall.Add(-time.Hour), true, false},
		{"another cause", membership.ProcessDown, wall, true, false},
		{"nobody tells of it now", membership.HostGone, wall, false, false},
	}
	for _, r := range rows {
		w := twoDatacenters(map[cluster.Datacenter]int{"dc1": 3})
		w.Wall = wall
		w.View.Verdicts["a1"] = membership.Verdict{Node: "a1", Answer: membership.Gone, Cause: membership.HostGone}
		w.Abroad = map[cluster.Name]Foreign{"c1": {Region: "us", Told: r.told, Record: &Record{Node: "c1", Cause: r.cause, Began: r.began}}}
		storm, reason := Storm(w, "dc1")
		if storm != r.storm || storm && !strings.Contains(reason, "c1 in region us") {
			t.Errorf("%s: storm %v, %s", r.why, storm, reason)
		}
	}
}

func TestAQuorumOverRegionsIsCountedWhereAllAreHeard(t *testing.T) {
	both := map[cluster.Datacenter]int{"dc1": 3, "us1": 3}
	rows := []struct {
		why    string
		c1, c2 Foreign
		want   string
	}{
		{"everybody serves", inOrder, inOrder, ""},
		{"two are down there", changed(func(f *Foreign) { f.Up = false }), changed(func(f *Foreign) { f.Up = false }), "3 of 6 replicas, need 4"},
		{"one of them is not heard, so nobody can count", changed(func(f *Foreign) { f.Up = false }), changed(func(f *Foreign) { f.Heard = false }), ""},
	}
	for _, r := range rows {
		w := twoDatacenters(both)
		w.Abroad = map[cluster.Name]Foreign{"c1": r.c1, "c2": r.c2, "c3": inOrder}
		for i, n := range []cluster.Name{"c1", "c2", "c3"} {
			w.Schema.Members = append(w.Schema.Members, cluster.Member{Name: n, Datacenter: "us1", Rack: "r", Address: string(n), Tokens: []int64{int64(i)*100 + 7}})
		}
		if got := newTurn(Record{Node: "a1", Datacenter: "dc1"}, w).quorumFault(); (got == "") != (r.want == "") || !strings.Contains(got, r.want) {
			t.Errorf("%s: got %q", r.why, got)
		}
	}
}

// A region that lost its power must not take its ring for one that missed nothing.
func TestAnotherRegionTakesWrites(t *testing.T) {
	rows := []struct {
		why          string
		f            Foreign
		sure, unsure bool // whether it took writes, as far as is known, and where unknown says yes
	}{
		{"it serves", inOrder, true, true},
		{"it is out of reach", changed(func(f *Foreign) { f.Heard, f.Lost = false, true }), true, true},
		{"it is not heard", changed(func(f *Foreign) { f.Heard = false }), false, true},
		{"its process ended, nobody knows when", changed(func(f *Foreign) { f.Agent.Sights = &Sights{} }), false, true},
	}
	for _, r := range rows {
		w := World{Abroad: map[cluster.Name]Foreign{"b1": r.f}}
		if sure, unsure := takesWrites(w, "b1", 1, false), takesWrites(w, "b1", 1, true); sure != r.sure || unsure != r.unsure {
			t.Errorf("%s: %v, and %v", r.why, sure, unsure)
		}
	}
}

func TestWhoLacksWritesElsewhere(t *testing.T) {
	wall := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	of := func(r Record) Foreign { return changed(func(f *Foreign) { f.Record = &r }) }
	rows := []struct {
		why           string
		f             Foreign
		lacks, repair bool // may lack writes; may be repaired with
	}{
		{"all is in order", inOrder, false, true},
		{"its gate started it unasked", changed(func(f *Foreign) { f.Agent.Unrepaired = true }), true, true},
		{"an agent there saw it silent in its return", changed(func(f *Foreign) { f.Lapsed = true }), true, true},
		{"its process was gone", of(Record{Cause: membership.ProcessDown, Phase: Draining}), true, true},
		{"its clients alone were shut out", of(Record{Cause: membership.CQLDead, Phase: Draining}), false, true},
		{"it is past its deadline", of(Record{Cause: membership.ProcessDown, Outage: Outage{Deadline: wall}}), true, false},
	}
	for _, r := range rows {
		w := World{Wall: wall, Abroad: map[cluster.Name]Foreign{"b1": r.f}}
		_, lacks := w.lacking("b1")
		if repair := newTurn(Record{Node: "n1"}, w).mayRepairWith("b1"); lacks != r.lacks || repair != r.repair {
			t.Errorf("%s: lacks %v, repaired with %v", r.why, lacks, repair)
		}
	}
	lost := of(Record{Node: "b1", Cause: membership.ProcessDown, Began: wall})
	w := World{Abroad: map[cluster.Name]Foreign{"b1": lost}, Hints: time.Hour}
	if !newTurn(Record{Node: "n1", Began: wall}, w).lostKeeper() {
		t.Error("the hints that b1 kept for n1 are taken for there")
	}
}

// The only copies beside the node's stand in another region, or one stands here too.
func TestWhoComparesWithAnotherRegion(t *testing.T) {
	silent := changed(func(f *Foreign) { f.Heard = false })
	rows := []struct {
		why   string
		hosts []cluster.Name
		b2    Foreign
		agent cluster.Name
		with  string
	}{
		{"the other copies stand there: the node itself", []cluster.Name{"n3", "b1", "b2"}, inOrder, "n3", "n3 b1 b2"},
		{"without one that does not serve any more", []cluster.Name{"n3", "b1", "b2"}, silent, "n3", "n3 b1"},
		{"one here has a copy: it compares", []cluster.Name{"n3", "b1", "n1"}, inOrder, "n1", "n1 n3 b1"},
		{"that one is not reached: nobody else takes its place", []cluster.Name{"n3", "b1", "n2"}, inOrder, "", ""},
	}
	for _, r := range rows {
		w := World{View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n1": {Answer: membership.Alive}, "n2": {Answer: membership.Alive}}},
			Agents: map[cluster.Name]Agent{"n1": {}, "n3": {}}, Abroad: map[cluster.Name]Foreign{"b1": inOrder, "b2": r.b2}}
		job := repair.Job{Segments: []repair.Segment{{Keyspace: "ks", Hosts: r.hosts}}}
		agent, segments := newTurn(Record{Node: "n3", Return: &Return{Step: Previewing, Job: &job}}, w).previewPlan()
		var with []string
		for _, s := range segments {
			for _, h := range s.Hosts {
				with = append(with, string(h))
			}
		}
		if agent != r.agent || strings.Join(with, " ") != r.with {
			t.Errorf("%s: %q compares %v", r.why, agent, with)
		}
	}
}
