// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
)

// Bulk is many rows in several keyspaces, of which few are changed: one table whose
// rows are, and others that nobody writes to after they were filled.
type Bulk struct {
	Nodes []Node
	Rows  int // of the table that is changed
	Idle  int // of each of the others
}

// The layout.
const (
	bulkKeyspaces = 4
	bulkIdle      = 3 // tables at rest in each
	bulkChanged   = "bulk1.changed"
	changedBytes  = 100
	idleBytes     = 200
	// ChangeEach is every how many rows one is changed: 1 %.
	ChangeEach  = 100
	bulkWorkers = 24
	bulkTries   = 20
)

// Keyspaces are those that it fills.
func (b Bulk) Keyspaces() []string {
	var out []string
	for k := range bulkKeyspaces {
		out = append(out, "bulk"+strconv.Itoa(k+1))
	}
	return out
}

func (b Bulk) idle() []string {
	var out []string
	for _, ks := range b.Keyspaces() {
		for t := range bulkIdle {
			out = append(out, fmt.Sprintf("%s.idle%d", ks, t+1))
		}
	}
	return out
}

// Tables counts all of them.
func (b Bulk) Tables() int { return 1 + len(b.idle()) }

// Changes is how many rows each Change rewrites.
func (b Bulk) Changes() int { return (b.Rows + ChangeEach - 1) / ChangeEach }

// Fill makes keyspaces and tables, with a replica on every node, and writes all rows
// at ALL; told is told how many, now and then.
func (b Bulk) Fill(ctx context.Context, datacenter string, told func(done, of int)) error {
	if err := b.schema(ctx, datacenter); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	session, err := b.session(b.Nodes)
	if err != nil {
		return err
	}
	defer session.Close()
	idle := b.idle()
	of := b.Rows + len(idle)*b.Idle
	var done atomic.Int64
	count := func() {
		if n := done.Add(1); n%5000 == 0 {
			told(int(n), of)
		}
	}
	for _, table := range append([]string{bulkChanged}, idle...) {
		rows, bytes := b.Rows, changedBytes
		if table != bulkChanged {
			rows, bytes = b.Idle, idleBytes
		}
		err := parallel(rows, func(i int) error {
			defer count()
			return insert(ctx, session, table, i, 0, bytes, gocql.All)
		})
		if err != nil {
			return fmt.Errorf("fill %s: %w", table, err)
		}
	}
	return nil
}

func (b Bulk) schema(ctx context.Context, datacenter string) error {
	config := toAll(b.Nodes, "")()
	config.Timeout = schemaMax
	session, err := config.CreateSession()
	if err != nil {
		return err
	}
	defer session.Close()
	var statements []string
	for _, ks := range b.Keyspaces() {
		statements = append(statements, fmt.Sprintf("CREATE KEYSPACE %s WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}", ks, datacenter, len(b.Nodes)))
	}
	for _, table := range append([]string{bulkChanged}, b.idle()...) {
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s (id bigint PRIMARY KEY, v bigint, body text)", table))
	}
	for _, statement := range statements {
		if err := session.Query(statement).WithContext(ctx).Exec(); err != nil {
			return err
		}
	}
	return session.AwaitSchemaAgreement(ctx)
}

func (b Bulk) session(nodes []Node) (*gocql.Session, error) {
	config := toThese(nodes)()
	config.Timeout, config.WriteTimeout = 5*requestMax, 5*requestMax
	return config.CreateSession()
}

// Change rewrites one row of a hundred at LOCAL_QUORUM through the nodes other than
// away; the version is what they hold then.
func (b Bulk) Change(ctx context.Context, away string, version int64) error {
	var nodes []Node
	for _, n := range b.Nodes {
		if n.Name != away {
			nodes = append(nodes, n)
		}
	}
	session, err := b.session(nodes)
	if err != nil {
		return err
	}
	defer session.Close()
	return parallel(b.Changes(), func(i int) error {
		return insert(ctx, session, bulkChanged, i*ChangeEach, version, changedBytes, gocql.LocalQuorum)
	})
}

// Compare reads every row of the changed table at ONE through one node, and counts
// those that show another version than the last one, and those that are missing.
func (b Bulk) Compare(ctx context.Context, name string, version int64) (old, missing int, err error) {
	seen := 0
	for _, n := range b.Nodes {
		if n.Name != name {
			continue
		}
		config := toOne(n)()
		config.Timeout = schemaMax
		session, err := config.CreateSession()
		if err != nil {
			return 0, 0, err
		}
		defer session.Close()
		rows := session.Query("SELECT id, v FROM " + bulkChanged).WithContext(ctx).Consistency(gocql.One).PageSize(1000).Iter()
		var id, got int64
		for rows.Scan(&id, &got) {
			seen++
			want := int64(0)
			if id%ChangeEach == 0 {
				want = version
			}
			if got != want {
				old++
			}
		}
		if err := rows.Close(); err != nil {
			return 0, 0, fmt.Errorf("read all rows of %s through %s: %w", bulkChanged, name, err)
		}
	}
	return old, b.Rows - seen, nil
}

// insert writes one row and tries again what failed.
func insert(ctx context.Context, s *gocql.Session, table string, id int, version int64, bytes int, level gocql.Consistency) error {
	body := make([]byte, bytes)
	for i := range body { // what does not compress
		body[i] = byte('!' + rand.IntN(90))
	}
	var err error
	for range bulkTries {
		err = s.Query("INSERT INTO "+table+" (id, v, body) VALUES (?, ?, ?)", int64(id), version, string(body)).WithContext(ctx).Consistency(level).Exec()
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(onceWait)
	}
	return err
}

// parallel calls f for 0 to n-1, several at a time; after an error a worker ends.
func parallel(n int, f func(int) error) error {
	var next atomic.Int64
	errs := make([]error, bulkWorkers)
	var wg sync.WaitGroup
	for w := range bulkWorkers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if errs[w] = f(int(i)); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
