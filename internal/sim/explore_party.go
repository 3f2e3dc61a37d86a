// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/obey"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/isolate"
)

// party is one agent of an exploration: perhaps a leader, and an executor. Its
// marks are its disk.
type party struct {
	n       *node
	control bool
	up      bool
	cut     bool // the store does not hear it
	starts  int
	state   *lead.State
	took    trail // everything its state was given in this life
	watch   model.Watch
	mine    map[int64]bool // revisions of its own commits, of which it knows
	lease   model.Lease
	former  model.Lease // of an earlier life
	term    bool
	heir    bool // it was elected and has not read the store since
	relist  bool
	looked  sight0
	sent    []sent
	hand    *hand
	marks   obey.Marks
}

// sent is a transaction on its way, or its answer on the way back.
type sent struct {
	by     cluster.Boot
	lease  model.Lease
	txn    store.Txn
	commit *lead.Commit // nil: an executor's
	landed bool
	res    store.Result
	err    error
}

func (s sent) into(t *trail) {
	t.add(string(s.by), fmt.Sprint(s.lease, s.commit != nil, s.landed, s.res, s.err, s.txn.Compare, s.txn.Delete))
	for _, p := range s.txn.Put {
		t.add(p.Key, string(p.Value))
	}
}

// hand is the order that an executor has in hand.
type hand struct {
	stage stage
	key   string
	order incident.Order
	mod   int64
	taken obey.Taken
	out   incident.Outcome
	res   incident.Result
}

// stage is how far an executor is with its order.
type stage uint8

const (
	claiming stage = iota // the claim is on its way
	claimed
	marked
	acted
	ended
	settling // the word is on its way
)

func (p *party) into(t *trail, s *model.Store) {
	t.add(fmt.Sprint(p.up, p.cut, p.starts, uint64(p.took), p.watch.Rev, p.term, s.Live(p.lease), s.Live(p.former), p.heir, p.relist, p.looked, p.marks))
	for _, x := range p.sent {
		x.into(t)
	}
	if h := p.hand; h != nil {
		t.add(h.key, fmt.Sprint(h.stage, h.mod, h.taken.What, h.out, h.res))
	}
}

// boot begins a life with an empty memory.
func (c *scene) boot(p *party) {
	p.starts++
	p.n.agent.id = cluster.Boot(fmt.Sprintf("%s-a%d", p.n.name, p.starts))
	p.up, p.term, p.heir, p.relist, p.hand, p.sent = true, false, false, false, nil, nil
	p.took, p.watch, p.mine, p.looked = 0, model.Watch{}, map[int64]bool{}, sight0{}
	p.former, p.lease = p.lease, c.w.store.Grant()
	p.state = lead.New("c", p.n.name, "eu")
	c.turn(p, lead.Schemed{Schema: c.ground.schema}, "schema")
}

// crash loses the memory; the lease stands for a while, and what is on its way
// arrives or not.
func (c *scene) crash(p *party) {
	p.up, p.term, p.hand, p.relist = false, false, nil, false
	for _, s := range p.sent {
		if !s.landed {
			c.orphans = append(c.orphans, s)
		}
	}
	p.sent = nil
	for _, resource := range []string{obey.Cassandra, obey.Looks} {
		delete(c.w.acting, string(p.n.name)+"/"+resource)
	}
	if c.bug == forgetMarks {
		p.marks = nil
	}
}

// turn drives the real leader. said is what it was given, in words that differ
// when it differs.
func (c *scene) turn(p *party, in lead.Input, said ...string) {
	p.took.add(said...)
	p.took.add(fmt.Sprint(c.w.now))
	out := p.state.Turn(in, c.w.now, c.w.wall())
	for _, b := range p.state.Store.Broken {
		c.w.broken(b.Invariant, "broke in %s about %s: %s", p.n.agent.id, b.Incident, b.Detail)
	}
	for _, commit := range out.Commits {
		p.sent = append(p.sent, sent{by: p.n.agent.id, lease: p.lease, txn: commit.Txn, commit: &commit})
	}
	p.relist = p.relist || out.Relist
}

// elect makes an agent the leader.
func (c *scene) elect(p *party) {
	c.renew(p)
	term, won, err := c.w.store.Campaign(p.lease, string(p.n.name))
	if err != nil || !won {
		return
	}
	c.wrote.add("leads", string(p.n.agent.id), fmt.Sprint(term))
	p.term, p.heir = true, true
	c.turn(p, lead.Won{Term: term}, "won")
}

// renew gives an agent a lease when its last one ended.
func (c *scene) renew(p *party) {
	if !c.w.store.Live(p.lease) {
		p.lease = c.w.store.Grant()
	}
}

// notice tells a leader that its lease ended.
func (c *scene) notice(p *party) {
	p.term, p.looked = false, sight0{}
	c.turn(p, lead.Lost{}, "lost")
	c.renew(p)
}

// show gives a leader the judge's view.
func (c *scene) show(p *party) {
	p.looked = c.sight()
	c.turn(p, lead.Viewed{View: c.view()}, fmt.Sprint(p.looked))
}

// read gives an agent the whole store. The first reading of an heir replaces
// all that it knew before but the view, which no heir was shown.
func (c *scene) read(p *party) {
	kvs, rev := c.w.store.List("")
	p.relist = false
	if p.heir {
		p.heir, p.took = false, 0
	}
	c.changed(p, store.Batch{Rev: rev, KVs: kvs, Whole: true})
}

// behind tells whether the watch has something for an agent.
func (c *scene) behind(p *party) bool {
	w := p.watch
	_, more := c.pull(p, &w)
	return more
}

// pull is the next batch that is no echo of the agent's own commit.
func (c *scene) pull(p *party, w *model.Watch) (store.Batch, bool) {
	for {
		b, more := c.w.store.Pull(w)
		if !more || b.Whole || !p.mine[b.Rev] {
			return b, more
		}
	}
}

// watch gives an agent what changed: a leader the next revision, for it may
// decide between two, anybody else all there is.
func (c *scene) watch(p *party) {
	for {
		b, more := c.pull(p, &p.watch)
		if !more {
			return
		}
		c.changed(p, b)
		if p.term {
			return
		}
	}
}

func (c *scene) changed(p *party, b store.Batch) {
	said := []string{fmt.Sprint(b.Rev, b.Whole)}
	for _, kv := range b.KVs {
		said = append(said, kv.Key, fmt.Sprint(kv.Mod))
	}
	c.turn(p, lead.Changed{Batch: b}, said...)
}

// answer gives an agent the store's word about what it sent.
func (c *scene) answer(p *party, i int) {
	s := p.sent[i]
	p.sent = slices.Delete(p.sent, i, i+1)
	if s.err == nil && s.res.OK && s.commit != nil {
		p.mine[s.res.Rev] = true
	}
	c.heard(p, s)
}

// lose tells an agent that nobody knows about what it sent.
func (c *scene) lose(p *party, i int) {
	s := p.sent[i]
	p.sent = slices.Delete(p.sent, i, i+1)
	if !p.cut {
		c.left.Losses--
	}
	if !s.landed {
		c.orphans = append(c.orphans, s)
	}
	s.res, s.err = store.Result{}, errLost
	if c.bug == lostIsNot && s.commit != nil && !p.cut {
		s.txn.Compare = s.txn.Compare[:5] // that it leads; the rest it believes to know
		s.landed, s.res, s.err = false, store.Result{}, nil
		p.sent = append(p.sent, s)
		return
	}
	c.heard(p, s)
}

// heard takes an answer in.
func (c *scene) heard(p *party, s sent) {
	h := p.hand
	switch {
	case s.commit != nil:
		c.turn(p, lead.Answered{Commit: *s.commit, Result: s.res, Err: s.err}, "answer", fmt.Sprint(s.res, s.err), s.commit.Incident)
	case h == nil:
	case h.stage == claiming && s.err == nil && s.res.OK:
		h.stage, h.mod = claimed, s.res.Rev
	case h.stage == settling && s.err != nil:
		h.stage = ended
	default:
		p.hand = nil
	}
}

// nextOrder is the order that an executor would take up, the oldest first.
func (c *scene) nextOrder(p *party) (*hand, bool) {
	pic := p.state.Picture
	if p.hand != nil {
		return nil, false
	}
	for _, key := range pic.OrdersByToken() {
		o := pic.Orders[key]
		taken := obey.Take(p.marks, asFound(o.Order, c.bug == forgetMarks), pic.Token(o.Create), pic.Awaits(o.Order), obey.Facts{Self: p.n.name, Boot: p.n.agent.id, HostID: p.n.place.HostID, Era: pic.Era.Value.Era})
		if taken.What != obey.Leave {
			return &hand{key: key, order: o.Order, mod: o.Mod, taken: taken}, true
		}
	}
	return nil, false
}

func (c *scene) claim(p *party) {
	h, ok := c.nextOrder(p)
	if !ok {
		return
	}
	p.hand = h
	if c.bug == noClaim || h.taken.What == obey.Known || h.taken.What == obey.Refuse {
		h.stage = claimed
		return
	}
	txn, err := obey.Claim(h.key, h.order, h.mod, p.state.Picture.Era.Mod, p.n.agent.id)
	if err != nil {
		panic(err)
	}
	p.sent = append(p.sent, sent{by: p.n.agent.id, lease: p.lease, txn: txn})
}

// begin puts the mark on disk, or takes the answer from it.
func (c *scene) begin(p *party) {
	h := p.hand
	switch h.taken.What {
	case obey.Known:
		h.stage, h.out, h.res = ended, h.taken.Mark.Outcome, h.taken.Mark.Result
		return
	case obey.Refuse:
		h.stage, h.out, h.res = ended, incident.TurnedAway, incident.Result{Rule: h.taken.Rule, Why: h.taken.Why}
		return
	case obey.Leave, obey.Start, obey.Resume:
	}
	c.w.actBegins(p.n.agent, h.key, h.order, h.taken)
	p.marks = p.marks.With(h.taken.Resource, h.taken.Mark)
	h.stage = marked
}

// end puts the outcome on disk.
func (c *scene) end(p *party) {
	h := p.hand
	delete(c.w.acting, string(p.n.name)+"/"+h.taken.Resource)
	m := h.taken.Mark
	m.Done, m.Outcome, m.Result = true, h.out, h.res
	p.marks = p.marks.With(h.taken.Resource, m)
	c.w.settled[h.order.ID] = true
	h.stage = ended
}

func (c *scene) settle(p *party) {
	h := p.hand
	txn, err := obey.Settle(h.key, h.order, h.mod, p.state.Picture.Era.Mod, p.n.agent.id, h.out, h.res)
	if err != nil {
		panic(err)
	}
	h.stage = settling
	p.sent = append(p.sent, sent{by: p.n.agent.id, lease: p.lease, txn: txn})
}

// act does what an order says.
func (c *scene) act(p *party) {
	h := p.hand
	h.stage, h.out, h.res = acted, incident.Done, incident.Result{}
	once := h.order.Once
	switch once.Verb {
	case incident.VerbStart:
		c.start(p, h)
	case incident.VerbKill:
		if c.runs && c.process() == once.Process {
			c.runs, c.mode, c.native = false, down, false
		}
	case incident.VerbJoinRing:
		if !c.runs {
			h.out, h.res = incident.Failed, incident.Result{Why: "no answer"}
			return
		}
		c.mode = normal
	case incident.VerbRepair, incident.VerbPreview:
		for i := range once.Segments {
			h.res.Done = append(h.res.Done, once.First+i)
		}
	case incident.VerbReadRows:
		h.res.Read = 1
	case incident.VerbUnknown:
		h.out = incident.TurnedAway
	}
}

func (c *scene) start(p *party, h *hand) {
	f, stands := p.state.Picture.FenceOf(p.n.name, h.order.Incident)
	if !stands {
		h.out, h.res = incident.TurnedAway, incident.Result{Rule: incident.IntentFirst, Why: "no fence of this incident stands"}
		return
	}
	if !c.runs {
		c.starts++
		c.generation++
		c.runs, c.mode, c.native, c.severity = true, normal, true, 0
		if f.Start == isolate.Hibernate {
			c.mode, c.native, c.severity = starting, false, isolate.SeverityFenced
		}
	}
	h.res.Process, h.res.Generation = c.process(), c.generation
}

// told is what the agents would tell of the fence of the subject and have not
// told yet, each by its own picture. The subject's agent makes it stand first.
func (c *scene) told() []store.Put {
	var g ground
	for i, p := range c.parties {
		f, token, stands := p.state.Picture.Standing(c.parties[subject].n.name)
		if !p.up || p.cut || !stands {
			continue
		}
		seen := isolate.Seen{Token: token}
		if i == subject {
			own := c.own(f)
			seen.Own = &own
		} else {
			seen.Sight, seen.Generation, seen.Severity = isolate.Down, c.generation, c.severity
			if c.runs && c.mode == normal {
				seen.Sight = isolate.Up
			}
		}
		g.put(store.SeenFence(p.n.name, f.Node), seen)
	}
	return slices.DeleteFunc(g.puts, func(p store.Put) bool {
		kv, there := c.w.store.Get(p.Key)
		return there && string(kv.Value) == string(p.Value)
	})
}

// own is the subject's Cassandra once its agent has made the fence stand.
func (c *scene) own(f isolate.Fence) isolate.OwnState {
	own := isolate.OwnState{Running: c.runs, Process: c.process()}
	if c.runs {
		own.Mode, own.Generation, own.Native = c.mode, c.generation, c.mode == normal && !f.Levels.Has(isolate.Clients)
		if f.Levels.Has(isolate.Reads) {
			own.Severity = isolate.SeverityFenced
		}
	}
	own.Applied = c.runs && isolate.Stands(f, own)
	return own
}

// tell makes the fence stand, if its agent is there, and writes what all see.
func (c *scene) tell() {
	p := c.parties[subject]
	if f, _, stands := p.state.Picture.Standing(p.n.name); stands && p.up && !p.cut && c.runs {
		own := c.own(f)
		c.native, c.severity = own.Native, own.Severity
	}
	txn := store.Txn{Put: c.told()}
	if _, err := c.w.store.Commit(0, txn); err != nil {
		panic(err)
	}
	c.noteWrite(txn)
}
