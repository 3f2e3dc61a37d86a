// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"slices"

	"supervisor/cluster"
)

// Rule permits its keyspaces to stand in its regions, and in no others.
type Rule struct {
	// Keyspaces are names, patterns in which * stands for any run of
	// characters, or * alone for every keyspace that nothing else names.
	Keyspaces []string `json:"keyspaces" yaml:"keyspaces"`
	// Regions are where the data may stand. None is a fault, not "nowhere".
	Regions []cluster.Region `json:"regions" yaml:"regions"`
}

// Policy says where the data of each keyspace may stand. A name beats a
// pattern and a pattern beats *; within one kind all rules that fit must agree.
// The zero Policy names nothing: it refuses every keyspace of the user.
type Policy struct {
	Rules []Rule `json:"rules" yaml:"rules"`
}

// Open permits every keyspace, also one made later, in the regions given and
// nowhere else.
func Open(regions []cluster.Region) Policy {
	return Policy{Rules: []Rule{{Keyspaces: []string{"*"}, Regions: slices.Clone(regions)}}}
}

// Admit answers for every keyspace whose data would move to the region. It
// returns nil only if all are permitted, else the Refusal of the first that is
// not. To be asked about no keyspace at all is refused: somebody forgot the
// list.
//
// system_auth, system_distributed and system_traces hold data of Cassandra
// itself. They may stand in any region unless a rule, * included, names them.
func (p Policy) Admit(keyspaces []string, to cluster.Region) error {
	if len(keyspaces) == 0 {
		return Refusal{Region: to, Why: NothingAsked}
	}
	for _, ks := range keyspaces {
		if why, pattern := p.ask(ks, to); why != "" {
			return Refusal{Keyspace: ks, Region: to, Pattern: pattern, Why: why}
		}
	}
	return nil
}

// ask gives no reason when the answer is yes.
func (p Policy) ask(ks string, to cluster.Region) (why Why, pattern string) {
	if !isName(ks) {
		return NotAName, ""
	}
	if to == "" {
		return RegionUnknown, ""
	}
	speaking := p.speaking(ks)
	if len(speaking) == 0 {
		if cluster.OfCassandra(ks) {
			return "", ""
		}
		return NoRule, ""
	}
	first := speaking[0]
	for _, other := range speaking[1:] {
		if !sameRegions(other.regions, first.regions) {
			return RulesDisagree, first.pattern
		}
	}
	if !slices.Contains(first.regions, to) {
		return RegionNotListed, first.pattern
	}
	return "", ""
}

// Unnamed returns, sorted, those keyspaces about which the policy says nothing
// and whose data therefore may stand nowhere. Keyspaces that Cassandra keeps
// for itself are never among them.
func (p Policy) Unnamed(keyspaces []string) []string {
	var out []string
	for _, ks := range keyspaces {
		if !cluster.NeverReplicated(ks) && !cluster.OfCassandra(ks) && len(p.speaking(ks)) == 0 {
			out = append(out, ks)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// speaker is one entry of a rule that fits a keyspace.
type speaker struct {
	pattern string
	regions []cluster.Region
}

// speaking returns the entries of the strongest kind that fit, in order.
func (p Policy) speaking(ks string) []speaker {
	var fitting [catchAll + 1][]speaker
	for _, r := range p.Rules {
		for _, pattern := range r.Keyspaces {
			if fits(pattern, ks) {
				k := kindOf(pattern)
				fitting[k] = append(fitting[k], speaker{pattern, r.Regions})
			}
		}
	}
	for _, of := range fitting {
		if len(of) > 0 {
			return of
		}
	}
	return nil
}

// sameRegions compares as sets.
func sameRegions(a, b []cluster.Region) bool {
	return slices.Equal(sorted(a), sorted(b))
}

func sorted(regions []cluster.Region) []cluster.Region {
	return slices.Compact(slices.Sorted(slices.Values(regions)))
}
