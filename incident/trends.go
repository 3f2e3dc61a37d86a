// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"

	"supervisor/cluster"
)

// trendRows are what readings lead to if they go on as they do: an agent tells
// them of its own host before anything has failed. Nothing is decided by them.
func trendRows() []Row {
	return []Row{
		trouble("DISK_FILLING", Warning, ScopeNode, "the data disk of {node} is full {time}, {counting}: {evidence}",
			"old snapshots first (nodetool listsnapshots), then more disk or more nodes; never delete SSTables by hand", true),
		trouble("CASS_HEAP_CLIMBING", Warning, ScopeNode, "the heap of Cassandra on {node} is full after collections {time}: {evidence}",
			"take a heap histogram now (jcmd PID GC.class_histogram), then restart it at a quiet hour", true),
		trouble("CASS_FD_NEAR_LIMIT", Warning, ScopeNode, "Cassandra on {node} runs out of file descriptors {time}: {evidence}",
			"look at its connections and at tables with very many SSTables; raise LimitNOFILE and restart it", true),
		trouble("CASS_QUEUE_SATURATING", Warning, ScopeNode, "Cassandra on {node} does not keep up, {what} reach their bound {time}: {evidence}",
			"look for one heavy query or client, a slow disk, long collections; then for more nodes", true),
		trouble("HINTS_BACKLOG", Warning, ScopeNode, "hints for {peer} on {node} are older than its hint window {time}: {evidence}",
			"bring that node back, or raise hinted_handoff_throttle if it is up; past the window only a repair helps", true),
		trouble("CLOCK_DRIFT", Warning, ScopeNode, "the wall clock of {node} is {by} {way} those of {count} of {of} other hosts, more or less {error}: Cassandra orders writes by it",
			"look at chronyd or ntpd there; let it slew and do not step it back under a running Cassandra", true),
	}
}

// toldBy tells whether a node's own agent says a code of it: then it is a finding
// of its own, and an incident that is open about the node deals with something else.
func (w *World) toldBy(node, code string) bool {
	return slices.ContainsFunc(w.Agents[cluster.Name(node)].Troubles, func(t Trouble) bool { return t.Code == code })
}
