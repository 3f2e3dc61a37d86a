// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"supervisor/internal/cassandra"
	"supervisor/internal/demo/node"
)

// Noticed is when those noticed a fault that were there before us, each on
// its own. Zero means not yet.
type Noticed struct {
	CassandraFirst time.Time // the first peer calls the node down
	CassandraAll   time.Time // the last peer does
	HAProxy        time.Time // HAProxy's own check has failed three times
}

// Whole says that all have noticed.
func (n Noticed) Whole() bool { return !n.CassandraAll.IsZero() && !n.HAProxy.IsZero() }

// noticePoll is small against what is measured: 4 s and more.
const noticePoll = 100 * time.Millisecond

// AwaitNoticed waits until all peers and HAProxy say that the node is down,
// and tells when each did. When ctx ends first, it returns what was noticed
// until then without an error: not to have noticed is a result.
func (p Plan) AwaitNoticed(ctx context.Context, name string) (Noticed, error) {
	victim, err := p.Node(name)
	if err != nil {
		return Noticed{}, err
	}
	var got Noticed
	for {
		down, of := p.convictions(ctx, victim)
		now := time.Now()
		if down > 0 && got.CassandraFirst.IsZero() {
			got.CassandraFirst = now
		}
		if down == of && got.CassandraAll.IsZero() {
			got.CassandraAll = now
		}
		states, err := p.Proxy.States(ctx)
		if err == nil && !states[name].Up && got.HAProxy.IsZero() {
			got.HAProxy = time.Now()
		}
		if got.Whole() || pause(ctx, noticePoll) != nil {
			return got, nil
		}
	}
}

// convictions counts the peers that call the victim down. A peer that does
// not answer has not said so.
func (p Plan) convictions(ctx context.Context, victim node.Node) (down, of int) {
	peers := p.peers(victim)
	said := make([]bool, len(peers))
	var wg sync.WaitGroup
	for i, n := range peers {
		wg.Go(func() {
			state, err := ask(ctx, n)
			peer, known := state.Peers[victim.Storage()]
			said[i] = err == nil && known && !peer.Up
		})
	}
	wg.Wait()
	for _, yes := range said {
		if yes {
			down++
		}
	}
	return down, len(peers)
}

func (p Plan) peers(victim node.Node) []node.Node {
	var peers []node.Node
	for _, n := range p.Nodes {
		if n.Name != victim.Name {
			peers = append(peers, n)
		}
	}
	return peers
}

// HintsRefused says whether every peer has believed the node down for longer
// than its hint window: what is written from then on reaches it only by a
// repair.
func (p Plan) HintsRefused(ctx context.Context, name string) (bool, error) {
	victim, err := p.Node(name)
	if err != nil {
		return false, err
	}
	window, err := time.ParseDuration(node.HintWindow)
	if err != nil {
		return false, err
	}
	for _, n := range p.peers(victim) {
		admin := cassandra.NewAdmin(n.Jolokia(), cassandra.DefaultAdminOptions())
		down, err := admin.EndpointDowntime(ctx, victim.Address)
		admin.Close()
		if err != nil || down <= window {
			return false, err
		}
	}
	return true, nil
}

// restQuiet is how long nothing may be found waiting: hints stand in memory
// for up to 10 s before a file shows them.
const restQuiet = 12 * time.Second

// AwaitRest waits until the cluster is as if nothing had happened: every node
// sees all others up, no Severity, no hints waiting, no server of the proxy
// down or changed. Its error says what was not at rest when ctx ended.
func (p Plan) AwaitRest(ctx context.Context) error { return p.AwaitRestFor(ctx, restQuiet) }

// AwaitRestFor is AwaitRest for who does not ask whether the last hints are out of
// memory: it is enough that nothing was found waiting for so long.
func (p Plan) AwaitRestFor(ctx context.Context, long time.Duration) error {
	quiet := time.Now()
	for time.Since(quiet) < long {
		why := p.unrest(ctx)
		if why != "" {
			quiet = time.Now()
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			if why == "" {
				why = "at rest, not long enough"
			}
			return fmt.Errorf("wait until the cluster is at rest: %s: %w", why, err)
		}
	}
	return nil
}

// unrest is the first thing that is not at rest, or nothing.
func (p Plan) unrest(ctx context.Context) string {
	for _, n := range p.Nodes {
		if why := nodeUnrest(ctx, n, len(p.Nodes)); why != "" {
			return why
		}
	}
	states, err := p.Proxy.States(ctx)
	if err != nil {
		return err.Error()
	}
	for _, n := range p.Nodes {
		if !states[n.Name].AtRest() {
			return fmt.Sprintf("%s in haproxy: %+v", n.Name, states[n.Name])
		}
	}
	return ""
}

func nodeUnrest(ctx context.Context, n node.Node, of int) string {
	state, err := ask(ctx, n)
	switch {
	case err != nil:
		return err.Error()
	case state.OperationMode != "NORMAL":
		return n.Name + " is " + state.OperationMode
	case state.Severity != 0:
		return fmt.Sprintf("%s has Severity %g", n.Name, state.Severity)
	case upPeers(state)+1 != of:
		return fmt.Sprintf("%s sees %d of %d nodes up", n.Name, upPeers(state)+1, of)
	}
	waiting, err := filepath.Glob(filepath.Join(n.HintsDir(), "*.hints"))
	if err != nil || len(waiting) > 0 {
		return fmt.Sprintf("%s has %d files of hints", n.Name, len(waiting))
	}
	return ""
}
