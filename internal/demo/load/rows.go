// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// Kinds of rows.
const (
	moving = "moving"
	tail   = "tail"
	cold   = "cold"
)

func names(prefix, kind string, count int) []string {
	rows := make([]string, count)
	for i := range rows {
		rows[i] = name(prefix, kind, i)
	}
	return rows
}

func name(prefix, kind string, i int) string { return fmt.Sprintf("%s-%s-%06d", prefix, kind, i) }

// mix puts a cold row after every third moving one, so that live reads see
// both kinds all the time.
func mix(moving, cold []string) []string {
	var rows []string
	for i, row := range moving {
		rows = append(rows, row)
		if i%3 == 2 {
			rows = append(rows, cold[i/3%len(cold)])
		}
	}
	return rows
}

// Bounds of writing a set of rows once.
const (
	onceWorkers = 8
	onceTries   = 10
	onceWait    = 200 * time.Millisecond
)

// writeOnce writes one version of every row and tries again what failed: a
// later try is a later version.
func (l *Load) writeOnce(ctx context.Context, c *client, kind string, rows []string, level gocql.Consistency) error {
	return each(rows, func(row string) error { return l.insist(ctx, c, kind, row, level) })
}

// each calls f for every row, several at a time; after an error a worker ends.
func each(rows []string, f func(row string) error) error {
	queue := make(chan string, len(rows))
	for _, row := range rows {
		queue <- row
	}
	close(queue)
	errs := make([]error, onceWorkers)
	var wg sync.WaitGroup
	for w := range onceWorkers {
		wg.Go(func() {
			for row := range queue {
				if errs[w] = f(row); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *Load) insist(ctx context.Context, c *client, kind, row string, level gocql.Consistency) error {
	var err error
	for range onceTries {
		if err = l.write(ctx, c, kind, row, level); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(onceWait)
	}
	return fmt.Errorf("write %s: %w", row, err)
}

// RewriteCold writes the second version of every cold row at LOCAL_QUORUM,
// through the nodes other than away. Call it once, during the outage.
func (l *Load) RewriteCold(ctx context.Context, away string) error {
	c, err := open(toThese(l.without(away)))
	if err != nil {
		return fmt.Errorf("rewrite the cold rows: %w", err)
	}
	defer c.close()
	if err := l.writeOnce(ctx, c, cold, l.cold, gocql.LocalQuorum); err != nil {
		return fmt.Errorf("rewrite the cold rows: %w", err)
	}
	return nil
}

func (l *Load) without(away string) []Node {
	var nodes []Node
	for _, n := range l.o.Nodes {
		if n.Name != away {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Rules for tail rows: those acknowledged in the last tailSpan before the
// fault count, and at least tailMin.
const (
	tailSpan = 200 * time.Millisecond
	tailMin  = 20
	tailKept = 2000 // acknowledgements remembered; about 2 s of them are enough
)

// Tail writes rows one after the other until it is stopped.
type Tail struct {
	load   *Load
	client *client
	stop   context.CancelFunc
	done   sync.WaitGroup
	acks   []tailAck
}

type tailAck struct {
	row string
	at  time.Time
}

// StartTail starts writing rows at ALL, one after the other, through the
// nodes other than victim: an acknowledgement means that the victim has
// acknowledged too.
func (l *Load) StartTail(ctx context.Context, victim string) (*Tail, error) {
	c, err := open(toThese(l.without(victim)))
	if err != nil {
		return nil, fmt.Errorf("start the tail: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &Tail{load: l, client: c, stop: cancel}
	t.done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			row := name(l.o.Prefix, tail, i)
			if err := l.write(ctx, c, tail, row, gocql.All); err != nil {
				continue // not acknowledged, so nobody may count on it
			}
			t.acks = append(t.acks, tailAck{row, time.Now()})
			if len(t.acks) > 2*tailKept {
				t.acks = append(t.acks[:0], t.acks[len(t.acks)-tailKept:]...)
			}
		}
	})
	return t, nil
}

// Stop ends the writing and returns the rows that count for a fault given at
// that moment, oldest first.
func (t *Tail) Stop(fault time.Time) []string {
	t.stop()
	t.done.Wait()
	t.client.close()
	return chosen(t.acks, fault)
}

// chosen takes the rows acknowledged in the last tailSpan before the fault,
// or after it: what was acknowledged while the victim died, it acknowledged.
func chosen(acks []tailAck, fault time.Time) []string {
	from := len(acks)
	for from > 0 && (!acks[from-1].at.Before(fault.Add(-tailSpan)) || len(acks)-from < tailMin) {
		from--
	}
	var rows []string
	for _, a := range acks[from:] {
		rows = append(rows, a.row)
	}
	return rows
}
