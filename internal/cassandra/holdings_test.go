// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"reflect"
	"strings"
	"testing"

	"supervisor/cluster"
)

// held answers each question as a node of 5.0 does that keeps a bit of everything.
func held(q request) any {
	of := func(attribute string, values map[string]any) any {
		return gauges(q.MBean, attribute, values)
	}
	switch {
	case strings.Contains(q.MBean, "HintsService"):
		return ok([]any{map[string]any{"host_id": "b", "total_files": "1"}, map[string]any{"host_id": "a"}})
	case strings.Contains(q.MBean, "system_traces"):
		return ok(3)
	case strings.Contains(q.MBean, "BatchlogManager"):
		if q.Type != "exec" {
			return absent()
		}
		return ok(0)
	case strings.Contains(q.MBean, "keyspace=quiet"):
		return of("Count", map[string]any{"t": 0})
	case strings.Contains(q.MBean, "SnapshotsSize"):
		return of("Value", map[string]any{"events": 0, "by_day": 12})
	}
	return of("Count", map[string]any{"events": 4000, "by_day": 96})
}

func TestHoldings(t *testing.T) {
	yes, no := true, false
	full := Holdings{Stored: map[string]int64{"orders": 4096}, Written: []string{"orders"}, Snapshots: []string{"orders"},
		HintsFor: []cluster.HostID{"a", "b"}, Traced: &yes, Batched: &no}
	with := func(change func(*Holdings)) Holdings {
		h := full
		change(&h)
		return h
	}
	both := []string{"orders", "quiet"}
	for _, row := range []struct {
		why       string
		keyspaces []string
		bean      string // whose answer is another
		answer    any
		want      Holdings
	}{
		{"all tables of a keyspace together; what is 0 is not there", both, "", nil, full},
		{"no keyspace is looked for, so nothing is missing", nil, "", nil, with(func(h *Holdings) { h.Stored, h.Written, h.Snapshots = map[string]int64{}, []string{}, []string{} })},
		{"a reading that the release does not have", both, "SnapshotsSize", absent(), with(func(h *Holdings) { h.Snapshots = nil })},
		{"one keyspace that does not tell leaves all unknown", both, "keyspace=quiet,scope=*,name=LiveDiskSpaceUsed", absent(), with(func(h *Holdings) { h.Stored = nil })},
		{"a table that throws", both, "CoordinatorWriteLatency", ok(map[string]any{"bean": map[string]any{}}), with(func(h *Holdings) { h.Written = nil })},
		{"an empty answer is no zero", both, "LiveDiskSpaceUsed", ok(map[string]any{}), with(func(h *Holdings) { h.Stored = nil })},
		{"no hints wait", both, "HintsService", ok([]any{}), with(func(h *Holdings) { h.HintsFor = []cluster.HostID{} })},
		{"hints for nobody that can be named", both, "HintsService", ok([]any{map[string]any{"node": "b"}}), with(func(h *Holdings) { h.HintsFor = nil })},
		{"no traces", both, "system_traces", ok(0), with(func(h *Holdings) { h.Traced = &no })},
		{"batches that nobody counts", both, "BatchlogManager", absent(), with(func(h *Holdings) { h.Batched = nil })},
	} {
		t.Run(row.why, func(t *testing.T) {
			a := jolokia(t, func(asks []request) any {
				var out []any
				for _, q := range asks {
					if row.bean != "" && strings.Contains(q.MBean, row.bean) {
						out = append(out, row.answer)
						continue
					}
					out = append(out, held(q))
				}
				return out
			})
			got, err := a.Holdings(t.Context(), row.keyspaces)
			if err != nil || !reflect.DeepEqual(got, row.want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, row.want)
			}
		})
	}
}

func TestHoldingsOfASilentNode(t *testing.T) {
	a := jolokia(t, func([]request) any { return "nonsense" })
	if _, err := a.Holdings(t.Context(), []string{"orders"}); err == nil {
		t.Error("want an error")
	}
}
