// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"strings"

	"supervisor/cluster"
)

// Prefix is where one region of one cluster keeps its keys. Cluster and
// region are in every key, so that two of them may share an etcd.
func Prefix(cluster string, region cluster.Region) string {
	return fmt.Sprintf("/supervisor/1/%s/%s/", cluster, region)
}

// The single keys, relative to the Prefix.
const (
	Era    = "meta/era"       // {era, etcd_cluster_id, recovered}; only `store init`, `recover` and `acknowledge` write it
	Level  = "meta/level"     // the format everybody writes; only upwards
	Policy = "policy/current" // the one policy document
	Holds  = "holds"          // pauses, acknowledgements, quarantines
)

// The folders, relative to the Prefix.
const (
	Hosts     = "hosts/"
	Agents    = "agents/"
	Policies  = "policy/v/"
	Ledgers   = "ledger/"
	Opens     = "open/"
	Incidents = "incident/"
	Works     = "work/"
	Repairs   = "repair/"
	Logs      = "log/"
	Inbox     = "inbox/"
	Fences    = "fence/"
	Pools     = "pool/"
	Seens     = "seen/"
	Abroads   = "abroad/"
	Orders    = "order/"
	Archive   = "archive/"
	Leaders   = "leader/"
)

// Host is the roster line of a host.
func Host(n cluster.Name) string { return Hosts + string(n) }

// Agent is the lease-bound word of an agent about itself.
func Agent(n cluster.Name) string { return Agents + string(n) }

// Ledger is the budget document of a datacenter.
func Ledger(dc cluster.Datacenter) string { return Ledgers + string(dc) }

// Open holds the ID of the one open incident of a node.
func Open(n cluster.Name) string { return Opens + string(n) }

// Record is the record of an incident.
func Record(id string) string { return Incidents + id + "/record" }

// Work is a plan of an incident that is too large for its record.
func Work(id, plan string) string { return Works + id + "/" + plan }

// Repair is the last repair of a node that a person asked for.
func Repair(n cluster.Name) string { return Repairs + string(n) }

// Log is event n of the journal of a datacenter; zero-padded, so that keys sort.
func Log(dc cluster.Datacenter, n int64) string { return fmt.Sprintf("%s%s/%012d", Logs, dc, n) }

// Fence is the wanted fence of a node.
func Fence(n cluster.Name) string { return Fences + string(n) }

// Pool is the wanted state of a pool.
func Pool(pool string) string { return Pools + pool }

// SeenFence is where an agent says at which revision of a fence it stands.
func SeenFence(agent, node cluster.Name) string {
	return Seens + string(agent) + "/fence/" + string(node)
}

// SeenAbroad is where an agent says how it sees a fenced node of another region, for
// that region's leader, who reads it here.
func SeenAbroad(agent cluster.Name, region cluster.Region, node cluster.Name) string {
	return Abroads + string(agent) + "/" + string(region) + "/" + string(node)
}

// SeenPool is where an agent says what it read back from a pool's proxies.
func SeenPool(agent cluster.Name, pool string) string { return Seens + string(agent) + "/pool/" + pool }

// Order is one order to one agent.
func Order(agent cluster.Name, effect string) string { return Orders + string(agent) + "/" + effect }

// Archived is a closed record.
func Archived(id string) string { return Archive + id }

// PolicyVersion is version n of the policy, kept for ever.
func PolicyVersion(n int64) string { return fmt.Sprintf("%s%012d", Policies, n) }

// Word is an operator's word that waits for the leader.
func Word(request string) string { return Inbox + request }

// ReadAbroad are the folders that agents of another region read: what stands of hosts
// and fences, and, if they judge, what is said and open here.
func ReadAbroad(judges bool) []string {
	folders := []string{"meta/", Hosts, Fences}
	if judges {
		folders = append(folders, Agents, Incidents, Abroads)
	}
	return folders
}

// Split returns the parts of a key below its folder: Split("seen/a/fence/b",
// Seens) is ["a", "fence", "b"]. It returns nil for a key of another folder.
func Split(key, folder string) []string {
	rest, ok := strings.CutPrefix(key, folder)
	if !ok || rest == "" {
		return nil
	}
	return strings.Split(rest, "/")
}
