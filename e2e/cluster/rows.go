// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
)

// Rows are rows of a table of their own load: some are rewritten and read all the
// time; the cold ones are rewritten once, by Rewrite, and left alone. They know what
// was acknowledged, so they know which answer is old.
type Rows struct {
	c *Cluster
	l *load.Load
}

// Answers are what clients got.
type Answers struct {
	Reads int     // answered, at ONE through every node, while the rows were written
	Stale []Stale // of those, older than what was acknowledged a second before; a thousand at most
	Cold  int     // cold rows read in the end, each from every node's own disk
	Old   int     // of those, old or missing
	Lost  int     // acknowledged writes that no quorum shows any more
}

// Stale is a read that got an old row, or none.
type Stale struct {
	Through cluster.Name
	Began   time.Time
	Acked   time.Time // when the version that it lacks was acknowledged
}

// StartRows writes every row at ALL, and then goes on writing and reading until End.
// All nodes must serve. It asks little of the machine: the hosts share it.
func (c *Cluster) StartRows(ctx context.Context) (*Rows, error) {
	var nodes []load.Node
	for _, h := range c.Hosts {
		nodes = append(nodes, load.Node{Name: string(h.Name), CQL: h.CQL()})
	}
	o := load.Normal(nodes, "rows"+strconv.FormatInt(time.Now().UnixMilli(), 36))
	o.WriteRate, o.ReadRate = 40, 40
	l, err := load.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Rows{c: c, l: l}, nil
}

// hintsMax bounds the way until Cassandra has given a node up and keeps no hints.
const hintsMax = 3 * time.Minute

// Rewrite waits until no other node keeps hints for a host that is away, and then
// writes every cold row again: what the host lacks now, only a repair brings. Hints
// are kept for 5 s from when Cassandra itself has noticed, which takes it half a minute.
// Call it once.
func (r *Rows) Rewrite(ctx context.Context, away *Host) error {
	window, err := time.ParseDuration(node.HintWindow)
	if err != nil {
		return fmt.Errorf("rewrite the cold rows: %w", err)
	}
	for _, h := range away.others(r.c.Hosts) {
		if err := await(ctx, hintsMax, fmt.Sprintf("%s keeps no hints for %s", h.Name, away.Name), func(ctx context.Context) (bool, string) {
			var down int64 // milliseconds
			err := h.jolokia(ctx, &down, "exec", gossiper, "getEndpointDowntime(java.lang.String)", away.Address.String())
			return err == nil && down > window.Milliseconds(), fmt.Sprintf("%d ms, %v", down, err)
		}); err != nil {
			return err
		}
	}
	return r.l.RewriteCold(ctx, string(away.Name))
}

// End stops writing and reading, and reads every cold row from every node's own disk.
// All nodes must serve and nothing be under way.
func (r *Rows) End(ctx context.Context) (Answers, error) {
	defer r.l.Close()
	counts := r.l.Stop()
	a := Answers{Reads: counts.Reads}
	for _, s := range counts.Stale {
		a.Stale = append(a.Stale, Stale{cluster.Name(s.Node), s.Began, s.Acked})
	}
	// The audit comes first: a read at quorum mends what it finds.
	audit, err := r.l.Audit(ctx, nil, func(name string, read func() error) error { return r.c.ownReplica(ctx, name, read) })
	a.Cold, a.Old = audit.Rows, audit.OldOrMissing()
	if err != nil {
		return a, err
	}
	a.Lost, err = r.l.Lost(ctx)
	return a, err
}

// preferred is a Severity below every score that a replica can have.
const preferred = "-1000"

// The bounds of the way there and of the way back, which is also gone after a
// cancelled read.
const (
	preferMax  = 20 * time.Second
	restoreMax = 10 * time.Second
)

// ownReplica runs read while a node, as a coordinator at ONE, reads its own disk. Without
// it one that was slow for a moment is read past by itself, for up to ten minutes.
func (c *Cluster) ownReplica(ctx context.Context, name string, read func() error) (err error) {
	h := c.Host(cluster.Name(name))
	defer func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreMax)
		defer cancel()
		err = errors.Join(err, h.jolokia(back, nil, "write", dynamicSnitch, "Severity", "0"))
	}()
	if err := h.jolokia(ctx, nil, "write", dynamicSnitch, "Severity", preferred); err != nil {
		return err
	}
	if err := await(ctx, preferMax, name+" reads its own disk", func(ctx context.Context) (bool, string) {
		scores := map[string]float64{} // by /address:port, of those that were read from
		if err := h.jolokia(ctx, &scores, "read", dynamicSnitch, "ScoresWithPort"); err != nil {
			return false, err.Error()
		}
		for address, score := range scores {
			if own := strings.HasPrefix(address, "/"+h.Address.String()+":"); own != (score < 0) {
				return false, fmt.Sprint(scores)
			}
		}
		return true, ""
	}); err != nil {
		return err
	}
	return read()
}
