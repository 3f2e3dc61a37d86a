// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"fmt"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// fenceAge is how long evidence stands before a fence, by the policy that is used
// where nobody wrote one.
const fenceAge = 15 * time.Second

// bar is membership.FenceBar, or one with a bug.
type bar func(x membership.Verdict, b membership.Bars, age time.Duration, now cluster.Moment) (bool, []string)

const (
	// told is how long it takes until a judge can know that a node is well again: a
	// look each half second, whose news is sent at once and again.
	told = time.Second
	// heldEvery is how often one node is held against the bar of one judge.
	heldEvery = 50 * time.Millisecond
)

// tally is the checker: it holds every verdict of every judge against what is true.
// The world's mutex is held in its methods.
type tally struct {
	bar      bar
	draining []map[int]bool // by node: the judges that want it drained
	counted  map[int]bool   // of these, the nodes whose drain is counted
	needless int            // drains that began while the node answered
	stormed  int            // drains of nodes that answered, held back by a storm
	wrong    map[int]bool   // nodes that are well and met the bar
	bare     map[int]bool   // nodes that are well and would have met it without an age
	cut      map[int]bool   // nodes that nobody reaches and that met the bar, as they should
	alive    map[int]bool   // judges for whom all is Alive
	crashed  int            // the node of the real crash; -1: none yet
	seen     map[int]time.Time
	held     map[[2]int]time.Time // when a node was last held against the bar of a judge
	silent   map[int]time.Time    // when a node last answered too few
	unwell   map[[2]int]time.Time // when a node was last not well to a judge
	barMet   time.Time            // of the crashed one
	stories  []string             // the first of what is wrong
}

func newTally(size int) tally {
	return tally{bar: membership.FenceBar, draining: make([]map[int]bool, size), wrong: map[int]bool{}, bare: map[int]bool{},
		cut: map[int]bool{}, alive: map[int]bool{}, crashed: -1, seen: map[int]time.Time{},
		counted: map[int]bool{}, silent: map[int]time.Time{}, held: map[[2]int]time.Time{}, unwell: map[[2]int]time.Time{}}
}

// forget is for a judge that was stopped.
func (c *tally) forget(judge int) {
	delete(c.alive, judge)
	for n, judges := range c.draining {
		if delete(judges, judge); len(judges) == 0 {
			delete(c.counted, n)
		}
	}
}

// truthEvery is how often it is noted what is true.
const truthEvery = 50 * time.Millisecond

// truth notes which nodes do not answer now, and which are not well to a judge.
func (c *tally) truth(w *world, now time.Time) {
	for n := range w.nodes {
		if w.answers(n) {
			continue // and more than half of the others reach it
		}
		c.silent[n] = now
		for j := range w.control {
			if !w.wellTo(n, j) {
				c.unwell[[2]int{j, n}] = now
			}
		}
	}
}

// judged holds a turn of a judge against the truth.
func (c *tally) judged(w *world, judge int, v membership.View, m cluster.Moment, now time.Time) {
	alive := true
	storm := ""                       // not asked for yet
	for name, x := range v.Verdicts { // order: each node is counted for itself
		n := w.names[name]
		if x.Cause == membership.Slow { // no Cassandra here is
			c.needless++
			c.tell(w, "needlessly slow", judge, n, v)
		}
		if x.Answer == membership.Alive && len(c.draining[n]) == 0 {
			continue
		}
		alive = alive && x.Answer == membership.Alive
		if n == c.crashed {
			c.crash(judge, x, w.bars, m, now)
			continue
		}
		if x.Drain && storm == "" {
			_, storm = membership.Storm(membership.Suspects(v, w.topology, "dc1"), w.topology, w.bars, "dc1")
			storm = "?" + storm // known now
		}
		c.drain(w, judge, n, x, v, storm != "?", now)
		if x.Answer == membership.Gone && now.Sub(c.held[[2]int{judge, n}]) >= heldEvery {
			c.held[[2]int{judge, n}] = now
			c.fence(w, judge, n, x, v, m, now)
		}
	}
	c.alive[judge] = alive
}

// drain counts a drain of a node that answers, once for all judges. In a storm
// nobody drains; what a storm held back is counted apart, or when it is over.
func (c *tally) drain(w *world, judge, n int, x membership.Verdict, v membership.View, storm bool, now time.Time) {
	if !x.Drain {
		if delete(c.draining[n], judge); len(c.draining[n]) == 0 {
			delete(c.counted, n)
		}
		return
	}
	if c.draining[n] == nil {
		c.draining[n] = map[int]bool{}
	}
	first := len(c.draining[n]) == 0
	c.draining[n][judge] = true
	switch {
	case c.counted[n] || !w.answers(n) || now.Sub(c.silent[n]) <= told:
	case !storm:
		c.counted[n] = true
		c.needless++
		c.tell(w, "needless drain", judge, n, v)
	case first:
		c.stormed++
	}
}

func (c *tally) fence(w *world, judge, n int, x membership.Verdict, v membership.View, m cluster.Moment, now time.Time) {
	last, ever := c.unwell[[2]int{judge, n}]
	well := !ever || now.Sub(last) > told
	if bare, _ := c.bar(x, w.bars, 0, m); !bare {
		return
	}
	if well {
		c.bare[n] = true
	}
	met, _ := c.bar(x, w.bars, fenceAge, m)
	switch {
	case met && well && !c.wrong[n]:
		c.wrong[n] = true
		c.tell(w, "wrong fence", judge, n, v)
	case met && !well:
		c.cut[n] = true
	}
}

func (c *tally) crash(judge int, x membership.Verdict, b membership.Bars, m cluster.Moment, now time.Time) {
	if x.Answer != membership.Gone {
		return
	}
	if _, ever := c.seen[judge]; !ever && x.Drain {
		c.seen[judge] = now
	}
	if met, _ := c.bar(x, b, fenceAge, m); met && c.barMet.IsZero() {
		c.barMet = now
	}
}

// tell keeps the first few stories.
func (c *tally) tell(w *world, what string, judge, n int, v membership.View) {
	if len(c.stories) >= 3 {
		return
	}
	x := v.Verdicts[w.nodes[n].name]
	line, _, _ := strings.Cut(membership.Describe(membership.View{At: v.At, Bars: v.Bars,
		Verdicts: map[cluster.Name]membership.Verdict{x.Node: x}}), "\n")
	c.stories = append(c.stories, fmt.Sprintf("%s after %v, judge %s: %s", what, time.Since(w.began).Round(time.Millisecond), w.nodes[judge].name, line))
}
