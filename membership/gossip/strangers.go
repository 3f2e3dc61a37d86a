// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Stranger is a host whose packets reach this one and are not taken: one with
// another key, or of another pool. Without a word about it two agents that do
// not hear each other are just silent.
type Stranger struct {
	At  netip.Addr
	Why string
}

// Another try comes with every RejoinEvery, so a stranger that was not heard for
// strangerFor has gone, or was mended. Whoever reaches the port may be one, under
// any address: strangersMax bounds them.
const (
	strangerFor  = time.Minute
	strangersMax = 16
)

// strangers are told by memberlist's own lines and by nothing else of it.
type strangers struct {
	mu    sync.Mutex
	heard map[netip.Addr]heard
}

type heard struct {
	why string
	at  time.Time
}

// turnedAway is a line of memberlist about a packet or stream that is not taken.
// Its tests run the real one: other words are noticed there.
var turnedAway = regexp.MustCompile(`^\[ERR\] memberlist: (Decrypt packet failed:|failed to receive:|discarding (?:packet|stream) with unacceptable label) (.*?):? from=(\S+)$`)

// note takes a line in, at that moment; false: it is about something else. It may
// be called with memberlist's node lock held.
func (s *strangers) note(line string, at time.Time) bool {
	parts := turnedAway.FindStringSubmatch(line)
	if parts == nil {
		return false
	}
	why := ""
	switch what := parts[2]; {
	case strings.HasPrefix(parts[1], "discarding"):
		why = "it is an agent of another cluster or region (" + what + ")"
	case strings.Contains(what, "not encrypted"):
		why = "it does not encrypt"
	case strings.Contains(what, "decrypt"):
		why = "its gossip key differs"
	case strings.HasPrefix(parts[1], "Decrypt"):
		why = "its packets are not encrypted as an agent's are"
	default:
		return false
	}
	from, err := netip.ParseAddrPort(parts[3])
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heard == nil {
		s.heard = map[netip.Addr]heard{}
	}
	addr := from.Addr().Unmap()
	if _, known := s.heard[addr]; known || len(s.heard) < strangersMax {
		s.heard[addr] = heard{why, at}
	}
	return true
}

// list forgets who was not heard for long. It is sorted by address.
func (s *strangers) list(at time.Time) (all []Stranger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr, h := range s.heard { // order: sorted below
		if at.Sub(h.at) >= strangerFor {
			delete(s.heard, addr)
			continue
		}
		all = append(all, Stranger{addr, h.why})
	}
	slices.SortFunc(all, func(a, b Stranger) int { return a.At.Compare(b.At) })
	return all
}

// Strangers are those who were turned away within the last minute.
func (g *Gossip) Strangers() []Stranger { return g.strangers.list(time.Now()) }
