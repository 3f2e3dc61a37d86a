// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/loadbalancer"
)

func (r *region) proxyOf(name string) *fakeProxy {
	if name == "ha2" {
		return r.other
	}
	return r.proxy
}

// twoProxies puts a second proxy before the pool and waits until it is read.
func (r *region) twoProxies() {
	r.t.Helper()
	p := policy(incident.Auto)
	p.Version = 2
	p.Pools[0].Proxies = append(p.Pools[0].Proxies, loadbalancer.Proxy{Name: "ha2", Socket: "/run/ha2.sock"})
	b, err := json.Marshal(p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.store.put(store.Policy, b)
	r.wait("the second proxy read", 10*time.Second, func() bool {
		return len(r.leader().snapshot().World.PoolSeen["web"]["n1"].Proxies) == 2
	})
}

// change changes a proxy, or what stands there, by hand.
func (r *region) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// at is what a proxy shows of n3.
func (r *region) at(p *fakeProxy) loadbalancer.Wish {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.servers["n3"]
}

func TestARefusedDrainIsNotProved(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.twoProxies()
		r.change(func() { r.other.refuses = true })
		r.crash("n3")
		r.reach("n3 start", 1)
		if rec, _ := r.open(); len(rec.Marks) == 0 || rec.Marks[incident.StageDrained] != 0 {
			t.Errorf("marks %v while ha2 shows %s", rec.Marks, r.at(r.other))
		}
		r.host("n1").shows("POOL_UNREACHABLE")
		r.change(func() { r.other.refuses = false })
		r.awaitClosed(1, 5*time.Minute)
	})
}

func TestAProxyThatMissedTheLastWordGetsTheNodeLater(t *testing.T) {
	for _, pause := range []time.Duration{3 * time.Second, time.Minute} {
		t.Run(pause.String(), func(t *testing.T) {
			inRegion(t, incident.Auto, func(r *region) {
				r.twoProxies()
				r.crash("n3")
				r.wait("the first weight at both", 3*time.Minute, func() bool { return r.at(r.other).Weight == 10 && r.at(r.proxy).Weight == 10 })
				r.change(func() { r.other.gone = true })
				r.wait("the last weight at one", time.Minute, func() bool { return r.at(r.proxy) == loadbalancer.Full })
				time.Sleep(pause)
				if _, open := r.open(); open == (pause > 30*time.Second) {
					t.Errorf("open %v after %s without ha2", open, pause)
				}
				r.change(func() { r.other.gone = false })
				r.wait("the last weight at both", 10*time.Second, func() bool { return r.at(r.other) == loadbalancer.Full })
				r.awaitClosed(1, time.Minute)
			})
		})
	}
}

func TestWhatAHandChangedIsPutRightOnlyOutwards(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.twoProxies()
		r.crash("n3")
		r.wait("drained at both", time.Minute, func() bool {
			return r.at(r.other).Want == loadbalancer.Drain && r.at(r.proxy).Want == loadbalancer.Drain
		})
		time.Sleep(5 * time.Second)
		r.change(func() { r.other.servers["n3"] = loadbalancer.Full })
		r.wait("taken out again", 10*time.Second, func() bool { return r.at(r.other).Want == loadbalancer.Drain })
		r.awaitClosed(1, 5*time.Minute)
		r.wait("given back at both", 10*time.Second, func() bool { return r.at(r.other) == loadbalancer.Full && r.at(r.proxy) == loadbalancer.Full })
		time.Sleep(5 * time.Second)
		by := loadbalancer.Wish{Want: loadbalancer.Drain}
		r.change(func() { r.other.servers["n3"] = by })
		time.Sleep(time.Minute)
		if r.at(r.other) != by {
			t.Errorf("a node that a hand drained is let in again: %s", r.at(r.other))
		}
		if !r.host("n1").finds("POOL_DRIFT") {
			t.Error("and nobody says so")
		}
	})
}

// What an intent changes is nobody's hand while it is on its way.
func TestAnIntentThatSettlesIsNoDrift(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.twoProxies()
		r.crash("n3")
		drift := false
		r.wait("closed", 5*time.Minute, func() bool {
			drift = drift || r.host("n1").finds("POOL_DRIFT") || r.host("n2").finds("POOL_DRIFT")
			_, open := r.open()
			return !open && len(r.closed()) > 0
		})
		if drift {
			t.Error("what was ordered is told as somebody's hand")
		}
	})
}

// One proxy that took an intent says nothing about another that did not.
func TestEachProxyStandsForItself(t *testing.T) {
	token := cluster.Token{Era: 1, Rev: 7}
	seen := func(m map[string]cluster.Token) incident.PoolSeen {
		s := incident.PoolSeen{Token: token, Proxies: map[string]incident.ProxyStatus{}}
		for name, at := range m {
			s.Proxies[name] = incident.ProxyStatus{Stood: at}
		}
		return s
	}
	older, later := cluster.Token{Era: 1, Rev: 6}, cluster.Token{Era: 1, Rev: 8}
	for _, row := range []struct {
		why  string
		seen map[cluster.Name]incident.PoolSeen
		want map[string]bool
	}{
		{"nobody read anything", nil, map[string]bool{}},
		{"one took it", map[cluster.Name]incident.PoolSeen{"n1": seen(map[string]cluster.Token{"a": token})}, map[string]bool{"a": true, "b": false}},
		{"the former intent is another one", map[cluster.Name]incident.PoolSeen{"n1": seen(map[string]cluster.Token{"a": later, "b": older})}, map[string]bool{"a": true, "b": false}},
		{"any agent's reading counts", map[cluster.Name]incident.PoolSeen{"n1": seen(map[string]cluster.Token{"a": token}), "n2": seen(map[string]cluster.Token{"b": token})}, map[string]bool{"a": true, "b": true}},
	} {
		t.Run(row.why, func(t *testing.T) {
			d := desktop(t)
			d.state.Picture = &lead.Picture{PoolSeen: map[string]map[cluster.Name]incident.PoolSeen{"web": row.seen}}
			decl := loadbalancer.Declared{Name: "web", Proxies: []loadbalancer.Proxy{{Name: "a"}, {Name: "b"}}}
			if got := d.stood(decl, token); !reflect.DeepEqual(got, row.want) {
				t.Errorf("stood at %v, want %v", got, row.want)
			}
		})
	}
}
