// SPDX-License-Identifier: Apache-2.0

// Package load writes and reads rows of one table while a cluster is in
// trouble, and knows afterwards which answers were wrong. It keeps in memory
// which version of which row was acknowledged when; that, not a comparison of
// replicas, is what a stale read is judged by.
//
// There are three kinds of rows. Moving ones are rewritten all the time; they
// hide staleness, because a node that missed a version soon gets the next
// one. Tail rows are written one after the other until the fault: a killed
// process loses the last ones. Cold rows are written once before and once
// during the outage, and left alone.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// Keyspace and Table hold the rows.
const (
	Keyspace = "demo"
	Table    = "rows"
)

// Node is a node that is read through.
type Node struct {
	Name string
	CQL  string // address:port
}

// Options are complete: nothing is defaulted later. Normal fills them.
type Options struct {
	Nodes     []Node
	WriteVia  string // address:port of a proxy for the writer's connections; empty: straight to the nodes
	WriteRate int    // writes per second, all rows together
	ReadRate  int    // reads per second through each node
	Moving    int    // number of moving rows
	Cold      int    // number of cold rows
	Prefix    string // begins every row's id: rows of different loads do not meet
}

// Normal is a load that a machine of two cores bears beside three nodes.
func Normal(nodes []Node, prefix string) Options {
	return Options{Nodes: nodes, WriteRate: 200, ReadRate: 200, Moving: 300, Cold: 180, Prefix: prefix}
}

func (o Options) check() error {
	var faults []error
	for name, v := range map[string]int{"nodes": len(o.Nodes), "write rate": o.WriteRate, "read rate": o.ReadRate,
		"moving rows": o.Moving, "cold rows": o.Cold, "prefix": len(o.Prefix)} {
		if v <= 0 {
			faults = append(faults, fmt.Errorf("%s: want more than none", name))
		}
	}
	return errors.Join(faults...)
}

// Writers of moving rows, and readers through each node. A hung node holds a
// worker for requestMax, so the rates fall then, and come back.
const (
	writers = 4
	readers = 4
)

// Load is a running load. Close it once.
type Load struct {
	o       Options
	ledger  *ledger
	counter *counter
	writer  *client
	readers map[string]*client // by node
	moving  []string
	cold    []string
	live    []string // what readers read
	stop    context.CancelFunc
	running sync.WaitGroup
}

// schemaMax is how long a change of the schema may take: a busy machine of two cores
// needs more than a read or a write may.
const schemaMax = 30 * time.Second

// Prepare makes keyspace and table, with a replica on every node of the
// datacenter. It may be called again.
func Prepare(ctx context.Context, nodes []Node, datacenter string) error {
	config := toAll(nodes, "")()
	config.Timeout = schemaMax
	session, err := config.CreateSession()
	if err != nil {
		return fmt.Errorf("prepare %s.%s: %w", Keyspace, Table, err)
	}
	defer session.Close()
	for _, statement := range []string{
		fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}", Keyspace, datacenter, len(nodes)),
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.%s (id text PRIMARY KEY, v bigint, kind text)", Keyspace, Table),
	} {
		if err := session.Query(statement).WithContext(ctx).Exec(); err != nil {
			return fmt.Errorf("prepare %s.%s: %w", Keyspace, Table, err)
		}
	}
	return session.AwaitSchemaAgreement(ctx)
}

// Start writes every row once, at ALL, and then lets writers and readers
// run until Stop. All nodes must be up.
func Start(ctx context.Context, o Options) (*Load, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("start the load: %w", err)
	}
	l := &Load{o: o, ledger: newLedger(), counter: newCounter(), readers: make(map[string]*client), stop: func() {}}
	if err := l.connect(); err != nil {
		l.Close()
		return nil, fmt.Errorf("start the load: %w", err)
	}
	l.moving, l.cold = names(o.Prefix, moving, o.Moving), names(o.Prefix, cold, o.Cold)
	l.live = mix(l.moving, l.cold)
	for kind, rows := range map[string][]string{moving: l.moving, cold: l.cold} {
		if err := l.writeOnce(ctx, l.writer, kind, rows, gocql.All); err != nil {
			l.Close()
			return nil, fmt.Errorf("write the first version of the %s rows: %w", kind, err)
		}
	}
	l.run(ctx)
	return l, nil
}

func (l *Load) connect() (err error) {
	if l.writer, err = open(toAll(l.o.Nodes, l.o.WriteVia)); err != nil {
		return err
	}
	for _, n := range l.o.Nodes {
		if l.readers[n.Name], err = open(toOne(n)); err != nil {
			delete(l.readers, n.Name)
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return nil
}

func (l *Load) run(ctx context.Context) {
	ctx, l.stop = context.WithCancel(ctx)
	for w := range writers {
		l.running.Go(func() { l.keepWriting(ctx, w) })
	}
	for _, n := range l.o.Nodes {
		for r := range readers {
			l.running.Go(func() { l.keepReading(ctx, n.Name, r) })
		}
	}
}

// keepWriting rewrites every writers-th moving row in turn: each row has one
// writer, so its versions reach the nodes in order.
func (l *Load) keepWriting(ctx context.Context, first int) {
	tick := time.NewTicker(time.Second * writers / time.Duration(l.o.WriteRate))
	defer tick.Stop()
	for i := first; next(ctx, tick); i += writers {
		if i >= len(l.moving) {
			i = first
		}
		if err := l.write(ctx, l.writer, moving, l.moving[i], gocql.LocalQuorum); err != nil && ctx.Err() == nil {
			l.counter.writeFailed(err, time.Now())
		}
	}
}

func (l *Load) keepReading(ctx context.Context, node string, first int) {
	tick := time.NewTicker(time.Second * readers / time.Duration(l.o.ReadRate))
	defer tick.Stop()
	for i := first * len(l.live) / readers; next(ctx, tick); i++ {
		row := l.live[i%len(l.live)]
		began := time.Now()
		got, err := l.read(ctx, l.readers[node], row, gocql.One)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			l.counter.readFailed(node, err, time.Now())
		default:
			due := l.ledger.due(row, began)
			l.counter.read(Stale{Node: node, Row: row, Got: got, Want: due.version, Began: began, Acked: due.at})
		}
	}
}

// next waits for the tick; false when the load ends.
func next(ctx context.Context, tick *time.Ticker) bool {
	select {
	case <-ctx.Done():
		return false
	case <-tick.C:
		return true
	}
}

// write writes the next version of a row and notes its acknowledgement.
func (l *Load) write(ctx context.Context, c *client, kind, row string, level gocql.Consistency) error {
	version := l.ledger.issue(row)
	err := c.do(ctx, func(ctx context.Context, s *gocql.Session) error {
		return s.Query("INSERT INTO "+Keyspace+"."+Table+" (id, v, kind) VALUES (?, ?, ?)", row, version, kind).
			WithContext(ctx).Consistency(level).Exec()
	})
	if err == nil {
		l.ledger.acked(row, version, time.Now())
		l.counter.wrote()
	}
	return err
}

// read returns the row's version, 0 when there is no such row.
func (l *Load) read(ctx context.Context, c *client, row string, level gocql.Consistency) (int64, error) {
	var version int64
	err := c.do(ctx, func(ctx context.Context, s *gocql.Session) error {
		err := s.Query("SELECT v FROM "+Keyspace+"."+Table+" WHERE id = ?", row).WithContext(ctx).Consistency(level).Scan(&version)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		return err
	})
	return version, err
}

// Counts is what was counted so far.
func (l *Load) Counts() Counts { return l.counter.snapshot() }

// Stop ends writing and reading and returns the final counts. Audit and Lost
// go on working.
func (l *Load) Stop() Counts {
	l.stop()
	l.running.Wait()
	return l.counter.snapshot()
}

// Close stops the load and its connections.
func (l *Load) Close() {
	l.Stop()
	if l.writer != nil {
		l.writer.close()
	}
	for _, c := range l.readers {
		c.close()
	}
}
