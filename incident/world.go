// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/repair"
	"supervisor/residency"
)

// World is everything besides the record that Next may look at: copies of
// what the leader knows at this moment. Nothing in it is changed.
type World struct {
	Now     cluster.Moment
	Wall    time.Time     // for stories, identifiers and upper bounds only
	Elapsed time.Duration // since the incident began
	ByWall  bool          // Elapsed is by wall time alone: this leader saw no beginning, and clocks may be set
	InStep  time.Duration // in this step, as leaders measured it: a lower bound

	Policy *Policy // nil while none was applied
	// PolicyUnread is the version of the policy that stands and that this program
	// cannot read; nil: it can. Policy is then one that stood before, or nil.
	PolicyUnread *int64
	View         membership.View
	Topology     membership.Topology
	Hosts        map[cluster.Name]cluster.Host
	Schema       *cluster.Schema // nil until a Cassandra was asked
	Ledger       Ledger          // of the incident's datacenter

	Fences   map[cluster.Name]StandingFence
	Pools    map[string]StandingPool
	Seen     map[cluster.Name]map[cluster.Name]isolate.Seen // by node, then by agent
	PoolSeen map[string]map[cluster.Name]PoolSeen           // by pool, then by agent
	Agents   map[cluster.Name]Agent
	Storm    string // why no destructive step may start in the datacenter; empty: none
	// Hints is the hint window that was told last; zero: none ever was. When all
	// leases end at once nobody tells one for a while.
	Hints time.Duration
	// Lapsed are nodes that were silent after their return had gone too far for it,
	// when nobody could decide: the store took nothing, or nobody led.
	Lapsed map[cluster.Name]bool
	// Abroad are the ring members that are not on the roster, by name, and SeenAbroad
	// what agents of other regions say of nodes here that are fenced, by node, by agent.
	Abroad     map[cluster.Name]Foreign
	SeenAbroad map[cluster.Name]map[cluster.Name]isolate.Seen
	// Joined are the processes behind fences that are seen in the ring.
	Joined map[cluster.Name]Joined
	// Loads are the agents' words about the load of their Cassandras.
	Loads map[cluster.Name]Loaded
	// Busy are hosts that a batch works with which is on its way to the store, and for
	// which node.
	Busy map[cluster.Name]cluster.Name
	// Open are the open incidents of the region, also the one that is decided upon.
	Open []Record
	// Repairs are those that people asked for, the newest of each node, also ended.
	Repairs []Record
	Holds   Holds // what people asked to leave alone
	// Store is what this agent knows of its own store connection.
	Store StoreFacts
	// Era is the store's, and Recovery how it began; nil: with the store.
	Era      uint32
	Recovery *Recovery
	// Older tells that the record was last written before the store was recovered.
	Older bool
	// OlderFence tells that a fence of an older era is written for its node.
	OlderFence bool
}

// StandingFence is a fence with the token of the transaction that wrote it.
type StandingFence struct {
	isolate.Fence
	Token cluster.Token
}

// StandingPool is a wanted pool with its token.
type StandingPool struct {
	loadbalancer.Pool
	Token cluster.Token
	Older bool // of an era before the store was recovered: nobody acts on it
}

// PoolSeen is what one agent read back from the proxies of a pool.
type PoolSeen struct {
	Token   cluster.Token          `json:"token"`   // of the wanted pool it compared with
	InStep  bool                   `json:"in_step"` // every declared proxy is
	Proxies map[string]ProxyStatus `json:"proxies"`
}

// ProxyStatus is one proxy as one agent read it.
type ProxyStatus struct {
	Trouble string                `json:"trouble,omitempty"` // why it could not be read or written
	Actual  []loadbalancer.Actual `json:"actual,omitempty"`  // empty: it did not answer
	InStep  bool                  `json:"in_step,omitempty"` // every member stands there as wanted
	// Stood is the newest wanted pool that this proxy was read back at with
	// nothing left to change: what differs from it since is somebody's hand.
	Stood   cluster.Token `json:"stood,omitzero"`
	Unknown []string      `json:"unknown,omitempty"` // servers on one side only
	Drift   []string      `json:"drift,omitempty"`   // servers that somebody changed by hand
}

// Agent is what an agent says about itself, in a lease-bound key. Its absence
// proves nothing.
type Agent struct {
	Boot    cluster.Boot `json:"boot"`
	Version string       `json:"version"`
	Level   int          `json:"level"`
	Began   time.Time    `json:"began"`
	Control bool         `json:"control"`
	Policy  int64        `json:"policy"` // version it goes by
	// Cuts is true while the guard of its host's ports stands ready to cut another
	// host off.
	Cuts bool `json:"cuts,omitempty"`
	// Power is what the site's power hook can do there; nil: it has none.
	Power     *Powers         `json:"power,omitempty"`
	Cassandra *CassandraFacts `json:"cassandra,omitempty"`
	Troubles  []Trouble       `json:"troubles,omitempty"`
	// Alive is the wall time at which its Cassandra was last NORMAL before the
	// node's incident, from the agent's disk; zero when that is not known, and
	// while nothing is wrong.
	Alive time.Time `json:"alive,omitzero"`
	// Unrepaired is true from a start by a gate that nobody answered, or that
	// hibernated it by its own disk's word, until a return has fenced the node: it
	// may lack writes, also when no leader saw it down.
	Unrepaired bool `json:"unrepaired,omitempty"`
	// Counts is true while it reads the write counters of its Cassandra, and Writes is
	// its answer to those who ask for them; nil: nobody does.
	Counts bool    `json:"counts,omitempty"`
	Writes *Writes `json:"writes,omitempty"`
	// Missed and Lapsed are what it saw of silences and nobody could write down:
	// those that no incident is open about, and nodes whose return they spoil.
	Missed []Silence      `json:"missed,omitempty"`
	Lapsed []cluster.Name `json:"lapsed,omitempty"`
	// Load is how much its Cassandra has to do, while it takes part in a repair.
	Load *repair.Load `json:"load,omitempty"`
	// Sights are for other regions, and about them; nil where no other region is
	// named, and while its Cassandra does not answer it.
	Sights *Sights `json:"sights,omitempty"`
	// Residency is what it tells of its own Cassandra for an audit; nil while it does
	// not know.
	Residency *residency.Told `json:"residency,omitempty"`
}

// Silence is one that is over, of a node that may lack writes of it.
type Silence struct {
	Node  cluster.Name     `json:"node"`
	Cause membership.Cause `json:"cause"`
	Last  time.Time        `json:"last,omitzero"` // wall time of its last proof of life before; zero: not known
}

// CassandraFacts is what an agent knows of its own Cassandra's make-up. It
// stays as last read while the process is down.
type CassandraFacts struct {
	HostID     cluster.HostID `json:"host_id"`
	Cluster    string         `json:"cluster"`
	Address    string         `json:"address"`
	Version    string         `json:"version"`
	Schema     string         `json:"schema"` // version of the schema it stands at, spelled as in cluster.Schema; empty: not told
	Tokens     int            `json:"tokens"`
	Seeds      []string       `json:"seeds"`
	SnitchOff  bool           `json:"snitch_off,omitempty"` // dynamic snitch off or ignoring Severity
	Mode       string         `json:"mode"`
	Moving     []string       `json:"moving,omitempty"` // storage addresses that join, leave or move
	SyncPeriod time.Duration  `json:"sync_period"`      // commitlog_sync_period
	// HintWindow is max_hint_window; zero: not known.
	HintWindow time.Duration `json:"hint_window,omitempty"`
	// Sizes are roughly the MiB of the tables there, by keyspace and table, without
	// those below one; empty: not known.
	Sizes map[string]map[string]int64 `json:"sizes,omitempty"`
}

// hintWindow is how long hints are kept, as coordinators tell now or told last.
func (w *World) hintWindow() time.Duration {
	window := HintWindow(w.Agents)
	for n := range w.Abroad { // order: the smallest is the same in any
		if facts := w.facts(n); facts != nil && facts.HintWindow > 0 && (window == 0 || facts.HintWindow < window) {
			window = facts.HintWindow
		}
	}
	if window > 0 {
		return window
	}
	return w.Hints
}

// HintWindow is the smallest of the coordinators that told theirs: it is they
// who keep hints, not the node that is silent. Zero: nobody told.
func HintWindow(agents map[cluster.Name]Agent) time.Duration {
	window := time.Duration(0)
	for _, a := range agents { // order: the smallest is the same in any
		if a.Cassandra != nil && a.Cassandra.HintWindow > 0 && (window == 0 || a.Cassandra.HintWindow < window) {
			window = a.Cassandra.HintWindow
		}
	}
	return window
}

// Trouble is a finding that only the agent itself can see.
type Trouble struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
}

// verdict of the node; Unknown when the judge has none.
func (w *World) verdict(n cluster.Name) membership.Verdict {
	v, ok := w.View.Verdicts[n]
	if !ok {
		v.Node = n
	}
	return v
}

// Serves tells whether a node answers its clients and is not kept from it. One
// of which nobody knows does not: nothing may rest on it. Whether it may be
// kept from clients or readers is another question, see Sign and quorumFault.
func (w *World) Serves(n cluster.Name) bool {
	if f, foreign := w.Abroad[n]; foreign {
		return f.serves()
	}
	return w.verdict(n).Answer == membership.Alive && !w.fenced(n)
}

func (w *World) fenced(n cluster.Name) bool {
	f, stands := w.Fences[n]
	return stands && f.Levels != 0
}

// shut tells whether a fence keeps clients or more from a node, and not only some
// readers because it is slow.
func (w *World) shut(n cluster.Name) bool { return w.fenced(n) && !w.Fences[n].Avoids() }

// idle tells whether a node is known to serve nobody, so that nothing is lost
// when it is kept from clients and readers. One whose disk failed may serve while
// others reach it: that its process ended is the word of a copy of its host, perhaps.
func (w *World) idle(n cluster.Name) bool {
	v := w.verdict(n)
	if v.Cause == membership.DiskFailed {
		return v.Drain || w.shut(n)
	}
	return v.Answer == membership.Gone || !answers(v) && v.Own == membership.Exited && len(membership.Answering(v)) == 0 || w.shut(n)
}

// Sign is what a pool is told of a member.
func (w *World) Sign(n cluster.Name) loadbalancer.Sign {
	switch {
	case w.Serves(n), answers(w.verdict(n)) && !w.shut(n):
		return loadbalancer.Answers
	case w.idle(n):
		return loadbalancer.Silent
	}
	return loadbalancer.Unsure
}

// livePeers are the ring members other than n whose gossip may be alive, by
// name. Every one of them must agree on a hibernation.
func (w *World) livePeers(n cluster.Name) []cluster.Name {
	return w.members(n, func(m cluster.Name) bool { return w.mayRead(m) || w.saysUp(m, n) })
}

// members lists the ring members other than n that are so, by name; none while no
// ring is known.
func (w *World) members(n cluster.Name, so func(cluster.Name) bool) []cluster.Name {
	if w.Schema == nil {
		return nil
	}
	var list []cluster.Name
	for _, m := range w.Schema.Members {
		if m.Name != n && so(m.Name) {
			list = append(list, m.Name)
		}
	}
	slices.Sort(list)
	return list
}

// mayRead tells whether a Cassandra may read from others, now or without a new
// start. One whose clients alone are shut out remembers what it heard, and reads
// by it as soon as somebody opens its transport again. One whose disk failed
// goes on coordinating, or was stopped by its disk_failure_policy and is opened
// like that: what ends it is the end of its process. Of that its own agent's
// word is not enough while others reach the node: a copy of its host says so too.
// One of another region may read until nothing has passed between it and this
// region for long enough.
func (w *World) mayRead(n cluster.Name) bool {
	if f, foreign := w.Abroad[n]; foreign {
		return !f.Lost
	}
	v := w.verdict(n)
	switch {
	case w.provenCut(n):
		return false // none of the others hears it, nor it them
	case v.Answer != membership.Gone, v.Cause == membership.CQLDead:
		return true
	case v.Cause == membership.DiskFailed:
		return v.Own != membership.Exited || !v.Drain
	}
	return false
}

// provenCut tells whether a node is known to be cut off from the ring by all
// others. One whose host was turned off instead is not: it may be on again.
func (w *World) provenCut(n cluster.Name) bool {
	f, stands := w.Fences[n]
	return stands && f.Levels.Has(isolate.Ring) && slices.ContainsFunc(w.Open, func(r Record) bool {
		return r.Node == n && r.cutOff() && len(r.Fenced.Proof) > 0 && !r.Fenced.Power.Wanted
	})
}

// serving lists the members that serve, without n, by name.
func (w *World) serving(n cluster.Name) []cluster.Name { return w.members(n, w.Serves) }

// own is what the node's own agent says under the standing fence; ok is false
// when it has not read that fence yet.
func (w *World) own(n cluster.Name) (isolate.OwnState, bool) {
	f, standing := w.Fences[n]
	s, known := w.Seen[n][n]
	if !standing || !known || s.Own == nil || s.Token.Compare(f.Token) < 0 {
		return isolate.OwnState{}, false
	}
	return *s.Own, true
}

// mode of the record's datacenter.
func (w *World) mode(dc cluster.Datacenter) Mode { return w.ModeOf(dc) }
