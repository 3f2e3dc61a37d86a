// SPDX-License-Identifier: Apache-2.0

package sim

import "supervisor/incident"

// Scope bounds an exploration: two agents that may lead, a third host whose
// Cassandra has ended, and so many faults at most on one path.
type Scope struct {
	Depth   int    // departures from the plain order of moves
	Crashes int    // of an agent that leads or has an order in hand
	Cuts    int    // of a leader from the store
	Losses  int    // answers of the store that do not arrive, those of a cut apart
	Ticks   int    // short passages of time while something is under way
	Ages    int    // long ones, after which nobody waits any more
	Bug     string // one that is planted; empty: none
	// PathsMax ends the exploration after so many paths; 0: it ends by itself.
	PathsMax int
}

// Explored is what an exploration saw.
type Explored struct {
	States    int    // different ones
	Paths     int    // played from the beginning until nothing more happens, or a state that was seen
	Merged    int    // of them those that came to such a state
	Story     int    // moves of the plain story, from the death to the closed incident
	Longest   int    // moves of a path
	Cut       bool   // PathsMax came first
	Closed    int    // paths that ended with a closed incident
	Held      int    // with one that is left to people
	Heirs     int    // states in which the second agent leads
	Late      int    // states after a transaction that was given up reached the store
	Invariant string // the first one that broke
	Violation string
	Path      []string // to it, with the fewest departures
}

// branch is a departure: the path to it, and the move that is made there
// instead of the plain one. A leader cannot be copied, but the same moves make
// the same one.
type branch struct {
	path  []move
	other move
	depth int
}

// Explore plays every order of moves within a scope, breadth first. A path goes
// on in the plain order until nothing more happens, so that each stage of an
// incident and its end are reached; what counts against the depth is each move
// that is not the plain one: a fault, or something that happens earlier than
// something else. A state that was seen is not gone on from again: it was seen
// with as few departures.
func Explore(s Scope) Explored {
	x := explorer{scope: s, seen: map[uint64]bool{}, ground: newGround()}
	c := newScene(s, x.ground)
	x.run(c, 0)
	x.out.Story = len(c.path)
	for len(x.queue) > 0 && x.out.Violation == "" && !x.out.Cut {
		next := x.queue[0]
		x.queue = x.queue[1:]
		x.depart(next)
	}
	return x.out
}

type explorer struct {
	scope  Scope
	ground ground
	seen   map[uint64]bool
	queue  []branch
	out    Explored
}

// depart plays the way to a departure, and on from there.
func (x *explorer) depart(b branch) {
	if x.out.Cut = x.scope.PathsMax > 0 && x.out.Paths >= x.scope.PathsMax; x.out.Cut {
		return
	}
	c := newScene(x.scope, x.ground)
	for _, before := range b.path {
		c.play(before)
	}
	c.play(b.other)
	x.run(c, b.depth)
}

// run goes on in the plain order and notes what else could have happened.
func (x *explorer) run(c *scene, depth int) {
	x.out.Paths++
	for {
		x.out.Longest = max(x.out.Longest, len(c.path))
		if c.w.rep.Violation != "" {
			x.broke(c)
			return
		}
		if !x.news(c) {
			x.out.Merged++
			return
		}
		moves := c.possible()
		plain := len(moves) > 0 && moves[0].kind <= waits
		if depth < x.scope.Depth {
			x.branch(c, moves, plain, depth)
		}
		if !plain || len(c.path) >= pathMax {
			x.ended(c)
			return
		}
		c.play(moves[0])
	}
}

// branch notes the departures of a state.
func (x *explorer) branch(c *scene, moves []move, plain bool, depth int) {
	if plain {
		moves = moves[1:]
	}
	n := len(c.path)
	for _, m := range moves {
		x.queue = append(x.queue, branch{c.path[:n:n], m, depth + 1})
	}
}

// pathMax bounds a path: who goes on for ever comes to no end either.
const pathMax = 1000

// ended looks at a state in which nothing more happens by itself.
func (x *explorer) ended(c *scene) {
	switch {
	case c.closed():
		x.out.Closed++
	case c.over():
		x.out.Held++
	default:
		c.w.broken(string(incident.NoSilentWait), "nothing happens any more and the incident is neither closed nor held")
		x.broke(c)
	}
}

// news tells whether a state was not seen yet, and counts it.
func (x *explorer) news(c *scene) bool {
	key := c.key()
	if x.seen[key] {
		return false
	}
	x.seen[key] = true
	x.out.States++
	if c.parties[1].term {
		x.out.Heirs++
	}
	if c.late > 0 {
		x.out.Late++
	}
	return true
}

func (x *explorer) broke(c *scene) {
	x.out.Invariant, x.out.Violation = c.w.rep.Invariant, c.w.rep.Violation
	for _, m := range c.path {
		x.out.Path = append(x.out.Path, m.String())
	}
}
