// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"fmt"
	"slices"

	"supervisor/cluster"
)

// Holdings are what a node keeps beside, or instead of, what its replicas should:
// names and sizes, no row. A part that a release does not tell, or that failed, is
// nil.
type Holdings struct {
	Stored    map[string]int64 // bytes on disk by keyspace, without snapshots and what is in memory
	Written   []string         // keyspaces of whose writes it was the coordinator since its process began
	Snapshots []string         // keyspaces of which it keeps snapshots
	HintsFor  []cluster.HostID // nodes that hints wait for on its disk
	Traced    *bool            // there are sessions in system_traces on its disk or in its memory
	Batched   *bool            // there are batches in its batchlog
}

// Holdings reads them in one POST, of the keyspaces named; each costs some hundred
// bytes a table.
func (a *Admin) Holdings(ctx context.Context, keyspaces []string) (Holdings, error) {
	asks := []request{
		{Type: "read", MBean: "org.apache.cassandra.hints:type=HintsService", Attribute: "PendingHints"},
		{Type: "read", MBean: metrics + "type=Table,keyspace=system_traces,scope=sessions,name=EstimatedPartitionCount", Attribute: "Value"},
		{Type: "exec", MBean: "org.apache.cassandra.db:type=BatchlogManager", Operation: "countAllBatches"},
	}
	fixed := len(asks)
	for _, ks := range keyspaces {
		for _, m := range tableSums {
			asks = append(asks, request{Type: "read", MBean: metrics + "type=Table,keyspace=" + ks + ",scope=*,name=" + m.name, Attribute: m.attribute})
		}
	}
	got, err := a.bulk(ctx, a.o.ReadMax, asks...)
	if err != nil {
		return Holdings{}, fmt.Errorf("read holdings: %w", err)
	}
	h := Holdings{HintsFor: hintedIn(got[0]), Traced: someOf(got[1]), Batched: someOf(got[2])}
	h.sum(keyspaces, got[fixed:])
	return h, nil
}

// tableSums are the readings of every table that are summed up for its keyspace.
var tableSums = []struct{ name, attribute string }{
	{"LiveDiskSpaceUsed", "Count"}, {"CoordinatorWriteLatency", "Count"}, {"SnapshotsSize", "Value"},
}

// sum takes in the readings of keyspaces. What one keyspace does not tell is not
// known of any.
func (h *Holdings) sum(keyspaces []string, got []answer) {
	var known [3]bool
	sums := [3]map[string]int64{}
	for m := range tableSums {
		known[m], sums[m] = true, map[string]int64{}
		for i, ks := range keyspaces {
			n, told := sumOf(got[i*len(tableSums)+m])
			known[m] = known[m] && told
			if n > 0 {
				sums[m][ks] = n
			}
		}
	}
	if known[0] {
		h.Stored = sums[0]
	}
	if known[1] {
		h.Written = positive(sums[1])
	}
	if known[2] {
		h.Snapshots = positive(sums[2])
	}
}

// sumOf adds up one reading of every table of a keyspace, views among them. A table
// that does not tell a number leaves the sum unknown.
func sumOf(n answer) (sum int64, told bool) {
	var beans map[string]struct{ Value, Count *int64 }
	if n.into(&beans) != nil || len(beans) == 0 {
		return 0, false
	}
	for _, b := range beans { // order: a sum
		switch {
		case b.Count != nil:
			sum += *b.Count
		case b.Value != nil:
			sum += *b.Value
		default:
			return 0, false
		}
	}
	return sum, true
}

func positive(sums map[string]int64) []string {
	out := []string{}
	for ks := range sums { // order: sorted below; what is 0 is not in it
		out = append(out, ks)
	}
	slices.Sort(out)
	return out
}

// hintedIn lists the nodes that hints wait for in files.
func hintedIn(n answer) []cluster.HostID {
	var pending []map[string]any
	if n.into(&pending) != nil {
		return nil
	}
	out := []cluster.HostID{}
	for _, p := range pending {
		id, _ := p["host_id"].(string)
		if id == "" {
			return nil // of a release that tells it in another way
		}
		out = append(out, cluster.HostID(id))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func someOf(n answer) *bool {
	var count int64
	if n.into(&count) != nil {
		return nil
	}
	some := count > 0
	return &some
}
