// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/obey"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// errands takes up orders, the oldest token first, one at a time per resource.
func (a *agent) errands() {
	p := a.state.Picture
	if !a.whole || !a.reaches() || len(p.Orders) == 0 {
		return
	}
	for _, key := range p.OrdersByToken() {
		o := p.Orders[key]
		if a.inHand[key] {
			continue
		}
		if taken := a.wouldTake(&o); taken.What != obey.Leave && !a.lane[taken.Resource] {
			a.claim(key, o, taken)
		}
	}
}

// wouldTake is what this boot does with an order as things stand.
func (a *agent) wouldTake(o *lead.OrderAt) obey.Taken {
	p := a.state.Picture
	return obey.Take(a.n.marks, asFound(o.Order, a.w.bug(forgetMarks) || a.w.bug(resumedClaim)), p.Token(o.Create), p.Awaits(o.Order),
		obey.Facts{Self: a.n.name, Boot: a.id, HostID: a.n.place.HostID, Era: p.Era.Value.Era, Closed: a.closed})
}

// claim takes an order into this boot's hands, or leaves it.
func (a *agent) claim(key string, o lead.OrderAt, taken obey.Taken) {
	if taken.What == obey.Known || taken.What == obey.Refuse {
		a.inHand[key], a.lane[taken.Resource] = true, true
		a.perform(key, o.Order, o.Mod, taken)
		return
	}
	txn, err := obey.Claim(key, o.Order, o.Mod, a.state.Picture.Era.Mod, a.claimant())
	if err != nil || a.dies(beforeClaim, o.Once.Verb.String()) {
		return
	}
	a.inHand[key], a.lane[taken.Resource] = true, true
	if a.w.bug(noClaim) {
		a.perform(key, o.Order, o.Mod, taken)
		return
	}
	a.commit(txn, func(res store.Result, err error) {
		if err != nil || !res.OK {
			a.free(key, taken)
			return
		}
		if !a.dies(afterClaim, o.Once.Verb.String()) {
			a.perform(key, o.Order, res.Rev, taken)
		}
	})
	a.dies(claimOnItsWay, o.Once.Verb.String())
}

func (a *agent) free(key string, taken obey.Taken) {
	delete(a.inHand, key)
	delete(a.lane, taken.Resource)
}

// perform marks, acts, marks again and settles.
func (a *agent) perform(key string, o incident.Order, mod int64, taken obey.Taken) {
	switch taken.What {
	case obey.Known:
		a.settle(key, o, mod, taken, taken.Mark.Outcome, taken.Mark.Result)
		return
	case obey.Refuse:
		a.settle(key, o, mod, taken, incident.TurnedAway, incident.Result{Rule: taken.Rule, Why: taken.Why})
		return
	case obey.Leave, obey.Start, obey.Resume:
	}
	if a.w.bug(lostToken) && len(a.n.marks) > 0 {
		taken.Mark.Token = cluster.Token{}
	}
	a.w.actBegins(a, key, o, taken)
	a.comesBack(key, o, mod, taken)
	a.n.marks = a.n.marks.With(taken.Resource, taken.Mark)
	if a.dies(afterMark, o.Once.Verb.String()) {
		return
	}
	a.endsEarly(key, o, mod, taken)
	began := a.now()
	ended := func(out incident.Outcome, res incident.Result) {
		delete(a.w.acting, string(a.n.name)+"/"+taken.Resource)
		a.w.did(o)
		if a.dies(afterEffect, o.Once.Verb.String()) {
			return
		}
		res.Took = a.now().Sub(began)
		m := taken.Mark
		m.Done, m.Outcome, m.Result = true, out, res
		a.n.marks = a.n.marks.With(taken.Resource, m)
		a.w.note("%s: %s %s %s %s", a.id, o.ID, o.Once.Verb, out, res.Why)
		if a.w.bug(forgetMarks) && a.starts == 1 {
			a.crash() // between act and report: the moment that marks are for
			return
		}
		if a.dies(afterEnd, o.Once.Verb.String()) {
			return
		}
		a.after(a.w.between(0, 50*time.Millisecond), func() { a.settle(key, o, mod, taken, out, res) })
	}
	a.after(a.w.between(time.Millisecond, 100*time.Millisecond), func() {
		a.act(o, ended)
		a.dies(inEffect, o.Once.Verb.String())
	})
}

// settle tells how it ended until the store knows.
func (a *agent) settle(key string, o incident.Order, mod int64, taken obey.Taken, out incident.Outcome, res incident.Result) {
	txn, err := obey.Settle(key, o, mod, a.state.Picture.Era.Mod, a.id, out, res)
	if err != nil {
		return
	}
	a.commit(txn, func(r store.Result, err error) {
		if err != nil {
			a.after(500*time.Millisecond, func() { a.settle(key, o, mod, taken, out, res) })
			return
		}
		a.free(key, taken)
	})
	a.dies(settleOnItsWay, o.Once.Verb.String())
}

type outcome func(incident.Outcome, incident.Result)

func (a *agent) act(o incident.Order, ended outcome) {
	if a.w.chance(0.04) {
		a.after(a.w.between(0, second), func() { ended(incident.Failed, incident.Result{Why: "bad luck"}) })
		return
	}
	switch o.Once.Verb {
	case incident.VerbStart:
		a.start(o, ended)
	case incident.VerbKill:
		a.restarted()
		a.kill(o, ended)
	case incident.VerbJoinRing:
		if a.tooLate(o, nil, ended) {
			return
		}
		a.n.undisturbed(o)
		a.join(o.Once.Process, ended)
	case incident.VerbRepair:
		a.repair(o, ended)
	case incident.VerbPreview:
		a.preview(o, ended)
	case incident.VerbReadRows:
		a.readRows(o, ended)
	case incident.VerbPowerOff, incident.VerbPowerStatus:
		a.power(o, ended)
	default:
		ended(incident.TurnedAway, incident.Result{Rule: incident.IntentFirst})
	}
}

// kill ends the process that is meant; one that is to be ended because it hangs
// is asked once more.
func (a *agent) kill(o incident.Order, ended outcome) {
	n := a.n
	switch {
	case a.w.bug(oneWord):
	case !n.runs() || n.process != o.Once.Process && !a.w.bug(anyKill):
	case o.Once.Silent && !a.bars(o):
		ended(incident.TurnedAway, incident.Result{Rule: incident.IntentFirst, Why: "no fence stands that keeps a process from starting"})
		return
	case o.Once.Silent && a.spared(o):
		ended(incident.TurnedAway, incident.Result{Rule: incident.UnknownDestroysNothing, Why: "it does not hang"})
		return
	default:
		a.w.did(o)
		a.w.killOrdered(n, o)
	}
	ended(incident.Done, incident.Result{})
}

// bars has the gate know the fence, on its disk, before a process ends that the
// unit would start again at once.
func (a *agent) bars(o incident.Order) bool {
	f, stands := a.state.Picture.FenceOf(a.n.name, o.Incident)
	if !stands || !f.Levels.Has(isolate.Process) {
		return false
	}
	a.n.local = a.n.local.Fenced(f)
	return true
}

// spared is the last look of an executor before it ends a process for hanging.
func (a *agent) spared(incident.Order) bool {
	if a.w.bug(lateKill) {
		a.n.wakes()
		return false
	}
	return a.n.reads() || cqlLook(a.n, true) != membership.Silent
}

func (a *agent) start(o incident.Order, ended outcome) {
	f, stands := a.state.Picture.FenceOf(a.n.name, o.Incident)
	if !stands {
		ended(incident.TurnedAway, incident.Result{Rule: incident.IntentFirst, Why: "no fence of this incident stands"})
		return
	}
	hibernate := f.Start == isolate.Hibernate
	a.n.local = a.n.local.Starting(f)
	if !a.n.runs() {
		switch ans := a.n.gate(0); ans.Start {
		case isolate.Hibernate:
			a.n.ordered++
			a.w.did(o)
			a.n.start(true)
		case isolate.Normal:
			if hibernate {
				a.w.broken(gateObeys, "%s was told to hibernate and its gate starts it plainly: %s", a.n.name, ans.Rule)
			}
			a.w.plainStart(a.n)
			a.w.did(o)
			a.n.start(false)
		default:
			ended(incident.Failed, incident.Result{Why: "the gate says " + ans.Start.String() + " by " + ans.Rule})
			return
		}
	}
	a.awaitStart(a.n.process, hibernate, a.w.now.Add(o.Limit), ended)
}

func (a *agent) awaitStart(process cluster.Boot, hibernate bool, until moment, ended outcome) {
	n := a.n
	switch {
	case !n.runs() || n.process != process:
		ended(incident.Failed, incident.Result{Why: "it ended while it started"})
	case a.w.now > until:
		ended(incident.Uncertain, incident.Result{})
	case !n.reads():
		a.after(200*time.Millisecond, func() { a.awaitStart(process, hibernate, until, ended) })
	case hibernate && n.mode == normal:
		ended(incident.Failed, incident.Result{Why: "it runs in the ring"})
	case hibernate && (n.mode == starting && n.sleeps || n.mode == normal) && n.w.now.Sub(n.changedAt) > 4500*time.Millisecond && n.severity >= isolate.SeverityFenced,
		!hibernate && n.answers():
		ended(incident.Done, incident.Result{Process: n.process, Generation: n.generation})
	default:
		if hibernate && n.severity < isolate.SeverityFenced {
			n.setSeverity(isolate.SeverityFenced)
			n.changedAt = n.w.now
		}
		a.after(200*time.Millisecond, func() { a.awaitStart(process, hibernate, until, ended) })
	}
}

func (a *agent) join(process cluster.Boot, ended outcome) {
	n := a.n
	switch {
	case n.process != process:
		ended(incident.TurnedAway, incident.Result{Rule: incident.IntentFirst, Why: "the process that was to join the ring is gone"})
	case !n.reads():
		ended(incident.Failed, incident.Result{Why: "no answer"})
	case n.mode == normal:
		ended(incident.Done, incident.Result{})
	default:
		n.w.withinGrace(n, "joins the ring")
		n.joins(n.process, false)
		ended(incident.Done, incident.Result{})
	}
}

// hold lists the unsettled writes that any of the hosts has.
func (w *world) hold(hosts []cluster.Name) map[int]bool {
	some := map[int]bool{}
	for _, id := range w.unsettled {
		x := &w.writes[id]
		if x.held&x.place.of(w, hosts) != 0 {
			some[id] = true
		}
	}
	return some
}

// of is the set of the hosts that are replicas of the place.
func (p *place) of(w *world, hosts []cluster.Name) (set replicas) {
	for _, h := range hosts {
		set |= p.bit(w.byName[h])
	}
	return set
}

// fill gives a node what the hosts of a segment have of the ranges they share.
func (w *world) fill(n *node, snapshot map[int]bool, hosts []cluster.Name) {
	for _, id := range w.unsettled {
		x := &w.writes[id]
		me := x.place.bit(n)
		shared := snapshot[id] && x.held&me == 0 && x.place.must&me != 0
		for _, h := range hosts {
			m := w.byName[h]
			shared = shared && (x.place.must&x.place.bit(m) != 0 || !w.allowed(m))
		}
		if shared {
			n.store(id)
		}
	}
}

func (a *agent) preview(o incident.Order, ended outcome) {
	a.after(a.w.between(200*time.Millisecond, second), func() {
		target := a.w.byName[o.Once.Target]
		if !a.n.takes() || !target.takes() || !a.w.linked(a.n, target) || a.n.mute {
			ended(incident.Failed, incident.Result{Why: "no answer"})
			return
		}
		var res incident.Result
		if len(a.w.lacks(target, a.w.now)) > 0 || a.w.rng.Intn(4) == 0 {
			res.Differs = []string{"ks.t"}
		}
		for i := range o.Once.Segments {
			res.Done = append(res.Done, o.Once.First+i)
		}
		if a.w.chance(0.1) { // the limit passed in the middle
			res.Done = res.Done[:a.w.rng.Intn(len(res.Done))]
			ended(incident.Uncertain, res)
			return
		}
		ended(incident.Done, res)
	})
}

// readRows reads a few rows only: it may miss what a repair missed.
func (a *agent) readRows(o incident.Order, ended outcome) {
	a.after(a.w.between(100*time.Millisecond, second), func() {
		target := a.w.byName[o.Once.Target]
		if !a.n.answers() || !target.answers() || !a.w.talks(a.n.name, target.name) {
			ended(incident.Failed, incident.Result{Why: "no answer"})
			return
		}
		if a.w.chance(0.2) { // a table of counters
			ended(incident.Done, incident.Result{Unread: []string{"ks.t"}})
			return
		}
		res := incident.Result{Read: 3}
		lacks := a.w.lacks(target, a.w.now)
		if len(lacks) > 0 && a.w.rng.Intn(len(a.w.writes)) < len(lacks)*3 {
			res.Old = 1
		}
		ended(incident.Done, res)
	})
}
