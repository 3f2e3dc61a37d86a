// SPDX-License-Identifier: Apache-2.0

package sim

// crashPoint is a moment of an agent's work at which it can die and leave
// something half done.
type crashPoint uint8

const (
	never          crashPoint = iota
	beforeIntent              // a leader decided and has told nobody
	intentOnItsWay            // the transaction is sent, and nobody waits for its answer
	afterIntent               // the answer came and was not taken in
	beforeClaim               // an executor saw an order
	claimOnItsWay             // the claim is sent
	afterClaim                // the claim is written, the mark is not
	afterMark                 // the mark is on disk, nothing was done
	inEffect                  // the act has begun
	afterEffect               // the act was done, its end is on no disk
	afterEnd                  // its end is on disk and told nobody
	settleOnItsWay            // told, and nobody waits for the answer
	crashPoints
)

var crashWords = [...]string{"never", "before intent", "intent on its way", "after intent", "before claim", "claim on its way",
	"after claim", "after mark", "in the effect", "after effect", "after its end", "settle on its way"}

// String is the point in words.
func (p crashPoint) String() string { return crashWords[p] }

// Passage is one crash point at one piece of work: a verb, or the phase that a
// leader writes.
type Passage struct{ Point, At string }

// Points are the crash points of a leader and of an executor, in words.
func Points() (leader, executor []string) {
	for p := beforeIntent; p < crashPoints; p++ {
		if p < beforeClaim {
			leader = append(leader, p.String())
		} else {
			executor = append(executor, p.String())
		}
	}
	return leader, executor
}

// dies ends the agent when it was meant to die at this point. Every passage is
// counted, so that a run can be played again with a death at each of them.
func (a *agent) dies(p crashPoint, at string) bool {
	w := a.w
	w.passages++
	meant := w.passages == w.o.CrashAt || w.o.CrashAt > 0 && w.o.CrashNext > 0 && w.passages == w.o.CrashAt+w.o.CrashNext
	if a.dieAt == p {
		a.dieAt = never
		meant = true
	}
	if w.o.Passage != nil {
		w.o.Passage(w.passages, a.n.name, Passage{p.String(), at})
	}
	if meant {
		w.note("agent %s dies %s", a.id, p)
		a.crash()
	}
	return meant
}
