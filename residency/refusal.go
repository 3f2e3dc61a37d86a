// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"fmt"

	"supervisor/cluster"
)

// Invariant is the name under which refusals of this room are counted, shown
// and documented.
const Invariant = "no-border-crossing"

// Why is the reason of a Refusal, as the wire spells it.
type Why string

// The reasons.
const (
	NoRule          Why = "no_rule"           // the policy does not name the keyspace
	RegionNotListed Why = "region_not_listed" // it does, and the region is not among those permitted
	RulesDisagree   Why = "rules_disagree"    // two rules of equal strength permit different regions
	RegionUnknown   Why = "region_unknown"    // nobody knows where the target stands
	NotAName        Why = "not_a_name"        // no keyspace can be called so
	NothingAsked    Why = "nothing_asked"     // no keyspace was named
)

// Refusal is the answer no, with its parts, so that whoever shows it can say
// which rule spoke. It is an error value: errors.As finds it.
type Refusal struct {
	Keyspace string         `json:"keyspace"`
	Region   cluster.Region `json:"region"`
	Pattern  string         `json:"pattern,omitempty"` // the rule's entry that spoke, if one did
	Why      Why            `json:"why"`
}

// Error says the refusal as one sentence.
func (r Refusal) Error() string {
	data := fmt.Sprintf("data of keyspace %q may not stand in region %q: ", r.Keyspace, r.Region)
	switch r.Why {
	case NoRule:
		return data + "no rule of the policy names the keyspace"
	case RegionNotListed:
		return data + fmt.Sprintf("the rule for %q does not list the region", r.Pattern)
	case RulesDisagree:
		return data + fmt.Sprintf("the rule for %q and another one permit different regions", r.Pattern)
	case RegionUnknown:
		return data + "where the target stands is not known"
	case NotAName:
		return data + "this is no name of a keyspace"
	case NothingAsked:
		return fmt.Sprintf("nothing is known to be permitted in region %q: no keyspace was named", r.Region)
	}
	return data + string(r.Why)
}

// Rule is the name of the invariant that the refusal protects.
func (r Refusal) Rule() string { return Invariant }
