// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/membership"
)

// State is what one agent knows as a (possible) leader. One loop owns it.
type State struct {
	Cluster string
	Self    cluster.Name
	Region  cluster.Region

	Picture *Picture
	Schema  *cluster.Schema // ring and keyspaces as a Cassandra last told; nil: never asked
	Store   incident.StoreFacts

	term   *store.Term
	clocks map[string]clock // by incident: this leader's own measure
	busy   map[cluster.Datacenter]bool
	resync bool // the picture may be stale: decide nothing until it was read whole
	resign bool // an invariant broke: let somebody else lead after the hold is written
	forgot bool // the store was gone over from, and what it knew with it
	served map[cluster.Datacenter]string
	abroad map[cluster.Region]*abroad      // the stores of other regions
	missed map[cluster.Name]cluster.Moment // see incident.World.NowLost
	broken map[cluster.Name]bool           // nodes whose opening broke an invariant
	view   membership.View
	// silent are the verdicts that were worth an incident that nobody opened.
	silent map[cluster.Name]silence
	downs  map[cluster.Name]cluster.Moment // since when this host's Cassandra believes a node down
	went   map[cluster.Name]cluster.Moment // when a node was last seen alive before it was not
	well   map[cluster.Name]bool           // nodes that were seen alive without an incident, since they went last
	lapsed map[cluster.Name]bool           // see incident.World
	pauses map[incident.Pause]paused       // those that stand
	joined map[cluster.Name]incident.Joined
	loads  map[cluster.Name]incident.Loaded
	given  given         // what is on its way to the store
	hints  time.Duration // the window that was told last
	told   map[cluster.Name]incident.Silence
	heeded map[word]bool // what others say of silences and was followed already

	stalled cluster.Moment // until when this agent abstains
	deaf    cluster.Moment // since when fewer than half of the observers are heard

	failed int            // commits in a row that were not written
	reason string         // why the last of them was not
	until  cluster.Moment // nothing is decided before
}

// clock is how long an incident and its step have lasted, on the boot clock of
// this leader.
type clock struct {
	began   cluster.Moment // zero: another leader opened it, and this one did not see its node go
	step    uint32
	entered cluster.Moment
}

// New is the state of an agent that leads nobody yet.
func New(clusterName string, self cluster.Name, region cluster.Region) *State {
	return &State{Cluster: clusterName, Self: self, Region: region, Picture: NewPicture(),
		clocks: map[string]clock{}, busy: map[cluster.Datacenter]bool{}, given: given{},
		served: map[cluster.Datacenter]string{}, broken: map[cluster.Name]bool{},
		silent: map[cluster.Name]silence{}, downs: map[cluster.Name]cluster.Moment{}, went: map[cluster.Name]cluster.Moment{}, well: map[cluster.Name]bool{}, lapsed: map[cluster.Name]bool{}, pauses: map[incident.Pause]paused{}}
}

// Input is one thing that happened to a leader.
type Input interface{ input() }

// The inputs.
type (
	// Changed is a piece of the watch, or the whole store.
	Changed struct{ Batch store.Batch }
	// Viewed is a new view of the judge.
	Viewed struct{ View membership.View }
	// Schemed is a fresh reading of ring and keyspaces.
	Schemed struct{ Schema cluster.Schema }
	// Abroad is a piece of another region's store; an empty one tells that nothing
	// else is new there.
	Abroad struct {
		Region      cluster.Region
		Batch       store.Batch
		EtcdCluster string // as its answers name it
	}
	// Ticked passes time.
	Ticked struct{}
	// Won and Lost begin and end a term.
	Won  struct{ Term store.Term }
	Lost struct{}
	// Answered is the store's answer to a Commit; Err means nobody knows.
	Answered struct {
		Commit Commit
		Result store.Result
		Err    error
	}
)

func (Changed) input()  {}
func (Viewed) input()   {}
func (Abroad) input()   {}
func (Schemed) input()  {}
func (Ticked) input()   {}
func (Won) input()      {}
func (Lost) input()     {}
func (Answered) input() {}

// Commit is one transaction a leader wants, and what it will have decided
// once it is written.
type Commit struct {
	Datacenter cluster.Datacenter
	Incident   string
	Txn        store.Txn
	Decision   incident.Decision
	Entries    []incident.Entry
	began      cluster.Moment // of an incident this commit opens
	asOf       cluster.Moment // when it was decided
}

// Out is what the loop around a leader has to do.
type Out struct {
	Commits []Commit
	Relist  bool // read the whole store again, linearizably
	Resign  bool // let the lease go
}

// Leading tells whether a term is held.
func (s *State) Leading() bool { return s.term != nil }

// Busy tells whether an answer of the store is awaited anywhere.
func (s *State) Busy() bool { return s.resync || len(s.busy) > 0 }

// Turn takes one input in and says what to do. It is a function of the state
// and its arguments only.
func (s *State) Turn(in Input, now cluster.Moment, wall time.Time) Out {
	var out Out
	switch in := in.(type) {
	case Changed:
		if taken := s.Picture.Apply(in.Batch); in.Batch.Whole {
			s.resync, out.Relist = !taken, !taken
		}
		s.heed()
	case Viewed:
		s.Look(in.View)
	case Schemed:
		schema := in.Schema.Ready()
		s.Schema = &schema
	case Abroad:
		s.readAbroad(in, now)
	case Ticked:
	case Won:
		s.term = &in.Term
		s.clocks = map[string]clock{}
		s.busy, s.given = map[cluster.Datacenter]bool{}, given{}
		s.resync, s.resign = true, false
		s.failed, s.until = 0, 0
		out.Relist = true
	case Lost:
		s.term = nil
	case Answered:
		out.Relist = s.answered(in)
		s.backOff(out.Relist, in.Err, now)
	}
	s.notePauses(now, wall)
	s.noteJoined(now, wall)
	s.noteLoads(in, now, wall)
	s.noteMissed(now, wall)
	s.decide(&out, now, wall)
	return out
}

// answered takes the store's word. What is written is taken into the picture
// at once, so that the next decision sees it; in any other case the picture
// is read anew: a failed compare means it was stale, an error means that
// nobody knows, and a late first commit and a second exclude each other.
func (s *State) answered(in Answered) (relist bool) {
	delete(s.busy, in.Commit.Datacenter)
	delete(s.given, in.Commit.Datacenter)
	if s.term == nil {
		return false
	}
	if in.Err != nil || !in.Result.OK {
		s.resync = true
		return true
	}
	s.Picture.Apply(written(in.Commit.Txn, in.Result.Rev))
	s.forgetLapses()
	s.heed()
	if in.Commit.began != 0 {
		s.clocks[in.Commit.Incident] = clock{began: in.Commit.began}
	}
	if ck, known := s.clocks[in.Commit.Incident]; known && ck.step == in.Commit.Decision.Record.Step {
		ck.entered = in.Commit.asOf // what was waited until then is in the record now
		s.clocks[in.Commit.Incident] = ck
	}
	if in.Commit.Decision.Record.Ended() {
		delete(s.clocks, in.Commit.Incident)
	}
	return false
}

// written is the batch a transaction makes.
func written(t store.Txn, rev int64) store.Batch {
	b := store.Batch{Rev: rev}
	for _, p := range t.Put {
		b.KVs = append(b.KVs, store.KV{Key: p.Key, Value: p.Value, Mod: rev, Create: rev})
	}
	for _, key := range t.Delete {
		b.KVs = append(b.KVs, store.KV{Key: key})
	}
	return b
}

// decide makes at most one commit per datacenter.
func (s *State) decide(out *Out, now cluster.Moment, wall time.Time) {
	if s.term == nil || s.resync || now < s.until || s.Picture.Era.Mod == 0 || len(s.Picture.Chain) > 0 || !s.warm(now) {
		return
	}
	if s.resign && len(s.busy) == 0 {
		s.resign = false
		out.Resign = true
		return
	}
	for _, dc := range s.datacenters() {
		if s.busy[dc] {
			continue
		}
		if c, ok := s.decideIn(dc, now, wall); ok {
			s.busy[dc], s.given[dc] = true, worksWith(c)
			out.Commits = append(out.Commits, c)
		}
	}
}

// warm tells whether the judge has watched one full window: an heir starts at
// Unknown and acts on nothing it has not seen itself.
func (s *State) warm(now cluster.Moment) bool {
	return s.view.Began != 0 && now.Sub(s.view.Began) >= s.Picture.Policy.Value.Bars().Fresh
}

// datacenters are those of the roster, by name.
func (s *State) datacenters() []cluster.Datacenter {
	var all []cluster.Datacenter
	for _, h := range s.Picture.Hosts { // order: sorted below
		if !slices.Contains(all, h.Datacenter) {
			all = append(all, h.Datacenter)
		}
	}
	slices.Sort(all)
	return all
}

// decideIn looks for the next commit in a datacenter: operators first, then
// open incidents in turn, then new ones, then what was left lying about.
func (s *State) decideIn(dc cluster.Datacenter, now cluster.Moment, wall time.Time) (Commit, bool) {
	if c, ok := s.words(dc, now, wall); ok {
		return c, true
	}
	if s.lawless() {
		return Commit{}, false
	}
	if records := s.rotation(dc); len(records) > 0 {
		base := s.base(dc, now, wall)
		for _, rec := range records {
			if c, ok := s.step(*rec, base); ok {
				s.served[dc] = rec.ID
				return c, true
			}
		}
	}
	if c, ok := s.open(dc, now, wall); ok {
		return c, true
	}
	if c, ok := s.repairs(dc, now, wall); ok {
		return c, true
	}
	return s.sweep(dc)
}

// rotation lists the open records of a datacenter, beginning after the one
// served last, so that a busy incident cannot starve another.
func (s *State) rotation(dc cluster.Datacenter) []*incident.Record {
	var records []*incident.Record
	open := s.Picture.OpenRecords()
	for i := range open {
		if open[i].Datacenter == dc {
			records = append(records, &open[i])
		}
	}
	last := slices.IndexFunc(records, func(r *incident.Record) bool { return r.ID == s.served[dc] })
	return slices.Concat(records[last+1:], records[:last+1])
}

// step lets one open incident go on.
func (s *State) step(rec incident.Record, base incident.World) (Commit, bool) {
	ck, mine := s.clocks[rec.ID]
	if !mine || ck.step != rec.Step {
		began := ck.began
		if !mine && !rec.Asked() {
			began = s.went[rec.Node]
		}
		ck = clock{began: began, step: rec.Step, entered: base.Now}
		s.clocks[rec.ID] = ck
	}
	w := s.aboutOpen(rec, ck, base)
	if !mine {
		return s.next(rec, incident.Adopted{By: s.Self}, w, "")
	}
	settled, there := s.Picture.firstOrder(func(o *OrderAt) bool {
		return o.Incident == rec.ID && o.State == incident.Settled && rec.Awaits(o.ID)
	})
	if !there {
		return s.next(rec, incident.Looked{}, w, "")
	}
	o := s.Picture.Orders[settled]
	return s.next(rec, incident.Finished{Effect: o.ID, Outcome: o.Outcome, Result: o.Result}, w, settled)
}

// next asks the one door; an invariant that breaks behind it holds the
// incident as it was and ends this leader's term.
func (s *State) next(rec incident.Record, ev incident.Event, w incident.World, folded string) (c Commit, ok bool) {
	defer func() {
		if b, broke := breach(recover()); broke {
			s.Store.Broken = append(s.Store.Broken, incident.Breach{Invariant: b.Invariant, Incident: rec.ID, Detail: b.Detail})
			s.resign = true
			c, ok = s.commit(rec, held(rec, w, b.Error()), w, folded)
		}
	}()
	d := decided(rec, ev, w)
	if !d.Changed && folded == "" {
		return Commit{}, false
	}
	return s.commit(rec, d, w, folded)
}

// breach is what a decision panicked with. Whatever it was, the record it was
// about is handed to people: a panic that is swallowed would be a silent wait.
func breach(panicked any) (b cluster.Broken, broke bool) {
	if panicked == nil {
		return cluster.Broken{}, false
	}
	if b, ok := panicked.(cluster.Broken); ok {
		return b, true
	}
	return cluster.Broken{Invariant: string(incident.NoSilentWait), Detail: fmt.Sprint(panicked)}, true
}

// open begins an incident about the first node that is worth one.
func (s *State) open(dc cluster.Datacenter, now cluster.Moment, wall time.Time) (Commit, bool) {
	worth := map[cluster.Name]opening{}
	for n := range s.view.Verdicts { // order: sorted below
		host, listed := s.Picture.Hosts[n]
		_, isOpen := s.Picture.Opens[n]
		if !listed || host.Datacenter != dc || isOpen || s.broken[n] {
			continue
		}
		if o, is := s.worth(n, now, wall); is {
			worth[n] = o
		}
	}
	for _, n := range slices.Sorted(maps.Keys(worth)) {
		if c, ok := s.begin(dc, worth[n], now, wall); ok {
			return c, true
		}
	}
	return s.openSlow(dc, now, wall)
}

func (s *State) begin(dc cluster.Datacenter, o opening, now cluster.Moment, wall time.Time) (c Commit, ok bool) {
	v := o.v
	ledger := s.Picture.Ledgers[dc].Value
	ledger.NextIncident++
	id := incidentID(dc, ledger.NextIncident)
	w := about(incident.Record{ID: id, Datacenter: dc, Node: v.Node}, clock{began: o.began, entered: now}, s.base(dc, now, wall))
	w.Ledger = ledger
	defer func() {
		if b, broke := breach(recover()); broke {
			s.Store.Broken = append(s.Store.Broken, incident.Breach{Invariant: b.Invariant, Incident: id, Detail: b.Detail})
			s.broken[v.Node] = true
			c, ok = Commit{}, false
		}
	}()
	d := incident.Begin(id, v, w)
	d.Record.Cluster = s.Cluster
	d.Record.Burst = s.burst(d.Record)
	w.Elapsed = max(0, now.Sub(v.Since))
	c, ok = s.commit(incident.Record{}, d, w, "")
	c.began = o.began
	return c, ok
}

// sweep removes orders that nobody waits for, and plans that nobody follows. Whoever still does one finds it
// gone when it settles; its next boot must not do hours later what nobody
// wants now.
func (s *State) sweep(dc cluster.Datacenter) (Commit, bool) {
	key, there := s.Picture.firstOrder(func(o *OrderAt) bool {
		if o.Once == nil || s.Picture.Hosts[o.Once.Target].Datacenter != dc {
			return false // without an order in it: written by somebody else; nobody obeys it either
		}
		rec, open := s.Picture.awaiting(o.Incident, o.Once.Target)
		return !open || !rec.Awaits(o.ID)
	})
	if !there {
		return s.sweepWork(dc)
	}
	txn := store.Txn{Compare: append(s.guards(), store.Compare{Key: key, Rev: s.Picture.Orders[key].Mod}), Delete: []string{key}}
	return Commit{Datacenter: dc, Txn: txn}, true
}

// base is what all decisions of one turn in a datacenter look at.
func (s *State) base(dc cluster.Datacenter, now cluster.Moment, wall time.Time) incident.World {
	w := s.World(dc, now, wall)
	if storm, reason := incident.Storm(w, dc); storm {
		w.Storm = reason
	}
	return w
}

// about is what one decision may look at.
func about(rec incident.Record, ck clock, w incident.World) incident.World {
	w.InStep = rec.Waited + max(0, w.Now.Sub(ck.entered))
	w.Elapsed, w.ByWall = max(0, w.Wall.Sub(rec.Began)), ck.began == 0
	if ck.began != 0 {
		w.Elapsed = max(0, w.Now.Sub(ck.began))
	}
	return w
}

// aboutOpen is that world for a record that stands in the store, perhaps since an
// older era.
func (s *State) aboutOpen(rec incident.Record, ck clock, base incident.World) incident.World {
	w := about(rec, ck, base)
	w.Older, w.OlderFence = s.Picture.Older(s.Picture.mod(rec)), s.Picture.olderFence(rec.Node)
	return w
}

// World is what is known of the region at this moment; findings and explain
// read it too.
func (s *State) World(dc cluster.Datacenter, now cluster.Moment, wall time.Time) incident.World {
	p := s.Picture
	w := incident.World{
		Now: now, Wall: wall, Policy: p.Policy.Value, View: s.view, Topology: s.Topology(), Hosts: p.Hosts,
		Schema: s.Schema, Ledger: p.Ledgers[dc].Value, Seen: p.Seen, PoolSeen: p.PoolSeen, Agents: p.Agents,
		Fences: make(map[cluster.Name]incident.StandingFence, len(p.Fences)),
		Pools:  make(map[string]incident.StandingPool, len(p.Pools)),
		Open:   p.OpenRecords(), Repairs: p.RepairRecords(), Store: s.Store, Lapsed: s.lapses(), Hints: s.hints, Joined: s.joined, Loads: s.loads, Busy: s.givenOut(dc),
		Era: p.Era.Value.Era, Recovery: p.Era.Value.Recovered, PolicyUnread: p.policyUnread(),
	}
	w.Holds = s.holds(now, wall)
	if w.Store.Unwritten == "" {
		w.Store.Unwritten = s.unwritten(now)
	}
	for n := range p.Fences {
		if f, token, stands := p.Standing(n); stands {
			w.Fences[n] = incident.StandingFence{Fence: f, Token: token}
		}
	}
	s.lookAbroad(&w)
	for n, pool := range p.Pools {
		w.Pools[n] = incident.StandingPool{Pool: pool.Value, Token: p.Token(pool.Mod), Older: p.Older(pool.Mod)}
	}
	return w
}

// Topology is who watches whom, by the roster. It is made once for a roster,
// since it costs the square of the hosts and every digest asks for it; nobody
// may change it.
func (s *State) Topology() membership.Topology {
	p := s.Picture
	if p.topology == nil {
		hosts := make([]cluster.Host, 0, len(p.Hosts))
		for _, n := range slices.Sorted(maps.Keys(p.Hosts)) {
			hosts = append(hosts, p.Hosts[n])
		}
		t := membership.NewTopology(hosts)
		p.topology = &t
	}
	return *p.topology
}
