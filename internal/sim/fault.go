// SPDX-License-Identifier: Apache-2.0

package sim

import "time"

// misfortune lets one thing go wrong, again and again while the storm lasts.
func (w *world) misfortune() {
	if !w.storm {
		return
	}
	n := w.nodes[w.rng.Intn(len(w.nodes))]
	if n.place.Datacenter != "dc1" {
		n = w.nodes[0]
	}
	switch dice := w.rng.Intn(100); {
	case dice < 22:
		if w.ailing() == 0 || w.rng.Intn(5) == 0 {
			n.kill("-9")
		}
	case dice < 26:
		n.kill("-9, wherever it stands")
	case dice < 48:
		n.agent.crash()
	case dice < 54:
		w.crashLeader()
	case dice < 66:
		w.cutStore(n)
	case dice < 74:
		w.pause(n)
	case dice < 80:
		w.mute = true
		w.after(w.between(second, 20*second), func() { w.mute = false })
	case dice < 83:
		w.killBoth(n)
	case dice < 85:
		w.restartByHand()
	case dice < 86 && w.rng.Intn(3) == 0:
		w.powerLoss()
	}
	w.after(w.between(500*time.Millisecond, 12*second), w.misfortune)
}

// ailing counts nodes that do not serve.
func (w *world) ailing() int {
	k := 0
	for _, n := range w.nodes {
		if !n.answers() {
			k++
		}
	}
	return k
}

func (w *world) crashLeader() {
	for _, n := range w.nodes {
		if n.agent.up && n.agent.term {
			n.agent.crash()
			return
		}
	}
}

// cutStore keeps an agent from the store for a while; beyond the lease's time
// it loses that too.
func (w *world) cutStore(n *node) {
	a := n.agent
	if !a.up || a.cut {
		return
	}
	a.cut = true
	w.note("%s has no store", a.id)
	length := w.between(second, 15*second)
	lease := a.lease
	if length > 5*second {
		w.after(5*second, func() { w.store.Expire(lease) })
	}
	w.after(length, func() { a.cut = false })
}

// pause stops a process for a moment, or until somebody ends it.
func (w *world) pause(n *node) {
	if !n.runs() || n.hung {
		return
	}
	n.hung, n.changedAt, n.hungAt = true, w.now, w.now
	process := n.process
	w.note("%s hangs", n.name)
	length := w.between(second, 12*second)
	if w.rng.Intn(4) == 0 {
		w.after(w.between(20*second, 60*second), func() { n.ends(process, "by hand, hung") })
		return
	}
	w.after(length, func() {
		if n.process == process && n.hung {
			n.wakes()
		}
	})
}

func (w *world) killBoth(n *node) {
	if w.ailing() == 0 {
		n.agent.crash()
		n.kill("-9 with its agent")
	}
}

// restartByHand starts what is down through its gate, as people do.
func (w *world) restartByHand() {
	for _, n := range w.nodes {
		if !n.runs() {
			w.note("somebody starts %s", n.name)
			n.unitStart(w.now)
			return
		}
	}
}

func (w *world) powerLoss() {
	w.note("power loss")
	for _, n := range w.nodes {
		if n.place.Datacenter == "dc1" {
			w.after(w.between(0, 300*time.Millisecond), func() { n.kill("power") })
			if w.rng.Intn(2) == 0 {
				n.agent.crash()
			}
		}
	}
}

// heal ends all faults.
func (w *world) heal() {
	w.note("calm")
	w.storm, w.mute = false, false
	for _, n := range w.nodes {
		if n.hung {
			n.wakes()
		}
		n.agent.cut = false
		if !n.agent.up {
			n.agent.boot()
		}
	}
}
