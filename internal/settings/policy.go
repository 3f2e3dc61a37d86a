// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// ReadPolicy reads a policy file. hosts is the roster; with none, the names
// in it are not looked up. A document that is not in order is a Faults; any
// other error means that the file could not be read.
func ReadPolicy(path string, hosts []cluster.Host) (incident.Policy, error) {
	text, err := load(path)
	if err != nil {
		return incident.Policy{}, err
	}
	return ParsePolicy(path, text, hosts)
}

// ParsePolicy reads the text of a policy; file is its name in faults. What the
// text leaves out is as in incident.DefaultPolicy. Version and author are not
// in it, Hash is filled in.
func ParsePolicy(file string, text []byte, hosts []cluster.Host) (incident.Policy, error) {
	p := incident.DefaultPolicy()
	d := parse(file, "nothing was applied", text, &p)
	c := policyCheck{document: d, p: p, hosts: hosts}
	c.places()
	c.residency()
	c.pools()
	c.detection()
	c.agesAndBudgets()
	c.tables()
	c.returns()
	c.slow()
	if err := d.err(); err != nil {
		return incident.Policy{}, err
	}
	p.Hash = Hash(p)
	return p, nil
}

// policyCheck holds what one fault cannot see alone: the whole document.
type policyCheck struct {
	*document
	p     incident.Policy
	hosts []cluster.Host
}

// places checks regions and modes: every datacenter belongs to one region,
// every mode to a datacenter.
func (c policyCheck) places() {
	c.must(len(c.p.Regions) > 0, "regions", "missing; write every region with its datacenters, as in region1: [dc1]")
	owner := map[cluster.Datacenter]cluster.Region{}
	for _, region := range slices.Sorted(maps.Keys(c.p.Regions)) {
		at := child("regions", string(region))
		c.name(at, string(region))
		c.must(len(c.p.Regions[region]) > 0, at, "region %q has no datacenter; name at least one", region)
		for i, dc := range c.p.Regions[region] {
			c.name(item(at, i), string(dc))
			first, taken := owner[dc]
			c.must(!taken || first == region, item(at, i), "datacenter %q belongs to region %q already; it can stand in one only", dc, first)
			c.must(!taken || first != region, item(at, i), "datacenter %q is listed twice; name it once", dc)
			owner[dc] = region
		}
	}
	if !c.whole("regions") {
		return // what is not known to be there cannot be missed
	}
	known := slices.Sorted(maps.Keys(owner))
	for _, dc := range slices.Sorted(maps.Keys(c.p.Modes)) {
		_, ok := owner[dc]
		c.must(ok, child("modes", string(dc)), "datacenter %q is in no region; known: %s", dc, list(known))
	}
	c.roster(owner, known)
}

// roster compares the places with those of the known hosts.
func (c policyCheck) roster(owner map[cluster.Datacenter]cluster.Region, known []cluster.Datacenter) {
	reported := map[cluster.Datacenter]bool{}
	for _, h := range c.hosts {
		region, ok := owner[h.Datacenter]
		if reported[h.Datacenter] || ok && region == h.Region {
			continue
		}
		reported[h.Datacenter] = true
		if !ok {
			c.fault("regions", "host %s stands in datacenter %q, which is in no region; known: %s", h.Name, h.Datacenter, list(known))
			continue
		}
		c.fault(child("regions", string(region)), "datacenter %q is in region %q here, in %q on the roster (host %s)", h.Datacenter, region, h.Region, h.Name)
	}
}

// entriesMax bounds the names and patterns of all residency rules: each is
// compared with every other.
const entriesMax = 500

func (c policyCheck) residency() {
	entries := 0
	for _, r := range c.p.Residency.Rules {
		entries += max(1, len(r.Keyspaces))
	}
	if !c.must(entries <= entriesMax, "residency.rules", "%d names and patterns; write at most %d, patterns are shorter", entries, entriesMax) {
		return
	}
	for _, f := range c.p.Residency.Validate(slices.Sorted(maps.Keys(c.p.Regions))) {
		if (len(c.p.Regions) == 0 || !c.whole("regions")) && strings.Contains(f.Path, ".regions[") {
			continue // no region is known because the regions themselves are wrong, which is said there
		}
		c.fault("residency."+f.Path, "%s; want %s", f.What, f.Want)
	}
}

func (c policyCheck) pools() {
	var names []cluster.Name
	for _, h := range c.hosts {
		names = append(names, h.Name)
	}
	for _, f := range loadbalancer.Faults(c.p.Pools, names) {
		c.fault(f.Path, "%s; %s", f.Wrong, f.Right)
	}
}

// detection keeps the judge able to judge: a report must live longer than the
// pause between two digests of a quiet agent (1 s), and a verdict needs three
// observers to have a majority that one of them cannot make alone.
func (c policyCheck) detection() {
	b := c.p.Detection
	c.within("detection.fresh", b.Fresh, 2*time.Second, time.Minute)
	c.within("detection.stable", b.Stable, time.Millisecond, 10*time.Second)
	c.within("detection.stable_max", b.StableMax, time.Millisecond, 10*time.Second)
	c.must(b.StableMax >= b.Stable, "detection.stable_max", "%s is below detection.stable, %s; a verdict would never wait for quiet", short(b.StableMax), short(b.Stable))
	c.count("detection.misses_max", b.MissesMax, 1, 20)
	c.count("detection.observers_min", b.ObserversMin, 3, 100)
	c.must(b.StormShare > 0 && b.StormShare <= 1, "detection.storm_share", "%v; write a share above 0 and at most 1, like 0.2", b.StormShare)
	c.must(b.SlowFactor >= 2 && b.SlowFactor <= 100, "detection.slow_factor", "%v; write a number from 2 to 100, like 5", b.SlowFactor)
	c.within("detection.slow_floor", b.SlowFloor, time.Millisecond, 10*time.Second)
	c.within("detection.slow_after", b.SlowAfter, time.Second, 10*time.Minute)
}

func (c policyCheck) agesAndBudgets() {
	a, b := c.p.Ages, c.p.Budgets
	c.within("ages.fence", a.Fence, 5*time.Second, time.Hour)
	c.within("ages.replace", a.Replace, time.Minute, 30*24*time.Hour)
	c.must(a.Replace > a.Fence, "ages.replace", "%s is not above ages.fence, %s; nothing is replaced that was not fenced first", short(a.Replace), short(a.Fence))
	c.within("ages.cql_dead", a.CQLDead, time.Minute, 24*time.Hour)
	c.count("budgets.nodes_per_datacenter", b.NodesPerDatacenter, 1, 100)
	c.count("budgets.starts_max", b.StartsMax, 1, 100)
	c.within("budgets.starts_window", b.StartsWindow, time.Minute, 24*time.Hour)
	c.count("budgets.silences_max", b.SilencesMax, 1, 100)
	c.count("budgets.fences_max", b.FencesMax, 1, 100)
	c.within("budgets.fences_window", b.FencesWindow, 10*time.Minute, 30*24*time.Hour)
}

var (
	tableName = regexp.MustCompile(`^[A-Za-z0-9_]{1,48}$`)
	tablePair = regexp.MustCompile(`^[A-Za-z0-9_]{1,48}\.[A-Za-z0-9_]{1,48}$`)
	release   = regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?$`)
)

// knownRowsMax bounds what one node is asked for while it returns.
const knownRowsMax = 10_000

func (c policyCheck) tables() {
	for i, k := range c.p.KnownRows {
		at := item("known_rows", i)
		c.must(tableName.MatchString(k.Keyspace), at+".keyspace", "%q is no name of a keyspace; write at most 48 letters, digits and underscores", k.Keyspace)
		c.must(tableName.MatchString(k.Table), at+".table", "%q is no name of a table; write at most 48 letters, digits and underscores", k.Table)
		c.must(!cluster.NeverReplicated(k.Keyspace), at+".keyspace", "%q is not replicated, its rows prove nothing; name a table of your own", k.Keyspace)
		c.count(at+".max", k.Max, 1, knownRowsMax)
		twice := slices.ContainsFunc(c.p.KnownRows[:i], func(o incident.KnownRows) bool { return o.Keyspace == k.Keyspace && o.Table == k.Table })
		c.must(!twice, at, "%s.%s is listed twice; name it once", k.Keyspace, k.Table)
	}
	for i, t := range c.p.TTLOnly {
		c.must(tablePair.MatchString(t), item("ttl_only", i), "%q is no table; write keyspace.table", t)
		c.must(!slices.Contains(c.p.TTLOnly[:i], t), item("ttl_only", i), "%q is listed twice; name it once", t)
	}
}

func (c policyCheck) returns() {
	c.must(len(c.p.Versions) > 0, "cassandra_versions", "empty; no node could ever return; name the releases you tested, like \"5.0\"")
	for i, v := range c.p.Versions {
		c.must(release.MatchString(v), item("cassandra_versions", i), "%q is no release; write \"5.0\" for every 5.0.x, or one like \"5.0.9\"", v)
		c.must(!slices.Contains(c.p.Versions[:i], v), item("cassandra_versions", i), "%q is listed twice; name it once", v)
	}
	ways := []isolate.Start{isolate.Normal, isolate.Hibernate, isolate.Refuse}
	c.must(slices.Contains(ways, c.p.Gate.Unasked), "gate.unasked", "%q is no answer of a gate that nobody answered; write normal, hibernate or refuse", c.p.Gate.Unasked)
	r := c.p.Return
	c.count("return.tries_max", r.TriesMax, 1, 10)
	c.count("return.rounds_max", r.RoundsMax, 1, 10)
	c.within("return.ramp_every", r.RampEvery, time.Millisecond, 5*time.Minute-time.Second)
	c.count("return.batch_max", r.BatchMax, 1, 16)
	c.repairs()
}

// repairs keeps the bounds such that a cluster in order is within them: one that is
// never met would hold every return.
func (c policyCheck) repairs() {
	r := c.p.Repair
	c.count("repair.pending_compactions_max", r.PendingCompactionsMax, 1, 1_000_000)
	c.count("repair.dropped_mutations_max", r.DroppedMutationsMax, 0, 1_000_000)
	c.must(r.DiskFreeMin > 0 && r.DiskFreeMin <= 0.9, "repair.disk_free_min", "%v; write a share above 0 and at most 0.9, like 0.1", r.DiskFreeMin)
	c.must(r.LatencyFactorMax >= 1.1 && r.LatencyFactorMax <= 1000, "repair.latency_factor_max", "%v; write a factor from 1.1 to 1000, like 3", r.LatencyFactorMax)
}

// slowSeen is how long a judge that begins may hear nothing of what answers take: its own
// window, and that in which observers measure.
const slowSeen = 10 * time.Second

// slow keeps the answer to a slow node in its order: who is asked sees what was done.
func (c policyCheck) slow() {
	s := c.p.Slow
	c.within("slow.drain_after", s.DrainAfter, time.Second, time.Hour)
	c.within("slow.severity_after", s.SeverityAfter, time.Second, time.Hour)
	c.within("slow.over_after", s.OverAfter, incident.SlowOverLeast, time.Hour)
	least := c.p.Detection.SlowAfter + slowSeen
	c.must(s.OverAfter >= least, "slow.over_after", "%s is below detection.slow_after and 10 s together, %s; a leader that has just begun would give back a node that is still slow",
		short(s.OverAfter), short(least))
	c.within("slow.quiet_for", s.QuietFor, time.Minute, 24*time.Hour)
	c.must(s.QuietFor >= s.OverAfter, "slow.quiet_for", "%s is below slow.over_after, %s; one that comes and goes would be back sooner than any other",
		short(s.QuietFor), short(s.OverAfter))
	c.within("slow.ask_after", s.AskAfter, time.Minute, 24*time.Hour)
	c.must(s.AskAfter > s.DrainAfter+s.SeverityAfter, "slow.ask_after", "%s is not above slow.drain_after and slow.severity_after together, %s; a person would be asked before both were tried",
		short(s.AskAfter), short(s.DrainAfter+s.SeverityAfter))
}

func (d *document) count(path string, n, least, most int) {
	d.must(n >= least && n <= most, path, "%d; write a number from %d to %d", n, least, most)
}

func (d *document) within(path string, v, least, most time.Duration) {
	d.must(v >= least && v <= most, path, "%s; write a duration from %s to %s", short(v), short(least), short(most))
}

// list spells names for people.
func list[S ~string](names []S) string {
	if len(names) == 0 {
		return "none"
	}
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

// short spells a duration without the zero parts: 30m, not 30m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// DescribePolicy says on one line what a policy permits.
func DescribePolicy(p incident.Policy) string {
	var modes []string
	for _, region := range slices.Sorted(maps.Keys(p.Regions)) {
		for _, dc := range p.Regions[region] {
			modes = append(modes, fmt.Sprintf("%s/%s %s", region, dc, p.ModeOf(dc)))
		}
	}
	return fmt.Sprintf("%s · %s · %s · %s · hash %.12s", strings.Join(modes, ", "), counted(len(p.Residency.Rules), "residency rule"),
		counted(len(p.Pools), "pool"), counted(len(p.KnownRows), "table", " of known rows"), Hash(p))
}

func counted(n int, noun string, rest ...string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s%s", n, noun, strings.Join(rest, ""))
}
