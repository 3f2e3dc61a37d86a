// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/residency"
)

// Policy is the one document that judge, decide and gate read. It lives in
// the store, versioned and hashed, with its author and reason.
type Policy struct {
	Version   int64                                   `json:"version" yaml:"-"`
	Hash      string                                  `json:"hash" yaml:"-"` // SHA-256 of the document without version, author and reason
	By        string                                  `json:"by" yaml:"-"`
	Why       string                                  `json:"why" yaml:"-"`
	Modes     map[cluster.Datacenter]Mode             `json:"modes" yaml:"modes"`
	Regions   map[cluster.Region][]cluster.Datacenter `json:"regions" yaml:"regions"`
	Residency residency.Policy                        `json:"residency" yaml:"residency"`
	Detection Detection                               `json:"detection" yaml:"detection"`
	Ages      Ages                                    `json:"ages" yaml:"ages"`
	Budgets   Budgets                                 `json:"budgets" yaml:"budgets"`
	Pools     []loadbalancer.Declared                 `json:"pools" yaml:"pools"`
	KnownRows []KnownRows                             `json:"known_rows" yaml:"known_rows"`
	// TTLOnly lists keyspace.table entries whose operator declares "no deletes, TTL only".
	TTLOnly []string `json:"ttl_only" yaml:"ttl_only"`
	// AcceptAuthRF accepts a system_auth that does not survive the loss of a node.
	AcceptAuthRF bool       `json:"accept_auth_rf" yaml:"accept_auth_rf"`
	Versions     []string   `json:"cassandra_versions" yaml:"cassandra_versions"` // tested: "5.0" means 5.0.x
	Gate         GatePolicy `json:"gate" yaml:"gate"`
	Return       ReturnBars `json:"return" yaml:"return"`
	Slow         SlowBars   `json:"slow,omitzero" yaml:"slow"`
	Repair       RepairBars `json:"repair,omitzero" yaml:"repair"`
}

// Detection holds the judge's bounds.
type Detection struct {
	Fresh        time.Duration `json:"fresh" yaml:"fresh"`
	Stable       time.Duration `json:"stable" yaml:"stable"`
	StableMax    time.Duration `json:"stable_max" yaml:"stable_max"`
	MissesMax    int           `json:"misses_max" yaml:"misses_max"`
	ObserversMin int           `json:"observers_min" yaml:"observers_min"`
	StormShare   float64       `json:"storm_share" yaml:"storm_share"`
	// SlowFactor, SlowFloor and SlowAfter say by how much and for how long a node's
	// answers must stand out among those of its peers until it is slow.
	SlowFactor float64       `json:"slow_factor" yaml:"slow_factor"`
	SlowFloor  time.Duration `json:"slow_floor" yaml:"slow_floor"`
	SlowAfter  time.Duration `json:"slow_after" yaml:"slow_after"`
}

// told are the bounds with what a policy of an earlier program does not say: a blank
// never means that everything is slow.
func (d Detection) told() Detection {
	usual := DefaultPolicy().Detection
	if d.SlowFactor == 0 {
		d.SlowFactor = usual.SlowFactor
	}
	if d.SlowFloor == 0 {
		d.SlowFloor = usual.SlowFloor
	}
	if d.SlowAfter == 0 {
		d.SlowAfter = usual.SlowAfter
	}
	return d
}

// Ages are how old evidence must be before the next harder step.
type Ages struct {
	Fence   time.Duration `json:"fence" yaml:"fence"`
	Replace time.Duration `json:"replace" yaml:"replace"`
	CQLDead time.Duration `json:"cql_dead" yaml:"cql_dead"` // then Held, with the question whether it was turned off
}

// Budgets bound what may be out at once.
type Budgets struct {
	NodesPerDatacenter int `json:"nodes_per_datacenter" yaml:"nodes_per_datacenter"`
	StartsMax          int `json:"starts_max" yaml:"starts_max"` // ends of one node within StartsWindow after which it is still brought back
	// StartsWindow is the window of StartsMax and SilencesMax.
	StartsWindow time.Duration `json:"starts_window" yaml:"starts_window"`
	// SilencesMax is how often a node may be silent within StartsWindow and is
	// still given back at once; one that flaps stays out of its pools until it is quiet.
	SilencesMax int `json:"silences_max" yaml:"silences_max"`
	// FencesMax is how often one node is fenced within FencesWindow; then it is in
	// quarantine, and a person is asked.
	FencesMax    int           `json:"fences_max" yaml:"fences_max"`
	FencesWindow time.Duration `json:"fences_window" yaml:"fences_window"`
}

// told are the budgets with what a policy of an earlier program does not say: a
// blank never means none, nor all.
func (b Budgets) told() Budgets {
	usual := DefaultPolicy().Budgets
	if b.SilencesMax == 0 {
		b.SilencesMax = usual.SilencesMax
	}
	if b.FencesMax == 0 || b.FencesWindow == 0 {
		b.FencesMax, b.FencesWindow = usual.FencesMax, usual.FencesWindow
	}
	return b
}

// GatePolicy is what the gate does when nobody answers.
type GatePolicy struct {
	Unasked isolate.Start `json:"unasked" yaml:"unasked"`
}

// ReturnBars bound a return.
type ReturnBars struct {
	TriesMax  int           `json:"tries_max" yaml:"tries_max"`   // hibernated starts
	RoundsMax int           `json:"rounds_max" yaml:"rounds_max"` // repairs because of an old row
	RampEvery time.Duration `json:"ramp_every" yaml:"ramp_every"` // between two weights
	BatchMax  int           `json:"batch_max" yaml:"batch_max"`   // segments in one order
}

// RepairBars say what a repair takes, and what its participants may be asked to bear.
type RepairBars struct {
	// SkipQuiet leaves tables out that were not written since an outage began. Nil, as
	// policies of an earlier program have it, means true.
	SkipQuiet *bool `json:"skip_quiet,omitempty" yaml:"skip_quiet,omitempty"`

	// HeedLoad lets a repair wait while one who takes part in it is beyond the bounds
	// below, or has a batch of another repair. It has not run on hosts yet, so it is off
	// where nothing is said.
	HeedLoad              bool    `json:"heed_load,omitempty" yaml:"heed_load"`
	PendingCompactionsMax int     `json:"pending_compactions_max,omitempty" yaml:"pending_compactions_max"`
	DroppedMutationsMax   int     `json:"dropped_mutations_max,omitempty" yaml:"dropped_mutations_max"` // within a minute
	DiskFreeMin           float64 `json:"disk_free_min,omitempty" yaml:"disk_free_min"`                 // share of the data disk
	LatencyFactorMax      float64 `json:"latency_factor_max,omitempty" yaml:"latency_factor_max"`       // of reads (p99), to that before the repair
}

// SkipsQuiet tells whether a repair may leave out what was not written.
func (p *Policy) SkipsQuiet() bool {
	return p != nil && (p.Repair.SkipQuiet == nil || *p.Repair.SkipQuiet)
}

// DefaultPolicy is what a document that names only modes and regions means.
func DefaultPolicy() Policy {
	b, skip := membership.DefaultBars(), true
	return Policy{
		Modes:   map[cluster.Datacenter]Mode{},
		Regions: map[cluster.Region][]cluster.Datacenter{},
		Detection: Detection{Fresh: b.Fresh, Stable: b.Stable, StableMax: b.StableMax, MissesMax: b.MissesMax,
			ObserversMin: b.ObserversMin, StormShare: b.StormShare,
			SlowFactor: b.SlowFactor, SlowFloor: b.SlowFloor, SlowAfter: b.SlowAfter},
		Ages:     Ages{Fence: 15 * time.Second, Replace: 30 * time.Minute, CQLDead: 15 * time.Minute},
		Budgets:  Budgets{NodesPerDatacenter: 1, StartsMax: 3, StartsWindow: 10 * time.Minute, SilencesMax: 3, FencesMax: 1, FencesWindow: time.Hour},
		Versions: []string{"5.0"},
		Gate:     GatePolicy{Unasked: isolate.Normal},
		Return:   ReturnBars{TriesMax: 3, RoundsMax: 3, RampEvery: 2 * time.Second, BatchMax: 4},
		Slow:     usualSlow(),
		Repair:   RepairBars{SkipQuiet: &skip, PendingCompactionsMax: 100, DroppedMutationsMax: 0, DiskFreeMin: 0.1, LatencyFactorMax: 3},
	}
}

// Bars are the judge's bounds of this policy; of no policy, the defaults.
func (p *Policy) Bars() membership.Bars {
	b := membership.DefaultBars()
	if p == nil {
		return b
	}
	d := p.Detection.told()
	b.Fresh, b.Stable, b.StableMax = d.Fresh, d.Stable, d.StableMax
	b.MissesMax, b.ObserversMin, b.StormShare = d.MissesMax, d.ObserversMin, d.StormShare
	b.SlowFactor, b.SlowFloor, b.SlowAfter = d.SlowFactor, d.SlowFloor, d.SlowAfter
	return b
}

// ModeOf is the mode of a datacenter; where nothing is said, Assist; without a
// policy, Observe.
func (p *Policy) ModeOf(dc cluster.Datacenter) Mode {
	if p == nil {
		return Observe
	}
	if m, ok := p.Modes[dc]; ok {
		return m
	}
	return Assist
}

// RegionOf finds the region a datacenter is mapped to.
func (p *Policy) RegionOf(dc cluster.Datacenter) (cluster.Region, bool) {
	if p == nil {
		return "", false
	}
	for region, dcs := range p.Regions { // order: a policy with a datacenter in two regions is refused when it is read
		if slices.Contains(dcs, dc) {
			return region, true
		}
	}
	return "", false
}

// PoolsOf lists the pools that declare the node, in the policy's order.
func (p *Policy) PoolsOf(n cluster.Name) []loadbalancer.Declared {
	if p == nil {
		return nil
	}
	var out []loadbalancer.Declared
	for _, d := range p.Pools {
		if slices.Contains(d.Members, n) {
			out = append(out, d)
		}
	}
	return out
}

// version returns the policy's version, 0 for none.
func (p *Policy) version() int64 {
	if p == nil {
		return 0
	}
	return p.Version
}
