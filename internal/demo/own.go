// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"supervisor/internal/cassandra"
	"supervisor/internal/demo/node"
)

// ownBadness is more than any replica's score can differ from another's.
const ownBadness = 1e9

// restoreMax bounds the way back after read was cancelled.
const restoreMax = 10 * time.Second

// OwnReplicas runs read while each node, as a coordinator at ONE, reads the
// replica on its own disk. Without it a node that was slow for a moment, as
// after a start, is read past by itself for up to ten minutes, and what is
// read through it says nothing about its rows. No Severity counts meanwhile:
// call it when no node is being returned.
func (p Plan) OwnReplicas(ctx context.Context, read func() error) (err error) {
	for _, n := range p.Nodes {
		before, setErr := setBadness(ctx, n, ownBadness)
		if setErr != nil {
			return setErr
		}
		defer func() {
			back, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreMax)
			defer cancel()
			_, restoreErr := setBadness(back, n, before)
			err = errors.Join(err, restoreErr)
		}()
	}
	return read()
}

// setBadness returns the value from before.
func setBadness(ctx context.Context, n node.Node, v float64) (float64, error) {
	admin := cassandra.NewAdmin(n.Jolokia(), cassandra.DefaultAdminOptions())
	defer admin.Close()
	before, err := admin.SnitchBadness(ctx)
	if err == nil {
		err = admin.SetSnitchBadness(ctx, v)
	}
	if err != nil {
		return 0, fmt.Errorf("let %s read its own replica: %w", n.Name, err)
	}
	return before, nil
}
