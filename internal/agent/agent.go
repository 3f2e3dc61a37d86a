// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/obey"
	"supervisor/internal/trace"
	"supervisor/isolate"
	"supervisor/membership"
	"supervisor/repair"
	"supervisor/residency"
)

// Options are everything an agent is made of. They are complete: nothing is
// defaulted later.
type Options struct {
	Cluster string
	Region  cluster.Region
	Self    cluster.Name
	Boot    cluster.Boot
	Version string
	Key     ed25519.PrivateKey // signs this host's digests
	Control []cluster.Name     // the agents that judge and lead
	Disk    Disk
	// Horizon is what an earlier run knew of the store, and Seen what this one's
	// client saw so far: the etcd cluster's ID, empty before it answered, and the
	// highest revision.
	Horizon Horizon
	Seen    func() (etcdCluster string, rev int64)
	// Closed tells from the start why nothing is obeyed; empty: obey.
	Closed string
	// Member tells why this host's own member of the store does not run; empty:
	// it does, or none belongs here.
	Member func() string
	// Around tells what is wrong at that moment with what surrounds the agent,
	// each code once. It may read files.
	Around func() []incident.Trouble
	// Trouble is what was found wrong while the agent was put together.
	Trouble []incident.Trouble

	// Regions are the stores of the other regions of this Cassandra cluster that are
	// read; none: it has one region, or one store for all.
	Regions map[cluster.Region]RegionStore

	Journal  Journal
	Election Election
	Pulse    Pulse
	Courier  Courier
	Observer Observer
	Unit     Unit
	Ports    Ports // nil: no port of this host can be closed
	Power    Power // nil: this agent turns no host off
	Admin    Admin
	Reader   Reader
	Holdings Holdings // nil: an audit is told nothing by this agent
	// Space is the room on the disk under Cassandra's data; it may wait for that
	// disk for ever.
	Space func() (Space, error)
	// Proxies makes the runtime client of a proxy; called once per socket and
	// backend of the policy.
	Proxies func(name, socket, backend string) (Proxy, error)
	Clock   Clock
	// Counters are told what only the loop knows.
	Counters Counters
	Log      *zap.Logger
}

// Agent is one agent. Its Run is the only way to make it do anything.
type Agent struct {
	o Options

	inputs  chan lead.Input    // from store, election and readers to the desk
	abroad  chan lead.Abroad   // from the readers of other regions' stores
	pulses  chan pulse         // from the admin interface
	beats   chan struct{}      // from the desk: read the admin interface now
	errands chan func(*desk)   // questions to the desk: snapshot, gate, words
	commits chan lead.Commit   // from the desk to the store
	loads   chan struct{}      // from the desk: this host is to tell its load
	opened  chan struct{}      // from the desk: the first incident is open, read ring and schema
	asked   chan struct{}      // from the desk: somebody asks for the write counters
	relists chan struct{}      // from the desk: read everything anew
	resigns chan struct{}      // from the desk: let the lease go
	orders  [3]chan errand     // to the executors: cassandra, looks, power
	pools   chan poolWork      // to the pool keeper
	wanted  chan fenceWork     // to the fence keeper
	settled chan settledErrand // from the executors
	stopped chan struct{}      // closed when nobody answers at the desk any more

	closedPorts closedPorts // as this host's guard was read last

	rounds rounds // of the parts that go round by themselves
}

// Bounds of the queues. A full one is waited for by its sender, which is
// never a callback, or keeps only the newest word.
const (
	inputMax  = 64
	errandMax = 16
)

// New puts an agent together.
func New(o Options) *Agent {
	a := &Agent{o: o,
		inputs: make(chan lead.Input, inputMax), pulses: make(chan pulse, 1), errands: make(chan func(*desk), errandMax),
		commits: make(chan lead.Commit, errandMax), relists: make(chan struct{}, 1), opened: make(chan struct{}, 1), asked: make(chan struct{}, 1), loads: make(chan struct{}, 1), beats: make(chan struct{}, 1), resigns: make(chan struct{}, 1),
		abroad: make(chan lead.Abroad, errandMax),
		pools:  make(chan poolWork, 1), wanted: make(chan fenceWork, 1), settled: make(chan settledErrand, errandMax),
		stopped: make(chan struct{}),
	}
	for i := range a.orders {
		a.orders[i] = make(chan errand, 1)
	}
	return a
}

// Run works until ctx ends, and then stops without changing anything. An agent
// runs once.
func (a *Agent) Run(ctx context.Context) error {
	d := newDesk(a)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	run := func(f func(context.Context)) {
		wg.Go(func() { f(ctx) })
	}
	run(a.watch)
	run(a.commit)
	run(a.relist)
	run(a.checkStore)
	run(a.keepHorizon)
	run(a.beat)
	run(a.readSchema)
	run(a.watchVitals)
	if a.o.Holdings != nil {
		run(a.watchHoldings)
	}
	run(a.watchWrites)
	run(a.watchLoad)
	run(a.keepFences)
	run(a.keepPools)
	for _, orders := range a.orders {
		run(func(ctx context.Context) { a.execute(ctx, orders) })
	}
	for r, s := range a.o.Regions { // order: each for itself
		run(func(ctx context.Context) { a.watchAbroad(ctx, r, s) })
		run(func(ctx context.Context) { a.checkAbroad(ctx, r, s) })
	}
	if a.o.Power != nil {
		run(a.keepPower)
	}
	if a.control() {
		run(a.campaign)
	}
	d.run(ctx)
	close(a.stopped)
	cancel()
	wg.Wait()
	d.lastHorizon()
	return nil
}

func (a *Agent) control() bool {
	for _, n := range a.o.Control {
		if n == a.o.Self {
			return true
		}
	}
	return false
}

// send gives the desk an input, or gives up when the agent stops.
func (a *Agent) send(ctx context.Context, in lead.Input) {
	select {
	case a.inputs <- in:
	case <-ctx.Done():
	}
}

var errStopped = errors.New("ask the agent: it has stopped")

// ask runs f at the desk and waits for it. The desk itself never asks and
// never waits for a queue, so whoever asks is answered.
// The answer travels by value: one that comes after ctx ended is nobody's.
func ask[T any](ctx context.Context, a *Agent, f func(*desk) T) (T, error) {
	var none T
	answer := make(chan T, 1)
	select {
	case a.errands <- func(d *desk) { answer <- f(d) }:
	case <-a.stopped:
		return none, errStopped
	case <-ctx.Done():
		return none, fmt.Errorf("ask the agent: %w", ctx.Err())
	}
	select {
	case v := <-answer:
		return v, nil
	case <-a.stopped:
		return none, errStopped
	case <-ctx.Done():
		return none, fmt.Errorf("ask the agent: %w", ctx.Err())
	}
}

// desk is the one place that knows everything; only its own goroutine touches
// it.
type desk struct {
	a     *Agent
	log   *zap.Logger
	state *lead.State
	inbox membership.Inbox
	// untaken is what the inbox, or the judge, did not take.
	untaken untaken
	// recorder keeps the judge's turns, so that they can be judged again.
	recorder trace.Recorder

	seq      uint64
	looks    []membership.Look
	lastSent cluster.Moment
	mute     bool             // the last digest could not be encoded
	resend   []cluster.Moment // moments of the two repeats of a changed digest
	asked    map[cluster.Name]cluster.Moment
	roster   string // what the observer and the courier were told
	blind    string // why the observer did not take the newest roster

	marks         obey.Marks
	local         isolate.Local
	marksRead     bool              // the marks on disk were read once; before that they are not written
	localRead     bool              // so was the gate's copy
	inHand        map[string]string // orders given to an executor, with their resources
	ways          ways              // of those that can give way
	ended         map[string]int64  // orders that ended here, with the revision that tells so
	unsent        []lead.Commit     // what the store is to be told, at most one a datacenter
	belief        lead.Belief       // whether what is read of the store is taken in
	era           uint32            // of the store that this agent went over to; 0: it did not
	refuses       string            // why nothing is obeyed, beside the troubles that say so themselves
	mendAt        cluster.Moment    // when the state directory is tried again
	announcedOnce bool              // the store has shown this agent's own key
	twin          cluster.Moment    // until when the name counts as used by two agents
	twinTold      cluster.Moment
	passed        cluster.Moment // when keepers and executors were last given their work
	cassandra     *incident.CassandraFacts
	sizes         map[string]map[string]int64 // of the tables here, as they are told
	power         *incident.Powers            // what the power hook said last; nil: nothing yet, or there is none
	process       cluster.Boot
	mode          string
	gateSaid      isolate.Answer // to its gate, last: the same wait is logged once
	unrepaired    bool           // its gate started it unasked, or asleep, and no return has taken it since
	alive         time.Time      // when this Cassandra was last in order, as the disk says
	quiet         cluster.Moment // since when the admin interface does not answer
	drained       bool
	counters      bool             // the write counters of this Cassandra tell of all writes
	counts        bool             // and they were read
	written       *incident.Writes // as they were told last
	answeredTo    []string         // the questions that were known then
	served        time.Time        // when the own process was last seen in mode NORMAL; zero: not by this agent
	left          time.Time        // when the stop that drained tells of began
	hints         time.Duration    // how long other nodes keep hints; zero: nobody told
	announced     string
	announcedAt   cluster.Moment
	troubles      map[string]incident.Trouble
	inside        membership.Inside  // what stands out in this node, as it was read last
	residency     *residency.Told    // what this host's Cassandra keeps; nil: not known
	around        []incident.Trouble // those of them that Options.Around told last
	lastTick      cluster.Moment
	due           cluster.Moment // of the next tick
	storeOK       cluster.Moment // last answer of the store
	leadless      cluster.Moment
	commitAt      cluster.Moment
	commitTook    time.Duration
	whole         bool // the store was read once
	began         cluster.Moment
	sights        *incident.Sights           // see incident.Agent
	load          *repair.Load               // likewise
	unheard       map[cluster.Region]unheard // the regions that are not read
}

func newDesk(a *Agent) *desk {
	now := a.o.Clock.Now()
	d := &desk{a: a, log: a.o.Log, state: lead.New(a.o.Cluster, a.o.Self, a.o.Region),
		inbox: membership.Inbox{Cluster: a.o.Cluster}, untaken: untaken{}, asked: map[cluster.Name]cluster.Moment{},
		inHand: map[string]string{}, ways: ways{}, ended: map[string]int64{}, refuses: a.o.Closed, troubles: map[string]incident.Trouble{}, lastTick: now, due: now, leadless: now, storeOK: now}
	d.began, d.unheard = now, map[cluster.Region]unheard{}
	d.state.ReadAlso(sortedKeys(a.o.Regions))
	for _, t := range a.o.Trouble {
		d.troubles[t.Code] = t
	}
	if err := d.readDisk(); err != nil {
		d.stateDirBroken(err)
	}
	d.drained = d.local.Clean // it was stopped in good order, and this is a new start of the agent only
	d.leaves(d.local.CleanFrom)
	return d
}

const (
	// restMax is the longest the desk sleeps while nothing happens. Each waking
	// of a quiet process costs more than what it then does.
	restMax = 500 * time.Millisecond
	// restOpen is the longest it sleeps while it leads with an open incident.
	restOpen = 100 * time.Millisecond
)

// rest is how long the desk may sleep: until the next repeat of a digest, the
// next verdict that can change without news, or its longest.
func (d *desk) rest(now cluster.Moment) time.Duration {
	rest := restMax
	if d.state.Leading() && d.state.Picture.Busy() {
		rest = restOpen
	}
	if len(d.resend) > 0 {
		rest = min(rest, d.resend[0].Sub(now))
	}
	if wake, due := d.state.View().Wake(); due && d.a.control() {
		rest = min(rest, wake.Sub(now))
	}
	return max(rest, time.Millisecond)
}

func (d *desk) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	d.log.Info("agent runs", zap.String("boot", string(d.a.o.Boot)), zap.String("version", d.a.o.Version),
		zap.Bool("control", d.a.control()))
	for {
		var commits chan lead.Commit
		var next lead.Commit
		if len(d.unsent) > 0 {
			commits, next = d.a.commits, d.unsent[0]
		}
		select {
		case <-ctx.Done():
			d.log.Info("agent stops; Cassandra, pools and standing fences stay as they are")
			return
		case <-timer.C:
			d.tick(ctx)
			d.due = d.lastTick.Add(restMax)
			timer.Reset(restMax)
		case <-d.a.o.Observer.Ready():
			d.observed(ctx)
		case <-d.a.o.Courier.Ready():
			d.mail(ctx)
		case commits <- next:
			d.unsent = d.unsent[1:]
		case in := <-d.a.inputs:
			d.turn(ctx, in)
		case in := <-d.a.abroad:
			d.turn(ctx, in)
		case p := <-d.a.pulses:
			d.pulsed(ctx, p)
		case s := <-d.a.settled:
			d.errandEnded(ctx, s)
		case f := <-d.a.errands:
			f(d)
		}
		// What just happened may want a tick earlier than the timer knows.
		now := d.a.o.Clock.Now()
		if due := now.Add(d.rest(now)); due < d.due {
			d.due = due
			timer.Reset(due.Sub(now))
		}
	}
}

// turn passes an input to the leader and does what it says.
func (d *desk) turn(ctx context.Context, in lead.Input) {
	now, wall := d.a.o.Clock.Now(), d.a.o.Clock.Wall()
	if c, ok := in.(lead.Changed); ok {
		if !d.believes(c.Batch) {
			return
		}
		d.whole = d.whole || c.Batch.Whole
		d.storeOK = now
	}
	d.facts(now)
	switch in.(type) {
	case lead.Won, lead.Lost:
		d.unsent = nil // of a term that is over
	}
	quiet := len(d.state.Picture.Records) == 0
	out := d.state.Turn(in, now, wall)
	if quiet && len(d.state.Picture.Records) > 0 {
		wake(d.a.opened)
	}
	d.tell(in, now)
	for _, c := range out.Commits {
		d.commitAt = now
		d.unsent = append(d.unsent, c)
	}
	if out.Relist {
		wake(d.a.relists)
	}
	if out.Resign {
		wake(d.a.resigns)
	}
	if d.belief.Doubt != "" {
		d.giveUpTerm()
	}
	switch in := in.(type) {
	case lead.Abroad:
		if len(in.Batch.KVs) > 0 {
			d.passWanted()
		}
	case lead.Changed, lead.Answered, lead.Won:
		d.reroster(ctx)
		d.pass(ctx, now)
	}
}

// passEvery is how often keepers and executors are given their work when
// nothing changes: what they may do depends also on who is heard.
const passEvery = time.Second

// pass gives keepers and executors their work.
func (d *desk) pass(ctx context.Context, now cluster.Moment) {
	d.passed = now
	d.heedQuestions()
	d.hints = d.state.Hints(d.cassandra)
	d.noticeTwin(now)
	d.errands(ctx)
	d.passWanted()
	d.passLoad()
}

// tell writes the one log of what happened: every line with its incident.
func (d *desk) tell(in lead.Input, now cluster.Moment) {
	switch in := in.(type) {
	case lead.Answered:
		d.commitTook = now.Sub(d.commitAt)
		d.a.o.Counters.Committed(d.commitTook.Seconds())
		if in.Err != nil || !in.Result.OK {
			d.log.Warn("commit not written, reading everything anew", zap.String("incident", in.Commit.Incident), zap.Error(in.Err))
			return
		}
		for _, e := range in.Commit.Entries {
			if e.Kind == incident.Refused {
				d.a.o.Counters.Refused(e.Rule)
			}
			d.log.Info(e.Sentence(), zap.String("incident", e.Incident), zap.String("event", e.ID), zap.String("kind", string(e.Kind)),
				zap.String("code", e.Code), zap.String("rule", string(e.Rule)), zap.Int64("t_ms", e.TMS))
		}
	case lead.Won:
		d.log.Info("leads the region", zap.Int64("term", in.Term.Rev))
	case lead.Lost:
		d.log.Info("leads no more")
	}
}

// facts tells the leader's state what this agent knows of its store.
func (d *desk) facts(now cluster.Moment) {
	s := &d.state.Store
	s.Leader, s.Chain = d.state.Picture.Leader, d.state.Picture.Chain
	if s.Leader != "" {
		d.leadless = now
	}
	s.Leadless = now.Sub(d.leadless)
	s.LostFor = now.Sub(d.storeOK)
}

// wake leaves a word in a channel that holds one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// latest keeps only the newest value in a channel that holds one.
func latest[T any](c chan T, v T) {
	for {
		select {
		case c <- v:
			return
		default:
		}
		select {
		case <-c:
		default:
		}
	}
}
