// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/loadbalancer"
)

const (
	poolEvery = 2 * time.Second // every agent reads back
	proxyMax  = time.Second     // one exchange with one proxy
	// settleMax is how long a new intent may take to stand. What differs until then
	// is on its way, and no hand's.
	settleMax = 10 * time.Second
)

// poolWork is what the pool keeper works from.
type poolWork struct {
	era   int64
	pools map[string]wantedPool
}

type wantedPool struct {
	declared loadbalancer.Declared
	want     loadbalancer.Pool
	token    cluster.Token
	intended bool // a leader wrote it; otherwise it is only read
	write    bool // this agent is the one that writes
	// stood are the proxies that were once read back at this intent, or a later
	// one, with nothing left to change: what differs there since is drift.
	stood map[string]bool
	said  []byte // this agent's report on it as the store shows it; nil: none
}

// passPools hands the wanted pools to their keeper.
func (d *desk) passPools() {
	p := d.state.Picture
	w := poolWork{era: p.Era.Mod, pools: map[string]wantedPool{}}
	if p.Policy.Value == nil {
		return
	}
	for _, decl := range p.Policy.Value.Pools {
		at, intended := p.Pools[decl.Name]
		intended = intended && !p.Older(at.Mod)
		wp := wantedPool{declared: decl, want: decl.Pool(at.Value), token: p.Token(at.Mod), intended: intended,
			write: d.writes(decl), stood: d.stood(decl, p.Token(at.Mod)), said: shown(p.PoolSeen[decl.Name], d.a.o.Self)}
		w.pools[decl.Name] = wp
	}
	latest(d.a.pools, w)
}

// writes tells whether this agent is the pool's writer: the first of the
// declared ones that is heard and has the store. What one without the store
// last read of a pool may be long undone, and a proxy cannot compare tokens. An
// agent that does not judge believes every writer before it to be heard.
func (d *desk) writes(decl loadbalancer.Declared) bool {
	if !slices.Contains(decl.Writers, d.a.o.Self) || d.closed() != "" || !d.whole || d.state.Store.Lost != "" {
		return false
	}
	first, ok := loadbalancer.Writer(decl.Writers, func(n cluster.Name) bool {
		if n == d.a.o.Self {
			return true
		}
		if _, there := d.state.Picture.Agents[n]; !there {
			return false // its lease is gone: it has no store
		}
		h, heard := d.state.View().Observers[n]
		return !d.a.control() || heard && d.a.o.Clock.Now().Sub(h.At) <= d.state.Picture.Policy.Value.Bars().Fresh
	})
	return ok && first == d.a.o.Self
}

// stood tells at which proxies any agent has read this intent back. Each counts
// for itself: one that missed a round must still be given what it missed.
func (d *desk) stood(decl loadbalancer.Declared, token cluster.Token) map[string]bool {
	stood := map[string]bool{}
	for _, s := range d.state.Picture.PoolSeen[decl.Name] { // order: only whether there is one
		for _, p := range decl.Proxies {
			at := s.Proxies[p.Name].Stood
			stood[p.Name] = stood[p.Name] || at != (cluster.Token{}) && at.Compare(token) >= 0
		}
	}
	return stood
}

// keepPools writes new intents to the proxies and reads every proxy back.
func (a *Agent) keepPools(ctx context.Context) {
	k := poolKeeper{a: a, told: map[string]word{}, proxies: map[string]Proxy{}, lost: map[string]bool{}, news: map[string]news{}}
	ticker := time.NewTicker(poolEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-a.pools:
			again := !k.sameAs(w)
			k.work = w
			if !again {
				continue
			}
		case <-ticker.C:
		}
		k.round(ctx)
	}
}

type poolKeeper struct {
	a       *Agent
	work    poolWork
	told    map[string]word
	proxies map[string]Proxy
	lost    map[string]bool // proxies that do not answer
	news    map[string]news // by pool: its newest intent
}

// news is when an agent heard of an intent.
type news struct {
	token cluster.Token
	at    cluster.Moment
}

// settled tells whether what differs from an intent at a proxy is somebody's
// hand: it stood there before, or nobody is about to write it.
func (k *poolKeeper) settled(w wantedPool, proxy string) bool {
	late := k.a.o.Clock.Now().Sub(k.news[w.declared.Name].at) > settleMax
	return w.stood[proxy] || !w.intended || late
}

// sameAs tells whether nothing that matters to proxies changed.
func (k *poolKeeper) sameAs(w poolWork) bool {
	if len(w.pools) != len(k.work.pools) {
		return false
	}
	for name, p := range w.pools {
		old, ok := k.work.pools[name]
		if !ok || old.token != p.token || old.write != p.write || old.intended != p.intended {
			return false
		}
	}
	return true
}

func (k *poolKeeper) round(ctx context.Context) {
	defer k.a.rounds.begin(poolRounds, k.a.o.Clock.Now())()
	for _, name := range sortedKeys(k.work.pools) {
		w := k.work.pools[name]
		if n, known := k.news[name]; !known || n.token != w.token {
			k.news[name] = news{w.token, k.a.o.Clock.Now()}
		}
		seen := incident.PoolSeen{Token: w.token, Proxies: k.proxiesOf(ctx, w)}
		seen.InStep = inStep(w.declared, seen.Proxies)
		k.log(name, seen.Proxies)
		b, err := json.Marshal(stripped(seen))
		key := store.SeenPool(k.a.o.Self, name)
		now := k.a.o.Clock.Now()
		if err == nil && !k.told[key].stands(w.said, b, now) && k.a.report(ctx, key, b, k.work.era) {
			k.told[key] = word{string(b), now}
		}
	}
}

// log tells of a proxy when it ceases to answer, and when it answers again.
func (k *poolKeeper) log(pool string, proxies map[string]incident.ProxyStatus) {
	for _, name := range sortedKeys(proxies) {
		key, trouble := pool+"/"+name, proxies[name].Trouble
		switch {
		case trouble != "" && !k.lost[key]:
			k.a.o.Log.Warn(incident.Sentence("POOL_UNREACHABLE", map[string]string{"proxy": name, "pool": pool,
				"agent": string(k.a.o.Self), "detail": trouble}), zap.String("finding", "POOL_UNREACHABLE"))
		case trouble == "" && k.lost[key]:
			k.a.o.Log.Info("finding cleared", zap.String("finding", "POOL_UNREACHABLE"), zap.String("proxy", name), zap.String("pool", pool))
		}
		k.lost[key] = trouble != ""
	}
}

// proxiesOf asks every proxy of a pool at the same time: one that hangs must
// not delay the others.
func (k *poolKeeper) proxiesOf(ctx context.Context, w wantedPool) map[string]incident.ProxyStatus {
	out := make(map[string]incident.ProxyStatus, len(w.declared.Proxies))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range w.declared.Proxies {
		client, err := k.client(p, w.declared.Backend)
		wg.Go(func() {
			status := incident.ProxyStatus{}
			if err != nil {
				status.Trouble = err.Error()
			} else {
				status = k.proxy(ctx, client, w, p.Name)
			}
			if w.stood[p.Name] {
				status.Stood = w.token // neither a hand nor a pause takes that back
			}
			mu.Lock()
			defer mu.Unlock()
			out[p.Name] = status
		})
	}
	wg.Wait()
	return out
}

func (k *poolKeeper) client(p loadbalancer.Proxy, backend string) (Proxy, error) {
	key := p.Name + " " + p.Socket + " " + backend
	if c, ok := k.proxies[key]; ok {
		return c, nil
	}
	c, err := k.a.o.Proxies(p.Name, p.Socket, backend)
	if err != nil {
		return nil, fmt.Errorf("use proxy %s: %w", p.Name, err)
	}
	k.proxies[key] = c
	return c, nil
}

// proxy brings one proxy to what is wanted, if that is this agent's to do, and
// reads it back. What was read back counts, also after an order that failed: a
// refused one leaves a proxy that answers and differs.
func (k *poolKeeper) proxy(ctx context.Context, c Proxy, w wantedPool, name string) incident.ProxyStatus {
	ctx, cancel := context.WithTimeout(ctx, proxyMax)
	defer cancel()
	actual, err := c.Read(ctx)
	if err != nil {
		return incident.ProxyStatus{Trouble: err.Error()}
	}
	var refused error
	drift := loadbalancer.Difference(w.want, actual)
	if changes := toApply(w, name, drift.Changes); len(changes) > 0 {
		if err := k.newest(ctx, w); err != nil {
			k.a.o.Log.Warn("proxy not told", zap.String("pool", w.declared.Name), zap.String("proxy", name), zap.Error(err))
			return incident.ProxyStatus{Actual: actual}
		}
		if refused = c.Apply(ctx, changes); refused == nil {
			k.a.o.Log.Info("proxy told", zap.String("pool", w.declared.Name), zap.String("proxy", name), zap.Any("changes", changes))
		}
		if actual, err = c.Read(ctx); err != nil {
			return incident.ProxyStatus{Trouble: errors.Join(refused, err).Error()}
		}
		drift = loadbalancer.Difference(w.want, actual)
	}
	status := incident.ProxyStatus{Actual: actual, InStep: drift.InStep()}
	for _, n := range drift.Unknown() {
		status.Unknown = append(status.Unknown, string(n))
	}
	if len(drift.Changes) == 0 {
		status.Stood = w.token
	}
	if refused != nil && len(drift.Changes) > 0 {
		status.Trouble = refused.Error()
		return status
	}
	if k.settled(w, name) {
		for _, c := range drift.Changes {
			status.Drift = append(status.Drift, c.String())
		}
	}
	return status
}

// newest asks the store whether an intent is its last word about its pool. An agent
// that stood still believes what it read before, and that the writers before it
// are gone, until it has caught up. A proxy cannot compare tokens, and what it was
// told too late looks like somebody's hand to the others, who let it stand.
func (k *poolKeeper) newest(ctx context.Context, w wantedPool) error {
	key := store.Pool(w.declared.Name)
	revs, err := k.a.written(ctx, key)
	if err != nil {
		return fmt.Errorf("ask whether %s is the last word about the pool: %w", w.token, err)
	}
	if rev, there := revs[key]; !there || rev != w.token.Rev {
		return fmt.Errorf("%s is not the last word about the pool any more", w.token)
	}
	return nil
}

// toApply are the changes that are this agent's to make. A new intent is
// written whole. Once it stood at this proxy, a difference is somebody's hand:
// what keeps a node out is put right, what would let one in is only shown.
func toApply(w wantedPool, proxy string, changes []loadbalancer.Change) []loadbalancer.Change {
	if !w.write || !w.intended {
		return nil
	}
	if !w.stood[proxy] {
		return changes
	}
	return slices.DeleteFunc(slices.Clone(changes), func(c loadbalancer.Change) bool { return c.To.Want == loadbalancer.Ready })
}

// inStep tells whether every declared proxy stands as the pool is wanted.
func inStep(d loadbalancer.Declared, proxies map[string]incident.ProxyStatus) bool {
	for _, p := range d.Proxies {
		if !proxies[p.Name].InStep {
			return false
		}
	}
	return len(d.Proxies) > 0
}

// stripped leaves the changing counters out of what is stored, so that a busy
// proxy does not write to the store all the time.
func stripped(s incident.PoolSeen) incident.PoolSeen {
	proxies := make(map[string]incident.ProxyStatus, len(s.Proxies))
	for name, p := range s.Proxies {
		p.Actual = slices.Clone(p.Actual)
		for i := range p.Actual {
			p.Actual[i].Sessions = 0
		}
		proxies[name] = p
	}
	s.Proxies = proxies
	return s
}
