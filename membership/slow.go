// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"time"

	"supervisor/cluster"
)

const (
	// comparedMin is how many others an observer has to measure before it can say
	// that one stands out.
	comparedMin = 2
	// slowOver is how long a slow node must not stand out until it is slow no more.
	slowOver = 10 * time.Second
	// coldFor is how long after its start a process is not called slow: a JVM compiles
	// what it runs, and its caches are empty.
	coldFor = time.Minute
)

// Pace is what the judge remembers of a node whose answers stand out.
type Pace struct {
	Says  []cluster.Name // observers that find it slow, in the order of names
	Since cluster.Moment // an outlier without a pause from here; 0: it is none
	Last  cluster.Moment // when it was found one last
	Gone  cluster.Moment // when it was gone last; 0: not lately
}

// slow compares the answers of a node that lives with those of its peers, and gives
// it the cause Slow when they have stood out for long enough. Its own agent has no
// say in that: a host that is short of CPU finds everybody slow, or nobody.
func (u *turn) slow(x, prev *Verdict) {
	old := u.v.Paces[x.Node]
	if x.Answer == Gone {
		u.keepPace(x.Node, Pace{Gone: u.now})
		return
	}
	p := Pace{Last: old.Last, Gone: old.Gone}
	c := u.compare(x, old.Says)
	p.Says = c.says
	if c.outlier() {
		p.Since, p.Last = old.Since, u.now
		if old.Since == 0 {
			p.Since = u.now
		}
	}
	u.keepPace(x.Node, p)
	if x.Answer != Alive || p.Last == 0 {
		return
	}
	stands := prev.Cause == Slow && u.before(p.Last.Add(slowOver)) && !u.renewed(x.Node, p)
	begins := len(c.tooks) > 0 && p.Since != 0 && !u.before(p.Since.Add(u.b.SlowAfter)) && !u.renewed(x.Node, p) && !u.cold(x)
	if !stands && !begins {
		return
	}
	x.Cause = Slow
	x.Slow = Slowness{Since: p.Since, Says: c.says, Of: c.of, Typical: middle(c.tooks), Peers: middle(c.peers), Inside: x.inside()}
	if prev.Cause == Slow {
		x.Slow.Since = prev.Slow.Since
		if !c.outlier() || len(c.tooks) == 0 { // what was found last
			x.Slow.Says, x.Slow.Of, x.Slow.Typical, x.Slow.Peers = prev.Slow.Says, prev.Slow.Of, prev.Slow.Typical, prev.Slow.Peers
		}
	}
	x.Slow.For = u.now.Sub(x.Slow.Since)
}

// keepPace forgets a pace that says nothing any more.
func (u *turn) keepPace(n cluster.Name, p Pace) {
	_, kept := u.v.Paces[n]
	lately := func(m cluster.Moment, within time.Duration) bool { return m != 0 && u.now.Sub(m) < within }
	says := len(p.Says) > 0 || lately(p.Last, slowOver) || lately(p.Gone, coldFor)
	if !says && !kept {
		return
	}
	u.ownPaces()
	if !says {
		delete(u.v.Paces, n)
		return
	}
	u.v.Paces[n] = p
}

// before tells whether a moment is still to come, and has the node judged then.
func (u *turn) before(m cluster.Moment) bool {
	u.wait(m)
	return u.now < m
}

// renewed tells whether another process answers than a while ago: the node was gone,
// or its own agent names another one.
func (u *turn) renewed(n cluster.Name, p Pace) bool {
	if p.Gone != 0 && u.before(p.Gone.Add(coldFor)) {
		return true
	}
	h := u.v.Observers[n]
	return h.Renewed != 0 && u.before(h.Renewed.Add(coldFor))
}

// cold tells whether the process may have begun a moment ago: so it is when nobody
// inside says that it has run for a while. What its own agent said last counts also
// when it is old, since a host that is slow may have a slow agent.
func (u *turn) cold(x *Verdict) bool {
	for i := range u.v.Reports[x.Node] {
		if r := &u.v.Reports[x.Node][i]; r.Subject == x.Node && r.Path == Process {
			return r.Outcome != Good || u.before(r.onset().Add(coldFor))
		}
	}
	return true
}

// compared is how a node stands out to those who measure it and others too.
type compared struct {
	says         []cluster.Name
	of           int
	tooks, peers []time.Duration // of those who say so
}

// outlier tells whether most of those who can compare find the node slow, two at least.
func (c compared) outlier() bool { return len(c.says) >= 2 && 2*len(c.says) > c.of }

// compare asks every well observer that can. Mostly none has measured anything
// remarkable, and nothing is compared.
func (u *turn) compare(x *Verdict, said []cluster.Name) (c compared) {
	if u.b.SlowFactor <= 1 || u.b.SlowFloor <= 0 || !u.remarkable(x, said) {
		return c
	}
	for i := range x.Ballots {
		t := &x.Ballots[i]
		if !t.compares() {
			continue
		}
		r, before := t.look(CQL), slices.Contains(said, t.Observer)
		if r.Outcome == Silent && before && !r.bad(u.b) { // one look without an answer changes no mind
			c.says, c.of = append(c.says, t.Observer), c.of+1
			continue
		}
		peers, can := u.peersTook(t.Observer, x.Node)
		if r.Took == 0 || !can {
			continue
		}
		c.of++
		if u.b.standsOut(r.Took, peers, before) {
			c.says, c.tooks, c.peers = append(c.says, t.Observer), append(c.tooks, r.Took), append(c.peers, peers)
		}
	}
	slices.Sort(c.says)
	return c
}

func (t *Ballot) compares() bool {
	return !t.Own && t.Vote != Unheard && !t.Unwell && !t.Duplicate
}

func (u *turn) remarkable(x *Verdict, said []cluster.Name) bool {
	return len(said) > 0 || slices.ContainsFunc(x.Ballots, func(t Ballot) bool { return t.compares() && t.look(CQL).Took > u.b.SlowFloor })
}

// standsOut tells whether answers are slow beside those of the others. Who found that
// before goes on until they are well below the bounds, so that nothing flickers.
func (b Bars) standsOut(took, peers time.Duration, before bool) bool {
	factor, floor := b.SlowFactor, b.SlowFloor
	if before {
		factor, floor = factor/2, floor/2
	}
	return took > floor && float64(took) > factor*float64(peers)
}

// measured is what the answers of one node took to one observer.
type measured struct {
	subject cluster.Name
	took    time.Duration
}

// peersTook is what the answers of the other nodes of a datacenter take to an observer,
// its own among them; false: it measures too few.
func (u *turn) peersTook(o, n cluster.Name) (time.Duration, bool) {
	all, known := u.measures[o]
	if !known {
		boot := u.v.Observers[o].Boot
		for i := range u.v.Reports[o] {
			if r := &u.v.Reports[o][i]; r.Path == CQL && r.Took > 0 && u.says(r, boot) {
				all = append(all, measured{r.Subject, r.Took})
			}
		}
		if u.measures == nil {
			u.measures = map[cluster.Name][]measured{}
		}
		u.measures[o] = all
	}
	var others []time.Duration
	for _, m := range all {
		if m.subject != n && u.t.Nodes[m.subject].Datacenter == u.t.Nodes[n].Datacenter {
			others = append(others, m.took)
		}
	}
	return middle(others), len(others) >= comparedMin
}

// middle is the median, between two the mean; it sorts what it is given.
func middle(spans []time.Duration) time.Duration {
	if len(spans) == 0 {
		return 0
	}
	slices.Sort(spans)
	return (spans[(len(spans)-1)/2] + spans[len(spans)/2]) / 2
}
