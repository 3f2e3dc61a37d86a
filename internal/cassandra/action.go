// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// The beans this package talks to.
const (
	storageService  = "org.apache.cassandra.db:type=StorageService"
	dynamicSnitch   = "org.apache.cassandra.db:type=DynamicEndpointSnitch"
	gossiper        = "org.apache.cassandra.net:type=Gossiper"
	failureDetector = "org.apache.cassandra.net:type=FailureDetector"
)

// SetSeverity sets the Severity the node gossips about itself: at 50
// coordinators stop choosing it for reads, at 0 they choose it again. It does
// not survive a restart. While a node starts it is refused until gossip runs,
// about 0.1 s; on a node without a dynamic snitch it is Absent for good.
func (a *Admin) SetSeverity(ctx context.Context, v float64) error {
	got, err := a.bulk(ctx, a.o.ReadMax, request{Type: "write", MBean: dynamicSnitch, Attribute: "Severity", Value: v})
	if err != nil {
		return fmt.Errorf("set severity %g: %w", v, err)
	}
	if err := got[0].fault(); err != nil {
		return fmt.Errorf("set severity %g: %w", v, err)
	}
	return nil
}

// Severity reads the node's own Severity back.
func (a *Admin) Severity(ctx context.Context) (float64, error) {
	var v float64
	if err := a.read(ctx, dynamicSnitch, "Severity", &v); err != nil {
		return 0, fmt.Errorf("read severity: %w", err)
	}
	return v, nil
}

// SnitchScores are the marks by which this node, as a coordinator, chooses
// whom to read from, lowest first: latency in whole milliseconds against the
// slowest, plus Severity. They are made anew every 100 ms, by address with
// port; who was not read from yet is absent and counts by its Severity alone.
func (a *Admin) SnitchScores(ctx context.Context) (map[string]float64, error) {
	var scores map[string]float64
	if err := a.read(ctx, dynamicSnitch, "ScoresWithPort", &scores); err != nil {
		return nil, fmt.Errorf("read the scores of the dynamic snitch: %w", err)
	}
	return scores, nil
}

// JoinRing ends a node's hibernation. Peers see it UP about a second later.
func (a *Admin) JoinRing(ctx context.Context) error {
	return told("join the ring", a.exec(ctx, storageService, "joinRing()", nil))
}

// StartNativeTransport opens the CQL port.
func (a *Admin) StartNativeTransport(ctx context.Context) error {
	return told("start native transport", a.exec(ctx, storageService, "startNativeTransport()", nil))
}

// StopNativeTransport closes the CQL port to new connections. Those that
// exist stay open and are served on (measured on 5.0.9, with force as well):
// it keeps clients out, it does not put them out.
func (a *Admin) StopNativeTransport(ctx context.Context) error {
	return told("stop native transport", a.exec(ctx, storageService, "stopNativeTransport()", nil))
}

// Drain flushes everything and stops serving for good: the process must be
// restarted afterwards.
func (a *Admin) Drain(ctx context.Context) error {
	return told("drain", a.exec(ctx, storageService, "drain()", nil))
}

// Flush has the memtables of a keyspace written to its data directory.
func (a *Admin) Flush(ctx context.Context, keyspace string) error {
	return told("flush "+keyspace, a.exec(ctx, storageService, "forceKeyspaceFlush(java.lang.String,[Ljava.lang.String;)", nil, keyspace, []string{}))
}

// UnreachableNodes are the storage addresses, with port, that this node
// believes down.
func (a *Admin) UnreachableNodes(ctx context.Context) ([]string, error) {
	var down []string
	if err := a.read(ctx, storageService, "UnreachableNodesWithPort", &down); err != nil {
		return nil, fmt.Errorf("read unreachable nodes: %w", err)
	}
	return down, nil
}

// EndpointDowntime is for how long this node has believed peer (an address
// without port) down; 0 while it believes it up. Beyond max_hint_window no
// hint is stored for peer. That is the only lasting rule: the persistent
// window, by the age of the oldest hint, lets hints in again each time a
// buffer is written to a file that is not closed (seen on 5.0.9).
func (a *Admin) EndpointDowntime(ctx context.Context, peer string) (time.Duration, error) {
	var ms int64
	err := a.exec(ctx, gossiper, "getEndpointDowntime(java.lang.String)", &ms, peer)
	return time.Duration(ms) * time.Millisecond, told("read the downtime of "+peer, err)
}

// NaturalEndpoints are the storage addresses, with port, of the replicas of
// one partition key as this node computes them. A composite key is spelled
// with colons between its parts.
func (a *Admin) NaturalEndpoints(ctx context.Context, keyspace, table, key string) ([]string, error) {
	sets, err := a.NaturalEndpointsOf(ctx, keyspace, table, []string{key})
	if err != nil {
		return nil, err
	}
	return sets[0], nil
}

// NaturalEndpointsOf asks for many keys in one trip; answers are in the order
// of keys.
func (a *Admin) NaturalEndpointsOf(ctx context.Context, keyspace, table string, keys []string) ([][]string, error) {
	asks := make([]request, len(keys))
	for i, key := range keys {
		asks[i] = request{Type: "exec", MBean: storageService, Arguments: []any{keyspace, table, key},
			Operation: "getNaturalEndpointsWithPort(java.lang.String,java.lang.String,java.lang.String)"}
	}
	got, err := a.bulk(ctx, a.o.ActMax, asks...)
	if err != nil {
		return nil, fmt.Errorf("replicas of keys in %s.%s: %w", keyspace, table, err)
	}
	sets := make([][]string, len(keys))
	for i, n := range got {
		if err := n.into(&sets[i]); err != nil {
			return nil, fmt.Errorf("replicas of key %q in %s.%s: %w", keys[i], keyspace, table, err)
		}
	}
	return sets, nil
}

// told names the attempt of an error and lets nil through.
func told(attempt string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", attempt, err)
}

// null tells whether Jolokia answered with nothing.
func null(v json.RawMessage) bool { return len(v) == 0 || string(v) == "null" }
