// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto/ed25519"
	"slices"
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
		for i, t := range a.w.watched[a.n.name] {
			changed = a.lookAtNode(a.eyes[i*ways:(i+1)*ways], t) || changed
		}
	}
	if changed || a.w.now.Sub(a.sent) >= second {
		a.send()
	}
}

// ways is how many ways there are to look at a node.
const ways = int(membership.Phi) + 1

// eye is one path to one node as the agent last saw it.
type eye struct {
	membership.Look
	at moment // by the host's clock; zero: never
}

func (a *agent) lookAtNode(eyes []eye, t *node) bool {
	there := a.w.talks(a.n.name, t.name)
	cql := cqlLook(t, there)
	if cql == membership.Late && a.w.bug(impatient) || a.w.bug(leaseIsLife) && a.leaseless(t) {
		cql = membership.Silent
	}
	changed := a.saw(eyes, t, membership.CQL, cql)
	if t == a.n {
		changed = a.saw(eyes, t, membership.Process, processLook(t)) || changed
		changed = a.saw(eyes, t, membership.Admin, adminLook(t)) || changed
		return a.saw(eyes, t, membership.Disk, t.diskSays) || changed
	}
	changed = a.saw(eyes, t, membership.Storage, storageLook(t, there && a.w.linked(a.n, t))) || changed
	if s := a.n.sees[t.name]; a.n.takes() && !a.n.mute {
		phi := membership.Silent
		if s.up && t.gossips() && a.w.hears(a.n, t) {
			phi = membership.Good
		}
		changed = a.saw(eyes, t, membership.Phi, phi) || changed
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
	case !there, t.off, t.runs() && t.hung:
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
	case !there, t.off, t.hung && t.agent.frozen: // the host itself stands still
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
func (a *agent) saw(eyes []eye, t *node, p membership.Path, o membership.Outcome) bool {
	if o == membership.NoWord {
		return false
	}
	if a.w.bug(rosy) && t == a.w.nodes[victim] {
		o = membership.Good
	}
	e, now := &eyes[p], a.now()
	same := e.at != 0 && e.Outcome == o
	next := membership.Look{Subject: t.name, Path: p, Outcome: o, Misses: 1}
	if same {
		next.Misses += e.Misses
	}
	if same || e.at != 0 && o.Prolongs(e.Outcome) {
		next.Held = e.Held + now.Sub(e.at)
	}
	e.Look = next
	e.at = now
	return !same || o == membership.Silent && e.Misses == 3
}

// digest is everything this agent sees.
func (a *agent) digest() membership.Digest {
	now := a.now()
	d := membership.Digest{Cluster: "c", Observer: a.n.name, Boot: a.id, Seq: a.seq, Unwell: a.closed != "" || a.state.Stalled(now),
		Looks: make([]membership.Look, 0, 3*len(a.eyes)/ways+1)}
	if a.n.runs() {
		d.Process = a.n.process
	}
	for i := range a.eyes {
		if e := &a.eyes[i]; e.at != 0 {
			l := e.Look
			l.Age = now.Sub(e.at)
			d.Looks = append(d.Looks, l)
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
			w.datagram(from, name, func() { to.soonest(func() { to.hear(d) }) })
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
	taken, counts, err := a.inbox.Admit(d, a.now())
	if err != nil || !counts {
		return
	}
	a.news = a.news || !a.term && a.tellsNews(taken.Looks)
	if i := a.supersedes(taken); i >= 0 {
		a.fresh[i] = taken
		return
	}
	a.fresh = append(a.fresh, taken)
}

// spelled are the digests that wait to be judged, look by look.
func (a *agent) spelled() [][]membership.Report {
	digests := make([][]membership.Report, len(a.fresh))
	for i := range a.fresh {
		digests[i] = a.fresh[i].Reports()
	}
	return digests
}

// supersedes is which of the digests that wait to be judged a whole younger one
// of the same start of its agent replaces; -1: none.
func (a *agent) supersedes(d membership.Taken) int {
	if a.term {
		return -1 // a leader judges each
	}
	return slices.IndexFunc(a.fresh, func(t membership.Taken) bool {
		return t.Observer == d.Observer && t.Boot == d.Boot && len(t.Looks) == len(d.Looks)
	})
}

// tellsNews tells whether a digest contradicts what this agent's judge says.
func (a *agent) tellsNews(looks []membership.Look) bool {
	view := a.state.View()
	for i := range looks {
		l := &looks[i]
		if l.Path != membership.CQL && l.Outcome != membership.Exited {
			continue
		}
		alive := view.Verdicts[l.Subject].Answer == membership.Alive
		well := l.Outcome == membership.Good || l.Outcome == membership.Late
		if l.Path == membership.CQL && well != alive || l.Outcome == membership.Exited && alive {
			return true
		}
	}
	return false
}
