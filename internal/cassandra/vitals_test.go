// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// gauges are the beans of one pattern as Jolokia answers them.
func gauges(name, attribute string, values map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range values {
		out[strings.ReplaceAll(name, "*", k)] = map[string]any{attribute: v}
	}
	return ok(out)
}

func absent() map[string]any {
	return map[string]any{"status": 404, "error_type": "javax.management.InstanceNotFoundException", "error": "no such bean"}
}

// vitalSigns answers each question as a node of 5.0 does.
func vitalSigns(q request) any {
	switch {
	case q.MBean == "java.lang:type=MemoryPool,name=*":
		return ok(map[string]any{
			"java.lang:name=G1 Eden Space,type=MemoryPool": map[string]any{"CollectionUsage": map[string]any{"used": 7, "max": -1}},
			"java.lang:name=G1 Old Gen,type=MemoryPool":    map[string]any{"CollectionUsage": map[string]any{"used": 3000, "max": 8000}},
			"java.lang:name=Metaspace,type=MemoryPool":     map[string]any{"CollectionUsage": nil},
		})
	case q.MBean == "java.lang:type=Memory":
		return ok(map[string]any{"used": 4000, "max": 8100})
	case q.MBean == "java.lang:type=OperatingSystem":
		return ok(map[string]any{"OpenFileDescriptorCount": 400, "MaxFileDescriptorCount": 100000})
	case strings.Contains(q.MBean, "ConnectedNativeClients"):
		return ok(90)
	case q.MBean == storageProxy:
		return ok(100)
	case strings.Contains(q.MBean, "CompactionsAborted"):
		return ok(2)
	case strings.Contains(q.MBean, "GarbageCollector"):
		return gauges("java.lang:name=*,type=GarbageCollector", "CollectionTime", map[string]any{"G1 Young Generation": 1500, "G1 Old Generation": 500, "ZGC Pauses": -1})
	case strings.Contains(q.MBean, "DroppedMessage"):
		return gauges(metrics+"name=Dropped,scope=*,type=DroppedMessage", "Count", map[string]any{"READ_REQ": 3, "MUTATION_REQ": 4})
	case strings.Contains(q.MBean, "HintsService"):
		return ok([]any{map[string]any{"host_id": "b", "oldest_timestamp": "1700000009000", "total_files": "3"},
			map[string]any{"host_id": "a", "oldest_timestamp": "1700000001000"}, map[string]any{"host_id": "c", "oldest_timestamp": "ERROR"}})
	case strings.Contains(q.MBean, "ReadStage"):
		return absent()
	case strings.Contains(q.MBean, "ThreadPools"):
		name := strings.Replace(q.MBean, "name=*", "name=*", 1)
		out := gauges(name, "Value", map[string]any{"PendingTasks": 12, "MaxPoolSize": 32, "MaxTasksQueued": 2147483647})["value"].(map[string]any)
		out[strings.ReplaceAll(name, "*", "TotalBlockedTasks")] = map[string]any{"Count": 5}
		return ok(out)
	case strings.Contains(q.MBean, "LiveDiskSpaceUsed"):
		return gauges(metrics+"keyspace=ks,name=LiveDiskSpaceUsed,scope=*,type=Table", "Count", map[string]any{"wide": 9000, "small": 100, "leveled": 50000})
	case strings.Contains(q.MBean, "MaxSSTableSize"):
		return gauges(metrics+"keyspace=ks,name=MaxSSTableSize,scope=*,type=Table", "Value", map[string]any{"wide": 8000, "small": 100, "leveled": 160})
	}
	return absent()
}

func TestVitals(t *testing.T) {
	full := Vitals{Heap: Fill{3000, 8000, true}, Files: Fill{400, 100000, true}, Clients: Fill{90, 100, true}, Aborted: 2,
		Pools: []ThreadPool{{"Native-Transport-Requests", 12, 32, 2147483647, 5}, {"MutationStage", 12, 32, 2147483647, 5}},
		Hint:  OldestHint{"a", time.UnixMilli(1700000001000)}, Collecting: 2 * time.Second, Dropped: 7}
	sizes := map[string]map[string]int64{"ks": {"wide": 9000, "small": 100, "leveled": 50000}}
	with := func(change func(*Vitals)) Vitals {
		v := full
		change(&v)
		return v
	}
	for _, row := range []struct {
		why    string
		tables bool
		bean   string // whose answer is another
		answer any
		want   Vitals
	}{
		{"a pool that is not there is not known", false, "", nil, full},
		{"four of the largest tables, and never more than the table", true, "", nil,
			with(func(v *Vitals) { v.Compaction, v.Sizes = CompactionNeed{"ks.wide", 9000}, sizes })},
		{"without its largest a table counts whole", true, "MaxSSTableSize", absent(),
			with(func(v *Vitals) { v.Compaction, v.Sizes = CompactionNeed{"ks.leveled", 50000}, sizes })},
		{"no connections are bounded", false, storageProxy, ok(-1), with(func(v *Vitals) { v.Clients = Fill{} })},
		{"an attribute that throws is not known", false, "OperatingSystem", ok(map[string]any{"OpenFileDescriptorCount": 4, "MaxFileDescriptorCount": "ERROR: x"}),
			with(func(v *Vitals) { v.Files = Fill{} })},
		{"no compactions are counted", false, "CompactionsAborted", absent(), with(func(v *Vitals) { v.Aborted = -1 })},
		{"nothing was collected yet", false, "MemoryPool", ok(map[string]any{"java.lang:name=G1 Old Gen,type=MemoryPool": map[string]any{"CollectionUsage": map[string]any{"used": 0, "max": 8000}}}),
			with(func(v *Vitals) { v.Heap = Fill{} })},
		{"an old generation without a bound has that of the heap", false, "MemoryPool", ok(map[string]any{"java.lang:name=ZGC Old Generation,type=MemoryPool": map[string]any{"CollectionUsage": map[string]any{"used": 10, "max": -1}}}),
			with(func(v *Vitals) { v.Heap = Fill{10, 8100, true} })},
		{"collections are not timed", false, "GarbageCollector", absent(), with(func(v *Vitals) { v.Collecting = -1 })},
		{"no dropped message is counted", false, "DroppedMessage", ok(map[string]any{}), with(func(v *Vitals) { v.Dropped = -1 })},
		{"no hints wait", false, "HintsService", ok([]any{}), with(func(v *Vitals) { v.Hint = OldestHint{} })},
	} {
		t.Run(row.why, func(t *testing.T) {
			a := jolokia(t, func(asks []request) any {
				var out []any
				for _, q := range asks {
					if row.bean != "" && strings.Contains(q.MBean, row.bean) {
						out = append(out, row.answer)
						continue
					}
					out = append(out, vitalSigns(q))
				}
				return out
			})
			got, err := a.Vitals(t.Context(), row.tables)
			if err != nil || !reflect.DeepEqual(got, row.want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, row.want)
			}
		})
	}
}

func TestVitalsOfASilentNode(t *testing.T) {
	a := jolokia(t, func([]request) any { return "nonsense" })
	if _, err := a.Vitals(t.Context(), false); err == nil {
		t.Error("want an error")
	}
}
