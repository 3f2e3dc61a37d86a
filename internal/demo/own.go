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

// preferred is a Severity below every score that a replica can have.
const preferred = -1000

// The way there is one round of gossip and one of the snitch; the way back
// goes on after read was cancelled.
const (
	preferMax  = 20 * time.Second
	restoreMax = 10 * time.Second
)

// OwnReplica runs read while the named node, as a coordinator at ONE, reads
// the replica on its own disk. Without it a node that was slow for a moment,
// as after a start, is read past by itself for up to ten minutes, and what is
// read through it says nothing about its rows. Raising the badness threshold
// does not do: it multiplies the best score, which is 0 on a fast machine.
// Other coordinators prefer the node too for as long, and until gossip took
// the word back: call it when no node is being returned.
func (p Plan) OwnReplica(ctx context.Context, name string, read func() error) (err error) {
	n, err := p.Node(name)
	if err != nil {
		return err
	}
	admin := cassandra.NewAdmin(n.Jolokia(), cassandra.DefaultAdminOptions())
	defer admin.Close()
	before, err := admin.Severity(ctx)
	if err != nil {
		return fmt.Errorf("let %s read its own replica: %w", name, err)
	}
	defer func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreMax)
		defer cancel()
		err = errors.Join(err, admin.SetSeverity(back, before))
	}()
	if err := admin.SetSeverity(ctx, preferred); err != nil {
		return fmt.Errorf("let %s read its own replica: %w", name, err)
	}
	if err := awaitPreferred(ctx, admin, n); err != nil {
		return fmt.Errorf("let %s read its own replica: %w", name, err)
	}
	return read()
}

// awaitPreferred waits until n's own snitch counts with its Severity, and no
// peer's word from an earlier audit is left there.
func awaitPreferred(ctx context.Context, admin *cassandra.Admin, n node.Node) error {
	ctx, cancel := context.WithTimeout(ctx, preferMax)
	defer cancel()
	for {
		why := notPreferred(ctx, admin, n)
		if why == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", preferMax, why)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func notPreferred(ctx context.Context, admin *cassandra.Admin, n node.Node) error {
	scores, err := admin.SnitchScores(ctx)
	if err != nil {
		return err
	}
	state, err := admin.State(ctx)
	if err != nil {
		return err
	}
	for address, peer := range state.Peers {
		if peer.Severity < 0 {
			return fmt.Errorf("it still sees the Severity %g of %s", peer.Severity, address)
		}
	}
	for address, score := range scores {
		if own := address == "/"+state.Address; own != (score < 0) {
			return fmt.Errorf("its snitch gives %s the score %g", address, score)
		}
	}
	return nil
}
