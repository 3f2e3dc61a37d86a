// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/obey"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// write sends a transaction to the store and looks at what it changed.
func (w *world) write(lease model.Lease, t store.Txn) (store.Result, error) {
	if w.o.Bugs.NoCompare {
		t.Compare = nil
	}
	res, err := w.store.Commit(lease, t)
	if err != nil {
		if !w.store.Live(lease) {
			return res, err
		}
		w.broken("transaction", "%v", err)
		return res, err
	}
	if res.OK {
		w.written(t)
	}
	return res, err
}

// spoil plants the bugs of leaders.
func (w *world) spoil(t store.Txn) store.Txn {
	lose := func(folder string) {
		var kept []store.Put
		for _, p := range t.Put {
			if !strings.HasPrefix(p.Key, folder) {
				kept = append(kept, p)
			}
		}
		t.Put = kept
	}
	if w.o.Bugs.HalfPools {
		t.Put = halved(t.Put)
	}
	if w.o.Bugs.KeepLedger && w.rng.Intn(4) == 0 {
		lose(store.Ledgers)
	}
	return t
}

// halved leaves the first member out of every pool.
func halved(puts []store.Put) []store.Put {
	puts = slices.Clone(puts)
	for i, p := range puts {
		var pool loadbalancer.Pool
		if strings.HasPrefix(p.Key, store.Pools) && json.Unmarshal(p.Value, &pool) == nil {
			delete(pool.Wants, pool.Members()[0])
			puts[i].Value, _ = json.Marshal(pool)
		}
	}
	return puts
}

func get[T any](w *world, key string) (v T, ok bool) {
	kvs, _ := w.store.List(key)
	for _, kv := range kvs {
		if kv.Key == key {
			return v, json.Unmarshal(kv.Value, &v) == nil
		}
	}
	return v, false
}

// written checks a transaction that landed.
func (w *world) written(t store.Txn) {
	if n := len(t.Put) + len(t.Delete); n >= 16 {
		w.broken("transaction", "%d writes", n)
	}
	for _, p := range t.Put {
		switch {
		case strings.HasPrefix(p.Key, store.Orders):
			w.orderWritten(p)
		case strings.HasPrefix(p.Key, store.Archive):
			w.archived(p)
		case strings.HasPrefix(p.Key, store.Incidents):
			w.recordWritten(p)
		case strings.HasPrefix(p.Key, store.Pools):
			w.poolWritten(p)
		}
	}
	w.oneOpen()
}

func (w *world) orderWritten(p store.Put) {
	var o incident.Order
	if json.Unmarshal(p.Value, &o) != nil || o.State != incident.Claimed {
		return
	}
	if r, ok := get[incident.Record](w, store.Record(o.Incident)); !ok || !r.Awaits(o.ID) {
		w.broken(string(incident.IntentFirst), "%s was claimed by %s and no record waits for it", o.ID, o.By)
	}
}

func (w *world) recordWritten(p store.Put) {
	var r incident.Record
	if err := json.Unmarshal(p.Value, &r); err != nil {
		w.broken("format", "%s: %v", p.Key, err)
		return
	}
	if _, closed := w.archive[r.ID]; closed {
		w.broken(string(incident.ClosedIsQuiet), "%s opens again", r.ID)
	}
	step := ""
	if r.Return != nil {
		step = r.Return.Step.String()
	}
	w.note("%s %s %s %s waits %s held %s", r.ID, r.Node, r.Phase, step, r.Waits, r.Held)
}

// archived checks what a closed incident must have given back.
func (w *world) archived(p store.Put) {
	var r incident.Record
	if err := json.Unmarshal(p.Value, &r); err != nil {
		w.broken("format", "%s: %v", p.Key, err)
		return
	}
	if before, again := w.archive[r.ID]; again && !bytes.Equal(before, p.Value) {
		w.broken(string(incident.ClosedIsQuiet), "%s changed after its end", r.ID)
	}
	w.archive[r.ID] = p.Value
	w.rep.Closed++
	w.note("%s %s closed", r.ID, r.Node)
	if len(r.Pending) > 0 {
		w.broken(string(incident.ClosedIsQuiet), "%s is closed and waits for %d orders", r.ID, len(r.Pending))
	}
	if f, stands := get[isolate.Fence](w, store.Fence(r.Node)); stands {
		w.broken(string(incident.ClosedIsQuiet), "%s is closed and a fence of %s stands on %s", r.ID, f.Incident, r.Node)
	}
	if l, ok := get[incident.Ledger](w, store.Ledger(r.Datacenter)); ok {
		for _, h := range l.Holders {
			if h.Incident == r.ID {
				w.broken(string(incident.ClosedIsQuiet), "%s is closed and holds its budget", r.ID)
			}
		}
	}
	if pool, ok := get[loadbalancer.Pool](w, store.Pool("web")); ok && pool.Wants[r.Node] != loadbalancer.Full && r.Datacenter == "dc1" {
		w.broken(string(incident.ClosedIsQuiet), "%s is closed and %s is %s in its pool", r.ID, r.Node, pool.Wants[r.Node])
	}
	if n := w.byName[r.Node]; !n.excused && n.takes() {
		if l := w.lacks(n, w.now.Add(-second)); len(l) > 0 {
			w.broken("no-stale-read", "%s is closed and %s lacks %d acknowledged writes, first %d of %s", r.ID, r.Node, len(l), l[0], time.Duration(w.writes[l[0]].at-cluster.Moment(time.Hour)))
		}
	}
}

func (w *world) poolWritten(p store.Put) {
	var pool loadbalancer.Pool
	if json.Unmarshal(p.Value, &pool) != nil {
		return
	}
	if err := w.policy.Pools[0].Whole(pool); err != nil {
		w.broken(string(incident.PoolFloor), "%v", err)
	}
	ready := 0
	for _, wish := range pool.Wants {
		if wish.Want == loadbalancer.Ready {
			ready++
		}
	}
	if ready == 0 {
		w.broken(string(incident.PoolFloor), "nobody is wanted ready")
	}
}

// oneOpen holds records against the keys that open them.
func (w *world) oneOpen() {
	kvs, _ := w.store.List(store.Incidents)
	by := map[cluster.Name]string{}
	for _, kv := range kvs {
		var r incident.Record
		if json.Unmarshal(kv.Value, &r) != nil {
			continue
		}
		if other, twice := by[r.Node]; twice {
			w.broken(string(incident.OneOpenIncident), "%s and %s are both about %s", other, r.ID, r.Node)
		}
		by[r.Node] = r.ID
		if id, ok := get[string](w, store.Open(r.Node)); !ok || id != r.ID {
			w.broken(string(incident.OneOpenIncident), "%s is not the one that %s names: %q", r.ID, r.Node, id)
		}
	}
	w.rep.Opened = max(w.rep.Opened, len(kvs)+len(w.archive))
}

// actBegins checks an act against what is committed and what was obeyed.
func (w *world) actBegins(a *agent, key string, o incident.Order, taken obey.Taken) {
	w.note("%s does %s %s", a.id, o.ID, o.Once.Verb)
	// What was decided in the moment between claim and act is the race that a
	// claim is for; the claim itself must be this boot's.
	if !w.o.Bugs.NoClaim {
		if at, ok := get[incident.Order](w, key); ok && (at.State != incident.Claimed || at.By != a.id) {
			w.broken(string(incident.IntentFirst), "%s acts on %s, which is %s by %q", a.id, o.ID, at.State, at.By)
		}
	} else if at, ok := get[incident.Order](w, key); !ok || at.State != incident.Claimed || at.By != a.id {
		w.broken(string(incident.IntentFirst), "%s acts on %s, which it did not claim", a.id, o.ID)
	}
	resource := string(a.n.name) + "/" + taken.Resource
	if taken.Mark.Token.Compare(w.tokens[resource]) < 0 {
		w.broken(string(incident.TokenNeverFalls), "%s obeys %s after %s", a.id, taken.Mark.Token, w.tokens[resource])
	}
	w.tokens[resource] = taken.Mark.Token
	if w.settled[o.ID] {
		w.broken("intent-once", "%s does %s again, which was done", a.id, o.ID)
	}
}

// touch does one act of a fence, and holds it against quorum-survives.
func (w *world) touch(n *node, act isolate.Act, f isolate.Fence) {
	w.note("%s: act %d of the fence of %s", n.name, act, f.Incident)
	switch act {
	case isolate.RaiseSeverity:
		w.quorumSurvives(n)
		n.setSeverity(isolate.SeverityFenced)
		n.excused = false
	case isolate.StopNative:
		n.native = false
	case isolate.LowerSeverity:
		n.setSeverity(0)
	case isolate.StartNative:
		n.native = true
	}
}

// steady is how long the others must have been as they are before a leader
// must know of it.
const steady = 12 * time.Second

func (w *world) quorumSurvives(n *node) {
	if !n.answers() || w.now.Sub(max(n.changedAt, n.helplessAt)) < steady {
		return // harm is measured against the moment of the decision
	}
	for _, p := range w.ring {
		serve, mine, lately := 0, false, false
		for _, name := range p.Replicas {
			r := w.byName[name]
			if name == n.name {
				mine = true
			} else if r.place.Datacenter == "dc1" {
				if r.takes() && r.severity == 0 {
					serve++
				}
				lately = lately || w.now.Sub(r.changedAt) < steady
			}
		}
		if mine && !lately && serve == cluster.Quorum(3)-1 {
			w.broken(string(incident.QuorumSurvives), "%s is fenced and a range of it keeps %d replicas", n.name, serve)
		}
	}
}

// killOrdered ends a process by order: only one that nobody may read from.
func (w *world) killOrdered(n *node, meant cluster.Boot) {
	if n.process != meant || n.read() {
		w.broken(string(incident.UnknownDestroysNothing), "%s is killed by order: it runs %s, %s was meant; anybody reads there: %v", n.name, n.process, meant, n.read())
	}
	n.kill("by order")
}

// repairBegins checks who takes part, and that hibernation is a fence.
func (w *world) repairBegins(a *agent, o incident.Order) {
	for _, s := range o.Once.Segments {
		for _, h := range s.Hosts {
			if w.byName[h].place.Datacenter != "dc1" {
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
		if peer != n && peer.takes() && w.now.Sub(peer.changedAt) > steady && s.up && s.generation == n.generation {
			w.broken("hibernation-is-down", "%s is repaired asleep and %s says UP of it", n.name, peer.name)
		}
	}
}

// coldStart is a plain start by order: nothing may have been acknowledged
// while the node was away.
func (w *world) coldStart(n *node) {
	w.rep.Cold++
	for id, x := range w.writes {
		mine := false
		for _, r := range x.replicas {
			mine = mine || r == n.name
		}
		if mine && x.acked && x.at > n.wentAt.Add(4*second) && !n.held[id] {
			w.broken("cold-start", "%s starts plainly and lacks write %d of %s, after it went", n.name, id, time.Duration(x.at-cluster.Moment(time.Hour)))
			return
		}
	}
	for _, id := range w.lacks(n, w.now) {
		n.forgiven[id] = true
	}
}

func (w *world) setProxy(want loadbalancer.Pool, a *agent) {
	for _, m := range want.Members() {
		if w.proxy[m] != want.Wants[m] {
			w.note("%s sets %s to %s", a.id, m, want.Wants[m])
			w.proxy[m] = want.Wants[m]
		}
	}
}

func (w *world) proxyStands(want loadbalancer.Pool) bool {
	for _, m := range want.Members() {
		if w.proxy[m] != want.Wants[m] {
			return false
		}
	}
	return true
}

// proxySays is what the proxy shows of its servers.
func (w *world) proxySays() []loadbalancer.Actual {
	var out []loadbalancer.Actual
	for _, n := range sortedNames(w.proxy) {
		out = append(out, loadbalancer.Actual{Server: n, Want: w.proxy[n].Want, Weight: w.proxy[n].Weight})
	}
	return out
}

// everySecond checks what is true all the time.
func (w *world) everySecond() {
	w.staleReads()
	w.after(second, w.everySecond)
}

// grace is how long what was written a moment ago, or a plain start that
// nobody of us did, may go unnoticed.
const grace = 20 * time.Second

func (w *world) staleReads() {
	for _, n := range w.nodes {
		if n.place.Datacenter != "dc1" {
			continue
		}
		w.helpless(n)
		_, open := get[string](w, store.Open(n.name))
		if n.excused && !open && n.takes() && w.now.Sub(max(n.changedAt, n.helplessAt)) > grace {
			w.note("%s is excused no more", n.name)
			n.excused = false
		}
		if !n.read() || n.excused || n.mode == normal && n.severity > 0 && n.severity < isolate.SeverityFenced {
			continue
		}
		if n.severity >= isolate.SeverityFenced && w.now.Sub(n.changedAt) < second {
			continue // a plain start opened its transport; the fence closes it at the next look
		}
		if l := w.lacks(n, w.now.Add(-second)); len(l) > 0 && !w.unnoticed(n) {
			w.broken("no-stale-read", "%s may be read and lacks %d acknowledged writes, first %d of %s; severity %v native %v", n.name, len(l), l[0],
				time.Duration(w.writes[l[0]].at-cluster.Moment(time.Hour)), n.severity, n.native)
		}
	}
}

// unnoticed tells whether the node woke up so lately that nobody can have
// kept readers off it: a hung process that goes on answers at once.
func (w *world) unnoticed(n *node) bool {
	return n.hungAt > n.wentAt && w.now.Sub(max(n.changedAt, n.helplessAt)) < grace
}

// helpless notes when nobody could have kept readers off a node: without a
// leader, or without its agent.
func (w *world) helpless(n *node) {
	leads := false
	for _, c := range w.nodes[:3] {
		leads = leads || c.agent.up && c.agent.term && !c.agent.cut
	}
	barred := false // it is needed, whatever it lacks
	if id, open := get[string](w, store.Open(n.name)); open {
		r, _ := get[incident.Record](w, store.Record(id))
		barred = r.Waits == incident.QuorumSurvives || strings.Contains(r.Held, string(incident.QuorumSurvives))
	}
	if !leads || !n.agent.up || n.agent.cut || barred {
		n.helplessAt = w.now
	}
}

// finalChecks are those of the end: the journal's chain, and no silent wait.
func (w *world) finalChecks(late bool) {
	if w.rep.Violation != "" {
		return
	}
	kvs, _ := w.store.List(store.Logs)
	var entries []incident.Entry
	prev, folder := "", ""
	for _, kv := range kvs {
		var e incident.Entry
		if json.Unmarshal(kv.Value, &e) != nil {
			w.broken("journal", "%s cannot be read", kv.Key)
			return
		}
		if f := store.Split(kv.Key, store.Logs)[0]; f != folder {
			if incident.Chain(prev, entries) >= 0 {
				w.broken("journal", "the chain of %s breaks", folder)
			}
			folder, entries = f, nil
		}
		entries = append(entries, e)
	}
	if i := incident.Chain("", entries); i >= 0 {
		w.broken("journal", "the chain of %s breaks at %s", folder, entries[i].ID)
	}
	for _, r := range w.open() {
		if r.Phase == incident.Held {
			w.rep.Held++
			w.heldIsSafe(r)
			continue
		}
		w.broken(string(incident.NoSilentWait), "%s about %s is %s for ever, waits for %q", r.ID, r.Node, r.Phase, r.Waits)
	}
	if late && w.rep.Violation == "" {
		for _, n := range w.nodes {
			if _, open := get[string](w, store.Open(n.name)); !open && !n.takes() {
				w.broken(string(incident.NoSilentWait), "%s is down and no incident is open", n.name)
			}
		}
	}
}

// heldIsSafe wants a held return behind its fence.
func (w *world) heldIsSafe(r incident.Record) {
	n := w.byName[r.Node]
	proven := r.Return != nil && r.Return.Step >= incident.Ramping
	needed := strings.Contains(r.Held, string(incident.QuorumSurvives)) // and a person is told so
	if r.Return == nil || proven || needed || !n.takes() || n.excused {
		return
	}
	if n.native || n.severity < isolate.SeverityFenced {
		if l := w.lacks(n, w.now.Add(-second)); len(l) > 0 {
			w.broken("held-is-safe", "%s is held (%s) and %s may be read", r.ID, r.Held, r.Node)
		}
	}
}

func (w *world) open() []incident.Record {
	kvs, _ := w.store.List(store.Incidents)
	var out []incident.Record
	for _, kv := range kvs {
		var r incident.Record
		if json.Unmarshal(kv.Value, &r) == nil {
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
		if _, open := get[string](w, store.Open(n.name)); !open && !n.answers() {
			return false
		}
	}
	return true
}
