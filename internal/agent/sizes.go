// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"slices"

	"supervisor/internal/cassandra"
)

// What this host's tables hold is told roughly, in the agent's own key: a repair
// is cut by it. It is a power of two of MiB, and stays while it is not far off, so
// that the key rests; smaller tables are not told of.
const (
	sizeUnit = 1 << 20
	// sizesMax bounds the tables that are told of; the largest count most.
	sizesMax = 1000
)

// weigh takes a reading of the tables in.
func (d *desk) weigh(said *cassandra.Vitals) {
	if said != nil && said.Sizes != nil {
		d.sizes = roughly(said.Sizes, d.sizes)
	}
}

// roughly is what is told of sizes, by keyspace and table, after what was told
// before.
func roughly(sizes map[string]map[string]int64, told map[string]map[string]int64) map[string]map[string]int64 {
	type sized struct {
		keyspace, table string
		units           int64
	}
	var all []sized
	for _, keyspace := range sortedKeys(sizes) {
		for _, table := range sortedKeys(sizes[keyspace]) {
			if n := near(sizes[keyspace][table], told[keyspace][table]); n > 0 {
				all = append(all, sized{keyspace, table, n})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b sized) int { return cmp.Compare(b.units, a.units) })
	out := map[string]map[string]int64{}
	for _, s := range all[:min(sizesMax, len(all))] {
		if out[s.keyspace] == nil {
			out[s.keyspace] = map[string]int64{}
		}
		out[s.keyspace][s.table] = s.units
	}
	return out
}

// near is a size as it is told: as before while it is between half and twice of
// that, else the next power of two.
func near(bytes, told int64) int64 {
	if was := told * sizeUnit; told > 0 && bytes > was/2 && bytes < 2*was {
		return told
	}
	if bytes < sizeUnit {
		return 0
	}
	n := int64(1)
	for n*sizeUnit < bytes {
		n *= 2
	}
	return n
}
