// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"

	"supervisor/repair"
)

// loadRead numbers the readings of the load, one in five seconds while it is asked for.
func (a *agent) loadRead() int64 {
	if asks, _ := a.state.AsksLoad(a.n.name); !asks {
		return 0
	}
	return int64(a.w.now)/int64(5*second) + 1
}

// quiet is the load that is told: there is none. Nil: nobody asks.
func (l selfLook) quiet() *repair.Load {
	if l.load == 0 {
		return nil
	}
	return &repair.Load{Reading: l.load, Free: 500, Total: 1000}
}

// showsSelf tells whether the store shows what this agent told of itself: a word
// that was given up may be written after a later one.
func (a *agent) showsSelf(look selfLook) bool {
	is, there := a.state.Picture.Agents[a.n.name]
	if a.w.now.Sub(a.self.at) < 2*landed {
		return true
	}
	return there && (is.Load != nil) == (look.load != 0) && is.Boot == look.boot && is.Alive.Equal(look.alive) && is.Unrepaired == look.unrepaired && (is.Power != nil && len(is.Power.Can) > 0) == look.hookWorks && fmt.Sprint(is.Missed, is.Lapsed) == look.silences && is.Cassandra != nil &&
		is.Cassandra.SnitchOff == look.snitchOff && (len(is.Cassandra.Moving) > 0) == look.moving && (is.Cassandra.Schema == "s2") == look.odd
}
