// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
)

// Vitals are readings that tell of a failure before it is one, of one moment.
// What a release, or a node that starts, does not tell is not known.
type Vitals struct {
	Heap    Fill // the oldest generation as its last collection left it, in bytes
	Files   Fill // open file descriptors
	Clients Fill // connections of clients, where the node bounds them
	Pools   []ThreadPool
	// Aborted counts compactions that were given up for lack of space since the
	// process began; -1: not known.
	Aborted int64
	Hint    OldestHint
	// Collecting is the time that garbage collections took since the process began,
	// and Dropped how many messages of other nodes or clients were dropped; -1: not known.
	Collecting time.Duration
	Dropped    int64
	// Compaction is the most space that a compaction may need beside what stands;
	// read only when it is asked for.
	Compaction CompactionNeed
	// Sizes are the bytes on disk by keyspace and table; nil: not asked for or not told.
	Sizes map[string]map[string]int64
}

// Fill is how much of something is used.
type Fill struct {
	Used, Max int64
	Known     bool
}

// ThreadPool is a pool and the queue before it.
type ThreadPool struct {
	Name     string
	Pending  int64
	Threads  int64
	QueueMax int64 // tasks that may wait; a bound that cannot be reached is no bound
	Blocked  int64 // tasks that waited because the queue was full, since the process began
}

// OldestHint is the oldest hint that waits in a file of this node; its time is
// zero when none waits, or none is told.
type OldestHint struct {
	For cluster.HostID
	At  time.Time // by the wall clock of the node
}

// CompactionNeed is an estimate and no promise: a compaction puts together about
// four SSTables as large as the largest, and never more than the table has. Bytes 0:
// not known.
type CompactionNeed struct {
	Table string // keyspace.table
	Bytes int64
}

const (
	metrics = "org.apache.cassandra.metrics:"
	// merged is how many SSTables of one size a compaction puts together, by the
	// default of every strategy that goes by size.
	merged = 4
)

// watchedPools are the pools whose queues are read, with their paths.
var watchedPools = []struct{ path, name string }{
	{"transport", "Native-Transport-Requests"}, {"request", "ReadStage"}, {"request", "MutationStage"},
}

// Vitals reads all of it in one POST. With tables it also looks at the size of
// every table, two numbers and some 300 bytes each.
func (a *Admin) Vitals(ctx context.Context, tables bool) (Vitals, error) {
	lenient := map[string]any{"ignoreErrors": true}
	asks := []request{
		{Type: "read", MBean: "java.lang:type=MemoryPool,name=*", Attribute: "CollectionUsage", Config: lenient},
		{Type: "read", MBean: "java.lang:type=Memory", Attribute: "HeapMemoryUsage"},
		{Type: "read", MBean: "java.lang:type=OperatingSystem", Config: lenient,
			Attribute: []string{"OpenFileDescriptorCount", "MaxFileDescriptorCount"}},
		{Type: "read", MBean: metrics + "type=Client,name=ConnectedNativeClients", Attribute: "Value"},
		{Type: "read", MBean: storageProxy, Attribute: "NativeTransportMaxConcurrentConnections"},
		{Type: "read", MBean: metrics + "type=Compaction,name=CompactionsAborted", Attribute: "Count"},
		{Type: "read", MBean: "org.apache.cassandra.hints:type=HintsService", Attribute: "PendingHints"},
		{Type: "read", MBean: "java.lang:type=GarbageCollector,name=*", Attribute: "CollectionTime", Config: lenient},
		{Type: "read", MBean: metrics + "type=DroppedMessage,scope=*,name=Dropped", Attribute: "Count", Config: lenient},
	}
	pools := len(asks)
	for _, p := range watchedPools {
		asks = append(asks, request{Type: "read", MBean: metrics + "type=ThreadPools,path=" + p.path + ",scope=" + p.name + ",name=*", Config: lenient})
	}
	sizes := len(asks)
	if tables {
		for _, name := range []string{"LiveDiskSpaceUsed", "MaxSSTableSize"} {
			asks = append(asks, request{Type: "read", MBean: metrics + "type=Table,keyspace=*,scope=*,name=" + name, Config: lenient})
		}
	}
	got, err := a.bulk(ctx, a.o.ReadMax, asks...)
	if err != nil {
		return Vitals{}, fmt.Errorf("read vitals: %w", err)
	}
	v := Vitals{Heap: heapOf(got[0], got[1]), Files: filesOf(got[2]), Clients: clientsOf(got[3], got[4]), Aborted: -1, Hint: hintOf(got[6]),
		Collecting: collectingOf(got[7]), Dropped: droppedOf(got[8])}
	var aborted int64
	if got[5].into(&aborted) == nil {
		v.Aborted = aborted
	}
	for i, p := range watchedPools {
		if pool, known := poolOf(p.name, got[pools+i]); known {
			v.Pools = append(v.Pools, pool)
		}
	}
	if tables {
		v.Compaction = needOf(got[sizes], got[sizes+1])
		v.Sizes = sizesOf(got[sizes])
	}
	return v, nil
}

// usage is how Java tells of memory.
type usage struct{ Used, Max int64 }

// heapOf finds the oldest generation by its name, which each collector spells
// its own way. One that has not been collected yet says nothing, and one
// without a bound of its own has that of the heap.
func heapOf(collected, heap answer) Fill {
	var pools map[string]struct{ CollectionUsage *usage }
	if collected.into(&pools) != nil {
		return Fill{}
	}
	for _, bean := range slices.Sorted(maps.Keys(pools)) {
		u := pools[bean].CollectionUsage
		if !oldest(property(bean, "name")) || u == nil || u.Used <= 0 {
			continue
		}
		var whole usage
		if u.Max <= 0 && heap.into(&whole) == nil {
			u.Max = whole.Max
		}
		return Fill{Used: u.Used, Max: u.Max, Known: u.Max > 0}
	}
	return Fill{}
}

func oldest(pool string) bool {
	return strings.Contains(pool, "Old Gen") || strings.Contains(pool, "Tenured") || pool == "ZHeap" || pool == "Shenandoah"
}

// collectingOf adds up the collectors. One that does not tell its time says -1, as the
// JVM does.
func collectingOf(n answer) time.Duration {
	var beans map[string]struct{ CollectionTime *int64 }
	if n.into(&beans) != nil || len(beans) == 0 {
		return -1
	}
	ms := int64(0)
	for _, b := range beans { // order: a sum
		if b.CollectionTime != nil && *b.CollectionTime > 0 {
			ms += *b.CollectionTime
		}
	}
	return time.Duration(ms) * time.Millisecond
}

// droppedOf adds up the kinds of messages.
func droppedOf(n answer) int64 {
	counts := metricValues(n, "scope")
	if len(counts) == 0 {
		return -1
	}
	sum := int64(0)
	for _, c := range counts { // order: a sum
		sum += c
	}
	return sum
}

func filesOf(n answer) Fill {
	var v map[string]json.RawMessage
	var f Fill
	if n.into(&v) != nil || json.Unmarshal(v["OpenFileDescriptorCount"], &f.Used) != nil || json.Unmarshal(v["MaxFileDescriptorCount"], &f.Max) != nil {
		return Fill{}
	}
	f.Known = f.Max > 0
	return f
}

// clientsOf knows no bound where Cassandra has none, which it spells -1.
func clientsOf(connected, bound answer) Fill {
	var f Fill
	if connected.into(&f.Used) != nil || bound.into(&f.Max) != nil || f.Max <= 0 {
		return Fill{}
	}
	f.Known = true
	return f
}

// metricValues are the numbers of beans that a pattern found, by one of their
// properties: a gauge has a Value, a counter a Count.
func metricValues(n answer, by ...string) map[string]int64 {
	var beans map[string]struct{ Value, Count json.RawMessage }
	out := map[string]int64{}
	if n.into(&beans) != nil {
		return out
	}
	for bean, b := range beans {
		var v int64
		if json.Unmarshal(b.Value, &v) != nil && json.Unmarshal(b.Count, &v) != nil {
			continue
		}
		parts := make([]string, len(by))
		for i, key := range by {
			parts[i] = property(bean, key)
		}
		out[strings.Join(parts, ".")] = v
	}
	return out
}

func poolOf(name string, n answer) (ThreadPool, bool) {
	v := metricValues(n, "name")
	pending, known := v["PendingTasks"]
	return ThreadPool{Name: name, Pending: pending, Threads: v["MaxPoolSize"], QueueMax: v["MaxTasksQueued"], Blocked: v["TotalBlockedTasks"]}, known
}

// hintOf passes over what it cannot read: a release may tell more than this.
func hintOf(n answer) OldestHint {
	var pending []map[string]any
	var oldest OldestHint
	if n.into(&pending) != nil {
		return oldest
	}
	for _, p := range pending {
		id, _ := p["host_id"].(string)
		ms, err := strconv.ParseInt(fmt.Sprint(p["oldest_timestamp"]), 10, 64)
		if at := time.UnixMilli(ms); err == nil && id != "" && ms > 0 && (oldest.At.IsZero() || at.Before(oldest.At)) {
			oldest = OldestHint{For: cluster.HostID(id), At: at}
		}
	}
	return oldest
}

// needOf is the largest need of any table. Where a release does not tell its
// largest SSTable, the whole table counts.
func needOf(live, largest answer) CompactionNeed {
	bytes, tops := metricValues(live, "keyspace", "scope"), metricValues(largest, "keyspace", "scope")
	var need CompactionNeed
	for _, table := range slices.Sorted(maps.Keys(bytes)) {
		n := bytes[table]
		if top, known := tops[table]; known {
			n = min(n, merged*top)
		}
		if n > need.Bytes {
			need = CompactionNeed{Table: table, Bytes: n}
		}
	}
	return need
}

// sizesOf are the sizes of all tables. Names have no dot in them.
func sizesOf(live answer) map[string]map[string]int64 {
	var out map[string]map[string]int64
	for name, n := range metricValues(live, "keyspace", "scope") { // order: into a map
		keyspace, table, _ := strings.Cut(name, ".")
		if out == nil {
			out = map[string]map[string]int64{}
		}
		if out[keyspace] == nil {
			out[keyspace] = map[string]int64{}
		}
		out[keyspace][table] = n
	}
	return out
}

// property is one key of a bean's name, which Jolokia tells in the order of the
// alphabet.
func property(bean, key string) string {
	_, list, _ := strings.Cut(bean, ":")
	for pair := range strings.SplitSeq(list, ",") {
		if k, v, _ := strings.Cut(pair, "="); k == key {
			return v
		}
	}
	return ""
}
