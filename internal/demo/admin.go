// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"time"

	"supervisor/internal/cassandra"
	"supervisor/internal/demo/node"
)

// repairMax is far above the few seconds that a small keyspace takes.
const repairMax = 3 * time.Minute

// Repair repairs keyspaces fully: all ranges that n replicates, started on n
// and with all their replicas, which must be up.
func Repair(ctx context.Context, n node.Node, keyspaces ...string) error {
	ctx, cancel := context.WithTimeout(ctx, repairMax)
	defer cancel()
	admin := cassandra.NewAdmin(n.Jolokia(), cassandra.DefaultAdminOptions())
	defer admin.Close()
	for _, keyspace := range keyspaces {
		if _, err := admin.Repair(ctx, keyspace, cassandra.RepairOptions{}); err != nil {
			return fmt.Errorf("repair on %s: %w", n.Name, err)
		}
	}
	return nil
}

// ask reads what n says of itself and its peers.
func ask(ctx context.Context, n node.Node) (cassandra.NodeState, error) {
	admin := cassandra.NewAdmin(n.Jolokia(), cassandra.DefaultAdminOptions())
	defer admin.Close()
	state, err := admin.State(ctx)
	if err != nil {
		return cassandra.NodeState{}, fmt.Errorf("ask %s: %w", n.Name, err)
	}
	return state, nil
}

// upPeers counts the peers that a node believes to be up.
func upPeers(state cassandra.NodeState) int {
	up := 0
	for _, peer := range state.Peers {
		if peer.Up {
			up++
		}
	}
	return up
}

// pause waits for d, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
