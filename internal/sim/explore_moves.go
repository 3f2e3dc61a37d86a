// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
)

// moveKind is what can happen next. Those before waits are the plain order, in
// the order in which it prefers them: the story as it goes when nothing fails,
// then the ways out of what did, then waiting. Those after it are faults.
type moveKind uint8

const (
	answers moveKind = iota // the store's answer arrives
	lands                   // a transaction that is on its way reaches the store
	reads                   // the whole store, read anew, arrives
	wins                    // an agent is elected
	looks                   // a leader is given the judge's view
	watches                 // what changed arrives
	claims                  // an executor claims an order
	begins                  // it puts its mark on disk
	acts                    // it does the act
	ends                    // it puts the end on disk
	settles                 // it tells the store
	tells                   // every agent tells what it sees of the fence
	misses                  // who is cut off gives an answer up
	expires                 // a lease ends that nobody renews
	lates                   // a transaction that was given up is written after all
	notices                 // an agent learns that its lease is gone
	boots                   // an agent starts again
	heals                   // an agent reaches the store again
	waits                   // nothing else can happen: time passes
	loses                   // an answer does not arrive
	crashes                 // an agent dies
	cuts                    // a leader is cut off from the store
	ticks                   // a short time passes while something is under way
	ages                    // a long one
	moveKinds
)

var moveWords = [...]string{"has its answer", "'s transaction lands", "reads the whole store", "is elected", "is given the view",
	"is told what changed", "claims an order", "marks it", "does it", "marks its end", "sends its word", "all tell what they see",
	"gives its answer up", "'s lease ends", "a transaction that was given up lands", "learns that its lease is gone", "starts again",
	"reaches the store again", "nothing happens for a while", "never has its answer", "dies", "is cut off from the store",
	"a short time passes", "a long time passes"}

// move is one choice. n counts what is on its way there.
type move struct {
	kind moveKind
	who  int8
	n    int8
}

// String is the move as a path is printed.
func (m move) String() string {
	words := moveWords[m.kind]
	switch {
	case m.ofAll():
		return words
	case words[0] == '\'':
		return fmt.Sprintf("n%d%s", m.who+1, words)
	}
	return fmt.Sprintf("n%d %s", m.who+1, words)
}

// ofAll tells whether a move is no single agent's.
func (m move) ofAll() bool {
	return m.kind == tells || m.kind == lates || m.kind == waits || m.kind == ticks || m.kind == ages
}

// possible lists the moves of a state, the plain ones first. While anything
// else goes on nobody waits.
func (c *scene) possible() []move {
	var out []move
	for k := moveKind(0); k < moveKinds; k++ {
		switch m := (move{kind: k}); {
		case k == lates:
			for i := range c.orphans {
				out = append(out, move{kind: k, n: int8(i)})
			}
		case k == waits:
			if len(out) == 0 && !c.over() && c.waited < waitsMax {
				out = append(out, m)
			}
		case !m.ofAll():
			out = c.eachParty(out, k)
		case c.can(m):
			out = append(out, m)
		}
	}
	return out
}

func (c *scene) eachParty(out []move, k moveKind) []move {
	for i, p := range c.parties {
		most := 1
		if k == answers || k == lands || k == misses || k == loses {
			most = len(p.sent)
		}
		for n := range most {
			if m := (move{k, int8(i), int8(n)}); c.can(m) {
				out = append(out, m)
			}
		}
	}
	return out
}

// can tells whether a move is possible.
func (c *scene) can(m move) bool {
	p := c.parties[m.who]
	reached := p.up && !p.cut
	switch m.kind {
	case answers:
		return reached && p.sent[m.n].landed
	case lands:
		return !p.sent[m.n].landed
	case misses:
		return p.up && p.cut
	case loses:
		return reached && c.left.Losses > 0
	case reads:
		return reached && p.relist
	case wins:
		return reached && p.control && !p.term && c.unled()
	case looks:
		return p.up && p.term && p.looked != c.sight()
	case watches:
		return reached && c.behind(p)
	case claims:
		_, ok := c.nextOrder(p)
		return reached && ok
	case begins:
		return p.up && p.hand != nil && p.hand.stage == claimed
	case acts:
		return p.up && p.hand != nil && p.hand.stage == marked
	case ends:
		return p.up && p.hand != nil && p.hand.stage == acted
	case settles:
		return reached && p.hand != nil && p.hand.stage == ended
	}
	return c.canFail(m, p)
}

// canFail tells whether a fault, or the way out of one, is possible.
func (c *scene) canFail(m move, p *party) bool {
	switch m.kind {
	case tells:
		return len(c.told()) > 0
	case boots:
		return !p.up
	case notices:
		return p.up && !p.cut && p.term && !c.w.store.Live(p.lease)
	case expires:
		return (!p.up || p.cut) && c.w.store.Live(p.lease) || c.w.store.Live(p.former)
	case crashes:
		return p.up && c.left.Crashes > 0 && (p.term || p.hand != nil)
	case cuts:
		return p.up && c.left.Cuts > 0 && p.term && !p.cut
	case heals:
		return p.cut
	case ticks:
		return c.left.Ticks > 0
	case ages:
		return c.left.Ages > 0
	case answers, lands, reads, wins, looks, watches, claims, begins, acts, ends, settles, misses, lates, waits, loses, moveKinds:
	}
	return false
}

// play makes a move.
func (c *scene) play(m move) {
	c.path = append(c.path, m)
	p := c.parties[m.who]
	switch m.kind {
	case answers:
		c.answer(p, int(m.n))
	case lands:
		c.land(&p.sent[m.n])
	case misses, loses:
		c.lose(p, int(m.n))
	case lates:
		late := c.orphans[m.n]
		c.orphans = append(c.orphans[:m.n:m.n], c.orphans[m.n+1:]...)
		c.land(&late)
		c.late++
	case reads:
		c.read(p)
	case wins:
		c.elect(p)
	case looks:
		c.show(p)
	case watches:
		c.watch(p)
	case tells:
		c.tell()
	case claims:
		c.claim(p)
	case begins:
		c.begin(p)
	case acts:
		c.act(p)
	case ends:
		c.end(p)
	case settles:
		c.settle(p)
	default:
		c.fail(m, p)
	}
}

// fail makes the moves that are no part of the plain story.
func (c *scene) fail(m move, p *party) {
	switch m.kind {
	case boots:
		c.boot(p)
	case notices:
		c.notice(p)
	case expires:
		c.expire(p)
	case crashes:
		c.left.Crashes--
		c.crash(p)
	case cuts:
		c.left.Cuts--
		p.cut = true
	case heals:
		p.cut = false
	case waits:
		c.wait()
	case ticks:
		c.left.Ticks--
		c.w.now = c.w.now.Add(shortTime)
	case ages:
		c.left.Ages--
		c.w.now = c.w.now.Add(longTime)
	case answers, lands, reads, wins, looks, watches, claims, begins, acts, ends, settles, tells, misses, lates, loses, moveKinds:
	}
}
