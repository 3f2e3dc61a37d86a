// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/internal/store"
	"supervisor/isolate"
)

const (
	// fenceEvery is how often this host's Cassandra is asked while any fence
	// stands; the keeper sleeps otherwise.
	fenceEvery = 200 * time.Millisecond
	actMax     = 5 * time.Second
)

// fenceWork is what the fence keeper works from: every standing fence, with
// the address by which Cassandra knows the node.
type fenceWork struct {
	era    int64 // mod revision of the era key
	whole  bool  // the store was read and answers: no fence beside these stands
	closed bool  // this agent obeys nothing, and its Cassandra's word says nothing
	fences map[cluster.Name]standing
	revs   map[string]int64 // by key, the revision of every fence that is written, also of those that nobody obeys
	abroad []fencesAbroad
	ours   map[netip.Addr]bool // the storage addresses of this region's hosts
}

// fencesAbroad are those of another region, as they were read last.
type fencesAbroad struct {
	region cluster.Region
	at     cluster.Moment // when its store answered last; 0: it is not read
	fences map[cluster.Name]standing
	revs   map[string]int64
}

type standing struct {
	fence   isolate.Fence
	token   cluster.Token
	storage string // address:port, as gossip knows it
	said    []byte // this agent's report on it as the store shows it; nil: none
}

// passWanted hands standing fences and pools to their keepers and keeps the
// gate's copy of the own fence.
func (d *desk) passWanted() {
	p := d.state.Picture
	w := fenceWork{era: p.Era.Mod, whole: d.whole && d.state.Store.Lost == "" && p.Trusted(), closed: d.closed() != "", fences: map[cluster.Name]standing{}, revs: p.FenceRevs()}
	for n := range p.Fences {
		f, token, stands := p.Standing(n)
		if !stands {
			continue
		}
		w.fences[n] = standing{fence: f, token: token, storage: p.Hosts[n].Storage, said: shown(p.Seen[n], d.a.o.Self)}
	}
	d.addAbroad(&w)
	latest(d.a.wanted, w)
	d.passPools()
	d.orphaned()
	if d.whole && d.state.Store.Lost == "" {
		d.keepForGate()
	}
}

// shown is what the store shows of this agent's own word; nil: nothing.
func shown[T any](words map[cluster.Name]T, self cluster.Name) []byte {
	word, there := words[self]
	if !there {
		return nil
	}
	b, err := json.Marshal(word)
	if err != nil {
		return nil
	}
	return b
}

// word is what this agent told the store below one key, last.
type word struct {
	value string
	at    cluster.Moment
}

// shownIn is how soon the store shows what it took.
const shownIn = 5 * time.Second

// stands tells whether the store shows a report as it was told last. One that
// was given up can be written after a later one, and one that removes it too: an
// old word must not stay, and none is told again.
func (w word) stands(said, now []byte, at cluster.Moment) bool {
	switch {
	case w.value != string(now):
		return false
	case said == nil:
		return at.Sub(w.at) < shownIn
	}
	return bytes.Equal(said, now)
}

// keepForGate writes the gate's copy when what it must know changed.
func (d *desk) keepForGate() {
	p := d.state.Picture
	if kept := p.Kept(d.a.o.Self, d.local); kept != d.local {
		d.keepLocal(func() { d.local = kept })
	}
	if d.unrepaired && p.Retaken(d.a.o.Self, d.local) {
		d.a.o.Disk.Repairs()
	}
}

// keepFences makes the own fence stand and reports what this host's Cassandra
// says of every fenced node.
func (a *Agent) keepFences(ctx context.Context) {
	k := fenceKeeper{a: a, told: map[string]word{}}
	for {
		var tick <-chan time.Time
		switch {
		case len(k.work.fences) > 0 || len(k.told) > 0 || len(k.fencesAbroad()) > 0:
			tick = time.After(fenceEvery)
		case a.o.Ports != nil:
			tick = time.After(lookAtPorts)
		}
		select {
		case <-ctx.Done():
			return
		case k.work = <-a.wanted:
		case <-tick:
		}
		k.round(ctx)
	}
}

// fenceKeeper is the memory of keepFences: what it told the store last.
type fenceKeeper struct {
	a    *Agent
	work fenceWork
	told map[string]word // by key
	// The guard of ports was asked at portsAt, for wanted.
	portsAt cluster.Moment
	wanted  isolate.Closed
}

func (k *fenceKeeper) round(ctx context.Context) {
	defer k.a.rounds.begin(fenceRound, k.a.o.Clock.Now())()
	k.forget(ctx)
	k.keepPorts(ctx)
	if len(k.work.fences) == 0 && len(k.fencesAbroad()) == 0 {
		return
	}
	cctx, cancel := context.WithTimeout(ctx, actMax)
	defer cancel()
	p := k.a.readPulse(cctx)
	if own, mine := k.work.fences[k.a.o.Self]; mine && !k.work.closed && p.running && p.err == nil {
		if k.converge(cctx, own.fence, p) {
			p = k.a.readPulse(cctx) // a method that succeeded is a claim; this is the look
		}
	}
	for _, n := range sortedKeys(k.work.fences) {
		s := k.work.fences[n]
		k.tell(ctx, store.SeenFence(k.a.o.Self, n), s, k.seen(n, s, p))
	}
	for _, far := range k.work.abroad {
		for _, n := range sortedKeys(far.fences) {
			s := far.fences[n]
			k.tell(ctx, store.SeenAbroad(k.a.o.Self, far.region, n), s, k.seenOther(s, p))
		}
	}
}

// fencesAbroad are the fences that stand in other regions, a map for each that has any.
func (k *fenceKeeper) fencesAbroad() (all []map[cluster.Name]standing) {
	for _, far := range k.work.abroad {
		if len(far.fences) > 0 {
			all = append(all, far.fences)
		}
	}
	return all
}

// converge does what the own fence still lacks and tells whether it did
// anything.
func (k *fenceKeeper) converge(ctx context.Context, f isolate.Fence, p pulse) bool {
	acts := isolate.Converge(f, ownState(p))
	for _, act := range acts {
		if act == isolate.LowerSeverity || act == isolate.StartNative {
			if err := k.lastWord(ctx); err != nil {
				k.a.o.Log.Warn("let nobody in yet", zap.String("incident", f.Incident), zap.Error(err))
				return false
			}
		}
		if err := k.act(ctx, act); err != nil {
			k.a.o.Log.Warn("make the fence stand", zap.String("incident", f.Incident), zap.Error(err))
			return true
		}
	}
	return len(acts) > 0
}

// lastWord asks the store whether what is known of the fences is its last word.
// What protects is done at once; an agent that stood still believes what it read
// before, and must not let anybody in by that.
func (k *fenceKeeper) lastWord(ctx context.Context) error {
	now, err := k.a.written(ctx, store.Fences)
	if err != nil {
		return fmt.Errorf("ask whether the fences stand as they are known: %w", err)
	}
	if !maps.Equal(now, k.work.revs) {
		return errors.New("the fences are others by now than those that are known here")
	}
	return nil
}

// written asks the store, past what this agent has read, at which revisions the keys
// below a prefix were written last.
func (a *Agent) written(ctx context.Context, prefix string) (map[string]int64, error) {
	kvs, _, err := a.o.Journal.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	revs := make(map[string]int64, len(kvs))
	for _, kv := range kvs {
		revs[kv.Key] = kv.Mod
	}
	return revs, nil
}

func (k *fenceKeeper) act(ctx context.Context, act isolate.Act) error {
	switch act {
	case isolate.RaiseSeverity:
		return k.a.o.Admin.SetSeverity(ctx, isolate.SeverityFenced)
	case isolate.LowerSeverity:
		return k.a.o.Admin.SetSeverity(ctx, 0)
	case isolate.StopNative:
		return k.a.o.Admin.StopNativeTransport(ctx)
	case isolate.StartNative:
		return k.a.o.Admin.StartNativeTransport(ctx)
	}
	return nil
}

// ownState is what a reading says of this host's Cassandra.
func ownState(p pulse) isolate.OwnState {
	own := isolate.OwnState{Running: p.running, Process: p.process.Boot}
	if p.err == nil {
		own.Mode, own.Native, own.Severity = p.state.OperationMode, p.state.CQL, p.state.Severity
		own.Generation = p.state.Self.Generation
	}
	return own
}

// seen is this agent's report on one standing fence.
func (k *fenceKeeper) seen(n cluster.Name, s standing, p pulse) isolate.Seen {
	if n != k.a.o.Self {
		return k.seenOther(s, p)
	}
	out := isolate.Seen{Token: s.token}
	if k.work.closed {
		return out
	}
	own := ownState(p)
	own.Applied = p.err == nil && isolate.Stands(s.fence, own)
	out.Own = &own
	return out
}

// seenOther is this agent's report on the standing fence of another host.
func (k *fenceKeeper) seenOther(s standing, p pulse) isolate.Seen {
	out := isolate.Seen{Token: s.token}
	if k.work.closed {
		if k.a.o.Ports != nil {
			out.Uncut = "this agent obeys nothing"
		}
		return out
	}
	if wanted := s.fence.Levels.Has(isolate.Ring); wanted || k.a.o.Ports != nil {
		out.Cut, out.Uncut = k.a.closedPorts.cuts(s.storage, wanted)
	}
	if !p.running || p.err != nil {
		return out
	}
	out.SnitchOff = !p.state.DynamicSnitch
	peer, known := peerAt(p.state.Peers, s.storage)
	if !known {
		return out
	}
	out.Sight = isolate.Down
	if peer.Up {
		out.Sight = isolate.Up
	}
	out.Generation, out.Severity = peer.Generation, peer.Severity
	return out
}

// peerAt finds a peer by its storage address.
func peerAt(peers map[string]cassandra.PeerState, storage string) (cassandra.PeerState, bool) {
	if p, ok := peers[storage]; ok {
		return p, true
	}
	for _, address := range sortedKeys(peers) {
		if host(address) == host(storage) {
			return peers[address], true
		}
	}
	return cassandra.PeerState{}, false
}

// tell writes a report when it changed, or when the store shows another.
func (k *fenceKeeper) tell(ctx context.Context, key string, s standing, seen isolate.Seen) {
	b, err := json.Marshal(seen)
	now := k.a.o.Clock.Now()
	if err != nil || k.told[key].stands(s.said, b, now) {
		return
	}
	if k.a.report(ctx, key, b, k.work.era) {
		k.told[key] = word{string(b), now}
	}
}

// forget removes the reports on fences that stand no more.
func (k *fenceKeeper) forget(ctx context.Context) {
	standing := map[string]bool{}
	for n := range k.work.fences { // order: into a map
		standing[store.SeenFence(k.a.o.Self, n)] = true
	}
	for _, far := range k.work.abroad {
		for n := range far.fences { // order: into a map
			standing[store.SeenAbroad(k.a.o.Self, far.region, n)] = true
		}
	}
	for _, key := range sortedKeys(k.told) {
		if standing[key] {
			continue
		}
		cctx, cancel := context.WithTimeout(ctx, requestMax)
		_, err := k.a.o.Journal.Commit(cctx, store.Txn{Delete: []string{key}})
		cancel()
		if err == nil {
			delete(k.told, key)
		}
	}
}

// report puts a key of this agent's own; the era is compared, so that a word
// for one store never lands in another.
func (a *Agent) report(ctx context.Context, key string, value []byte, era int64) bool {
	cctx, cancel := context.WithTimeout(ctx, requestMax)
	defer cancel()
	res, err := a.o.Journal.Commit(cctx, store.Txn{
		Compare: []store.Compare{{Key: store.Era, Rev: era}}, Put: []store.Put{{Key: key, Value: value}}})
	return err == nil && res.OK
}
