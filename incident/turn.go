// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/membership"
)

// turn collects what one call of Next decides. It works on copies; nothing
// the caller holds is changed, also when an invariant breaks half way. A ledger
// copies itself with each change.
type turn struct {
	r       Record
	w       World
	ledger  Ledger
	effects []Effect
	lines   []Line
	changed bool
	// batchEnded is set once a batch of a repair ended in this turn.
	batchEnded bool
}

func newTurn(r Record, w World) *turn {
	if r.seenStorm(w.Storm) {
		w.Storm = ""
	}
	return &turn{r: r.clone(), w: w, ledger: w.Ledger}
}

func (t *turn) decision() Decision {
	return Decision{Record: t.r, Ledger: t.ledger, Effects: t.effects, Lines: t.lines, Changed: t.changed}
}

// say adds a journal line; pairs are the sentence's arguments.
func (t *turn) say(kind Kind, code string, pairs ...string) {
	args := make(map[string]string, len(pairs)/2+1)
	for i := 0; i+1 < len(pairs); i += 2 {
		args[pairs[i]] = pairs[i+1]
	}
	t.lines = append(t.lines, Line{Kind: kind, Code: code, Args: args})
	t.changed = true
}

// sayAt is say with a moment of the story other than now.
func (t *turn) sayAt(at time.Duration, kind Kind, code string, pairs ...string) {
	t.say(kind, code, pairs...)
	t.lines[len(t.lines)-1].Args["t_ms"] = strconv.FormatInt(at.Milliseconds(), 10)
}

// under names the rule of the line said last.
func (t *turn) under(rule Rule) { t.lines[len(t.lines)-1].Rule = rule }

// cite puts the observers' words under the line said last.
func (t *turn) cite(v membership.Verdict) {
	line := &t.lines[len(t.lines)-1]
	for _, b := range v.Ballots {
		for _, c := range b.Cites {
			line.Evidence = append(line.Evidence, fmt.Sprintf("%s %s %s %s %s ago",
				b.Observer, b.Vote, c.Path, c.Outcome, b.Age.Round(time.Millisecond)))
		}
	}
	const most = 24 // a record of evidence is bounded
	line.Evidence = line.Evidence[:min(len(line.Evidence), most)]
}

// enter moves the record to a phase; its clocks start anew.
func (t *turn) enter(p Phase) {
	t.r.Phase = p
	t.nextStep()
}

// nextStep gives the record a new step number, which names new effects.
func (t *turn) nextStep() {
	t.r.Step++
	t.r.Waited = 0
	t.r.Waits = ""
	t.r.Proposal, t.r.Ack = nil, nil
	t.r.Policy = t.w.Policy.version()
	t.r.Mode = t.w.mode(t.r.Datacenter)
	t.w.InStep = 0
	t.changed = true
}

// wait says once per step which rule the incident waits for.
func (t *turn) wait(rule Rule, code string, pairs ...string) {
	if t.r.Waits == rule {
		return
	}
	t.r.Waits = rule
	t.say(Waited, code, pairs...)
	t.under(rule)
}

// hold hands the incident to people, with the reason and what would change it.
func (t *turn) hold(rule Rule, reason string) {
	if t.r.Phase != Held {
		t.r.HeldFrom = t.r.Phase
	}
	t.r.Held, t.r.HeldRule = reason, rule
	t.r.Pending = nil
	if t.r.OfSlowness() {
		t.r.Slow.Over = false // what it is like while nobody looks is not known
	}
	t.enter(Held)
	t.waitAside()
	t.tellRead()
	t.say(Refused, "held", "reason", t.r.Held, "rule", string(rule))
	t.under(rule)
	if t.mustStayFenced() {
		t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
	}
}

const readMeanwhile = "; it lacks writes and is read meanwhile (quorum-survives): "

// tellRead adds to the reason of a held incident that its node lacks writes and
// is read all the same: whoever decides must know.
func (t *turn) tellRead() {
	why := t.quorumFault()
	if why == "" || !t.unproven() || strings.Contains(t.r.Held, string(QuorumSurvives)) {
		return
	}
	t.r.Held += readMeanwhile + why
	t.r.Ack = nil // whoever has seen it has not seen that
	t.changed = true
}

// waitAside gives the turn to return back: who waits for a person, or for its
// agent, does not keep other nodes from coming back. The node itself still
// counts as out.
func (t *turn) waitAside() {
	for _, h := range t.ledger.Holders {
		if h.Incident == t.r.ID && h.Kind != HoldsOutage {
			t.ledger = t.ledger.with(t.r, HoldsOutage)
		}
	}
}

// waitForOthers waits for what only other nodes can give, and gives the turn to
// return back meanwhile: it may be they who need it before they can.
func (t *turn) waitForOthers(rule Rule, code string, pairs ...string) {
	if t.holdsTurn() {
		t.waitAside()
		t.changed = true
	}
	t.wait(rule, code, pairs...)
}

// takesTurn takes the turn to return for who gave it back, or waits for it.
func (t *turn) takesTurn() bool {
	if t.holdsTurn() {
		return true
	}
	if f := t.budgetFault(); f != nil {
		t.preflightWaits(*f)
		return false
	}
	t.ledger = t.ledger.with(t.r, HoldsReturn)
	t.changed = true
	return true
}

func (t *turn) holdsTurn() bool {
	return slices.ContainsFunc(t.ledger.Holders, func(h Holder) bool { return h.Incident == t.r.ID && h.Kind == HoldsReturn })
}

// mustStayFenced tells whether a node that is handed to people would be read
// with old data if it ran: then its fence is raised with the hold, so that it
// hibernates however it is started. Where everything is only looked at it is
// raised when the mode is another one again.
func (t *turn) mustStayFenced() bool {
	return t.unproven() && t.quorumFault() == "" && t.w.mode(t.r.Datacenter) != Observe
}

// unproven tells whether a node that is handed to people lacks writes, for all
// that is known, and nothing keeps readers off it.
func (t *turn) unproven() bool {
	broken := t.brokenUnread()
	proven := t.r.Return != nil && t.r.Return.Step >= Ramping && !t.replaced() && !broken
	lost := t.r.Return != nil || t.r.Cause == membership.ProcessDown || broken
	changed := t.r.HeldRule != RuleMode && t.r.HeldRule != RulePolicy && t.r.HeldRule != RuleEra
	untouched := t.r.HeldRule == RuleOperator && t.r.HeldFrom == Suspected // a person stopped it before anything was done
	return lost && !proven && !t.shutOut() && changed && !untouched && !t.cold()
}

// mark notes that a stage was reached, once.
func (t *turn) mark(s Stage) {
	if _, ok := t.r.Marks[s]; !ok {
		t.r.Marks = maps.Clone(t.r.Marks) // the caller's too until now
		t.r.Marks[s] = t.w.Elapsed
	}
}

// effectID names the next effect of this step; every effect has its own.
func (t *turn) effectID() string {
	return fmt.Sprintf("%s.%d.%d", t.r.ID, t.r.Step, len(t.effects))
}

// emit adds an effect; the gate refuses kinds that nobody taught it.
func (t *turn) emit(e Effect) {
	e.ID = t.effectID()
	t.effects = append(t.effects, e)
	t.changed = true
	if len(t.lines) > 0 {
		t.lines[len(t.lines)-1].Effect = e.ID
	}
}

// order emits a Once and waits for its outcome.
func (t *turn) order(o Once, limit time.Duration) {
	o.Target, o.HostID = t.r.Node, t.r.HostID
	if o.Agent == "" {
		o.Agent = t.r.Node
	}
	t.emit(Effect{Limit: min(limit, LimitMax), Once: &o})
	t.r.Pending = append(t.r.Pending, t.effects[len(t.effects)-1])
}

// fence emits the wanted fence of the node.
func (t *turn) fence(levels isolate.Levels, start isolate.Start) {
	t.emit(Effect{Fence: &isolate.Fence{Node: t.r.Node, HostID: t.r.HostID, Levels: levels, Start: start, Incident: t.r.ID}})
}

// take removes a pending effect by its ID.
func (t *turn) take(id string) (Effect, bool) {
	i := slices.IndexFunc(t.r.Pending, func(e Effect) bool { return e.ID == id })
	if i < 0 {
		return Effect{}, false
	}
	e := t.r.Pending[i]
	t.r.Pending = slices.Delete(t.r.Pending, i, i+1)
	return e, true
}

// answers tells whether the node answers its clients by the judge's word.
func answers(v membership.Verdict) bool { return v.Answer == membership.Alive }

// stepLimits bound each step outside mode observe; what is not listed has the
// longest. A step that outlives its limit is Held, never silent.
func (t *turn) stepLimit() time.Duration {
	longest := 30 * time.Minute
	if t.w.Policy != nil && t.w.Policy.Ages.Replace > 0 {
		longest = t.w.Policy.Ages.Replace
	}
	if t.r.Phase == Verifying {
		return min(longest, 10*time.Minute)
	}
	return longest
}

// checkDeadline holds an incident whose step has lasted too long: every open
// phase ends or is Held.
func (t *turn) checkDeadline() {
	_, paused := t.paused()
	observed := t.r.Phase == Suspected && (t.r.Mode == Observe || paused)
	if t.r.Phase == Held || t.r.Phase == Closed || observed || t.w.InStep < t.stepLimit() {
		return
	}
	t.hold(RuleDeadline, fmt.Sprintf("%s lasted %s without progress (waiting for %s); look at the node, then retry or abort",
		cluster.Title(t.r.Phase.String()), t.w.InStep.Round(time.Second), t.waitWords()))
}

// trackOutage notes whether the others could take writes while the node was
// away: if no range ever had its quorum, nothing was missed. It is followed
// until the node runs again.
func (t *turn) trackOutage() {
	if t.r.OfSlowness() {
		return // it takes every write
	}
	if o := t.r.Outage.told(t.r, t.w).dated(t.w); o != t.r.Outage {
		t.r.Outage = o
		t.changed = true
	}
	runs := t.r.Phase == Verifying || t.r.Phase == Returning && t.r.Return != nil && t.r.Return.Step > Starting
	if t.r.Outage.Writable || runs {
		return
	}
	// What went on before a leader that knows the beginning by wall time alone is
	// not known to it, unless the ring was seen dark already.
	unwatched := t.w.ByWall && !t.r.Outage.Dark
	if !t.r.Outage.Dark && t.allGone() {
		t.r.Outage.Dark = true
		t.changed = true
	}
	if unwatched || t.othersWrote(false) {
		t.r.Outage.Writable = true
		t.changed = true
	}
}

// trackExits counts the processes of the node that ended because another one
// runs now: a unit with Restart= is quicker than any of our steps. One that was
// ordered to end is not counted, and a word that the process which ended runs
// is an old one.
func (t *turn) trackExits() {
	v := t.w.verdict(t.r.Node)
	same, known := t.sameProcess(t.r.Latest)
	killing := t.r.Phase == Fencing || t.r.Phase == Deciding || t.r.Phase == Returning && t.r.Return != nil && t.r.Return.Step == Killing
	if !known || same || killing || v.Process == t.r.Process || t.w.mode(t.r.Datacenter) == Observe {
		return
	}
	t.countExit(t.r.Latest)
	t.r.Latest = v.Process
	t.changed = true
}

// countExit notes in the ledger that a process ended, once.
func (t *turn) countExit(p cluster.Boot) {
	if p == "" || t.ledger.counted(t.r.Node, p) {
		return
	}
	t.ledger = t.ledger.exited(t.r.Node, p, t.w.Wall, t.w.Policy.Budgets.StartsWindow)
	t.changed = true
}

// rateFault tells whether the node ended so often, whoever started it, that
// another return would only tire its peers.
func (t *turn) rateFault() *fault {
	b := t.w.Policy.Budgets
	n := t.ledger.exitsSince(t.r.Node, t.w.Wall, b.StartsWindow)
	if n <= b.StartsMax {
		return nil
	}
	return &fault{RuleRate, fmt.Sprintf("its process ended %d times in %s; read its log, mend what ends it, then start it", n, b.StartsWindow), true}
}

// othersWrote tells whether the others were a quorum of any range after the
// node went; unknown says how those count of which nobody knows now.
func (t *turn) othersWrote(unknown bool) bool {
	after := t.went().Add(coldSkew)
	return quorumWithout(t.w, t.r.Node, func(n cluster.Name) bool { return takesWrites(t.w, n, after, unknown) })
}

// went is the earliest moment at which the node can have gone: right after its
// last proof of life, for observers that did not look, or abstained, began to
// miss it later. A leader that knows the beginning by wall time alone counts all
// that it has seen itself.
func (t *turn) went() cluster.Moment {
	if t.w.ByWall {
		return 0
	}
	began := t.w.Now.Add(-t.w.Elapsed)
	if last := t.w.verdict(t.r.Node).LastAlive; last != 0 {
		return min(began, last)
	}
	return began
}

// allGone tells whether every other node of the roster is gone by the judge's
// word. One that is Unknown is not, nor one whose disk failed while its process
// may go on: it answers, and takes writes.
func (t *turn) allGone() bool {
	return !slices.ContainsFunc(t.w.nodes(), func(n cluster.Name) bool {
		v := t.w.verdict(n)
		goesOn := v.Cause == membership.DiskFailed && t.w.mayRead(n)
		return n != t.r.Node && (v.Answer != membership.Gone || goesOn)
	})
}

// sameProcess tells whether the node runs the process that the incident is
// about; known is false without its own agent's fresh word. An answer alone
// does not tell: whoever started the node past us is answered by it too.
func (t *turn) sameProcess(about cluster.Boot) (same, known bool) {
	v := t.w.verdict(t.r.Node)
	if v.Own != membership.Good || v.Process == "" {
		return false, false
	}
	return v.Process == about, true
}

// restarted tells whether the own agent names another process than any that
// the incident knows of.
func (t *turn) restarted() bool {
	same, known := t.sameProcess(t.r.Process)
	if t.r.Return != nil && t.r.Return.Process != "" && !same {
		same, known = t.sameProcess(t.r.Return.Process)
	}
	return known && !same
}

func count(n int) string { return strconv.Itoa(n) }

func orNone(s string) string {
	if s == "" {
		return "nothing named"
	}
	return s
}

// names joins names for a sentence.
func names(ns []cluster.Name) string {
	parts := make([]string, len(ns))
	for i, n := range ns {
		parts[i] = string(n)
	}
	return strings.Join(parts, ", ")
}

// seconds renders a duration for a sentence.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
}

// firstSigns says which observers see what, for the opening line.
func firstSigns(v membership.Verdict) string {
	var parts []string
	for _, b := range v.Ballots {
		if b.Vote != membership.For {
			continue
		}
		who := string(b.Observer)
		if b.Own {
			who = "own agent"
		}
		for _, c := range b.Cites {
			parts = append(parts, fmt.Sprintf("%s: %s %s", who, c.Path, c.Outcome))
		}
	}
	return strings.Join(parts, " · ")
}
