// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"supervisor/cluster"
	"supervisor/loadbalancer"
)

// balancer is the proxy.
type balancer struct {
	says   map[cluster.Name]loadbalancer.Wish
	mute   bool   // it does not answer
	late   bool   // it takes what it is told and does not answer
	plan   int64  // the newest wanted pool that was written to it
	undone string // who wrote an older one over it; empty: nobody
	told   int    // how often what it says was changed
}

// say sets what the proxy has of a server.
func (b *balancer) say(n cluster.Name, w loadbalancer.Wish) {
	b.says[n] = w
	b.told++
}

func (w *world) setProxy(want loadbalancer.Pool, plan int64, a *agent) {
	if plan < w.balancer.plan && w.balancer.undone == "" {
		w.balancer.undone = string(a.id)
	}
	w.balancer.plan = plan
	for _, m := range want.Members() {
		if w.balancer.says[m] != want.Wants[m] {
			w.note("%s sets %s to %s", a.id, m, want.Wants[m])
			w.balancer.say(m, want.Wants[m])
		}
	}
}

func (w *world) proxyStands(want loadbalancer.Pool) bool {
	for _, m := range want.Members() {
		if w.balancer.says[m] != want.Wants[m] {
			return false
		}
	}
	return true
}

// proxySays is what the proxy shows of its servers.
func (w *world) proxySays() []loadbalancer.Actual {
	var out []loadbalancer.Actual
	for _, n := range sortedNames(w.balancer.says) {
		out = append(out, loadbalancer.Actual{Server: n, Want: w.balancer.says[n].Want, Weight: w.balancer.says[n].Weight})
	}
	return out
}
