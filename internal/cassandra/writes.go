// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"fmt"
)

// TableWrites are two counters of one table, since the process began.
type TableWrites struct {
	Count int64 // mutations that were applied, of clients, hints, batches and read repair
	// Bytes is what its SSTables take. It grows by what counts no mutation: a flush, a
	// stream, a bulk load.
	Bytes int64
}

// Writes reads the write counters of all tables by keyspace.table, in one POST; 400
// tables are 100 kB. A table that has no one of the two is left out. What is not a
// table of its own, like an index, is not there.
func (a *Admin) Writes(ctx context.Context) (map[string]TableWrites, error) {
	lenient := map[string]any{"ignoreErrors": true}
	var asks []request
	for _, name := range []string{"WriteLatency", "LiveDiskSpaceUsed"} {
		asks = append(asks, request{Type: "read", MBean: metrics + "type=Table,keyspace=*,scope=*,name=" + name, Attribute: []string{"Count"}, Config: lenient})
	}
	got, err := a.bulk(ctx, a.o.ReadMax, asks...)
	if err != nil {
		return nil, fmt.Errorf("read write counters: %w", err)
	}
	for _, n := range got {
		if err := n.fault(); err != nil {
			return nil, fmt.Errorf("read write counters from %s: %w", a.url, err)
		}
	}
	counts, bytes := metricValues(got[0], "keyspace", "scope"), metricValues(got[1], "keyspace", "scope")
	out := make(map[string]TableWrites, len(counts))
	for table, n := range counts { // order: into a map
		if size, both := bytes[table]; both {
			out[table] = TableWrites{Count: n, Bytes: size}
		}
	}
	return out, nil
}
