// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/internal/lead"
	"supervisor/internal/store"
)

const (
	beatEvery   = 2 * time.Second
	schemaEvery = 10 * time.Second // while an incident is open; its opening hurries the next
	schemaRest  = 30 * time.Second // else: each reading opens a session
	schemaMax   = 5 * time.Second
	adminQuiet  = 10 * time.Second // then a running process without admin interface is a finding
	slowCommit  = time.Second
	// aliveEvery is how often a proof of life is written to disk.
	aliveEvery = 10 * time.Second
)

// pulse is one reading of this host's Cassandra.
type pulse struct {
	process  Process
	running  bool
	unitErr  error
	state    cassandra.NodeState
	settings cassandra.Settings
	err      error
}

// beat learns at its pace how this host's Cassandra is, and asks it at once
// when the desk wants to know why it stopped answering.
func (a *Agent) beat(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	var known settings
	read := a.readPulse
	for {
		end := a.rounds.begin(heart, a.o.Clock.Now())
		p := read(ctx)
		known = a.readSettings(ctx, known, p)
		end()
		p.settings = known.Settings
		latest(a.pulses, p)
		select {
		case <-ctx.Done():
			return
		case <-a.beats:
			read = a.readPulse
		case <-ticker.C:
			read = a.quietPulse
		}
	}
}

// quietPulse takes what the observer read a moment ago, so that a quiet node
// is asked once and not twice; without that it asks itself.
func (a *Agent) quietPulse(ctx context.Context) pulse {
	var p pulse
	if p.process, p.running, p.unitErr = a.o.Unit.Running(ctx); !p.running {
		return p
	}
	s, age, said := a.o.Observer.State()
	if !said || age > beatEvery || a.o.Observer.Process() != p.process.Boot {
		return a.readPulse(ctx)
	}
	p.state = s
	return p
}

// settings are those of one process, and how many beats old.
type settings struct {
	cassandra.Settings
	of    cluster.Boot
	beats int
}

// settingsEvery is how many beats settings are believed: they can be changed
// while the process runs.
const settingsEvery = 30

// readSettings reads them when they are of another process, or old. What
// cannot be read stays as it was.
func (a *Agent) readSettings(ctx context.Context, known settings, p pulse) settings {
	known.beats++
	if !p.running || p.err != nil || known.of == p.process.Boot && known.beats < settingsEvery {
		return known
	}
	s, err := a.o.Admin.Settings(ctx)
	if err != nil {
		return known
	}
	return settings{Settings: s, of: p.process.Boot}
}

func (a *Agent) readPulse(ctx context.Context) pulse {
	var p pulse
	p.process, p.running, p.unitErr = a.o.Unit.Running(ctx)
	if p.running {
		p.state, p.err = a.o.Admin.State(ctx)
	}
	return p
}

// pulsed takes a reading in: what the node is made of, and what is wrong.
func (d *desk) pulsed(_ context.Context, p pulse) {
	now := d.a.o.Clock.Now()
	d.lookAround()
	d.quietAdmin(p, now)
	d.seesAbroad(p)
	if !p.running || p.err != nil {
		d.mode = ""
		d.keepAlive()
		return
	}
	s := p.state
	// Under paxos_variant v2 a repair is also for what no table has taken yet.
	d.counters = p.settings.HintWindow > 0 && !p.settings.PaxosV2
	d.mode = s.OperationMode
	d.keepAlive()
	d.tellLeaving(s, now)
	if s.ClusterName != "" {
		d.checkCluster(s.ClusterName)
	}
	if s.OperationMode == "NORMAL" {
		d.inOrder()
		d.state.Downs(downs(s, d.state.Picture.Hosts), now)
	}
	if s.HostID == "" {
		return
	}
	d.cassandra = &incident.CassandraFacts{HostID: s.HostID, Cluster: s.ClusterName, Address: host(s.Address), Version: s.Release,
		Schema: s.Schema, Tokens: s.Tokens, Seeds: hosts(s.Seeds), SnitchOff: !s.DynamicSnitch, Mode: s.OperationMode, Moving: s.Moving,
		HintWindow: p.settings.HintWindow, Sizes: d.sizes}
}

// downs are the nodes of the roster that a Cassandra believes down. Whom it does
// not know it keeps no hints for either, but it reads nothing there.
func downs(s cassandra.NodeState, hosts map[cluster.Name]cluster.Host) []cluster.Name {
	var down []cluster.Name
	for _, n := range sortedKeys(hosts) {
		if peer, known := peerAt(s.Peers, hosts[n].Storage); known && !peer.Up {
			down = append(down, n)
		}
	}
	return down
}

// tellLeaving announces a drain as soon as it is seen: the native transport
// closes first, and nobody may take that for a failure.
func (d *desk) tellLeaving(s cassandra.NodeState, now cluster.Moment) {
	was := d.drained
	over := s.Drained || s.OperationMode == "DRAINED"
	d.drained = over || s.OperationMode == "DRAINING"
	if over && !d.local.Clean {
		d.keepLocal(func() { d.local = d.local.Drained(d.served, d.hints) })
	}
	if d.drained && !was {
		from := d.served
		if d.local.Clean { // it was drained before this agent began
			from = d.local.CleanFrom
		}
		d.leaves(from)
		d.refreshLooks()
		d.sendDigest(now)
	}
}

// leaves notes when an announced stop began; one that nobody saw begin begins now.
func (d *desk) leaves(from time.Time) {
	d.left = from
	if from.IsZero() {
		d.left = d.a.o.Clock.Wall()
	}
}

// stopHolds tells whether the announcement of a stop still holds. It is over when
// the judge's bound is: from then on the node is what it is, a process that
// ended or a Cassandra without CQL, and is returned like one.
func (d *desk) stopHolds() bool {
	return d.drained && d.a.o.Clock.Wall().Sub(d.left) < d.state.Bars(d.hints).PlannedMax
}

// lookAround notes what stands on this host's disk and in the store that only
// this agent can see: a start without an answer, a disk it cannot look at, keys
// that it cannot read, the policy among them.
func (d *desk) lookAround() {
	if err := d.a.o.Observer.Unwatched(); err != nil {
		d.trouble("DATA_DIR_UNWATCHED", "detail", err.Error())
	} else {
		d.clear("DATA_DIR_UNWATCHED")
	}
	d.portsTrouble()
	d.powerTrouble()
	d.untakenTrouble(d.a.o.Clock.Now())
	d.unheardRegions()
	if d.a.o.Disk.Unasked(d.a.o.Clock.Wall()) {
		d.trouble("GATE_UNASKED")
	} else {
		d.clear("GATE_UNASKED")
	}
	if why, strange := d.state.Picture.Strange[store.Policy]; strange {
		d.trouble("CONFIG_REJECTED", "detail", why)
	} else {
		d.clear("CONFIG_REJECTED")
	}
	d.unread()
}

// unreadMax bounds the keys that one finding names; the rest is counted.
const unreadMax = 3

// unread notes keys of the store that this agent cannot read.
func (d *desk) unread() {
	keys := d.state.Picture.Unread()
	if len(keys) == 0 {
		d.clear("STORE_KEY_UNREAD")
		return
	}
	named := strings.Join(keys[:min(unreadMax, len(keys))], ", ")
	if more := len(keys) - unreadMax; more > 0 {
		named += " and " + strconv.Itoa(more) + " more"
	}
	d.trouble("STORE_KEY_UNREAD", "keys", named, "detail", d.state.Picture.Strange[keys[0]])
}

// inOrder notes that this Cassandra serves: the gate may not take its next
// start for a first one, and an unasked start is history.
func (d *desk) inOrder() {
	d.served = d.a.o.Clock.Wall().UTC()
	if !d.local.EverServed || d.local.Clean {
		d.keepLocal(func() { d.local.EverServed, d.local.Clean = true, false })
	}
}

// keepAlive writes down now and then that this Cassandra is in order: after a
// restart of all agents nobody else knows how long a node has been away. From
// the beginning of its incident on the word stays as it is, because what runs
// then is another process; a person may have written it. So it does after a
// start that nobody was asked for, until a return has taken the node.
func (d *desk) keepAlive() {
	open := d.state.Picture.Doubted(d.a.o.Self)
	d.unrepaired = d.a.o.Disk.Unrepaired()
	if open || d.unrepaired || d.mode != "NORMAL" {
		d.alive = d.a.o.Disk.Alive()
		return
	}
	wall := d.a.o.Clock.Wall()
	if since := wall.Sub(d.alive); !d.whole || since >= 0 && since < aliveEvery {
		return
	}
	// A directory that takes no writes is found by what must be written there.
	if d.a.o.Disk.SaveAlive(wall) == nil {
		d.alive = wall
	}
}

// lastAlive is what is told of it: nothing while nothing is wrong, so that the
// agent's key rests.
func (d *desk) lastAlive() time.Time {
	if d.state.Picture.Doubted(d.a.o.Self) || d.unrepaired || d.mode != "NORMAL" {
		return d.alive.Truncate(time.Second)
	}
	return time.Time{}
}

// keepLocal changes the gate's copy and writes it. What cannot be written is
// not believed either, so that it is tried again.
func (d *desk) keepLocal(change func()) {
	before := d.local
	change()
	wanted := d.local
	d.local = before
	_ = d.saveLocal(wanted) // what went wrong is a finding
}

func (d *desk) checkCluster(found string) {
	if found == d.a.o.Cluster {
		d.clear("CLUSTER_NAME_WRONG")
		return
	}
	d.trouble("CLUSTER_NAME_WRONG", "found", found, "want", d.a.o.Cluster)
}

// quietAdmin notes an admin interface that does not answer though the process
// runs.
func (d *desk) quietAdmin(p pulse, now cluster.Moment) {
	if !p.running || p.err == nil || cassandra.Absent(p.err) {
		d.quiet = 0
		d.clear("ADMIN_SILENT")
		return
	}
	if d.quiet == 0 {
		d.quiet = now
	}
	if now.Sub(d.quiet) >= adminQuiet {
		d.trouble("ADMIN_SILENT", "detail", p.err.Error())
	}
}

// member notes how this host's own member of the store does.
func (d *desk) member() {
	if why := d.a.o.Member(); why != "" {
		d.trouble("STORE_MEMBER_DOWN", "detail", why)
		return
	}
	d.clear("STORE_MEMBER_DOWN")
}

func (d *desk) slow(took time.Duration) {
	if took < slowCommit {
		d.clear("STORE_SLOW")
		return
	}
	d.trouble("STORE_SLOW", "ms", strconv.FormatInt(took.Milliseconds(), 10))
}

// trouble notes a finding that only this agent can see; it is logged when it
// begins.
func (d *desk) trouble(code string, pairs ...string) {
	t := incident.Trouble{Code: code, Args: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		t.Args[pairs[i]] = pairs[i+1]
	}
	d.note(t)
}

// note is trouble for one that is put together.
func (d *desk) note(t incident.Trouble) {
	if _, known := d.troubles[t.Code]; !known {
		args := map[string]string{"node": string(d.a.o.Self)}
		for k, v := range t.Args {
			args[k] = v
		}
		d.log.Warn(incident.Sentence(t.Code, args), zap.String("finding", t.Code))
	}
	d.troubles[t.Code] = t
}

func (d *desk) clear(code string) {
	if _, known := d.troubles[code]; known {
		delete(d.troubles, code)
		d.log.Info("finding cleared", zap.String("finding", code))
	}
}

// self is what this agent says about itself.
func (d *desk) self() incident.Agent {
	me := incident.Agent{Boot: d.a.o.Boot, Version: d.a.o.Version, Level: lead.LevelNow, Control: d.a.control(), Cassandra: d.cassandra, Alive: d.lastAlive(), Unrepaired: d.unrepaired,
		Missed: d.state.Missed(d.a.o.Clock.Now(), d.a.o.Clock.Wall()), Lapsed: d.state.Lapsed(), Sights: d.sights, Counts: d.counts, Writes: d.written, Load: d.load}
	_, me.Cuts, _ = d.a.closedPorts.state()
	me.Power, me.Residency = d.power, d.residency
	if p := d.state.Picture.Policy.Value; p != nil {
		me.Policy = p.Version
	}
	for _, code := range sortedKeys(d.troubles) {
		me.Troubles = append(me.Troubles, d.troubles[code])
	}
	return me
}

// showsOwn tells whether the store shows what was announced, as far as it answers.
func (d *desk) showsOwn(b []byte) bool {
	return !d.whole || d.state.Store.Lost != "" || bytes.Equal(shown(d.state.Picture.Agents, d.a.o.Self), b)
}

// announceAgain is how long a word may take until the store shows it.
const announceAgain = 5 * time.Second

// announce writes the agent's own key when what it says changed, or when the
// store shows another word: one that was given up can be written after a later one.
func (d *desk) announce() {
	b, err := json.Marshal(d.self())
	now := d.a.o.Clock.Now()
	if err != nil || string(b) == d.announced && (now.Sub(d.announcedAt) < announceAgain || d.showsOwn(b)) {
		return
	}
	d.announced, d.announcedAt = string(b), now
	d.a.o.Journal.Announce(store.Agent(d.a.o.Self), b)
}

// readSchema keeps ring and keyspaces fresh, from the own Cassandra or, while
// that is down, from any other that answers.
func (a *Agent) readSchema(ctx context.Context) {
	for failed := 0; ctx.Err() == nil; {
		asked, err := ask(ctx, a, (*desk).cqlAddresses)
		if err != nil {
			return
		}
		addresses, names := asked.addresses, asked.names
		if len(addresses) == 0 {
			pause(ctx, retryEvery)
			continue
		}
		cctx, cancel := context.WithTimeout(ctx, schemaMax)
		s, err := a.o.Reader.Schema(cctx, addresses, names)
		cancel()
		failed++
		if err == nil {
			failed = 0
			a.send(ctx, lead.Schemed{Schema: s})
		}
		_, _ = ask(ctx, a, func(d *desk) struct{} { d.schemaWord(err, failed); return struct{}{} })
		rest := schemaRest
		if err != nil || asked.hurry {
			rest = schemaEvery
		}
		a.hurried(ctx, rest)
	}
}

// hurried waits for d, or until an incident opens.
func (a *Agent) hurried(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-a.opened:
	}
}

// whereCQL is where ring and schema can be read.
type whereCQL struct {
	addresses []string
	names     map[string]cluster.Name // by storage address
	hurry     bool                    // an incident is open
}

// cqlAddresses lists where ring and schema can be read, the own host first,
// and the names behind storage addresses.
func (d *desk) cqlAddresses() whereCQL {
	var addresses []string
	names := map[string]cluster.Name{}
	for n, h := range d.state.Roster() { // order: into a map
		names[host(h.Storage)] = n
	}
	for _, n := range sortedKeys(d.state.Picture.Hosts) {
		h := d.state.Picture.Hosts[n]
		if n == d.a.o.Self {
			addresses = slices.Insert(addresses, 0, h.CQL)
			continue
		}
		addresses = append(addresses, h.CQL)
	}
	return whereCQL{addresses, names, len(d.state.Picture.Records) > 0}
}

// host is an address without its port.
func host(address string) string {
	h, _, err := net.SplitHostPort(strings.TrimPrefix(address, "/"))
	if err != nil {
		return strings.TrimPrefix(address, "/")
	}
	return h
}

func hosts(addresses []string) []string {
	out := make([]string, len(addresses))
	for i, a := range addresses {
		out[i] = host(a)
	}
	return out
}
