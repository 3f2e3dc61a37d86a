// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
)

// Schema reads the ring and the keyspaces as this node knows them. Virtual
// keyspaces never appear; a materialized view is one of its keyspace's tables.
// names maps storage addresses, with or without port, to roster names; a node
// nobody names is called by its address.
func (s *Session) Schema(ctx context.Context, names map[string]cluster.Name) (cluster.Schema, error) {
	out, err := s.ring(ctx, names)
	if err != nil {
		return cluster.Schema{}, fmt.Errorf("read ring: %w", err)
	}
	if out.Keyspaces, err = s.keyspaces(ctx); err != nil {
		return cluster.Schema{}, fmt.Errorf("read keyspaces: %w", err)
	}
	return out, nil
}

// ring reads the node itself, then its peers.
func (s *Session) ring(ctx context.Context, names map[string]cluster.Name) (cluster.Schema, error) {
	var out cluster.Schema
	member := func(scan func(...any) error) error {
		var ip net.IP
		var port int
		var id, dc, rack, version string
		var tokens []string
		if err := scan(&ip, &port, &id, &dc, &rack, &tokens, &version); err != nil {
			return err
		}
		m := cluster.Member{Name: nameOf(names, ip.String(), port), HostID: cluster.HostID(id), Address: ip.String(),
			Datacenter: cluster.Datacenter(dc), Rack: cluster.Rack(rack)}
		for _, text := range tokens {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return fmt.Errorf("%w: token %q of %s; only Murmur3Partitioner is known", ErrNonsense, text, m.Address)
			}
			m.Tokens = append(m.Tokens, n)
		}
		slices.Sort(m.Tokens)
		if len(out.Members) == 0 { // the node itself comes first: its schema version is the answer's
			out.Version = version
		}
		out.Members = append(out.Members, m)
		return nil
	}
	const columns = "host_id, data_center, rack, tokens, schema_version"
	err := s.each(ctx, "SELECT broadcast_address, broadcast_port, "+columns+" FROM system.local WHERE key='local'", member)
	if err != nil {
		return out, err
	}
	if err := s.each(ctx, "SELECT peer, peer_port, "+columns+" FROM system.peers_v2", member); err != nil {
		return out, err
	}
	slices.SortFunc(out.Members, func(a, b cluster.Member) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func nameOf(names map[string]cluster.Name, ip string, port int) cluster.Name {
	if n, ok := names[net.JoinHostPort(ip, strconv.Itoa(port))]; ok {
		return n
	}
	if n, ok := names[ip]; ok {
		return n
	}
	return cluster.Name(ip)
}

func (s *Session) keyspaces(ctx context.Context) ([]cluster.Keyspace, error) {
	tables, err := s.tables(ctx)
	if err != nil {
		return nil, err
	}
	var out []cluster.Keyspace
	err = s.each(ctx, "SELECT keyspace_name, replication FROM system_schema.keyspaces", func(scan func(...any) error) error {
		var name string
		var settings map[string]string
		if err := scan(&name, &settings); err != nil {
			return err
		}
		out = append(out, cluster.Keyspace{Name: name, Replication: replicationOf(settings), Tables: tables[name]})
		return nil
	})
	slices.SortFunc(out, func(a, b cluster.Keyspace) int { return cmp.Compare(a.Name, b.Name) })
	return out, err
}

// tables reads tables and views by keyspace, sorted by name.
func (s *Session) tables(ctx context.Context) (map[string][]cluster.Table, error) {
	out := map[string][]cluster.Table{}
	take := func(more func(*cluster.Table) []any) func(scan func(...any) error) error {
		return func(scan func(...any) error) error {
			var keyspace string
			var table cluster.Table
			var seconds int
			if err := scan(append([]any{&keyspace, &table.Name, &seconds, &table.ID}, more(&table)...)...); err != nil {
				return err
			}
			table.GCGrace = time.Duration(seconds) * time.Second
			out[keyspace] = append(out[keyspace], table)
			return nil
		}
	}
	err := s.each(ctx, "SELECT keyspace_name, table_name, gc_grace_seconds, id FROM system_schema.tables",
		take(func(*cluster.Table) []any { return nil }))
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, "SELECT keyspace_name, view_name, gc_grace_seconds, id, base_table_name FROM system_schema.views",
		take(func(t *cluster.Table) []any { return []any{&t.Base} }))
	if err != nil {
		return nil, err
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b cluster.Table) int { return cmp.Compare(a.Name, b.Name) })
	}
	return out, nil
}

// replicationOf reads a keyspace's replication. What it cannot read makes the
// strategy unknown, which nobody takes for harmless.
func replicationOf(settings map[string]string) cluster.Replication {
	class := settings["class"]
	switch class[strings.LastIndexByte(class, '.')+1:] {
	case "LocalStrategy":
		return cluster.Replication{Strategy: cluster.Local}
	case "EverywhereStrategy":
		return cluster.Replication{Strategy: cluster.Everywhere}
	case "SimpleStrategy":
		n, ok := fullReplicas(settings["replication_factor"])
		if !ok {
			return cluster.Replication{}
		}
		return cluster.Replication{Strategy: cluster.Simple, Factor: n}
	case "NetworkTopologyStrategy":
		factors := map[cluster.Datacenter]int{}
		for dc, text := range settings {
			if dc == "class" {
				continue
			}
			n, ok := fullReplicas(text)
			if !ok {
				return cluster.Replication{}
			}
			factors[cluster.Datacenter(dc)] = n
		}
		return cluster.Replication{Strategy: cluster.NetworkTopology, Factors: factors}
	}
	return cluster.Replication{}
}

// fullReplicas reads a factor: "3", or "3/1" where one of three is transient
// and does not count.
func fullReplicas(text string) (int, bool) {
	all, transient, some := strings.Cut(text, "/")
	n, err := strconv.Atoi(all)
	if err != nil || n < 0 {
		return 0, false
	}
	if !some {
		return n, true
	}
	less, err := strconv.Atoi(transient)
	return n - less, err == nil && less >= 0 && less <= n
}
