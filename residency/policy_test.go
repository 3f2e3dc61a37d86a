// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"supervisor/cluster"
)

const (
	eu cluster.Region = "eu-central"
	us cluster.Region = "us-east"
)

// rule reads "orders audit_* -> eu-central us-east".
func rule(s string) Rule {
	left, right, _ := strings.Cut(s, "->")
	r := Rule{Keyspaces: strings.Fields(left)}
	for _, region := range strings.Fields(right) {
		r.Regions = append(r.Regions, cluster.Region(region))
	}
	return r
}

func policy(rules ...string) Policy {
	var p Policy
	for _, s := range rules {
		p.Rules = append(p.Rules, rule(s))
	}
	return p
}

func TestAdmit(t *testing.T) {
	for _, row := range []struct {
		why       string
		policy    Policy
		keyspaces string
		to        cluster.Region
		want      Why
		pattern   string
	}{
		{"a rule that names keyspace and region permits", policy("orders -> eu-central"), "orders", eu, "", ""},
		{"silence is not consent", Policy{}, "orders", eu, NoRule, ""},
		{"a keyspace nobody named is refused beside one that is", policy("orders -> eu-central"), "orders carts", eu, NoRule, ""},
		{"a region that is not listed is refused", policy("orders -> eu-central"), "orders", us, RegionNotListed, "orders"},
		{"a host whose region nobody knows gets nothing", policy("* -> eu-central"), "orders", "", RegionUnknown, ""},
		{"nor does it when the policy lists a blank region", Policy{Rules: []Rule{{[]string{"*"}, []cluster.Region{""}}}}, "orders", "", RegionUnknown, ""},
		{"nor Cassandra's own data", policy("* -> eu-central"), "system_auth", "", RegionUnknown, ""},
		{"a rule without regions permits none", policy("orders ->"), "orders", eu, RegionNotListed, "orders"},
		{"nor does a blank rule fall back on the one for all others", policy("* -> eu-central", "orders ->"), "orders", eu, RegionNotListed, "orders"},
		{"to ask about nothing is a forgotten list", policy("* -> eu-central"), "", eu, NothingAsked, ""},
		{"a star is no keyspace", policy("* -> eu-central"), "*", eu, NotAName, ""},
		{"a name longer than Cassandra's limit is no keyspace", policy("* -> eu-central"), strings.Repeat("a", 49), eu, NotAName, ""},
		{"a pattern fits what begins so", policy("audit_* -> eu-central"), "audit_2026", eu, "", ""},
		{"and nothing else", policy("audit_* -> eu-central"), "audit", eu, NoRule, ""},
		{"case counts, as in Cassandra", policy("orders -> eu-central"), "Orders", eu, NoRule, ""},
		{"a name beats a pattern, to forbid", policy("audit_* -> eu-central us-east", "audit_eu -> eu-central"), "audit_eu", us, RegionNotListed, "audit_eu"},
		{"a name beats a pattern, to permit", policy("audit_us -> us-east", "audit_* -> eu-central"), "audit_us", us, "", ""},
		{"a pattern beats the rule for all others", policy("* -> eu-central us-east", "audit_* -> eu-central"), "audit_eu", us, RegionNotListed, "audit_*"},
		{"patterns that agree are one voice", policy("audit_* -> eu-central us-east", "*_2026 -> us-east eu-central"), "audit_2026", us, "", ""},
		{"patterns that disagree permit nothing, not even what both list", policy("audit_* -> eu-central us-east", "*_2026 -> us-east"), "audit_2026", us, RulesDisagree, "audit_*"},
		{"a name that overrules them ends the dispute", policy("audit_* -> eu-central", "*_2026 -> us-east", "audit_2026 -> us-east"), "audit_2026", us, "", ""},
		{"one name in two rules that disagree permits nothing", policy("orders -> eu-central", "orders -> us-east"), "orders", eu, RulesDisagree, "orders"},
		{"Cassandra's own data goes anywhere while no rule names it", policy("orders -> eu-central"), "system_auth system_distributed system_traces", us, "", ""},
		{"unless the policy says otherwise by name", policy("system_auth -> eu-central"), "system_auth", us, RegionNotListed, "system_auth"},
		{"or by a rule for all", policy("* -> eu-central"), "system_traces", us, RegionNotListed, "*"},
		{"what never leaves its node is not permitted by nature", policy("orders -> eu-central"), "system", eu, NoRule, ""},
		{"the open policy permits what it never heard of", Open([]cluster.Region{eu, us}), "made_tomorrow", us, "", ""},
		{"but not in a region it never heard of", Open([]cluster.Region{eu, us}), "orders", "mars", RegionNotListed, "*"},
	} {
		t.Run(row.why, func(t *testing.T) {
			err := row.policy.Admit(strings.Fields(row.keyspaces), row.to)
			var refusal Refusal
			if errors.As(err, &refusal) != (row.want != "") || refusal.Why != row.want || refusal.Pattern != row.pattern {
				t.Fatalf("got %v (%q by %q), want %q by %q", err, refusal.Why, refusal.Pattern, row.want, row.pattern)
			}
		})
	}
}

func TestRefusalKeepsItsParts(t *testing.T) {
	err := fmt.Errorf("plan repair: %w", policy("orders -> eu-central").Admit([]string{"orders"}, us))
	var got Refusal
	if !errors.As(err, &got) || got != (Refusal{"orders", us, "orders", RegionNotListed}) || got.Rule() != "no-border-crossing" {
		t.Fatalf("got %+v", got)
	}
	raw, err := json.Marshal(got)
	if want := `{"keyspace":"orders","region":"us-east","pattern":"orders","why":"region_not_listed"}`; err != nil || string(raw) != want {
		t.Fatalf("on the wire: %s, %v", raw, err)
	}
}

func TestEachReasonIsASentence(t *testing.T) {
	seen := map[string]bool{}
	for _, why := range []Why{NoRule, RegionNotListed, RulesDisagree, RegionUnknown, NotAName, NothingAsked} {
		s := Refusal{Keyspace: "orders", Region: us, Pattern: "ord*", Why: why}.Error()
		if seen[s] || strings.HasSuffix(s, string(why)) || !strings.Contains(s, "us-east") {
			t.Errorf("%s reads %q", why, s)
		}
		seen[s] = true
	}
	if s := (Refusal{Keyspace: "orders", Why: "of_tomorrow"}).Error(); !strings.Contains(s, "of_tomorrow") {
		t.Errorf("a reason of a later version reads %q", s)
	}
}

func TestUnnamed(t *testing.T) {
	p := policy("orders -> eu-central", "audit_* ->")
	got := p.Unnamed([]string{"shop", "orders", "system", "system_auth", "system_views", "carts", "audit_1", "shop"})
	if want := []string{"carts", "shop"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Open([]cluster.Region{eu}).Unnamed([]string{"shop"}); len(got) != 0 {
		t.Errorf("the open policy leaves %v unnamed", got)
	}
}

func TestPolicyIsWrittenTheSameInBothForms(t *testing.T) {
	want := policy("orders audit_* -> eu-central")
	var fromYAML, fromJSON Policy
	if err := yaml.Unmarshal([]byte(`rules: [{keyspaces: ["orders","audit_*"], regions: ["eu-central"]}]`), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"rules":[{"keyspaces":["orders","audit_*"],"regions":["eu-central"]}]}`), &fromJSON); err != nil {
		t.Fatal(err)
	}
	for _, got := range []Policy{fromYAML, fromJSON} {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("read %v, want %v", got, want)
		}
	}
}

// anyPolicy draws rules over few names and regions, so that they meet.
func anyPolicy(t *rapid.T) Policy {
	entries := rapid.SampledFrom([]string{"*", "a*", "*b", "ab", "a", "b", "system_auth", "system_*"})
	regions := rapid.SampledFrom([]cluster.Region{eu, us, "ap"})
	rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Rule {
		return Rule{rapid.SliceOfN(entries, 1, 3).Draw(t, "keyspaces"), rapid.SliceOfN(regions, 0, 3).Draw(t, "regions")}
	}), 0, 4)
	return Policy{Rules: rules.Draw(t, "rules")}
}

func TestNothingIsPermittedWhereNoRuleListsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		ks := rapid.SampledFrom([]string{"a", "ab", "b", "ccc"}).Draw(t, "keyspace")
		to := rapid.SampledFrom([]cluster.Region{eu, us, "ap", "mars", ""}).Draw(t, "to")
		listed := slices.ContainsFunc(p.Rules, func(r Rule) bool {
			return slices.Contains(r.Regions, to) && slices.ContainsFunc(r.Keyspaces, func(e string) bool { return fits(e, ks) })
		})
		if err := p.Admit([]string{ks}, to); err == nil && !listed {
			t.Fatalf("%v admits %s to %s", p, ks, to)
		}
	})
}

func TestAValidPolicyNeverContradictsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.Custom(anyPolicy).Filter(func(p Policy) bool {
			return len(p.Validate([]cluster.Region{eu, us, "ap"})) == 0
		}).Draw(t, "policy")
		for _, ks := range []string{"a", "ab", "b", "aab", "system_auth", "ccc"} {
			var refusal Refusal
			if errors.As(p.Admit([]string{ks}, eu), &refusal) && refusal.Why == RulesDisagree {
				t.Fatalf("%v is valid, yet: %v", p, refusal)
			}
		}
	})
}

func TestOneRefusalRefusesAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		asked := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ab", "b", "system_auth", "ccc"}), 1, 4).Draw(t, "asked")
		each := true
		for _, ks := range asked {
			each = each && p.Admit([]string{ks}, eu) == nil
		}
		if all := p.Admit(asked, eu) == nil; all != each {
			t.Fatalf("%v admits %v together: %v, each: %v", p, asked, all, each)
		}
	})
}
