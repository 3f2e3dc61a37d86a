// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"supervisor/cluster"
	"supervisor/membership"
)

const (
	// clocksKept is how many answers of a member are remembered. The best of a few
	// is the one that waited least before it was read.
	clocksKept = 3
	// clockAge is how long an answer counts: members are asked in turn, one a second.
	clockAge = 15 * time.Minute
)

// clocks learns the wall clocks of other members from the answers to memberlist's
// own pings: each bears the time at which it was given, and memberlist has measured
// how long it was on its way. An answer of a member that knows nothing of this
// bears no time and is passed over.
type clocks struct {
	mu   sync.Mutex
	seen map[cluster.Name][]answer // the newest last
}

// answer is one that was read at a moment.
type answer struct {
	least time.Duration // by which the other clock is ahead: as if it had been given at the last moment
	way   time.Duration // there and back; it may have been given at any moment of it
	read  time.Time
}

func newClocks() *clocks { return &clocks{seen: map[cluster.Name][]answer{}} }

// AckPayload is called on the goroutine of all packets.
func (c *clocks) AckPayload() []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
}

// NotifyPingComplete is called on the goroutine of a probe, without a lock.
func (c *clocks) NotifyPingComplete(other *memberlist.Node, rtt time.Duration, payload []byte) {
	c.take(cluster.Name(other.Name), rtt, payload, time.Now())
}

func (c *clocks) take(from cluster.Name, way time.Duration, payload []byte, read time.Time) {
	if len(payload) != 8 || way < 0 {
		return
	}
	theirs := time.Unix(0, int64(binary.BigEndian.Uint64(payload)))
	c.mu.Lock()
	defer c.mu.Unlock()
	all := append(c.seen[from], answer{least: theirs.Sub(read.Round(0)), way: way, read: read})
	c.seen[from] = slices.Clone(all[max(0, len(all)-clocksKept):])
}

// ahead is what is known of each member's clock at a moment; who was not heard for
// long is forgotten. An answer that lay here before it was read makes its clock look
// behind, so the one that is farthest ahead is the truest.
func (c *clocks) ahead(now time.Time) map[cluster.Name]membership.Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[cluster.Name]membership.Clock{}
	for name, all := range c.seen {
		if now.Sub(all[len(all)-1].read) > clockAge {
			delete(c.seen, name)
			continue
		}
		best := all[0]
		for _, a := range all[1:] {
			if a.least > best.least {
				best = a
			}
		}
		half := best.way/2 + 1
		out[name] = membership.Clock{Ahead: best.least + half, Error: half}
	}
	return out
}

// Clocks are the wall clocks of other members, as far as they were told in the
// last minutes.
func (g *Gossip) Clocks() map[cluster.Name]membership.Clock { return g.clocks.ahead(time.Now()) }
