// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/residency"
)

var update = flag.Bool("update", false, "write what happens into the stories")

// TestStories plays every script in testdata. A block is some commands, a line
// of dashes, and the whole visible outcome.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { playFile(t, f) })
	}
}

func playFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	var out []string
	for _, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
		commands, want, _ := strings.Cut(block, "----\n")
		commands = strings.TrimRight(strings.TrimSuffix(commands, "----"), "\n")
		got := ""
		for line := range strings.SplitSeq(commands, "\n") {
			if line != "" && !strings.HasPrefix(line, "#") {
				got += s.do(strings.Fields(line))
			}
		}
		got = strings.TrimRight(got+s.settle(), "\n")
		if want = strings.TrimRight(want, "\n"); want != got && !*update {
			t.Errorf("after\n%s\n---- want\n%s\n---- got\n%s", commands, want, got)
		}
		out = append(out, commands+"\n----\n"+got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// stage is a world that obeys: what Next orders stands at once, what is read
// back and what executors say is told by the script.
type stage struct {
	t             *testing.T
	w             World
	rev           int64
	records       map[cluster.Name]Record
	asked         map[cluster.Name]Record // repairs that people asked for
	entered       map[cluster.Name]cluster.Moment
	policy        Policy
	closed        map[cluster.Name]int
	byWall        map[cluster.Name]bool // its leader did not see the node go
	lapsed        map[cluster.Name]bool
	joined        map[cluster.Name]Joined
	loads         loads
	older, fenced map[cluster.Name]bool // its record, its fence was written before the store was recovered, and was not since
}

func newStage(t *testing.T) *stage {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &stage{t: t, records: map[cluster.Name]Record{}, asked: map[cluster.Name]Record{}, entered: map[cluster.Name]cluster.Moment{}, closed: map[cluster.Name]int{},
		byWall: map[cluster.Name]bool{}}
	s.w = World{Now: cluster.Moment(100 * time.Second), Wall: began, Hosts: map[cluster.Name]cluster.Host{},
		View:   membership.View{Began: 1, Verdicts: map[cluster.Name]membership.Verdict{}},
		Fences: map[cluster.Name]StandingFence{}, Pools: map[string]StandingPool{},
		Seen: map[cluster.Name]map[cluster.Name]isolate.Seen{}, PoolSeen: map[string]map[cluster.Name]PoolSeen{},
		Agents: map[cluster.Name]Agent{}}
	s.policy = DefaultPolicy()
	s.policy.Modes["dc1"] = Auto
	s.policy.Regions["eu"] = []cluster.Datacenter{"dc1"}
	s.policy.Residency = residency.Open([]cluster.Region{"eu"})
	s.policy.KnownRows = []KnownRows{{"ks", "t", 10}}
	s.policy.AcceptAuthRF = true
	s.policy.Version = 1
	return s
}

// ring makes the first n nodes, one a rack, and one keyspace of three copies.
func (s *stage) ring(n int) {
	var hosts []cluster.Host
	var schema cluster.Schema
	var members []cluster.Name
	for i := 1; i <= n; i++ {
		name := cluster.Name(fmt.Sprintf("n%d", i))
		rack := cluster.Rack(fmt.Sprintf("r%d", (i-1)%3+1))
		h := cluster.Host{Name: name, HostID: cluster.HostID("id-" + string(name)), Region: "eu", Datacenter: "dc1", Rack: rack}
		hosts, members = append(hosts, h), append(members, name)
		s.w.Hosts[name] = h
		schema.Members = append(schema.Members, cluster.Member{Name: name, Datacenter: "dc1", Rack: rack,
			Address: string(name), Tokens: []int64{int64(i) * 100}})
		s.w.Agents[name] = Agent{Cassandra: &CassandraFacts{Version: "5.0.9", Tokens: 1, Seeds: []string{"n1", "n2", "n3"}}}
		s.w.View.Verdicts[name] = membership.Verdict{Node: name, Answer: membership.Alive, Own: membership.Good,
			Process: cluster.Boot("p-" + string(name)), Of: n, Heard: n, Against: n}
	}
	schema.Keyspaces = []cluster.Keyspace{{Name: "ks", Replication: cluster.Replication{Strategy: cluster.NetworkTopology,
		Factors: map[cluster.Datacenter]int{"dc1": 3}}, Tables: []cluster.Table{{Name: "t", GCGrace: 10 * 24 * time.Hour}}}}
	s.w.Schema = &schema
	s.w.Topology = membership.NewTopology(hosts)
	s.policy.Pools = []loadbalancer.Declared{{Name: "web", Backend: "cql", Members: members, Writers: members[:1],
		Proxies: []loadbalancer.Proxy{{Name: "ha", Socket: "/run/ha.sock"}}}}
	s.w.Policy = &s.policy
}

// do plays one command and returns what it shows at once.
func (s *stage) do(words []string) string {
	verb, args := words[0], map[string]string{}
	var names []cluster.Name
	for _, word := range words[1:] {
		if k, v, ok := strings.Cut(word, "="); ok {
			args[k] = v
		} else {
			names = append(names, cluster.Name(word))
		}
	}
	play, known := commands[verb]
	if !known {
		s.t.Fatalf("no command %q; known: %v", verb, slices.Sorted(maps.Keys(commands)))
	}
	return play(s, names, args)
}

var commands = map[string]func(*stage, []cluster.Name, map[string]string) string{
	"ring": func(s *stage, n []cluster.Name, args map[string]string) string {
		s.ring(s.number(args["nodes"]))
		if args["proxies"] != "" {
			for i := range s.number(args["proxies"]) - 1 {
				p := &s.policy.Pools[0]
				p.Proxies = append(p.Proxies, loadbalancer.Proxy{Name: fmt.Sprintf("ha%d", i+2), Socket: "/run/other.sock"})
			}
		}
		return ""
	},
	"policy": (*stage).applyPolicy,
	// node NAME answer=gone cause=process_down own=exited process=p2
	"node":  (*stage).judge,
	"begin": (*stage).begin,
	"adopt": (*stage).adopt,
	"stand": (*stage).stand,
	"own":   (*stage).ownSays,
	"peers": (*stage).peersSay,
	"order": (*stage).ended,
	"wait":  func(s *stage, n []cluster.Name, args map[string]string) string { s.pass(args["for"]); return "" },
	// schema version=V: it was read again; without arguments it never was
	"schema": func(s *stage, n []cluster.Name, args map[string]string) string {
		schema := *s.w.Schema
		if schema.Version, s.w.Schema = args["version"], &schema; schema.Version == "" {
			s.w.Schema = nil
		}
		return ""
	},
	"agent": (*stage).agentSays,
	// lapse NAME: it was silent for a moment, and nobody could decide
	"lapse": func(s *stage, n []cluster.Name, _ map[string]string) string {
		s.lapsed = map[cluster.Name]bool{n[0]: true}
		return ""
	},
	// gcgrace for=60s: of every table
	"gcgrace": (*stage).setGCGrace,
}

func (s *stage) setGCGrace(_ []cluster.Name, args map[string]string) string {
	d, err := time.ParseDuration(args["for"])
	if err != nil {
		s.t.Fatal(err)
	}
	schema := *s.w.Schema
	schema.Keyspaces = slices.Clone(schema.Keyspaces)
	for i, ks := range schema.Keyspaces {
		schema.Keyspaces[i].Tables = slices.Clone(ks.Tables)
		for j := range ks.Tables {
			schema.Keyspaces[i].Tables[j].GCGrace = d
		}
	}
	s.w.Schema = &schema
	return ""
}

// agentSays is what a node's agent says of its Cassandra's make-up: facts=none
// of one that has not asked yet. Without arguments the agent is gone.
func (s *stage) agentSays(names []cluster.Name, args map[string]string) string {
	n := names[0]
	delete(s.w.Agents, n)
	if len(args) == 0 {
		return ""
	}
	facts := &CassandraFacts{Version: "5.0.9", Tokens: 1, Seeds: []string{"n1", "n2", "n3"}}
	var alive time.Time
	unrepaired, cuts := false, false
	var power *Powers
	for k, v := range args {
		switch k {
		case "power": // power=n3: its hook told whether the host of n3 is on; power=no: it could not
			power = &Powers{Can: []cluster.Name{cluster.Name(v)}}
			if v == "no" {
				power = &Powers{Cannot: map[cluster.Name]string{"n3": "exit_code_1"}}
			}
		case "unrepaired":
			unrepaired = true
		case "cuts":
			cuts = v == "yes"
		case "facts":
			facts = nil
		case "seeds":
			facts.Seeds = strings.Split(v, ",")
		case "schema":
			facts.Schema = v
		case "alive":
			if err := alive.UnmarshalText([]byte(v)); err != nil {
				s.t.Fatal(err)
			}
		case "snitch":
			facts.SnitchOff = v == "off"
		case "version":
			facts.Version = v
		case "moving":
			facts.Moving = strings.Split(v, ",")
		case "hints":
			window, err := time.ParseDuration(v)
			if err != nil {
				s.t.Fatal(err)
			}
			facts.HintWindow = window
		default:
			s.t.Fatalf("an agent has no %q", k)
		}
	}
	s.w.Agents[n] = Agent{Cassandra: facts, Alive: alive, Unrepaired: unrepaired, Cuts: cuts, Power: power, Control: power != nil}
	return ""
}

func (s *stage) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *stage) pass(text string) {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	s.w.Now, s.w.Wall = s.w.Now.Add(d), s.w.Wall.Add(d)
	for n, v := range s.w.View.Verdicts { // order: each for itself; the judge goes on judging
		v.At = s.w.Now
		s.w.View.Verdicts[n] = v
	}
}

func (s *stage) applyPolicy(names []cluster.Name, args map[string]string) string {
	if len(names) > 0 && names[0] == "none" {
		s.w.Policy = nil
		return ""
	}
	p := s.policy
	p.Version++
	for k, v := range args {
		switch k {
		case "mode":
			var m Mode
			if err := m.UnmarshalText([]byte(v)); err != nil {
				s.t.Fatal(err)
			}
			p.Modes = map[cluster.Datacenter]Mode{"dc1": m}
		case "batch":
			p.Return.BatchMax = s.number(v)
		case "slow":
			p.Slow.Act = v == "act"
		case "residency":
			p.Residency = residency.Open([]cluster.Region{cluster.Region(v)})
		default:
			s.t.Fatalf("policy has no %q", k)
		}
	}
	s.policy, s.w.Policy = p, &p
	return ""
}

func (s *stage) judge(names []cluster.Name, args map[string]string) string {
	for _, n := range names {
		v := s.w.View.Verdicts[n]
		for k, word := range args {
			var err error
			switch k {
			case "answer":
				err = answerOf(&v.Answer, word)
			case "cause":
				err = v.Cause.UnmarshalText([]byte(word))
			case "own":
				err = v.Own.UnmarshalText([]byte(word))
			case "process":
				v.Process = cluster.Boot(word)
			case "looks": // looks=silent or refused: what everybody else's connections meet
			case "slow": // slow=3: so many observers find it slow
			case "reached": // reached=yes: it is gone by its own agent's word alone
			case "seen": // seen=never, or how long ago an observer had an answer from it
			default:
				err = fmt.Errorf("a node has no %q", k)
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
		v.Drain = v.Answer == membership.Gone && args["reached"] == ""
		if v.Answer == membership.Alive && args["cause"] != "planned" {
			v.Cause = membership.NoCause
		}
		s.slowly(&v, args["slow"])
		v.For, v.At, v.Since = 0, s.w.Now, s.w.Now
		if v.Drain {
			v.For, v.LastAlive = v.Of, s.w.Now.Add(-time.Second)
		}
		if args["looks"] != "" {
			v.Ballots = s.ballots(v, args["looks"])
		}
		switch seen := args["seen"]; seen {
		case "":
		case "never":
			v.LastAlive = 0
		default:
			v.LastAlive = s.ago(seen)
		}
		s.w.View.Verdicts[n] = v
	}
	return ""
}

// ballots are those of everybody when all connections meet the same since now;
// own=good of a process that lives, which is silent to its own agent too.
func (s *stage) ballots(v membership.Verdict, how string) []membership.Ballot {
	var meets membership.Outcome
	if err := meets.UnmarshalText([]byte(how)); err != nil {
		s.t.Fatal(err)
	}
	met := func(o cluster.Name, p membership.Path, is membership.Outcome) membership.Report {
		return membership.Report{Look: membership.Look{Subject: v.Node, Path: p, Outcome: is, Misses: 9}, Observer: o, At: s.w.Now}
	}
	var out []membership.Ballot
	for _, o := range slices.Sorted(maps.Keys(s.w.Hosts)) {
		b := membership.Ballot{Observer: o, Datacenter: "dc1", Rack: s.w.Hosts[o].Rack, Own: o == v.Node, Vote: membership.For}
		switch {
		case b.Own && v.Own == membership.NoWord:
			b.Vote = membership.Unheard
		case b.Own:
			b.Cites = []membership.Report{met(o, membership.Process, v.Own), met(o, membership.CQL, meets), met(o, membership.Admin, meets)}
		default:
			storage := meets
			if meets == membership.Silent {
				storage = membership.Good // its kernel takes connections
			}
			b.Cites = []membership.Report{met(o, membership.CQL, meets), met(o, membership.Storage, storage)}
			if v.Cause == membership.HostGone {
				b.Cites[1].Outcome = meets
			}
			if outOfReach(v) {
				b.Cites = append(b.Cites, met(o, membership.Phi, meets))
			}
		}
		if meets == membership.Good {
			b.Vote = membership.Against
		}
		out = append(out, b)
	}
	return out
}

func answerOf(a *membership.Answer, word string) error { return a.UnmarshalText([]byte(word)) }

func (s *stage) begin(names []cluster.Name, _ map[string]string) string {
	out := ""
	for _, n := range names {
		v := s.w.View.Verdicts[n]
		unasked, started := WorthUnasked(v, s.w)
		slow, slows := WorthSlow(s.worldOf(n), "dc1")
		switch {
		case started:
			v = unasked
		case slows && slow.Node == n:
			v = slow
		case !Worth(v):
			out += fmt.Sprintf("%s is not worth an incident\n", n)
			continue
		}
		s.w.Ledger.NextIncident++
		out += s.take(Begin(fmt.Sprintf("inc-%d", s.w.Ledger.NextIncident), v, s.worldOf(n)))
	}
	return out
}

// adopt has another leader go on: saw=nothing of one that did not see the node go.
func (s *stage) adopt(names []cluster.Name, args map[string]string) string {
	out := ""
	for _, n := range names {
		s.byWall[n] = args["saw"] == "nothing"
		out += s.take(Next(s.records[n], Adopted{By: "n2"}, s.worldOf(n)))
	}
	return out
}

func (s *stage) worldOf(n cluster.Name) World {
	w := s.w
	r, open := s.records[n]
	if open {
		w.Elapsed = w.Wall.Sub(r.Began)
		w.InStep = w.Now.Sub(s.entered[n])
		w.ByWall = s.byWall[n]
		if w.Lapsed = s.lapsed; !SilenceSpoils(r) {
			delete(s.lapsed, n)
		}
	}
	w.Older, w.OlderFence = s.older[n], s.fenced[n]
	s.loads.tell(&w)
	s.joined = w.NowJoined(s.joined)
	w.Joined = s.joined
	w.Open = nil
	for _, other := range slices.Sorted(maps.Keys(s.records)) {
		w.Open = append(w.Open, s.records[other])
	}
	w.Repairs = s.repairs()
	if storm, why := Storm(w, "dc1"); storm {
		w.Storm = why
	}
	return w
}

// take lets a decision come true and tells it.
func (s *stage) take(d Decision) string {
	s.rev++
	n := d.Record.Node
	s.keep(d)
	s.w.Ledger = d.Ledger
	delete(s.older, n)
	ops := 2 + len(d.Lines) + len(d.Effects)
	out := ""
	for _, l := range d.Lines {
		out += "  " + string(l.Kind) + ": " + Sentence(l.Code, l.Args)
		if l.Rule != "" {
			out += " [" + string(l.Rule) + "]"
		}
		out += "\n"
		if _, known := sentences[l.Code]; !known {
			s.t.Errorf("%s has no sentence", l.Code)
		}
	}
	for _, e := range d.Effects {
		out += "  -> " + s.effect(e) + "\n"
	}
	if ops >= 16 {
		s.t.Errorf("%d writes in one transaction", ops)
	}
	if d.Record.Phase == Closed && !d.Record.Asked() {
		out += s.quiet(d.Record)
		delete(s.records, n)
		s.closed[n]++
	}
	return out
}

// quiet holds a closed incident against what it must have given back.
func (s *stage) quiet(r Record) string {
	for _, h := range s.w.Ledger.Holders {
		if h.Incident == r.ID {
			s.t.Errorf("%s is closed and still in the ledger", r.ID)
		}
	}
	if _, fenced := s.w.Fences[r.Node]; fenced {
		s.t.Errorf("%s is closed and fenced", r.Node)
	}
	if r.Return != nil && r.Return.Job != nil {
		s.t.Errorf("%s is closed and takes %d segments to the archive", r.ID, len(r.Return.Job.Segments))
	}
	for _, p := range s.w.Pools {
		if p.Wants[r.Node] != loadbalancer.Full {
			s.t.Errorf("%s is closed and %s in pool %s", r.Node, p.Wants[r.Node], p.Name)
		}
	}
	return fmt.Sprintf("%s closed\n", r.Node)
}

func (s *stage) effect(e Effect) string {
	token := cluster.Token{Era: max(1, s.w.Era), Rev: s.rev}
	switch {
	case e.Fence != nil:
		s.w.Fences[e.Fence.Node] = StandingFence{*e.Fence, token}
		delete(s.fenced, e.Fence.Node)
		return fmt.Sprintf("fence %s: %s, start %s", e.Fence.Node, e.Fence.Levels, e.Fence.Start)
	case e.Lift != "":
		delete(s.w.Fences, e.Lift)
		return "lift the fence of " + string(e.Lift)
	case e.Pool != nil:
		s.w.Pools[e.Pool.Name] = StandingPool{Pool: *e.Pool, Token: token}
		var out []string
		for _, m := range e.Pool.Members() {
			if e.Pool.Wants[m] != loadbalancer.Full {
				out = append(out, string(m)+" "+e.Pool.Wants[m].String())
			}
		}
		if out == nil {
			out = []string{"everybody in full"}
		}
		return "pool " + e.Pool.Name + ": " + strings.Join(out, ", ")
	}
	of := ""
	for _, segment := range e.Once.Segments {
		if len(segment.Tables) > 0 {
			of += fmt.Sprintf(", %s %s", segment.Keyspace, strings.Join(segment.Tables, " "))
		}
	}
	return fmt.Sprintf("order %s to %s (%d segments%s)", e.Once.Verb, e.Once.Agent, len(e.Once.Segments), of)
}

// stand has every pool read back as it is wanted, except at the proxies that
// are named: one is silent, has the node stuck at ready or drain, or lacks it.
func (s *stage) stand(_ []cluster.Name, args map[string]string) string {
	for name, p := range s.w.Pools {
		seen := PoolSeen{Token: p.Token, Proxies: map[string]ProxyStatus{}}
		for _, proxy := range s.policy.Pools[0].Proxies {
			seen.Proxies[proxy.Name] = readBack(p.Pool, args[proxy.Name])
		}
		s.w.PoolSeen[name] = map[cluster.Name]PoolSeen{"n1": seen}
	}
	return ""
}

func readBack(want loadbalancer.Pool, how string) ProxyStatus {
	if how == "silent" {
		return ProxyStatus{Trouble: "no such file or directory"}
	}
	var st ProxyStatus
	for _, m := range want.Members() {
		a := loadbalancer.Actual{Server: m, Want: want.Wants[m].Want, Weight: max(want.Wants[m].Weight, 1), Normal: 100}
		switch {
		case how == "ready="+string(m):
			st.Trouble, a.Want, a.Weight = "Permission denied", loadbalancer.Ready, 100
		case how == "drain="+string(m):
			st.Trouble, a.Want = "Permission denied", loadbalancer.Drain
		case how == "lacks="+string(m):
			a.Server = "other-" + m
		}
		st.Actual = append(st.Actual, a)
	}
	return st
}

// ownSays is a node's own agent on its standing fence.
func (s *stage) ownSays(names []cluster.Name, args map[string]string) string {
	n := names[0]
	own := isolate.OwnState{Running: args["runs"] != "no", Mode: args["mode"], Process: cluster.Boot(args["process"]), Native: args["native"] == "on"}
	own.Generation = int64(s.number(args["gen"]))
	own.Severity = float64(s.number(args["severity"]))
	f := s.w.Fences[n]
	own.Applied = isolate.Stands(f.Fence, own)
	s.see(n, n, isolate.Seen{Token: f.Token, Own: &own})
	return ""
}

// peersSay is what all other live nodes' Cassandras say, or those named after
// the first.
func (s *stage) peersSay(names []cluster.Name, args map[string]string) string {
	who := names[1:]
	if len(who) == 0 {
		w := s.worldOf(names[0])
		who = w.livePeers(names[0])
	}
	var sight isolate.Sight
	if err := sight.UnmarshalText([]byte(args["sight"])); err != nil {
		s.t.Fatal(err)
	}
	for _, p := range who {
		s.see(names[0], p, isolate.Seen{Token: s.w.Fences[names[0]].Token, Sight: sight, Cut: args["cut"] == "yes", Uncut: args["uncut"],
			Generation: int64(s.number(args["gen"])), Severity: float64(s.number(args["severity"]))})
	}
	return ""
}

func (s *stage) see(node, agent cluster.Name, seen isolate.Seen) {
	all := s.w.Seen
	if _, foreign := s.w.Abroad[agent]; foreign {
		all = s.w.SeenAbroad
	}
	if all[node] == nil {
		all[node] = map[cluster.Name]isolate.Seen{}
	}
	all[node][agent] = seen
}

// ended settles the pending order of a node: order n3 done gen=5 process=p2.
func (s *stage) ended(names []cluster.Name, args map[string]string) string {
	r := s.records[names[0]]
	if len(r.Pending) == 0 {
		s.t.Fatalf("%s awaits nothing", names[0])
	}
	e := r.Pending[0]
	var outcome Outcome
	if err := outcome.UnmarshalText([]byte(names[1])); err != nil {
		s.t.Fatal(err)
	}
	res := Result{Why: args["why"], Process: cluster.Boot(args["process"]), Took: time.Second}
	for k, into := range map[string]*int{"read": &res.Read, "old": &res.Old, "missing": &res.Missing} {
		if args[k] != "" {
			*into = s.number(args[k])
		}
	}
	if args["gen"] != "" {
		res.Generation = int64(s.number(args["gen"]))
	}
	if args["differs"] != "" {
		res.Differs = strings.Split(args["differs"], ",")
	}
	if args["unread"] != "" {
		res.Unread = strings.Split(args["unread"], ",")
	}
	if args["done"] != "" {
		for word := range strings.SplitSeq(args["done"], ",") {
			res.Done = append(res.Done, s.number(word))
		}
	}
	if e.Once.Verb == VerbRepair && outcome == Done {
		for i := range e.Once.Segments {
			res.Done = append(res.Done, e.Once.First+i)
		}
	}
	return s.take(Next(r, Finished{Effect: e.ID, Outcome: outcome, Result: res}, s.worldOf(names[0])))
}

// settle looks again until nothing changes; an incident that never comes to
// rest would write to the store for ever.
func (s *stage) settle() string {
	out := ""
	const most = 20
	for range most {
		changed := false
		for _, n := range slices.Sorted(maps.Keys(s.records)) {
			d := Next(s.records[n], Looked{}, s.worldOf(n))
			if d.Changed {
				changed = true
				out += s.take(d)
			}
		}
		told := s.repairsLook()
		out, changed = out+told, changed || told != ""
		if !changed {
			return out + s.status()
		}
	}
	s.t.Errorf("no rest after %d turns", most)
	return out + s.status()
}

func (s *stage) status() string {
	out := ""
	for _, n := range slices.Sorted(maps.Keys(s.records)) {
		r := s.records[n]
		out += fmt.Sprintf("%s %s", n, r.Phase)
		if r.Return != nil {
			out += fmt.Sprintf("/%s try %d", r.Return.Step, r.Return.Tries)
		}
		out += slowStep(r)
		if r.Waits != "" {
			out += ", waits for " + string(r.Waits)
		}
		if len(r.Pending) > 0 {
			out += ", " + r.Pending[0].Once.Verb.String() + " pending"
		}
		for _, h := range s.w.Ledger.Holders {
			if h.Incident == r.ID {
				out += ", holds " + string(h.Kind)
			}
		}
		out += "\n"
	}
	return out + s.repairStatus()
}
