// SPDX-License-Identifier: Apache-2.0

package isolate

import (
	"fmt"
	"time"

	"supervisor/cluster"
)

// Verdict of the gate: how to start, and the line that said so.
type Answer struct {
	Start Start  `json:"start"`
	Rule  string `json:"rule"` // which line of the gate held
	Why   string `json:"why"`
}

// BeforeAsking is the part of the gate's decision that needs nobody: identity,
// standing fence, local state, clean marker. ok is false when the agent must
// be asked.
func BeforeAsking(l Local, wall time.Time) (a Answer, ok bool) {
	switch {
	case l.Retired:
		return Answer{Refuse, "retired", "this node's identity was given to another host"}, true
	case !l.Deadline.IsZero() && !wall.Before(l.Deadline):
		return Answer{Refuse, "gc-grace", fmt.Sprintf(
			"the deadline of its data passed at %s: deleted rows could come back; replace the node", l.Deadline.UTC().Format(time.RFC3339))}, true
	case l.Fence != nil && l.Fence.Levels.Has(Process):
		return Answer{Refuse, "fenced", "a fence keeps the process from starting: " + l.Fence.Incident}, true
	case l.Fence != nil && (l.Fence.Start == Hibernate || l.Fence.Start == Refuse):
		return Answer{l.Fence.Start, "fenced", "a fence stands: " + l.Fence.Incident}, true
	case l.Returning:
		return Answer{Hibernate, "returning", "the return of this node is not finished: " + l.Incident}, true
	case l.Fence != nil && l.Fence.Start == Normal && l.Fence.Levels == 0:
		return Answer{Normal, "fenced", "the leader starts it plainly: " + l.Fence.Incident}, true
	case l.whole(wall):
		return Answer{Normal, cleanDrain, "the last stop was a verified clean drain"}, true
	}
	return Answer{}, false
}

// AtOnce is the answer for which no agent is asked. A marker of a clean drain is
// no such line: an agent may know better.
func AtOnce(l Local, wall time.Time) (a Answer, ok bool) {
	a, ok = BeforeAsking(l, wall)
	return a, ok && a.Rule != cleanDrain
}

// Alone is the gate's answer when no agent says how to start. One that UsesUp the
// marker of a clean drain counts only once the marker is gone.
func Alone(l Local, wall time.Time) Answer {
	if a, ok := BeforeAsking(l, wall); ok {
		return a
	}
	return Unasked(l.Unasked)
}

// The lines of the gate that more depends on than what is said.
const (
	cleanDrain  = "clean-drain"
	gateUnasked = "gate-unasked"
	ringCut     = "ring-cut"
)

// UsesUp tells whether a start by this answer takes the marker of a clean drain.
func (a Answer) UsesUp() bool { return a.Rule == cleanDrain }

// Unasked tells whether it is the policy's word, for want of an agent's.
func (a Answer) Unasked() bool { return a.Rule == gateUnasked }

// Unasked is the gate's answer when nobody answered in time. It is a finding,
// and by default no worse than a host without a supervisor.
func Unasked(policy Start) Answer {
	if policy != Refuse && policy != Hibernate {
		policy = Normal
	}
	return Answer{policy, gateUnasked, "no agent answered; gate.unasked says " + policy.String()}
}

// Asked is what an agent knows when its gate asks.
type Asked struct {
	Local
	Observe bool // the datacenter is in mode observe, or there is no policy yet
	// Incident is the ID of the node's open incident; Fenced is its standing
	// fence in the store.
	Incident string
	Standing *Fence
	// Store is true while the agent's picture of the store is current and holds
	// what stands about this node.
	Store bool
	// PeersAnswering counts other nodes that answer CQL now, of Peers.
	PeersAnswering, Peers int
	// Uncut are hosts that a fence cuts off from the ring and this one has not cut
	// off yet: a Cassandra that starts now would speak to them.
	Uncut []cluster.Name
	// Waited is how long this gate has been asking.
	Waited time.Duration
}

// Would is what the agent would answer if the datacenter were not in mode
// observe; explain and the journal show it.
func Would(a Asked, wall time.Time) Answer {
	local := a.Local
	if a.Standing != nil {
		local.Fence = a.Standing
	}
	local.Clean = local.Clean && a.Incident == ""
	ans, ok := BeforeAsking(local, wall)
	switch {
	case len(a.Uncut) > 0 && (!ok || ans.Start != Refuse):
		return Answer{Wait, ringCut, fmt.Sprintf("hosts are to be cut off from the ring here, and are not yet: %v", a.Uncut)}
	case ok:
		return ans
	}
	open := Answer{Wait, "incident-open", "the incident has not said yet how this node may start: " + a.Incident}
	switch {
	case a.Incident != "" && a.Store:
		// Also when no other node answers this host: the leader knows whether the
		// others took writes meanwhile, and says so when the ring is cold. And also
		// when this host remembers no service: its memory may have been lost.
		return open
	case !a.EverServed:
		return Answer{Normal, "first-start", "this Cassandra has never served here"}
	case a.Peers > 0 && a.PeersAnswering == 0:
		return Answer{Normal, "cold-start", "no other node answers: a cluster that lost its power must be able to start"}
	case a.Incident != "":
		return open
	case !a.Store:
		return Answer{Wait, "store", "the store does not answer, or what it says of this node cannot be read"}
	}
	if a.Clean {
		return Answer{Wait, "unclean-end", "it was drained, but nobody knows that the hints for it are still there; waiting for the leader's word"}
	}
	return Answer{Wait, "unclean-end", "the last stop was not a clean drain; waiting for the leader's word"}
}

// Ask is the agent's answer to its gate. In mode observe it is Normal unless
// something stands that an earlier mode put there: an observer changes nothing,
// and nothing standing is undone by looking away.
func Ask(a Asked, wall time.Time) Answer {
	would := Would(a, wall)
	standing := would.Start == Refuse || would.Rule == "fenced" || would.Rule == "returning" || would.Rule == ringCut
	if a.Observe && !standing && would.Start != Normal {
		return Answer{Normal, "mode", "mode observe starts everything; it would have said " + would.Start.String() + ": " + would.Why}
	}
	return would
}

// Options are the JVM options with which Cassandra must be started. Refuse and
// Wait have none: nothing is started.
func Options(s Start) []string {
	if s != Hibernate {
		return nil
	}
	return []string{"-Dcassandra.join_ring=false", "-Dcassandra.start_native_transport=false"}
}

// AllDown tells whether every live peer says DOWN of the process with this
// generation. Hibernation is a fence only then: a peer that gossips in the
// short window before the status is set marks the node alive for good.
// up names a peer that says UP; missing names those without a word yet.
func AllDown(seen map[cluster.Name]Seen, peers []cluster.Name, generation int64) (down bool, up, missing []cluster.Name) {
	for _, p := range peers {
		s, ok := seen[p]
		switch {
		case !ok || s.Generation != generation || s.Sight == SightUnknown:
			missing = append(missing, p)
		case s.Sight == Up:
			up = append(up, p)
		}
	}
	return len(up) == 0 && len(missing) == 0 && len(peers) > 0, up, missing
}

// AllUp tells whether every live peer says UP with a Severity that fits:
// raised, or zero. rest names those that do not say so yet.
func AllUp(seen map[cluster.Name]Seen, peers []cluster.Name, generation int64, raised bool) (ok bool, rest []cluster.Name) {
	for _, p := range peers {
		s, known := seen[p]
		fits := known && s.Sight == Up && s.Generation == generation && raised == (s.Severity >= SeverityFenced) && (raised || s.Severity == 0)
		if !fits {
			rest = append(rest, p)
		}
	}
	return len(rest) == 0 && len(peers) > 0, rest
}
