// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/isolate"
	"supervisor/residency"
)

// line is the way between two regions: that of their Cassandras, guarded by
// region.mu, and that to the other one's store.
type line struct {
	apart  bool
	since  time.Time
	known  map[cluster.Name]cassandra.PeerState // as it was when they were parted
	mute   atomic.Bool                          // neither store is reached from the other region
	shared bool                                 // a keyspace has copies in both
}

// convicts is how long gossip takes to miss a node that says nothing.
const convicts = 20 * time.Second

// seen is what the Cassandras of one region believe of a node of the other.
func (l *line) seen(n *fakeNode) cassandra.PeerState {
	if !l.apart {
		return n.peerState()
	}
	s := l.known[n.name]
	s.Up = s.Up && time.Since(l.since) < convicts
	return s
}

// part cuts two regions off from each other, or joins them again.
func (r *region) part(apart bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.line
	l.apart, l.since, l.known = apart, time.Now(), map[cluster.Name]cassandra.PeerState{}
	l.mute.Store(apart)
	for _, side := range []*region{r, r.far} {
		for _, n := range side.nodes {
			l.known[n.name] = n.peerState()
		}
	}
}

// inRegions plays a story of two regions with a store each: n1 to n3 in eu, b1 to b3
// in us.
func inRegions(t *testing.T, shared bool, story func(eu, us *region)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		eu := newRegion(t, dir, incident.Auto)
		us := newRegion(t, filepath.Join(dir, "us"), incident.Auto)
		us.names, us.is, us.dc, us.mu = []cluster.Name{"b1", "b2", "b3"}, "us", "dc2", eu.mu
		us.store = newFakeStore()
		us.store.cluster = "c9"
		us.nodes, us.keys = map[cluster.Name]*fakeNode{}, keysOf(us.names)
		p := policy(incident.Auto)
		p.Modes = map[cluster.Datacenter]incident.Mode{"dc2": incident.Auto}
		p.Pools[0].Members, p.Pools[0].Writers = us.names, us.names
		p.KnownRows = []incident.KnownRows{{Keyspace: "other", Table: "t", Max: 10}}
		us.populate(abroadPolicy(p))
		eu.store = newFakeStore()
		eu.found(abroadPolicy(policy(incident.Auto)))
		eu.line = &line{shared: shared}
		eu.far, us.far, us.line = us, eu, eu.line
		for _, r := range []*region{eu, us} {
			for _, n := range r.names {
				r.start(n)
			}
		}
		for _, r := range []*region{eu, us} {
			r.wait("a leader that knows the schema of "+string(r.is), 20*time.Second, r.settled)
			r.wait("the other region is heard in "+string(r.is), time.Minute, r.hearsAll)
		}
		story(eu, us)
		for _, r := range []*region{eu, us} {
			for _, n := range r.names {
				r.halt(n, true)
			}
		}
		time.Sleep(time.Minute)
		for _, r := range []*region{eu, us} {
			for _, b := range r.breaches {
				t.Errorf("must never be: %s", b)
			}
			if t.Failed() {
				r.print()
			}
		}
	})
}

func abroadPolicy(p incident.Policy) incident.Policy {
	p.Regions = map[cluster.Region][]cluster.Datacenter{"eu": {"dc1"}, "us": {"dc2"}}
	p.Residency = residency.Open([]cluster.Region{"eu", "us"})
	return p
}

// hearsAll tells whether the leader knows every Cassandra of the other region by name,
// and hears its agent.
func (r *region) hearsAll() bool {
	l := r.leader()
	if l == nil {
		return false
	}
	w := l.snapshot().World
	return !slices.ContainsFunc(r.far.names, func(n cluster.Name) bool { return !w.Abroad[n].Heard || !w.Serves(n) })
}

// farNodes are the Cassandras of the other region, by name; none where there is none.
func (r *region) farNodes() (nodes []*fakeNode) {
	if r.far == nil {
		return nil
	}
	for _, n := range r.far.names {
		nodes = append(nodes, r.far.nodes[n])
	}
	return nodes
}

// schema is what a Cassandra of the region reads; named are the hosts' names by address.
func (r *region) schema(named map[string]cluster.Name) cluster.Schema {
	if r.far == nil {
		return schema()
	}
	s := cluster.Schema{Version: "v1"}
	for i, side := range []*region{r, r.far} {
		for j, n := range side.names {
			m := cluster.Member{Name: cluster.Name(address(n)), HostID: hostID(n), Address: address(n), Datacenter: side.dc,
				Rack: cluster.Rack(fmt.Sprintf("r%d", j+1)), Tokens: []int64{int64(j+1)*100 + int64(i)*50}}
			if name, known := named[m.Address]; known {
				m.Name = name
			}
			s.Members = append(s.Members, m)
		}
	}
	slices.SortFunc(s.Members, func(a, b cluster.Member) int { return strings.Compare(string(a.Name), string(b.Name)) })
	keyspace := func(name string, factors map[cluster.Datacenter]int) {
		s.Keyspaces = append(s.Keyspaces, cluster.Keyspace{Name: name, Replication: cluster.Replication{Strategy: cluster.NetworkTopology, Factors: factors},
			Tables: []cluster.Table{{Name: "t", GCGrace: 10 * 24 * time.Hour}}})
	}
	keyspace("ks", map[cluster.Datacenter]int{"dc1": 3})
	keyspace("other", map[cluster.Datacenter]int{"dc2": 3})
	if r.line.shared {
		keyspace("shared", map[cluster.Datacenter]int{"dc1": 3, "dc2": 3})
	}
	return s
}

// repairedWith notes the hosts of a repair; mu is held.
func (r *region) repairedWith(hosts []string) {
	for _, n := range r.farNodes() {
		if slices.Contains(hosts, n.storage()) {
			r.did(n.name, "is repaired with")
		}
	}
}

// reads are the stores of other regions that the agents read.
func (r *region) reads() map[cluster.Region]RegionStore {
	if r.far == nil {
		return nil
	}
	return map[cluster.Region]RegionStore{r.far.is: fakeRegionStore{r.far.store, &r.line.mute}}
}

// fakeRegionStore is the store of another region as it is read from here.
type fakeRegionStore struct {
	s    *fakeStore
	mute *atomic.Bool
}

func (f fakeRegionStore) Seen() string { return f.s.cluster }

func (f fakeRegionStore) Check(ctx context.Context, _ func(store.Sight) bool) error {
	pause(ctx, storeTakes)
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.down || f.mute.Load() {
		return errStore
	}
	return nil
}

func (f fakeRegionStore) Watch(ctx context.Context, folders []string) <-chan store.Batch {
	out := make(chan store.Batch, 8)
	go func() {
		defer close(out)
		var w model.Watch
		told := time.Time{}
		for ctx.Err() == nil {
			if f.Check(ctx, nil) != nil {
				w = model.Watch{}
				pause(ctx, retryEvery)
				continue
			}
			f.s.mu.Lock()
			b, some := f.s.m.Pull(&w)
			f.s.mu.Unlock()
			b.KVs = slices.DeleteFunc(slices.Clone(b.KVs), func(kv store.KV) bool {
				return !slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(kv.Key, folder) })
			})
			if !some && time.Since(told) < 2*time.Second {
				pause(ctx, 50*time.Millisecond)
				continue
			}
			told = time.Now()
			select {
			case out <- b:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// wrote lists who sent transactions to the region's store.
func (r *region) wrote() (who []cluster.Name) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, c := range r.store.commits {
		if !slices.Contains(who, c.who) {
			who = append(who, c.who)
		}
	}
	slices.Sort(who)
	return who
}

// sights are what the agents of this region say in its store of a node of the other.
func (r *region) sights(n cluster.Name) map[cluster.Name]isolate.Seen {
	said := map[cluster.Name]isolate.Seen{}
	for _, kv := range r.store.list(store.Abroads) {
		parts := store.Split(kv.Key, store.Abroads)
		var s isolate.Seen
		if parts[2] == string(n) && store.Strict(kv.Value, &s) == nil {
			said[cluster.Name(parts[0])] = s
		}
	}
	return said
}
