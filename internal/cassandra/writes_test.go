// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"maps"
	"strings"
	"testing"
)

func TestWrites(t *testing.T) {
	tables := func(name string, values map[string]any) any {
		return gauges(metrics+"keyspace=ks,name="+name+",scope=*,type=Table", "Count", values)
	}
	all := map[string]any{"WriteLatency": tables("WriteLatency", map[string]any{"a": 7, "b": 0}),
		"LiveDiskSpaceUsed": tables("LiveDiskSpaceUsed", map[string]any{"a": 4000, "b": 10})}
	rows := []struct {
		why    string
		bean   string
		answer any
		want   map[string]TableWrites
		err    bool
	}{
		{"both counters of each table", "", nil, map[string]TableWrites{"ks.a": {7, 4000}, "ks.b": {0, 10}}, false},
		{"a table that lacks one is not known", "LiveDiskSpaceUsed", tables("LiveDiskSpaceUsed", map[string]any{"a": 4000}), map[string]TableWrites{"ks.a": {7, 4000}}, false},
		{"nor is one whose counter is no number", "WriteLatency", tables("WriteLatency", map[string]any{"a": "ERROR: x", "b": 0}), map[string]TableWrites{"ks.b": {0, 10}}, false},
		{"a process that has only begun has none", "WriteLatency", absent(), nil, true},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			a := jolokia(t, func(asks []request) any {
				var out []any
				for _, q := range asks {
					for name, answer := range all { // order: one holds
						if !strings.HasSuffix(q.MBean, "name="+name) {
							continue
						}
						if name == r.bean {
							answer = r.answer
						}
						out = append(out, answer)
					}
				}
				return out
			})
			got, err := a.Writes(t.Context())
			if !maps.Equal(got, r.want) || (err != nil) != r.err {
				t.Errorf("%v, %v; want %v", got, err, r.want)
			}
		})
	}
}
