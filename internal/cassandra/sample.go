// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gocql/gocql"
)

// Sample is rows of one table as a quorum knew them: their keys and the write
// time of one column, kept for one comparison and never shown. It holds on to
// the session that read it.
type Sample struct {
	from  *Session
	shape shape
	rows  []sampled
}

// Len is how many rows the sample has.
func (s Sample) Len() int { return len(s.rows) }

// Comparison counts what a node answered about a sample's rows.
type Comparison struct {
	Read    int // rows asked for
	Old     int // written earlier than the quorum's version that was read before
	Missing int // not there, while a quorum still has them
}

// raw is a column's value as it is on the wire: keys are passed on, not
// understood, so that any type will do.
type raw []byte

// UnmarshalCQL is gocql.Unmarshaler; the driver reuses data.
func (r *raw) UnmarshalCQL(_ gocql.TypeInfo, data []byte) error {
	*r = bytes.Clone(data)
	return nil
}

// MarshalCQL is gocql.Marshaler.
func (r raw) MarshalCQL(gocql.TypeInfo) ([]byte, error) { return r, nil }

type sampled struct {
	key     []raw
	written int64 // microseconds since 1970, as Cassandra counts them
}

// shape is what a comparison needs to know of a table; names are quoted.
type shape struct {
	table     string // keyspace.table
	partition []string
	keys      []string // partition key, then clustering
	watched   string   // the column whose write time is compared
}

// sliceCount spreads a sample over the ring, so that it is not the rows of one
// range only.
const sliceCount = 16

// Sample reads up to max rows, spread over the ring, through this session,
// which must read at Quorum. A row without a value in the watched column is
// left out. It fails on a table in which no column has a write time.
func (s *Session) Sample(ctx context.Context, keyspace, table string, max int) (Sample, error) {
	if s.o.Consistency != Quorum || max <= 0 {
		return Sample{}, fmt.Errorf("sample %s.%s: wants a session at quorum and at least one row", keyspace, table)
	}
	out := Sample{from: s}
	var err error
	if out.shape, err = s.shapeOf(ctx, keyspace, table); err != nil {
		return Sample{}, fmt.Errorf("sample %s.%s: %w", keyspace, table, err)
	}
	for _, slice := range slicesOf(sliceCount) {
		if err := out.read(ctx, slice, 2*max/sliceCount+1); err != nil {
			return Sample{}, fmt.Errorf("sample %s.%s: %w", keyspace, table, err)
		}
	}
	out.rows = thin(out.rows, max)
	return out, nil
}

// slicesOf cuts the ring into n pieces [start, end].
func slicesOf(n int) [][2]int64 {
	width := math.MaxUint64 / uint64(n)
	out := make([][2]int64, n)
	start := int64(math.MinInt64)
	for i := range out {
		out[i] = [2]int64{start, start + int64(width) - 1}
		start += int64(width)
	}
	out[n-1][1] = math.MaxInt64
	return out
}

// thin keeps max rows at even distances.
func thin(rows []sampled, max int) []sampled {
	if len(rows) <= max {
		return rows
	}
	out := make([]sampled, max)
	for i := range out {
		out[i] = rows[i*len(rows)/max]
	}
	return out
}

func (p *Sample) read(ctx context.Context, slice [2]int64, limit int) error {
	token := "token(" + strings.Join(p.shape.partition, ", ") + ")"
	query := fmt.Sprintf("SELECT %s, writetime(%s) FROM %s WHERE %s >= ? AND %s <= ? LIMIT %d",
		strings.Join(p.shape.keys, ", "), p.shape.watched, p.shape.table, token, token, limit)
	return p.from.each(ctx, query, func(scan func(...any) error) error {
		key := make([]raw, len(p.shape.keys))
		var written *int64
		into := make([]any, 0, len(key)+1)
		for i := range key {
			into = append(into, &key[i])
		}
		if err := scan(append(into, &written)...); err != nil {
			return err
		}
		if written != nil {
			p.rows = append(p.rows, sampled{key: key, written: *written})
		}
		return nil
	}, slice[0], slice[1])
}

// CompareOne reads every row of the sample through this session, which must
// read at One and be the one of the node in question, and counts those that
// are older than the quorum's. A row that is not there is asked for once more
// at quorum: rows may have been deleted meanwhile. Counts are also right for
// what was read before an error.
func (s *Session) CompareOne(ctx context.Context, p Sample) (Comparison, error) {
	var c Comparison
	if s.o.Consistency != One || p.from == nil {
		return c, errors.New("compare rows: wants a session at one and a sample")
	}
	query := fmt.Sprintf("SELECT writetime(%s) FROM %s WHERE %s = ?", p.shape.watched, p.shape.table,
		strings.Join(p.shape.keys, " = ? AND "))
	for _, row := range p.rows {
		written, there, err := s.written(ctx, query, row)
		if err == nil && !there {
			var still bool
			if _, still, err = p.from.written(ctx, query, row); err == nil && still {
				c.Missing++
			}
		}
		if err != nil {
			return c, fmt.Errorf("compare rows of %s: %w", p.shape.table, err)
		}
		c.Read++
		if there && written < row.written {
			c.Old++
		}
	}
	return c, nil
}

// written reads one row's write time; a row without the column counts as not
// there.
func (s *Session) written(ctx context.Context, query string, row sampled) (at int64, there bool, err error) {
	args := make([]any, len(row.key))
	for i, k := range row.key {
		args[i] = k
	}
	err = s.each(ctx, query, func(scan func(...any) error) error {
		var w *int64
		if err := scan(&w); err != nil {
			return err
		}
		if w != nil {
			at, there = *w, true
		}
		return nil
	}, args...)
	return at, there, err
}

// column is one line of system_schema.columns.
type column struct {
	name, kind, typ string
	position        int
}

func (s *Session) shapeOf(ctx context.Context, keyspace, table string) (shape, error) {
	var columns []column
	err := s.each(ctx, "SELECT column_name, kind, type, position FROM system_schema.columns WHERE keyspace_name=? AND table_name=?",
		func(scan func(...any) error) error {
			var c column
			if err := scan(&c.name, &c.kind, &c.typ, &c.position); err != nil {
				return err
			}
			columns = append(columns, c)
			return nil
		}, keyspace, table)
	if err != nil {
		return shape{}, err
	}
	return shapeFrom(quoted(keyspace)+"."+quoted(table), columns)
}

// ErrNotComparable says that rows of a table cannot be told old from new by
// reading them: counters, collections only, keys only. A preview compares them.
var ErrNotComparable = errors.New("rows cannot be compared by their write times")

// shapeFrom picks the key and the first regular column, by name, that has one
// write time for the whole value.
func shapeFrom(table string, columns []column) (shape, error) {
	if len(columns) == 0 {
		return shape{}, errors.New("no such table")
	}
	columns = slices.Clone(columns)
	slices.SortFunc(columns, func(a, b column) int {
		if a.position != b.position {
			return a.position - b.position
		}
		return strings.Compare(a.name, b.name)
	})
	s := shape{table: table}
	var clustering []string
	for _, c := range columns {
		switch {
		case c.kind == "partition_key":
			s.partition = append(s.partition, quoted(c.name))
		case c.kind == "clustering":
			clustering = append(clustering, quoted(c.name))
		case c.kind == "regular" && s.watched == "" && oneWriteTime(c.typ):
			s.watched = quoted(c.name)
		}
		if c.kind != "regular" && c.kind != "static" && strings.HasPrefix(c.typ, "frozen<tuple<") {
			return shape{}, fmt.Errorf("key column %s is a tuple, which the driver cannot pass on: %w", c.name, ErrNotComparable)
		}
	}
	if s.watched == "" {
		return shape{}, fmt.Errorf("no regular column has a single write time: %w", ErrNotComparable)
	}
	s.keys = slices.Concat(s.partition, clustering)
	return s, nil
}

// simpleTypes have one write time for the whole value; so has anything frozen.
var simpleTypes = []string{"ascii", "bigint", "blob", "boolean", "date", "decimal", "double", "duration", "float", "inet",
	"int", "smallint", "text", "time", "timestamp", "timeuuid", "tinyint", "uuid", "varchar", "varint"}

func oneWriteTime(typ string) bool {
	return slices.Contains(simpleTypes, typ) || strings.HasPrefix(typ, "frozen<") || strings.HasPrefix(typ, "vector<")
}

// quoted spells a name so that CQL takes it as it is.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
