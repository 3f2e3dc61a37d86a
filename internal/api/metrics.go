// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// prefix is in front of every metric; names are never used again for
// something else. Label values are bounded: never ranges, keys or error text.
const prefix = "cassandra_supervisor_"

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

var (
	descBuild     = desc("build_info", "The version of this agent; always 1.", "version")
	descState     = desc("cluster_state", "1 for the state that the cluster is in, as the status says it.", "state")
	descLeader    = desc("leader", "1 where somebody leads the region.", "region")
	descLeads     = desc("leads", "1 where this agent leads its region.", "region")
	descMode      = desc("mode", "1 for the mode of the datacenter.", "datacenter", "mode")
	descPaused    = desc("paused", "1 while somebody paused the datacenter.", "datacenter")
	descStorm     = desc("storm", "1 while so much fails at once that nothing destructive starts.", "datacenter")
	descVerdict   = desc("node_verdict", "1 for the verdict of the node.", "node", "verdict")
	descServing   = desc("node_serving", "1 where the node serves its clients.", "node")
	descObservers = desc("node_observers", "Eligible observers of the node by their vote.", "node", "vote")
	descFinding   = desc("finding_active", "1 for each finding that holds now.", "code", "severity", "subject", "muted", "handled")
	descOpen      = desc("incidents_open", "Open incidents.", "datacenter", "phase")
	descOldest    = desc("incident_oldest_open_timestamp_seconds", "When the oldest open incident began.", "datacenter", "phase")
	descClosed    = desc("incidents_total", "Incidents that were closed.", "datacenter", "cause", "outcome")
	descStage     = desc("incident_stage_seconds", "From the beginning of an incident to a stage of it.", "stage", "cause")
	descMargin    = desc("quorum_margin_nodes", "Replicas of the worst range that may still stop before its quorum is lost.", "keyspace", "datacenter")
	descUsed      = desc("budget_used", "Nodes of the datacenter that are out.", "datacenter")
	descLimit     = desc("budget_limit", "Nodes of the datacenter that may be out.", "datacenter")
	descFence     = desc("fence_standing", "1 where a level of a fence is wanted.", "node", "level")
	descGrace     = desc("gc_grace_remaining_seconds", "Until the data of a node that is out must not be read again.", "node")
	descPolicy    = desc("policy_version", "Version of the policy that stands; 0: none.")
	descMembers   = desc("pool_members", "Members of the pool by what is wanted of them.", "pool", "state")
	descFloor     = desc("pool_floor", "Ready members that must be left in the pool.", "pool")
	descDrift     = desc("pool_drift", "Servers of the pool that were changed by hand at the proxy.", "pool", "proxy")
	descStore     = desc("store_available", "1 while the store answers this agent.")
	descDropped   = desc("queue_dropped_total", "Messages of other agents that were dropped on arrival: pushed out by newer ones, or not understood.", "queue")
	descAudit     = desc("residency_findings", "What an audit of where data stands finds now.", "severity")
	descForbidden = desc("residency_forbidden", "1 where a keyspace has replicas that the policy forbids.", "keyspace", "datacenter")
	descUnread    = desc("residency_nodes_unread", "Nodes of which an audit does not know everything.")
	descIgnored   = desc("reports_ignored_total", "Reports of observers that were not believed.", "reason")
)

var descs = []*prometheus.Desc{descBuild, descState, descLeader, descLeads, descMode, descPaused, descStorm, descVerdict, descServing, descObservers,
	descFinding, descOpen, descOldest, descClosed, descStage, descMargin, descUsed, descLimit, descFence, descGrace, descPolicy,
	descMembers, descFloor, descDrift, descStore, descAudit, descForbidden, descUnread, descIgnored}

// collector renders one snapshot as metrics. What is known of nodes, pools
// and incidents is exported by the region's leader only, so that a sum over
// agents counts nothing twice.
type collector struct {
	snapshot func(context.Context) (Snapshot, error)
}

// Describe lists the metrics.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
}

// Collect asks the agent once per scrape.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.snapshot(context.Background())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descState, err)
		return
	}
	g := gauges{ch}
	g.own(s)
	if s.Leader != s.Self {
		return
	}
	g.datacenters(s)
	g.nodes(s)
	g.incidents(s)
	g.pools(s)
	g.residency(s)
}

type gauges struct{ ch chan<- prometheus.Metric }

func (g gauges) set(d *prometheus.Desc, v float64, labels ...string) {
	g.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (g gauges) count(d *prometheus.Desc, v int, labels ...string) {
	g.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

// oneHot sets 1 for the word that holds and 0 for all others.
func (g gauges) oneHot(d *prometheus.Desc, holds string, words []string, labels ...string) {
	for _, w := range words {
		g.set(d, truth(w == holds), append(slices.Clone(labels), w)...)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// own is what every agent says of itself and of the whole.
func (g gauges) own(s Snapshot) {
	g.set(descBuild, 1, s.Version)
	state, _ := stateOf(s)
	for _, w := range States() {
		g.set(descState, truth(w == state), string(w))
	}
	g.set(descLeader, truth(s.Leader != ""), string(s.Region))
	g.set(descLeads, truth(s.Leader == s.Self), string(s.Region))
	g.set(descStore, truth(s.StoreLost == ""))
	version := int64(0)
	if s.World.Policy != nil {
		version = s.World.Policy.Version
	}
	g.set(descPolicy, float64(version))
	for _, why := range []membership.Reason{membership.FromFuture, membership.UnknownObserver, membership.UnknownSubject, membership.NotAssigned,
		membership.NotOwn, membership.Impossible, membership.Superseded} {
		g.count(descIgnored, s.World.View.Ignored[why], string(why))
	}
	seen := map[string]bool{}
	for _, f := range s.findings() {
		key := f.Code + "/" + f.Subject
		if s.Leader == s.Self && !seen[key] {
			seen[key] = true
			g.set(descFinding, 1, f.Code, string(f.Severity), f.Subject, strconv.FormatBool(s.muted(f) != nil), strconv.FormatBool(f.Handled != ""))
		}
	}
}

func (g gauges) datacenters(s Snapshot) {
	for _, dc := range datacenters(s) {
		line := datacenterLine(s, dc)
		g.oneHot(descMode, line.Mode.String(), Modes(), string(dc))
		g.set(descStorm, truth(line.Storm != ""), string(dc))
		g.set(descPaused, truth(line.Paused != nil), string(dc))
		g.set(descUsed, float64(line.Budget.Used), string(dc))
		g.set(descLimit, float64(line.Budget.Limit), string(dc))
	}
	if s.World.Schema == nil {
		return
	}
	margins, _ := cluster.Margins(*s.World.Schema, s.World.Serves) // keyspaces of an unknown strategy have none
	for _, m := range margins {
		if !cluster.NeverReplicated(m.Keyspace) && !cluster.Exempt(m.Keyspace) {
			g.set(descMargin, float64(m.Spare()), m.Keyspace, string(m.Datacenter))
		}
	}
}

func (g gauges) nodes(s Snapshot) {
	for _, h := range roster(s) {
		name := string(h.Name)
		line := nodeLine(s, h)
		g.oneHot(descVerdict, line.Verdict, Verdicts(), name)
		g.set(descServing, truth(line.Serving == ServingYes), name)
		votes := map[membership.Vote]int{membership.Unheard: line.Votes.Eligible}
		for _, b := range verdictOf(s, h.Name).Ballots {
			votes[membership.Unheard]--
			votes[b.Vote]++
		}
		for v, w := range Votes() {
			g.set(descObservers, float64(max(0, votes[membership.Vote(v)])), name, w)
		}
		for _, level := range []string{"clients", "reads", "process", "ring", "power"} {
			g.set(descFence, truth(slices.Contains(line.Fenced, level)), name, level)
		}
		if r, open := openAt(s, h.Name); open && !r.Outage.Deadline.IsZero() {
			g.set(descGrace, s.until(r.Outage.Deadline).Seconds(), name)
		}
	}
}

func (g gauges) incidents(s Snapshot) {
	for _, dc := range datacenters(s) {
		for i, word := range incident.Phases() {
			phase := incident.Phase(i)
			if phase == incident.PhaseUnknown || phase == incident.Closed {
				continue
			}
			n, oldest := 0, 0.0
			for _, r := range s.Open {
				if r.Datacenter == dc && r.Phase == phase {
					n++
					if at := float64(r.Began.UnixMilli()) / 1000; oldest == 0 || at < oldest {
						oldest = at
					}
				}
			}
			g.set(descOpen, float64(n), string(dc), word)
			if n > 0 {
				g.set(descOldest, oldest, string(dc), word)
			}
		}
	}
	g.closed(s)
}

// stageBuckets fit seconds to hours.
var stageBuckets = []float64{0.25, 0.5, 1, 1.5, 2.5, 3.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600}

// closed counts what the archive holds: it survives every agent.
func (g gauges) closed(s Snapshot) {
	type outcome struct{ dc, cause, outcome string }
	type stage struct{ stage, cause string }
	closed := map[outcome]int{}
	stages := map[stage][]float64{}
	for _, r := range s.Closed {
		closed[outcome{string(r.Datacenter), r.Cause.String(), outcomeOf(r)}]++
		for st, d := range r.Marks {
			key := stage{string(st), r.Cause.String()}
			stages[key] = append(stages[key], d.Seconds())
		}
	}
	for k, n := range closed {
		g.count(descClosed, n, k.dc, k.cause, k.outcome)
	}
	for k, values := range stages {
		buckets, sum := map[float64]uint64{}, 0.0
		for _, b := range stageBuckets {
			buckets[b] = 0
			for _, v := range values {
				if v <= b {
					buckets[b]++
				}
			}
		}
		for _, v := range values {
			sum += v
		}
		g.ch <- prometheus.MustNewConstHistogram(descStage, uint64(len(values)), sum, buckets, k.stage, k.cause)
	}
}

// Outcomes lists every way in which an incident ends.
func Outcomes() []string { return []string{"untouched", "answered", "returned"} }

func outcomeOf(r incident.Record) string {
	if _, ok := r.Marks[incident.StageReturned]; ok {
		return "returned"
	}
	if _, ok := r.Marks[incident.StageDrained]; ok {
		return "answered"
	}
	return "untouched"
}

func (g gauges) pools(s Snapshot) {
	for _, p := range PoolsOf(s) {
		counts := map[loadbalancer.Want]int{}
		for _, m := range p.Members {
			counts[m.Want]++
		}
		for _, w := range []loadbalancer.Want{loadbalancer.Ready, loadbalancer.Drain, loadbalancer.Maint} {
			g.set(descMembers, float64(counts[w]), p.Name, w.String())
		}
		if p.Floor != nil {
			g.set(descFloor, float64(*p.Floor), p.Name)
		}
		for _, proxy := range p.Proxies {
			g.set(descDrift, float64(len(proxy.Drift)), p.Name, proxy.Name)
		}
	}
}

// Counters are the metrics that the agent counts itself, where it happens.
type Counters struct {
	commit  prometheus.Histogram
	effects *prometheus.CounterVec
	refused *prometheus.CounterVec
	probes  *prometheus.CounterVec
	lag     prometheus.Gauge
	mail    func() uint64 // messages of other agents that were dropped; nil: nobody counts
}

// NewCounters makes the counters with every label value present from the start.
func NewCounters() *Counters {
	c := &Counters{
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "store_commit_seconds", Help: "How long the store took for a commit of this leader.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}}),
		effects: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "effects_total", Help: "Orders that this agent settled."}, []string{"kind", "result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "refusals_total", Help: "What this agent refused or waited for, by rule."}, []string{"rule"}),
		probes:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "probes_total", Help: "Looks of this agent."}, []string{"kind", "outcome"}),
		lag:     prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "loop_lag_seconds", Help: "How late the agent's loop was at its last tick."}),
	}
	for _, verb := range incident.Verbs()[1:] {
		for o := incident.Done; o <= incident.Uncertain; o++ {
			c.effects.WithLabelValues(verb, o.String())
		}
	}
	for _, rule := range incident.Rules() {
		c.refused.WithLabelValues(string(rule))
	}
	return c
}

// Committed notes how long a commit took, in seconds.
func (c *Counters) Committed(seconds float64) { c.commit.Observe(seconds) }

// Settled notes how an order of this agent ended.
func (c *Counters) Settled(v incident.Verb, o incident.Outcome) {
	c.effects.WithLabelValues(v.String(), o.String()).Inc()
}

// Refused notes that a rule held something back. A rule that nobody declared
// is not counted: labels stay bounded.
func (c *Counters) Refused(r incident.Rule) {
	if slices.Contains(incident.Rules(), r) {
		c.refused.WithLabelValues(string(r)).Inc()
	}
}

// Looked notes one look of this agent.
func (c *Counters) Looked(p membership.Path, o membership.Outcome) {
	c.probes.WithLabelValues(p.String(), o.String()).Inc()
}

// CountMail names who counts the messages of other agents that were dropped.
// It is called before the first scrape.
func (c *Counters) CountMail(dropped func() uint64) { c.mail = dropped }

// Lag notes how late the loop was, in seconds.
func (c *Counters) Lag(seconds float64) { c.lag.Set(seconds) }

func (c *Counters) all() []prometheus.Collector {
	return []prometheus.Collector{c.commit, c.effects, c.refused, c.probes, c.lag}
}

// Describe lists the metrics.
func (c *Counters) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.all() {
		m.Describe(ch)
	}
	ch <- descDropped
}

// Collect reads the metrics.
func (c *Counters) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.all() {
		m.Collect(ch)
	}
	dropped := uint64(0)
	if c.mail != nil {
		dropped = c.mail()
	}
	ch <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(dropped), "mail")
}
