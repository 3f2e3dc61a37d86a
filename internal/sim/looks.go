// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto/ed25519"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// look looks at every assigned node and tells the judges on change, else each
// second.
func (a *agent) look() {
	if !a.control {
		a.pace()
	}
	changed := false
	if !a.blind {
		for _, subject := range a.w.watched[a.n.name] {
			changed = a.lookAtNode(a.w.byName[subject]) || changed
		}
	}
	if changed || a.w.now.Sub(a.sent) >= second {
		a.send()
	}
}

func (a *agent) lookAtNode(t *node) bool {
	there := a.w.talks(a.n.name, t.name)
	cql := cqlLook(t, there)
	if cql == membership.Late && a.w.bug(impatient) || a.w.bug(leaseIsLife) && a.leaseless(t) {
		cql = membership.Silent
	}
	changed := a.saw(t.name, membership.CQL, cql)
	if t == a.n {
		changed = a.saw(t.name, membership.Process, processLook(t)) || changed
		changed = a.saw(t.name, membership.Admin, adminLook(t)) || changed
		return a.saw(t.name, membership.Disk, t.diskSays) || changed
	}
	changed = a.saw(t.name, membership.Storage, storageLook(t, there)) || changed
	if s := a.n.sees[t.name]; a.n.takes() && !a.n.mute {
		phi := membership.Silent
		if s.up && t.gossips() && a.w.hears(a.n, t) {
			phi = membership.Good
		}
		changed = a.saw(t.name, membership.Phi, phi) || changed
	}
	return changed
}

// soon has the agent look at once: its own process ended.
func (a *agent) soon() {
	if a.up {
		a.after(20*time.Millisecond, a.look)
	}
}

func cqlLook(t *node, there bool) membership.Outcome {
	switch {
	case !there, t.runs() && t.hung:
		return membership.Silent
	case t.answers() && t.slow:
		return membership.Late
	case t.answers():
		return membership.Good
	}
	return membership.Refused
}

func storageLook(t *node, there bool) membership.Outcome {
	switch {
	case !there, t.hung && t.agent.frozen: // the host itself stands still
		return membership.Silent
	case t.runs() && t.mode != draining:
		return membership.Good
	}
	return membership.Refused
}

func processLook(t *node) membership.Outcome {
	switch {
	case t.leaving():
		return membership.Leaving
	case !t.runs():
		return membership.Exited
	}
	return membership.Good
}

func adminLook(t *node) membership.Outcome {
	switch {
	case !t.runs():
		return membership.Refused
	case t.hung || t.mute:
		return membership.Silent
	case t.nonsense:
		return membership.Wrong
	}
	return membership.Good
}

// saw keeps a look. An outcome that is no word leaves the last one to grow old.
func (a *agent) saw(subject cluster.Name, p membership.Path, o membership.Outcome) bool {
	if o == membership.NoWord {
		return false
	}
	if a.w.bug(rosy) && subject == a.w.nodes[victim].name {
		o = membership.Good
	}
	k := membership.Key{Observer: subject, Path: p}
	l, known := a.looks[k]
	same := known && l.Outcome == o
	if same {
		l.Misses++
		l.Held += a.now().Sub(a.lookAt[k])
	} else {
		l = membership.Look{Subject: subject, Path: p, Outcome: o, Misses: 1}
	}
	changed := !same || o == membership.Silent && l.Misses == 3
	a.looks[k], a.lookAt[k] = l, a.now()
	return changed
}

// digest is everything this agent sees.
func (a *agent) digest() membership.Digest {
	d := membership.Digest{Cluster: "c", Observer: a.n.name, Boot: a.id, Seq: a.seq, Unwell: a.closed != "" || a.state.Stalled(a.now())}
	if a.n.runs() {
		d.Process = a.n.process
	}
	for _, subject := range a.w.watched[a.n.name] {
		for p := membership.Process; p <= membership.Phi; p++ {
			k := membership.Key{Observer: subject, Path: p}
			if l, known := a.looks[k]; known {
				l.Age = a.now().Sub(a.lookAt[k])
				d.Looks = append(d.Looks, l)
			}
		}
	}
	return d
}

func (a *agent) send() {
	a.sent = a.w.now
	a.seq++
	d := a.digest()
	if a.w.rng.Intn(50) == 0 {
		a.recorded = &d
	}
	a.w.spread(a.n.name, d)
}

// spread sends a digest to every control agent.
func (w *world) spread(from cluster.Name, d membership.Digest) {
	for _, name := range w.control {
		to := w.byName[name].agent
		if to.up {
			w.datagram(from, name, func() { to.after(0, func() { to.hear(d) }) })
		}
	}
}

// spreadForged sends a digest that is signed with a key of somebody's own.
func (w *world) spreadForged(from cluster.Name, d membership.Digest) {
	theirs := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	trusted := ed25519.NewKeyFromSeed([]byte("the key on the roster, 32 bytes."))
	b, err := d.Encode(func(msg []byte) []byte { return ed25519.Sign(theirs, msg) })
	if err != nil {
		return // too large to be sent
	}
	believed, err := membership.Decode(b, func(cluster.Name) (ed25519.PublicKey, bool) {
		return trusted.Public().(ed25519.PublicKey), true
	})
	if err == nil {
		w.spread(from, believed)
	}
}

func (a *agent) hear(d membership.Digest) {
	inbox, reports, err := a.inbox.Take(d, a.now())
	if err != nil {
		return
	}
	a.inbox = inbox
	a.fresh = append(a.fresh, reports...)
}
