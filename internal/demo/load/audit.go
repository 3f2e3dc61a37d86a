// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
)

// Audit is what every node answers for the rows that were left alone.
type Audit struct {
	Rows    int // row reads: rows x nodes
	Old     int // shows an older version than the last acknowledged one
	Missing int // shows no row
	Faults  []AuditFault
}

// AuditFault is one row that one node answers wrongly.
type AuditFault struct {
	Node, Row string
	Got, Want int64 // Got 0: missing
}

// OldOrMissing is the number that has to be 0.
func (a Audit) OldOrMissing() int { return a.Old + a.Missing }

// Of counts the faults among these rows.
func (a Audit) Of(rows []string) int {
	count := 0
	for _, f := range a.Faults {
		if slices.Contains(rows, f.Row) {
			count++
		}
	}
	return count
}

// Cold are the cold rows.
func (l *Load) Cold() []string { return slices.Clone(l.cold) }

// Audit reads every cold row and the given tail rows once at ONE through
// every node, one node after the other; through runs what reads by one node,
// and may make that node read its own disk. There is no grace. Call it after
// Stop, when the node is back. A node that does not answer after several
// tries is an error.
func (l *Load) Audit(ctx context.Context, tailRows []string, through func(node string, read func() error) error) (Audit, error) {
	rows := slices.Concat(l.cold, tailRows)
	var all Audit
	for _, n := range l.o.Nodes {
		if err := through(n.Name, func() error {
			part, err := l.auditThrough(ctx, n, rows)
			all.Rows += part.Rows
			all.Old += part.Old
			all.Missing += part.Missing
			all.Faults = append(all.Faults, part.Faults...)
			return err
		}); err != nil {
			return Audit{}, err
		}
	}
	return all, nil
}

func (l *Load) auditThrough(ctx context.Context, n Node, rows []string) (Audit, error) {
	var a Audit
	for _, row := range rows {
		got, err := l.readFirmly(ctx, l.readers[n.Name], row, gocql.One)
		if err != nil {
			return a, fmt.Errorf("audit %s through %s: %w", row, n.Name, err)
		}
		a.Rows++
		want := l.ledger.last(row)
		switch {
		case got >= want:
			continue
		case got == 0:
			a.Missing++
		default:
			a.Old++
		}
		a.Faults = append(a.Faults, AuditFault{Node: n.Name, Row: row, Got: got, Want: want})
	}
	return a, nil
}

// Lost counts rows whose last acknowledged write a quorum does not show any
// more. Call it after Stop.
func (l *Load) Lost(ctx context.Context) (int, error) {
	var lost atomic.Int64
	err := each(l.ledger.names(), func(row string) error {
		got, err := l.readFirmly(ctx, l.writer, row, gocql.LocalQuorum)
		if err != nil {
			return fmt.Errorf("look for lost writes of %s: %w", row, err)
		}
		if got < l.ledger.last(row) {
			lost.Add(1)
		}
		return nil
	})
	return int(lost.Load()), err
}

// firmTries and firmWait give a driver time to find back to its node.
const (
	firmTries = 60
	firmWait  = 250 * time.Millisecond
)

func (l *Load) readFirmly(ctx context.Context, c *client, row string, level gocql.Consistency) (int64, error) {
	for try := 1; ; try++ {
		got, err := l.read(ctx, c, row, level)
		if err == nil || try == firmTries || ctx.Err() != nil {
			return got, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(firmWait):
		}
	}
}
