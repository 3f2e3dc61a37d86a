// SPDX-License-Identifier: Apache-2.0

package cluster

// Some keyspaces are Cassandra's own and known by name. What the names mean
// is decided here and nowhere else.

// NeverReplicated says that a keyspace lives on its own node only, or only in
// memory: system, the schema (which gossip spreads) and the virtual ones.
// There is nothing in it to repair, to permit or to count quorums of.
func NeverReplicated(keyspace string) bool {
	switch keyspace {
	case "system", "system_schema", "system_views", "system_virtual_schema", "system_metrics":
		return true
	}
	return false
}

// OfCassandra says that Cassandra itself made the keyspace and replicates it:
// system_auth, system_distributed, system_traces. The last two hold nothing a
// client waits for; the first holds who may log in.
func OfCassandra(keyspace string) bool {
	return keyspace == "system_auth" || Exempt(keyspace)
}

// Exempt says that a keyspace never bars an act on a node, however few of its
// replicas serve: traces and the history of repairs.
func Exempt(keyspace string) bool {
	return keyspace == "system_traces" || keyspace == "system_distributed"
}

// Acceptable says that a policy may accept a missing quorum of the keyspace.
// That is so for system_auth alone: it is created with one replica, so most
// clusters would otherwise never heal, yet without it nobody new can log in.
// Unless accepted it counts like a keyspace of the user.
func Acceptable(keyspace string) bool { return keyspace == "system_auth" }
