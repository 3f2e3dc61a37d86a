// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
	"supervisor/residency"
)

// rows is everything the supervisor can believe, most pressing first. It is
// filled in init because sentences and rows name each other.
var rows []Row

func init() {
	rows = slices.Concat(supervisorRows(), nodeRows(), slowRows(), clusterRows(), repairRows(), trendRows(), agentRows(), poolRows())
}

// supervisorRows are about the supervisor's own footing.
func supervisorRows() []Row {
	return []Row{
		{"STORE_NO_QUORUM", Error, ScopeStore, "the store does not answer: {why}; nothing new is started, nothing standing is undone",
			"mend the etcd members named; nothing starts until then", false, storeLost},
		{"STORE_WENT_BACK", Error, ScopeStore, "the store that answers is not the one this agent knows: {why}; nothing of it is obeyed, nothing standing is undone",
			"bring the right store back, or take this one into use: supervisor store recover", false, storeBack},
		{"STORE_NOT_WRITTEN", Error, ScopeStore, "nothing is written to the store: {why}; nothing new is started, nothing standing is undone",
			"make room in etcd and take its alarm back, or mend what the reason names", false, storeUnwritten},
		{"STORE_UNACKNOWLEDGED", Error, ScopeStore, "{by} recovered the store at {at} from {from} (era {era}): everything is only observed until a person acknowledges that",
			"look at what the copy does not know, then supervisor store acknowledge", false, storeUnacknowledged},
		{"LEADER_MISSING", Error, ScopeStore, "no leader for {seconds} s: nothing is judged or decided",
			"look at the control agents of the region", true, leaderMissing},
		{"INVARIANT_BROKEN", Error, ScopeIncident, "{invariant} broke while deciding about {incident}: {detail}; nothing more is done there",
			"keep the record, do not edit it, report it", false, invariantBroken},
		{"JOURNAL_CHAIN_BROKEN", Error, ScopeDC, "the journal of {datacenter} does not follow on from event {event}",
			"keep the store's data, find who wrote to it", false, chainBroken},
		{"POLICY_MISSING", Warning, ScopeCluster, "no policy was applied: everything is only observed",
			"supervisor policy init, edit, supervisor policy apply", true, policyMissing},
		{"INCIDENT_HELD", Error, ScopeIncident, "{incident} about {node} waits for a person: {reason}",
			"the reason names what would release it", true, incidentHeld},
		{"APPROVAL_WAITING", Warning, ScopeIncident, "{incident} would fence {node} ({levels}) if a person approved plan {plan}",
			"supervisor incident approve, or let it wait", true, approvals},
		{"STORM_HOLD", Error, ScopeDC, "{reason}: no destructive step starts",
			"many at once: look at the network and at us before the nodes", true, storms},
		{"SUPERVISOR_PAUSED", Info, ScopeDC, "{by} paused {datacenter} until {until}: {why}", "it ends by itself, or with supervisor resume", true, pauses},
		{"MODE_NOT_AUTO", Info, ScopeDC, "{datacenter} is in mode {mode}", "change it with supervisor policy apply", true, modes},
	}
}

// nodeRows are about single nodes.
func nodeRows() []Row {
	return []Row{
		{"DISK_WRITE_FAILED", Error, ScopeNode, "{node} cannot write its data disk ({votes})",
			"replace the disk, then replace the node; never return old data from it", false, caused(membership.DiskFailed)},
		trouble("DISK_FULL", Error, ScopeNode, "compaction on {node} cannot finish any more, its data disk is full: {detail}",
			"make room now: old snapshots (nodetool clearsnapshot), then more disk or more nodes; never delete SSTables by hand", false),
		{"NODE_EXPIRED", Error, ScopeNode, "{node} was away past the deadline of {table}: deleted rows could come back",
			"it must not return; replace it", false, expired},
		{"CASS_PROCESS_DOWN", Error, ScopeNode, "Cassandra on {node} is down ({votes})",
			"restarted up to 3 times in 10 min; then read the log tail, mend, retry", true, caused(membership.ProcessDown)},
		{"CASS_NODE_HUNG", Error, ScopeNode, "Cassandra on {node} lives and answers nobody ({votes})",
			"keep a thread dump for the root cause", true, caused(membership.Hung)},
		{"CASS_CQL_DEAD", Error, ScopeNode, "the JVM of {node} lives, its native transport does not answer ({votes})",
			"turned off by hand? disk policy? look at disk and log, turn it on", true, caused(membership.CQLDead)},
		{"HOST_GONE", Error, ScopeNode, "{node} is silent on every path ({votes})",
			"power or network: check the console; a gone host cannot prove its fence", true, caused(membership.HostGone)},
		{"HOST_ISOLATED", Error, ScopeNode, "{node} says that it runs and nobody else reaches it ({votes})",
			"look at the network between it and the others", true, caused(membership.Isolated)},
		{"GC_GRACE_ENDING", Warning, ScopeNode, "{node} must be back and repaired within {left}, or its data of {table} must not return",
			"return it now, or replace it", true, graceEnding},
		{"AGENT_GONE", Warning, ScopeNode, "the agent on {node} is silent; Cassandra there is fine",
			"restart the supervisor's unit there", true, caused(membership.AgentGone)},
		{"AGENT_DUPLICATE_NAME", Error, ScopeNode, "two agents call themselves {node}: neither is heard",
			"fix the name in the configuration of one of them", false, duplicates},
		{"OBSERVER_UNWELL", Warning, ScopeNode, "the agent on {node} abstains: its own loop or clock is not in order",
			"its host is short of CPU or time", true, unwell},
		{"OBSERVERS_TOO_FEW", Warning, ScopeNode, "{node} has {of} eligible observers, it takes {need}: only advice is given",
			"run agents on more hosts, in at least two racks", true, tooFew},
	}
}

// clusterRows are about keyspaces and margins.
func clusterRows() []Row {
	return []Row{
		{"QUORUM_LOST", Error, ScopeDC, "a range of {keyspace} in {datacenter} has {have} of {rf} replicas, need {need}",
			"bring back the node that is out; nothing more will be taken out", false, quorumLost},
		{"QUORUM_AT_RISK", Warning, ScopeDC, "a range of {keyspace} in {datacenter} is at exactly its quorum, {have} of {rf}",
			"postpone any maintenance here", true, quorumAtRisk},
		{"AUTH_RF_LOW", Error, ScopeKeyspace, "system_auth has {rf} replicas in {datacenter}: logins fail with one node",
			"raise system_auth and repair it, or accept it in the policy", true, authLow},
		{"KEYSPACE_RF_LOW", Warning, ScopeKeyspace, "{keyspace} has {rf} replicas in {datacenter}: its nodes are never fenced while they serve",
			"raise it, or accept that a person decides", true, rfLow},
		{residency.WideReplication, Error, ScopeKeyspace, "{keyspace} has replicas in {where}, where the policy forbids it; permitted: {permitted}",
			"alter the keyspace and clean up there, or widen the policy; all of it: supervisor policy audit", false, audited(residency.WideReplication)},
		{residency.DataLeft, Error, ScopeKeyspace, "data of {keyspace} stands on {where}, where neither the policy nor its replication puts it; permitted: {permitted}",
			"see that its replicas have the data, then nodetool cleanup there; all of it: supervisor policy audit", true, audited(residency.DataLeft)},
		{residency.DatacenterUnmapped, Warning, ScopeDC, "no region of the policy names datacenter {datacenter}: nothing is moved there, and what stands there stands where nobody permitted it",
			"name it under its region in the policy; what it holds: supervisor policy audit", true, audited(residency.DatacenterUnmapped)},
		{"RESIDENCY_KEYSPACE_UNNAMED", Warning, ScopeKeyspace, "no residency rule names {keyspace}: its data is not moved, and returns are held",
			"name it in the policy", true, unnamed},
		{"GC_GRACE_ZERO", Warning, ScopeKeyspace, "{table} has gc_grace_seconds 0: hints expire at birth, no deadline can be kept",
			"declare \"no deletes, TTL only\" in the policy, or raise it", true, graceZero},
	}
}

// agentRows are what only an agent itself can see; it says so in its key.
func agentRows() []Row {
	return []Row{
		trouble("CLUSTER_NAME_WRONG", Error, ScopeAgent, "the Cassandra on {node} belongs to cluster {found}, the agent to {want}: it abstains and obeys nothing",
			"mend the configuration", false),
		trouble("STATE_DIR_UNWRITABLE", Error, ScopeAgent, "the agent on {node} cannot write {path}: it obeys nothing",
			"mend the directory", false),
		trouble("STORE_KEY_UNREAD", Error, ScopeAgent, "the agent on {node} cannot read {keys}: {detail}; what rests on it is neither decided nor done",
			"run the program there that wrote it; it is never taken for what is not there", false),
		trouble("CONFIG_REJECTED", Warning, ScopeAgent, "the agent on {node} cannot read the policy that stands: {detail}",
			"apply a policy that it can read, or run the program there that wrote this one", true),
		trouble("ADMIN_SILENT", Warning, ScopeAgent, "Jolokia on {node} does not answer: it is observed from outside only",
			"look at the JVM; nothing that needs its admin interface is done", true),
		trouble("SCHEMA_UNREAD", Warning, ScopeAgent, "the agent on {node} cannot read ring and schema: {detail}",
			"look at its CQL user; until then margins and returns rest on an older reading, or wait for one", true),
		trouble("REGION_UNREAD", Warning, ScopeAgent, "the agent on {node} has not read the store of region {region} since {since}: {detail}",
			"look at that store and the way to it; this region goes on, and what needs a word from there waits", true),
		trouble("DATA_DIR_UNWATCHED", Warning, ScopeAgent, "the agent on {node} cannot write to Cassandra's data directory, whose disk is not watched: {detail}",
			"let the agent's user write there, or make room; the node is watched by its other paths", true),
		trouble("PORT_GUARD_SILENT", Warning, ScopeAgent, "no port of {node} can be closed: {detail}",
			"look at cassandra-supervisor-ports.service there; hosts that stand still are not cut off until it answers", true),
		trouble("POWER_HOOK_FAILS", Warning, ScopeAgent, "the power hook of {node} cannot turn {hosts} off: {detail}",
			"mend what the detail names, then supervisor config check; without it a host that its peers cannot cut off waits for a person", true),
		trouble("GATE_UNASKED", Warning, ScopeAgent, "Cassandra on {node} started without an answer of the agent",
			"look at the agent", true),
		trouble("STORE_MEMBER_DOWN", Warning, ScopeAgent, "the store's member on {node} does not run: {detail}",
			"bring it back: with one less, the next loss may stop the store", true),
		trouble("CERT_EXPIRED", Error, ScopeAgent, "the certificate of {node} expired at {at} ({file}): its connections to the store are not renewed",
			"replace the files there, no restart is needed: supervisor certs issue", true),
		trouble("CERT_EXPIRING", Warning, ScopeAgent, "the certificate of {node} ends in {left}, at {at} ({file})",
			"replace the files there before that, no restart is needed: supervisor certs issue", true),
		trouble("CERT_REJECTED", Error, ScopeAgent, "the certificate files of {node} are not in order: {detail}",
			"mend the file named, no restart is needed", true),
		trouble("GOSSIP_UNREAD", Warning, ScopeAgent, "the agent on {node} cannot read gossip that reaches it from {detail}",
			"give both hosts the same gossip.key_file, cluster and region, and restart the agent that was wrong", true),
		trouble("DIGESTS_REFUSED", Warning, ScopeAgent, "the agent on {node} hears the same word again and again that it does not believe: {detail}",
			"look at the agent of the host named: another state directory, a copy of the host, or somebody who holds the gossip key", true),
		trouble("STORE_SERVER_REFUSED", Warning, ScopeAgent, "the agent on {node} has no secure connection to servers of the store: {detail}",
			"look at the certificate files of the host named, and of this one; no restart is needed", true),
		trouble("STORE_MEMBER_OLD_CA", Warning, ScopeAgent, "the store's member on {node} goes by the authorities that {file} held when it started",
			"restart the agent there, one host after the other", true),
		trouble("STORE_SHARES_DISK", Warning, ScopeAgent, "the store on {node} shares a disk with Cassandra's data",
			"move the store's directory", true),
		trouble("STORE_SLOW", Warning, ScopeAgent, "the store took {ms} ms for a commit, seen by {node}",
			"a slow disk under etcd: move it before leases are lost", true),
	}
}

// StoreFacts is what an agent knows of its own store connection.
type StoreFacts struct {
	Lost    string        // why the store does not answer; empty: it does
	Back    string        // why the store that answers is not believed: it went back, or is another; Lost says so too
	LostFor time.Duration // since the last answer
	// Unwritten is why a store that answers takes no writes; empty: nobody knows
	// that it does not.
	Unwritten string
	Leader    cluster.Name  // empty: none
	Leadless  time.Duration // for how long there has been none
	Broken    []Breach      // invariants broken in this agent
	Chain     map[cluster.Datacenter]int64
}

// Breach is an invariant that broke while deciding about an incident.
type Breach struct {
	Invariant, Incident, Detail string
}

func storeLost(w World) []Subjected {
	if w.Store.Lost == "" || w.Store.Back != "" {
		return nil
	}
	return one("store", "why", w.Store.Lost)
}

func storeUnwritten(w World) []Subjected {
	if w.Store.Unwritten == "" || w.Store.Lost != "" {
		return nil
	}
	return one("store", "why", w.Store.Unwritten)
}

// leaderMissingAfter is two lease times.
const leaderMissingAfter = 10 * time.Second

func leaderMissing(w World) []Subjected {
	if w.Store.Leader != "" || w.Store.Leadless < leaderMissingAfter {
		return nil
	}
	return one("leader", "seconds", strconv.Itoa(int(w.Store.Leadless.Seconds())))
}

func invariantBroken(w World) []Subjected {
	var out []Subjected
	for _, b := range w.Store.Broken {
		out = append(out, subject(b.Incident, "invariant", b.Invariant, "incident", b.Incident, "detail", b.Detail))
	}
	return out
}

func chainBroken(w World) []Subjected {
	var out []Subjected
	for _, dc := range slices.Sorted(maps.Keys(w.Store.Chain)) {
		out = append(out, subject(string(dc), "datacenter", string(dc), "event", strconv.FormatInt(w.Store.Chain[dc], 10)))
	}
	return out
}

func policyMissing(w World) []Subjected {
	if w.Policy != nil || w.PolicyUnread != nil || w.Store.Lost != "" {
		return nil
	}
	return one("policy")
}

func incidentHeld(w World) []Subjected {
	var out []Subjected
	for _, r := range w.Open {
		if r.Asks() {
			out = append(out, subject(r.ID, "incident", r.ID, "node", string(r.Node), "reason", r.Held))
		}
	}
	return out
}

func storms(w World) []Subjected {
	var out []Subjected
	for _, dc := range w.datacenters() {
		if storm, reason := Storm(w, dc); storm {
			out = append(out, subject(string(dc), "reason", reason))
		}
	}
	return out
}

func modes(w World) []Subjected {
	var out []Subjected
	if w.Policy == nil {
		return nil
	}
	for _, dc := range w.datacenters() {
		if m := w.ModeOf(dc); m != Auto {
			out = append(out, subject(string(dc), "datacenter", string(dc), "mode", m.String()))
		}
	}
	return out
}

// caused lists the nodes whose verdict, or whose open incident, has the cause:
// the finding that opened an incident stays until that is closed.
func caused(c membership.Cause) func(World) []Subjected {
	return func(w World) []Subjected {
		var out []Subjected
		for _, n := range w.nodes() {
			v := w.verdict(n)
			// A disk that fails is told by its own agent alone and drains nobody.
			drains := v.Answer == membership.Gone && (v.Drain || c == membership.DiskFailed)
			holds := v.Cause == c && (drains || c == membership.AgentGone)
			for _, r := range w.Open {
				holds = holds && r.Node != n || r.Node == n && r.Cause == c
			}
			if holds {
				out = append(out, subject(string(n), "node", string(n), "votes", fmt.Sprintf("%d of %d observers", v.For, v.Of)))
			}
		}
		return out
	}
}

func expired(w World) []Subjected {
	return deadlines(w, func(left time.Duration) bool { return left <= 0 })
}

// graceEndingAt is how long before its deadline a node is worth a warning.
const graceEndingAt = 24 * time.Hour

func graceEnding(w World) []Subjected {
	return deadlines(w, func(left time.Duration) bool { return left > 0 && left < graceEndingAt })
}

func deadlines(w World, holds func(left time.Duration) bool) []Subjected {
	var out []Subjected
	for _, r := range w.Open {
		left := r.Outage.Deadline.Sub(w.Wall)
		if !r.Outage.Deadline.IsZero() && holds(left) {
			out = append(out, subject(string(r.Node), "node", string(r.Node), "table", r.Outage.Table, "left", left.Round(time.Minute).String()))
		}
	}
	return out
}

func duplicates(w World) []Subjected {
	var out []Subjected
	for _, n := range w.nodes() {
		if w.View.Duplicates[n] {
			out = append(out, subject(string(n), "node", string(n)))
		}
	}
	return out
}

func unwell(w World) []Subjected {
	var out []Subjected
	for _, n := range w.nodes() {
		if h, ok := w.View.Observers[n]; ok && h.Unwell {
			out = append(out, subject(string(n), "node", string(n)))
		}
	}
	return out
}

func tooFew(w World) []Subjected {
	var out []Subjected
	need := w.Policy.Bars().ObserversMin
	for _, n := range w.nodes() {
		if of := len(w.Topology.Watch[n]); of < need {
			out = append(out, subject(string(n), "node", string(n), "of", strconv.Itoa(of), "need", strconv.Itoa(need)))
		}
	}
	return out
}

func quorumLost(w World) []Subjected   { return margins(w, func(spare int) bool { return spare < 0 }) }
func quorumAtRisk(w World) []Subjected { return margins(w, func(spare int) bool { return spare == 0 }) }

func margins(w World, holds func(spare int) bool) []Subjected {
	var out []Subjected
	for _, dc := range w.datacenters() {
		m, ok := Tightest(w, dc, "")
		if ok && holds(m.Spare()) {
			out = append(out, subject(string(dc), "datacenter", string(dc), "keyspace", m.Keyspace, "have", strconv.Itoa(m.Have),
				"rf", strconv.Itoa(m.RF), "need", strconv.Itoa(m.Need)))
		}
	}
	return out
}

func authLow(w World) []Subjected {
	if w.Policy != nil && w.Policy.AcceptAuthRF {
		return nil
	}
	return factors(w, cluster.Acceptable)
}

func rfLow(w World) []Subjected {
	return factors(w, func(ks string) bool { return !cluster.OfCassandra(ks) && !cluster.NeverReplicated(ks) })
}

// factors lists keyspaces with a replication factor below 3 in a datacenter
// that has three nodes or more.
func factors(w World, concerned func(string) bool) []Subjected {
	const enough = 3
	var out []Subjected
	if w.Schema == nil || len(w.Schema.Members) < enough {
		return nil
	}
	for _, ks := range w.Schema.Keyspaces {
		if !concerned(ks.Name) {
			continue
		}
		if ks.Replication.Strategy == cluster.Simple && ks.Replication.Factor < enough {
			out = append(out, subject(ks.Name, "keyspace", ks.Name, "rf", strconv.Itoa(ks.Replication.Factor), "datacenter", "all datacenters"))
		}
		for _, dc := range slices.Sorted(maps.Keys(ks.Replication.Factors)) {
			if rf := ks.Replication.Factors[dc]; rf > 0 && rf < enough {
				out = append(out, subject(ks.Name, "keyspace", ks.Name, "rf", strconv.Itoa(rf), "datacenter", string(dc)))
			}
		}
	}
	return out
}

func unnamed(w World) []Subjected {
	if w.Policy == nil || w.Schema == nil {
		return nil
	}
	var keyspaces []string
	for _, ks := range w.Schema.Keyspaces {
		if !cluster.NeverReplicated(ks.Name) && ks.Replication.Strategy != cluster.Local {
			keyspaces = append(keyspaces, ks.Name)
		}
	}
	var out []Subjected
	for _, ks := range w.Policy.Residency.Unnamed(keyspaces) {
		out = append(out, subject(ks, "keyspace", ks))
	}
	return out
}

func graceZero(w World) []Subjected {
	if w.Schema == nil {
		return nil
	}
	declared := ttlOnly(w.Policy)
	var out []Subjected
	for _, ks := range w.Schema.Keyspaces {
		if cluster.NeverReplicated(ks.Name) || cluster.OfCassandra(ks.Name) || ks.Replication.Strategy == cluster.Local {
			continue
		}
		for _, table := range ks.Tables {
			if table.GCGrace == 0 && !declared(ks.Name, table.Name) {
				out = append(out, subject(ks.Name+"."+table.Name, "table", ks.Name+"."+table.Name))
			}
		}
	}
	return out
}

// trouble is a row that holds where an agent says so about itself.
func trouble(code string, s Severity, scope Scope, template, runbook string, mutable bool) Row {
	return Row{code, s, scope, template, runbook, mutable, func(w World) []Subjected {
		var out []Subjected
		for _, n := range slices.Sorted(maps.Keys(w.Agents)) {
			for _, t := range w.Agents[n].Troubles {
				if t.Code != code {
					continue
				}
				args := maps.Clone(t.Args)
				if args == nil {
					args = map[string]string{}
				}
				args["node"] = string(n)
				out = append(out, Subjected{string(n), args})
			}
		}
		return out
	}}
}

func one(name string, pairs ...string) []Subjected { return []Subjected{subject(name, pairs...)} }

func subject(name string, pairs ...string) Subjected {
	s := Subjected{Subject: name, Args: make(map[string]string, len(pairs)/2)}
	for i := 0; i+1 < len(pairs); i += 2 {
		s.Args[pairs[i]] = pairs[i+1]
	}
	return s
}

func (w *World) nodes() []cluster.Name { return slices.Sorted(maps.Keys(w.Topology.Nodes)) }

func (w *World) datacenters() []cluster.Datacenter {
	set := map[cluster.Datacenter]bool{}
	for _, p := range w.Topology.Nodes {
		set[p.Datacenter] = true
	}
	return slices.Sorted(maps.Keys(set))
}
