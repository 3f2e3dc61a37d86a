// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/obey"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// broken notes a violation; the run ends with the first.
func (w *world) broken(invariant, format string, args ...any) {
	if !slices.ContainsFunc(Checks(), func(c Check) bool { return c.Name == invariant }) {
		panic("no check is called " + invariant)
	}
	if invariant == w.o.Blind {
		return
	}
	if w.full {
		format = "the full pass finds what no change showed: " + format
	}
	if w.rep.Violation == "" {
		w.rep.Invariant = invariant
		w.rep.Violation = fmt.Sprintf("%s at %s, step %d: ", invariant, time.Duration(w.now-epoch), w.steps) + fmt.Sprintf(format, args...)
		w.note("VIOLATION %s", w.rep.Violation)
	}
}

// dirty notes that the truth changed which standing checks read.
func (w *world) dirty() { w.stale = w.stale || !w.bug(numb) }

// everySecond checks what time alone can make untrue.
func (w *world) everySecond() {
	w.after(second, w.everySecond)
	w.leases()
	w.settleWrites()
	w.tooShort()
	w.forgotten()
	for _, n := range w.nodes {
		w.helpless(n)
	}
	w.staleReads()
	w.cutsHold()
	w.missesNodes()
	w.inTime()
	w.truths(false)
	if len(w.standing) > 0 || len(w.rep.Struck) > 0 && !w.quiet() {
		w.rep.Active += second
	}
}

func get[T any](w *world, key string) (v T, ok bool) {
	kv, there := w.store.Get(key)
	if !there {
		return v, false
	}
	v, err := lead.ReadOnce[T](w.decoded, kv, true)
	return v, err == nil
}

// actBegins checks an act against what is committed and what was obeyed.
func (w *world) actBegins(a *agent, key string, o incident.Order, taken obey.Taken) {
	w.note("%s does %s %s", a.id, o.ID, o.Once.Verb)
	// What was decided in the moment between claim and act is the race that a
	// claim is for; the claim itself must be this boot's.
	if at, ok := get[incident.Order](w, key); ok && (at.State != incident.Claimed || at.By != a.id) {
		w.broken(string(incident.IntentFirst), "%s acts on %s, which is %s by %q", a.id, o.ID, at.State, at.By)
	}
	if (w.journal.away || w.journal.alien) && w.journal.begun == "" {
		w.journal.begun = o.ID
	}
	resource := string(a.n.name) + "/" + taken.Resource
	if taken.Mark.Token.Compare(w.tokens[resource]) < 0 {
		w.broken(string(incident.TokenNeverFalls), "%s obeys %s after %s", a.id, taken.Mark.Token, w.tokens[resource])
	}
	w.tokens[resource] = taken.Mark.Token
	if other := w.acting[resource]; other != "" && other != o.ID && taken.Resource == obey.Cassandra {
		w.broken(oneAtATime, "%s begins %s while %s is not over", a.id, o.ID, other)
	}
	if taken.Resource == obey.Cassandra {
		w.budgetHolds(a, o)
	}
	w.acting[resource], w.actedAt[resource] = o.ID, w.now
	if w.settled[settledAs(o)] {
		w.broken(intentOnce, "%s does %s again, which was done", a.id, o.ID)
	}
}

// did notes that an effect was begun in the world, whether or not anybody lives to
// tell of it. The same under another order's name is no second time: who does it
// looks first, so that a start, an end and a join are then nothing, and a repair or
// a look may be done twice.
func (w *world) did(o incident.Order) { w.settled[settledAs(o)] = true }

// touch does one act of a fence, and holds it against quorum-survives.
func (w *world) touch(n *node, act isolate.Act, f isolate.Fence) {
	w.note("%s: act %d of the fence of %s", n.name, act, f.Incident)
	switch act {
	case isolate.RaiseSeverity:
		w.quorumSurvives(n)
		n.setSeverity(w.fencing())
		n.excused, n.pardoned = false, false
	case isolate.StopNative:
		n.native = false
	case isolate.LowerSeverity:
		w.withinGrace(n, "is opened")
		n.setSeverity(0)
	case isolate.StartNative:
		n.native = true
	}
	w.dirty()
}

// steady is how long the others must have been as they are before a leader
// must know of it.
const steady = 12 * time.Second

func (w *world) quorumSurvives(n *node) {
	if !n.answers() || w.now.Sub(max(n.changedAt, n.helplessAt, n.shakenAt, n.agent.laggedAt)) < steady {
		return // harm is measured against the moment of the decision
	}
	for _, p := range w.ring {
		serve, mine, lately := 0, false, false
		for _, name := range p.Replicas {
			r := w.byName[name]
			switch {
			case name == n.name:
				mine = true
			case r.home() == n.home():
				if r.takes() && r.severity == 0 {
					serve++
				}
				lately = lately || w.now.Sub(max(r.changedAt, r.shakenAt)) < steady
			}
		}
		if mine && !lately && serve < cluster.Quorum(w.factor) {
			w.broken(string(incident.QuorumSurvives), "%s is fenced and a range of it keeps %d replicas", n.name, serve)
		}
	}
}

// killOrdered ends a process by order: only one that nobody may read from.
func (w *world) killOrdered(n *node, o incident.Order) {
	meant := o.Once.Process
	if o.Once.Silent {
		w.fences(n)
	}
	if n.process != meant || n.read() && !w.unnoticed(n) {
		w.broken(string(incident.UnknownDestroysNothing), "%s is killed by order: it runs %s, %s was meant; anybody reads there: %v", n.name, n.process, meant, n.read())
	}
	n.kill("by order")
}

// repairBegins checks who takes part, and that hibernation is a fence.
func (w *world) repairBegins(a *agent, o incident.Order) {
	for _, s := range o.Once.Segments {
		for _, h := range s.Hosts {
			if !w.allowed(w.byName[h]) {
				w.broken(string(incident.NoBorderCrossing), "%s repairs %s with %s", a.id, s.Keyspace, h)
			}
		}
	}
	n := a.n
	if n.mode != starting {
		return
	}
	for _, peer := range w.nodes {
		s := peer.sees[n.name]
		if peer != n && peer.takes() && w.linked(peer, n) && w.now.Sub(max(peer.changedAt, peer.shakenAt)) > steady && s.up && s.generation == n.generation {
			w.broken(hibernationDown, "%s is repaired asleep and %s says UP of it", n.name, peer.name)
		}
	}
}

// plainStart is a plain start by order: nothing may have been acknowledged
// while the node was away.
func (w *world) plainStart(n *node) {
	w.rep.Cold++
	n.unremembered()
	for _, id := range w.unsettled {
		x := &w.writes[id]
		me := x.place.bit(n)
		if x.place.must&me != 0 && x.acked && x.at > n.wentAt.Add(4*second) && (x.held|x.forgiven)&me == 0 {
			w.broken(coldStart, "%s starts plainly and lacks write %d of %s, after it went", n.name, id, time.Duration(x.at-epoch))
			break
		}
	}
	w.leftAlone(n)
}

// grace is how long what was written a moment ago, or a plain start that
// nobody of us did, may go unnoticed.
const grace = 20 * time.Second

func (w *world) staleReads() {
	for _, n := range w.nodes {
		if !w.allowed(n) || !n.takes() {
			continue
		}
		if n.excused && w.now.Sub(max(n.changedAt, n.helplessAt, n.neededAt)) > grace {
			if _, open := w.store.Get(store.Open(n.name)); !open {
				n.excused = false
				w.note("%s is excused no more", n.name)
			}
		}
		if !n.read() || n.excused || n.pardoned || n.past() {
			continue
		}
		if n.severity >= isolate.SeverityFenced && w.now.Sub(n.changedAt) < second {
			continue // a plain start opened its transport; the fence closes it at the next look
		}
		if w.unnoticed(n) {
			continue
		}
		if l := w.missing(n); len(l) > 0 {
			w.broken(noStaleRead, "%s may be read and lacks %d acknowledged writes, first %d of %s; severity %v native %v", n.name, len(l), l[0],
				time.Duration(w.writes[l[0]].at-epoch), n.severity, n.native)
		}
	}
}

// unnoticed tells whether something happened to the node so lately, by nobody
// of us, that nobody can have kept readers off it.
func (w *world) unnoticed(n *node) bool {
	return n.deaf || n.shakenAt != 0 && w.now.Sub(max(n.shakenAt, n.helplessAt, n.neededAt)) < grace
}

// helpless notes when nobody could have kept readers off a node, or was to do
// so: without a leader, without its agent, in mode observe; and when it was needed,
// whatever it lacks.
func (w *world) helpless(n *node) {
	a := n.agent
	if !w.led() || w.waits() || w.policy.ModeOf(n.home()) == incident.Observe || w.handsOff(n) || w.passesForGone(n) || !a.answers() || !a.reaches() || a.closed != "" || a.blind || a.behind || n.mute || n.nonsense || w.journal.full || w.journal.slow != 0 {
		n.helplessAt = w.now
		return
	}
	if w.needed(n) {
		n.neededAt = w.now
	}
}

// finalChecks are those of the end: the journal's chain, and no silent wait.
func (w *world) finalChecks(late bool) {
	if w.rep.Violation != "" {
		return
	}
	w.journalHolds()
	for _, r := range w.open() {
		if r.Phase == incident.Held {
			w.rep.Held++
			w.heldBehindFence(r)
			continue
		}
		w.broken(string(incident.NoSilentWait), "%s about %s is %s for ever, waits for %q", r.ID, r.Node, r.Phase, r.Waits)
	}
	if !late || w.rep.Violation != "" {
		return
	}
	for _, n := range w.nodes {
		if _, open := w.store.Get(store.Open(n.name)); !open && !n.takes() {
			w.broken(string(incident.NoSilentWait), "%s is down and no incident is open", n.name)
		}
	}
}

func (w *world) journalHolds() {
	kvs, _ := w.store.List(store.Logs)
	var entries []incident.Entry
	folder := ""
	for _, kv := range kvs {
		var e incident.Entry
		if json.Unmarshal(kv.Value, &e) != nil {
			w.broken(journalChain, "%s cannot be read", kv.Key)
			return
		}
		if f := store.Split(kv.Key, store.Logs)[0]; f != folder {
			if incident.Chain("", entries) >= 0 {
				w.broken(journalChain, "the chain of %s breaks", folder)
			}
			folder, entries = f, nil
		}
		entries = append(entries, e)
	}
	if i := incident.Chain("", entries); i >= 0 {
		w.broken(journalChain, "the chain of %s breaks at %s", folder, entries[i].ID)
	}
}

// heldBehindFence wants a held return behind its fence.
func (w *world) heldBehindFence(r incident.Record) {
	n := w.byName[r.Node]
	proven := r.Return != nil && r.Return.Step >= incident.Ramping
	// A person is told so, or paused it.
	read := w.needed(n) || strings.Contains(r.Held, incident.ReadAnyway) || w.mayBePaused(n)
	if r.Return == nil || proven || read || !n.takes() || n.excused || n.pardoned {
		return
	}
	if n.native || n.severity < isolate.SeverityFenced {
		if l := w.missing(n); len(l) > 0 {
			w.broken(heldIsSafe, "%s is held (%s) and %s may be read", r.ID, r.Held, r.Node)
		}
	}
}

func (w *world) open() []incident.Record {
	kvs, _ := w.store.List(store.Incidents)
	var out []incident.Record
	for _, kv := range kvs {
		if r, err := lead.ReadOnce[incident.Record](w.decoded, kv, true); err == nil {
			out = append(out, r)
		}
	}
	return out
}

// quiet tells whether nothing is left to be waited for.
func (w *world) quiet() bool {
	for _, r := range w.open() {
		if r.Phase != incident.Held {
			return false
		}
	}
	for _, n := range w.nodes {
		if _, open := w.store.Get(store.Open(n.name)); !open && !n.answers() {
			return false
		}
	}
	return true
}
