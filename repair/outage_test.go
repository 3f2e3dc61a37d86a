// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestOutage(t *testing.T) {
	const window = 3 * time.Hour
	for _, row := range []struct {
		why    string
		clean  bool
		until  time.Time
		at     time.Time
		length time.Duration
		beyond bool
	}{
		{"a killed node lost what it had not synced: the outage begins before the last sign of life", false, time.Time{}, noon.Add(time.Hour), time.Hour + 11*time.Second, false},
		{"a drained node lost nothing", true, time.Time{}, noon.Add(time.Hour), time.Hour, false},
		{"an outage that is over grows no more", true, noon.Add(time.Minute), noon.Add(time.Hour), time.Minute, false},
		{"one that ends later is as long as it is now", true, noon.Add(2 * time.Hour), noon.Add(time.Hour), time.Hour, false},
		{"a moment before the window ends there are hints for all of it", true, time.Time{}, noon.Add(window - 1), window - 1, false},
		{"the last instant of the window has none", true, time.Time{}, noon.Add(window), window, true},
		{"the unsynced part counts against the window too", false, time.Time{}, noon.Add(window - 11*time.Second), window, true},
		{"a clock that runs behind makes it short, not negative", true, time.Time{}, noon.Add(-time.Hour), 0, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			o := Began(noon, row.clean, 11*time.Second)
			o.Until = row.until
			if o.Clean != row.clean || o.Length(row.at) != row.length || o.Beyond(window, row.at) != row.beyond {
				t.Fatalf("%+v is %v long, beyond the window: %v", o, o.Length(row.at), o.Beyond(window, row.at))
			}
		})
	}
}

// tables adds tables to a keyspace: "items", 10 days, and so on.
func tables(ks cluster.Keyspace, pairs ...any) cluster.Keyspace {
	for i := 0; i < len(pairs); i += 2 {
		ks.Tables = append(ks.Tables, cluster.Table{Name: pairs[i].(string), GCGrace: pairs[i+1].(time.Duration)})
	}
	return ks
}

func TestDeadline(t *testing.T) {
	const day = 24 * time.Hour
	orders := tables(keyspace("orders east=3"), "items", 10*day, "lines", 3*day)
	auth := tables(keyspace("system_auth east=3"), "roles", 90*day)
	for _, row := range []struct {
		why     string
		schema  []cluster.Keyspace
		ttlOnly string
		after   time.Duration // 0: no deadline
		table   string
		zero    []string
	}{
		{"the smallest grace of all tables", []cluster.Keyspace{auth, orders}, "", 3 * day, "orders.lines", nil},
		{"Cassandra's own replicated data counts", []cluster.Keyspace{auth}, "", 90 * day, "system_auth.roles", nil},
		{"what is not replicated has no ghosts, and system is all zero",
			[]cluster.Keyspace{orders, tables(keyspace("system local"), "local", time.Duration(0)), tables(keyspace("system_schema local"), "tables", 7*time.Hour),
				tables(keyspace("mine local"), "t", time.Hour)}, "", 3 * day, "orders.lines", nil},
		{"traces set no deadline, with whatever replication", []cluster.Keyspace{orders, tables(keyspace("system_traces east=3"), "events", time.Duration(0))}, "", 3 * day, "orders.lines", nil},
		{"virtual tables have no ghosts, with whatever replication", []cluster.Keyspace{orders, tables(keyspace("system_views east=3"), "clients", time.Hour)}, "", 3 * day, "orders.lines", nil},
		{"while the only copy is away nothing is deleted from it", []cluster.Keyspace{orders, tables(keyspace("lonely east=1"), "t", time.Hour)}, "", 3 * day, "orders.lines", nil},
		{"one copy in each of two datacenters are two", []cluster.Keyspace{orders, tables(keyspace("pair east=1 west=1"), "t", time.Hour)}, "", time.Hour, "pair.t", nil},
		{"a strategy nobody knows may replicate", []cluster.Keyspace{orders, tables(keyspace("odd strange"), "t", time.Hour)}, "", time.Hour, "odd.t", nil},
		{"a grace of zero is named and moves nothing", []cluster.Keyspace{tables(orders, "queue", time.Duration(0), "alerts", time.Duration(0))}, "", 3 * day, "orders.lines", []string{"orders.alerts", "orders.queue"}},
		{"declared to hold rows that only expire, it is harmless", []cluster.Keyspace{tables(orders, "queue", time.Duration(0), "alerts", time.Duration(0))}, "queue", 3 * day, "orders.lines", []string{"orders.alerts"}},
		{"the declaration does not lift a grace that is there", []cluster.Keyspace{orders}, "lines", 3 * day, "orders.lines", nil},
		{"only zeros: no deadline, all named", []cluster.Keyspace{tables(keyspace("queues simple=3"), "q", time.Duration(0))}, "", 0, ".", []string{"queues.q"}},
		{"equal graces: the first name, in whatever order they come", []cluster.Keyspace{tables(keyspace("b east=3"), "t", day), tables(keyspace("a east=3"), "u", day, "t", day)}, "", day, "a.t", nil},
		{"no schema: nothing is known", nil, "", 0, ".", nil},
	} {
		t.Run(row.why, func(t *testing.T) {
			at, ks, table, zero := Deadline(cluster.Schema{Keyspaces: row.schema}, noon, func(_, table string) bool { return table == row.ttlOnly })
			want := noon.Add(row.after)
			if row.after == 0 {
				want = time.Time{}
			}
			if !at.Equal(want) || ks+"."+table != row.table || !slices.Equal(zero, row.zero) {
				t.Fatalf("got %v by %s.%s, zero %v", at, ks, table, zero)
			}
		})
	}
}
