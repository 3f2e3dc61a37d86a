// SPDX-License-Identifier: Apache-2.0

package settings

// policyComments say what a field of the policy means, by its path. A test
// demands one for every field.
var policyComments = map[string]string{
	"modes": "How far the supervisor may go, by datacenter: observe (says what it sees and would\n" +
		"do), assist (drains, starts again and returns by itself; asks before fence and\n" +
		"replace), auto (does all of it). A datacenter that is not named: assist.",
	"regions":   "The datacenters of each region. Data stays or moves by region.",
	"residency": "Where the data of each keyspace may stand. What no rule names may stand nowhere: it\nis not repaired, not moved, and the return of its nodes is held.",
	"residency.rules": "keyspaces: names, patterns with *, or * for all that nothing else names\n" +
		"regions: where their data may stand",
	"detection":               "When observers are believed.",
	"detection.fresh":         "a report older than this says nothing",
	"detection.stable":        "no change for so long before a verdict",
	"detection.stable_max":    "but a verdict waits at most so long",
	"detection.misses_max":    "silent looks in a row that make a vote",
	"detection.observers_min": "with fewer eligible observers of a node only advice is given",
	"detection.storm_share":   "more suspects of a datacenter than this share, and more than one: a storm, nothing\ndestructive starts",
	"detection.slow_factor":   "a node is slow whose answers take more than so many times those of its peers",
	"detection.slow_floor":    "and more than this",
	"detection.slow_after":    "and have for so long",
	"ages":                    "How old evidence must be before the next harder step.",
	"ages.fence":              "before a node is fenced",
	"ages.replace":            "before a fenced node is replaced",
	"ages.cql_dead":           "before a person is asked about a node whose native transport alone is off",
	"budgets":                 "What may be out at once, and how often.",
	"budgets.nodes_per_datacenter": "nodes out at once; never more than the quorum of every range\n" +
		"leaves room for, whatever stands here",
	"budgets.starts_max":    "ends of one node within starts_window, whoever starts it; then a person is asked",
	"budgets.starts_window": "",
	"budgets.silences_max":  "silences of one node within starts_window; then it stays out of its pools until it is quiet",
	"budgets.fences_max":    "fences of one node within fences_window; then it is in quarantine, and a person is asked",
	"budgets.fences_window": "",
	"pools":                 "The pools of the load balancers. Members bear the node's own name there.",
	"known_rows":            "Tables whose rows a returning node must know before it serves: they are read through\nit and compared (max: rows read at the most).",
	"ttl_only":              "Tables as keyspace.table with gc_grace_seconds 0 in which nothing is ever deleted by\nhand. Without this word such a table holds every return.",
	"accept_auth_rf":        "true accepts a system_auth that does not survive the loss of a node.",
	"cassandra_versions":    "Releases on which returning nodes was tested here; \"5.0\" means every 5.0.x. Nodes of\nothers are not returned.",
	"gate":                  "What the gate in front of Cassandra answers when no agent does.",
	"gate.unasked":          "normal, hibernate or refuse; normal is no worse than without a supervisor, and lets a\ndatacenter that lost its power start",
	"return":                "The bounds of a return.",
	"return.tries_max":      "hibernated starts",
	"return.rounds_max":     "repairs because an old row was read",
	"return.ramp_every":     "between two weights in the pools",
	"return.batch_max":      "segments in one repair order; with repair.heed_load it begins with one and grows",
	"slow": "What is done about a node that answers, and slower than its peers: 30 % of its weight at\n" +
		"once, then none, then its Severity is raised. Its process and its data are left alone.",
	"slow.act":            "false: it is only told, as a finding",
	"slow.drain_after":    "slow on after its weight was lowered, before it is drained",
	"slow.severity_after": "slow on after that, before coordinators are to choose other replicas",
	"slow.over_after":     "not slow for so long, before it is given back",
	"slow.quiet_for":      "the same of one that is slow more often than silences_max within starts_window",
	"slow.ask_after":      "slow for so long, before a person is asked; what was done stays",
	"repair":              "What a repair of a returning node takes, and what those may be asked to bear that\ntake part in it.",
	"repair.skip_quiet":   "true leaves out tables that were not written since the outage began, where every\nother replica's write counters say so; what is not known is repaired",

	"repair.heed_load":               "true lets it wait while a participant is beyond the bounds below, or compares for\nanother repair; not tried on hosts yet",
	"repair.pending_compactions_max": "of each participant",
	"repair.dropped_mutations_max":   "within a minute",
	"repair.disk_free_min":           "share of the data disk that must be free",
	"repair.latency_factor_max":      "reads (p99) may take so many times as long as before the repair",
}

const poolExample = "\nFor example:\n" +
	"  - name: cql\n" +
	"    backend: cassandra\n" +
	"    members: [n1, n2, n3]\n" +
	"    writers: [n1, n2, n3]\n" +
	"    proxies:\n" +
	"      - {name: proxy-1, socket: /run/haproxy/admin.sock}"
