// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"supervisor/cluster"
)

// Pair is a keyspace and a region in which its data may, or may not, stand.
type Pair struct {
	// Keyspace is a name, or with * what stands for the names that nobody has given yet.
	Keyspace string         `json:"keyspace"`
	Region   cluster.Region `json:"region"`
}

// Difference is what another policy would change.
type Difference struct {
	Allowed []Pair `json:"allowed"` // newly: may stand there, and might not before
	Refused []Pair `json:"refused"` // from then on: may not stand there, and might before
}

// Widens tells whether data may stand in more places.
func (d Difference) Widens() bool { return len(d.Allowed) > 0 }

// Witness is a name to ask two policies about, and how it is shown: a keyspace
// as it is called, or the pattern that it stands for.
type Witness struct{ Name, Shown string }

// Compare says what may stand where by one of two policies and not by the other,
// for the keyspaces that exist, those that a rule names, and those that only a
// pattern fits. It is sorted by keyspace, then by region.
func Compare(old, next Policy, keyspaces []string, regions []cluster.Region) Difference {
	d := Difference{Allowed: []Pair{}, Refused: []Pair{}}
	for _, w := range Witnesses(old, next, keyspaces) {
		before, after := old.reach(w.Name), next.reach(w.Name)
		for _, r := range sorted(regions) {
			switch was, is := before.allows(r), after.allows(r); {
			case is && !was:
				d.Allowed = append(d.Allowed, Pair{w.Shown, r})
			case was && !is:
				d.Refused = append(d.Refused, Pair{w.Shown, r})
			}
		}
	}
	d.Allowed, d.Refused = distinct(d.Allowed), distinct(d.Refused)
	return d
}

func distinct(pairs []Pair) []Pair {
	slices.SortFunc(pairs, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a.Keyspace, b.Keyspace), cmp.Compare(a.Region, b.Region))
	})
	return slices.Compact(pairs)
}

// ofCassandra are permitted where no rule speaks of them, so that they are seen
// apart from all others.
var ofCassandra = []string{"system_auth", "system_distributed", "system_traces"}

// Witnesses are names of which one at least shows each difference between two
// policies in order: those given and those that rules spell out, Cassandra's own,
// one that only the entry fits for each pattern, and one for every two patterns
// that meet, because a name may be spoken for by another pattern before than after.
func Witnesses(old, next Policy, keyspaces []string) []Witness {
	shown := map[string]string{}
	for _, ks := range slices.Concat(keyspaces, ofCassandra) {
		if !cluster.NeverReplicated(ks) {
			shown[ks] = ks
		}
	}
	before, after := old.entries(), next.entries()
	for _, e := range slices.Concat(before, after) {
		note(shown, e)
	}
	for _, a := range before {
		for _, b := range after {
			if a != b && kindOf(a) != exact && kindOf(b) != exact {
				if both, meet := meeting(a, b); meet {
					note(shown, both)
				}
			}
		}
	}
	out := make([]Witness, 0, len(shown))
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		out = append(out, Witness{name, shown[name]})
	}
	return out
}

// note adds the name that stands for an entry; a spelled one stands for itself.
func note(shown map[string]string, entry string) {
	name := standIn(entry)
	if _, known := shown[name]; !known && isName(name) {
		shown[name] = entry
	}
}

// standIn is a name that fits an entry and, as far as one can be found, nothing
// that somebody would write: of what may stand for the star, the longest that
// leaves a name within Cassandra's limit.
func standIn(entry string) string {
	for _, filler := range []string{"zz_nobody", "zqz", "q"} {
		if name := strings.ReplaceAll(entry, "*", filler); isName(name) {
			return name
		}
	}
	return strings.ReplaceAll(entry, "*", "")
}

// entries are those of all rules, once each, in order.
func (p Policy) entries() []string {
	var out []string
	for _, r := range p.Rules {
		for _, e := range r.Keyspaces {
			if isEntry(e) {
				out = append(out, e)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// meeting is an entry whose names all fit both: what they have in common,
// with a star wherever both have one.
func meeting(a, b string) (string, bool) {
	if !overlap(a, b) {
		return "", false
	}
	var out strings.Builder
	for a != "" || b != "" {
		switch {
		case a != "" && b != "" && a[0] == '*' && b[0] == '*':
			out.WriteByte('*')
			if overlap(a[1:], b) {
				a = a[1:]
			} else {
				b = b[1:]
			}
		case a != "" && a[0] == '*':
			a, b = past(a, b, &out)
		case b != "" && b[0] == '*':
			b, a = past(b, a, &out)
		default:
			out.WriteByte(a[0])
			a, b = a[1:], b[1:]
		}
	}
	return strings.ReplaceAll(out.String(), "**", "*"), true
}

// past ends the star at the head of a where what follows still meets b, else
// lets it stand for one more character of b.
func past(a, b string, out *strings.Builder) (string, string) {
	if overlap(a[1:], b) {
		return a[1:], b
	}
	out.WriteByte(b[0])
	return a, b[1:]
}

// reach is where the data of one keyspace may stand.
type reach struct {
	why      Why // it may stand nowhere
	anywhere bool
	regions  []cluster.Region
}

func (r reach) allows(to cluster.Region) bool {
	return to != "" && r.why == "" && (r.anywhere || slices.Contains(r.regions, to))
}

// reach answers as Admit does, for all regions at once.
func (p Policy) reach(ks string) reach {
	if !isName(ks) {
		return reach{why: NotAName}
	}
	speaking := p.speaking(ks)
	if len(speaking) == 0 {
		if cluster.OfCassandra(ks) {
			return reach{anywhere: true}
		}
		return reach{why: NoRule}
	}
	for _, other := range speaking[1:] {
		if !sameRegions(other.regions, speaking[0].regions) {
			return reach{why: RulesDisagree}
		}
	}
	return reach{regions: sorted(speaking[0].regions)}
}
