// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"
	"time"

	"supervisor/cluster"
)

// Still is for how long a replica is known to have taken nothing for a table, to
// the moment of its word. Zero: not known.
type Still struct {
	Writes time.Duration // no mutation was applied
	Data   time.Duration // and nothing was streamed, loaded or flushed either
}

// Question is what Quiet looks at.
type Question struct {
	Schema cluster.Schema
	Node   cluster.Name // whose repair it is: its own word counts for nothing
	// For is how long ago the node began to lack writes, with all margins.
	For time.Duration
	// Written counts the mutations alone, of a table for which that is enough. Nil: of none.
	Written func(keyspace, table string) bool
	// Says is the word of a replica. Not known: it does not say, or is not believed.
	Says func(replica cluster.Name, keyspace, table string) (Still, bool)
}

// Quiet names the tables, by keyspace and sorted, of which the node lacks nothing:
// every other replica of every range it holds has a word that nothing was written
// there for so long. One replica that does not say is one that was written to. A
// view and its base go together: what was written to one is looked for in both.
//
// Never named are the keyspaces that Cassandra made itself, and those whose replicas
// are not known.
func Quiet(q Question) map[string][]string {
	ring, err := q.Schema.Ring()
	if err != nil || q.For <= 0 {
		return nil
	}
	out := map[string][]string{}
	for _, ks := range q.Schema.Keyspaces {
		if cluster.NeverReplicated(ks.Name) || cluster.OfCassandra(ks.Name) {
			continue
		}
		placed, err := ring.PlacementOf(ks.Replication, q.Node)
		if err != nil {
			continue
		}
		if quiet := q.quiet(ks, others(placed, q.Node)); len(quiet) > 0 {
			out[ks.Name] = quiet
		}
	}
	return out
}

// Replicas are the other nodes that hold data of a node's ranges, by name: those
// whose word Quiet asks for.
func Replicas(s cluster.Schema, node cluster.Name) []cluster.Name {
	ring, err := s.Ring()
	if err != nil {
		return nil
	}
	var placed []cluster.Placed
	for _, ks := range s.Keyspaces {
		if cluster.NeverReplicated(ks.Name) || cluster.OfCassandra(ks.Name) {
			continue
		}
		if of, err := ring.PlacementOf(ks.Replication, node); err == nil {
			placed = append(placed, of...)
		}
	}
	return others(placed, node)
}

func others(placed []cluster.Placed, node cluster.Name) []cluster.Name {
	seen := map[cluster.Name]bool{node: true}
	var out []cluster.Name
	for _, p := range placed {
		for _, n := range p.Replicas {
			if !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out
}

// quiet are the tables of one keyspace. Without another replica nobody can say.
func (q Question) quiet(ks cluster.Keyspace, replicas []cluster.Name) []string {
	written := map[string]bool{}
	for _, t := range ks.Tables {
		if len(replicas) == 0 || !q.everywhere(ks.Name, t.Name, replicas) {
			written[t.Name] = true
		}
	}
	for spread := true; spread; { // a base has several views: one that was written takes the others along
		spread = false
		for _, t := range ks.Tables {
			if t.Base != "" && written[t.Name] != written[t.Base] {
				written[t.Name], written[t.Base], spread = true, true, true
			}
		}
	}
	var out []string
	for _, t := range ks.Tables {
		if !written[t.Name] {
			out = append(out, t.Name)
		}
	}
	slices.Sort(out)
	return out
}

// everywhere tells whether every replica says that a table is quiet. The last
// instant counts as written.
func (q Question) everywhere(keyspace, table string, replicas []cluster.Name) bool {
	mutations := q.Written != nil && q.Written(keyspace, table)
	return !slices.ContainsFunc(replicas, func(n cluster.Name) bool {
		s, known := q.Says(n, keyspace, table)
		still := min(s.Data, s.Writes)
		if mutations {
			still = s.Writes
		}
		return !known || still <= q.For
	})
}
