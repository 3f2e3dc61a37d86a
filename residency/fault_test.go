// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"slices"
	"strings"
	"testing"

	"supervisor/cluster"
)

func TestValidate(t *testing.T) {
	for _, row := range []struct {
		why    string
		policy Policy
		faults []string // path and a piece of what is wrong
	}{
		{"a policy that says all it must", policy("orders audit_* -> eu-central", "* -> eu-central us-east"), nil},
		{"the open policy", Open([]cluster.Region{eu, us}), nil},
		{"the strict one: no rule is a decision", Policy{}, nil},
		{"a rule for nothing", policy("-> eu-central"), []string{"rules[0].keyspaces: the list is empty"}},
		{"a rule that permits nowhere is a forgotten list", policy("orders ->"), []string{"rules[0].regions: the list is empty"}},
		{"a region nobody has is a slip of the pen", policy("orders -> eu-centrall"), []string{`rules[0].regions[0]: region "eu-centrall" is not known; want one of: eu-central, us-east`}},
		{"a blank region", Policy{Rules: []Rule{{[]string{"a"}, []cluster.Region{""}}}}, []string{`rules[0].regions[0]: region "" is not known`}},
		{"a region twice", policy("orders -> us-east us-east"), []string{`rules[0].regions[1]: region "us-east" is listed twice`}},
		{"a name Cassandra cannot have", policy("orders.items -> us-east"), []string{`rules[0].keyspaces[0]: "orders.items" is no name`}},
		{"a name too long", policy(strings.Repeat("a", 49) + " -> us-east"), []string{"is no name"}},
		{"other wildcards than the star", policy("ord?rs -> us-east"), []string{`"ord?rs" is no name`}},
		{"one name twice", policy("orders -> us-east", "a orders -> us-east"), []string{`rules[1].keyspaces[1]: "orders" stands in rules[0].keyspaces[0] already`}},
		{"one name twice in one rule", policy("orders orders -> us-east"), []string{"rules[0].keyspaces[1]"}},
		{"two rules for all others", policy("* -> us-east", "* -> eu-central"), []string{"rules[1].keyspaces[0]"}},
		{"patterns that meet and disagree", policy("audit_* -> us-east", "*_2026 -> eu-central"), []string{`rules[1].keyspaces[0]: "*_2026" and "audit_*" in rules[0].keyspaces[0] fit a common name`}},
		{"patterns that meet and agree", policy("audit_* -> us-east", "*_2026 -> us-east"), nil},
		{"patterns that never meet may disagree", policy("audit_* -> us-east", "orders_* -> eu-central"), nil},
		{"a name is no clash with a pattern it overrules", policy("audit_* -> us-east", "audit_eu -> eu-central"), nil},
		{"nor a pattern with the rule for all others", policy("* -> us-east", "audit_* -> eu-central"), nil},
		{"all faults at once, in the order of the document", policy("orders -> mars", "-> ", "orders -> us-east"),
			[]string{"rules[0].regions[0]", "rules[1].keyspaces", "rules[1].regions", "rules[2].keyspaces[0]"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			got := row.policy.Validate([]cluster.Region{us, eu})
			if len(got) != len(row.faults) {
				t.Fatalf("got %d faults %v, want %d", len(got), got, len(row.faults))
			}
			for i, want := range row.faults {
				if !strings.Contains(got[i].String(), want) {
					t.Errorf("fault %d is %q, want %q in it", i, got[i], want)
				}
			}
		})
	}
}

func TestWithoutRegionsEveryRegionIsUnknown(t *testing.T) {
	got := Open([]cluster.Region{eu}).Validate(nil)
	if len(got) != 1 || !strings.Contains(got[0].Want, "none yet") {
		t.Fatalf("got %v", got)
	}
}

// names are all words of up to six letters over a and b.
func names() []string {
	out := []string{""}
	for from, n := 0, 0; n < 6; n++ {
		end := len(out)
		for _, w := range out[from:end] {
			out = append(out, w+"a", w+"b")
		}
		from = end
	}
	return out[1:]
}

// fitsSlowly tries every way to spread the name over the stars.
func fitsSlowly(entry, name string) bool {
	if entry == "" {
		return name == ""
	}
	if entry[0] != '*' {
		return name != "" && entry[0] == name[0] && fitsSlowly(entry[1:], name[1:])
	}
	for i := range len(name) + 1 {
		if fitsSlowly(entry[1:], name[i:]) {
			return true
		}
	}
	return false
}

func TestOverlapIsWhatNamesSay(t *testing.T) {
	var entries []string
	for _, a := range []string{"", "a", "b", "*"} {
		for _, b := range []string{"", "a", "b", "*"} {
			for _, c := range []string{"", "a", "b", "*"} {
				if e := a + b + c; e != "" && !slices.Contains(entries, e) {
					entries = append(entries, e)
				}
			}
		}
	}
	all := names()
	for _, a := range entries {
		for _, b := range entries {
			common := slices.ContainsFunc(all, func(n string) bool { return fitsSlowly(a, n) && fitsSlowly(b, n) })
			if got := overlap(a, b); got != common {
				t.Fatalf("overlap(%q, %q) is %v, a common name exists: %v", a, b, got, common)
			}
		}
		for _, n := range all {
			if got := fits(a, n); got != fitsSlowly(a, n) {
				t.Fatalf("%q fits %q: %v", a, n, got)
			}
		}
	}
}

func FuzzFits(f *testing.F) {
	f.Add("audit_*", "audit_2026")
	f.Add("*_*", "a_b")
	f.Add("**a", "aa")
	f.Fuzz(func(t *testing.T, entry, name string) {
		got := fits(entry, name)
		if got && !isName(name) {
			t.Fatalf("%q fits %q, which is no name", entry, name)
		}
		if isName(name) && len(entry) < 8 && len(name) < 20 && got != fitsSlowly(entry, name) {
			t.Fatalf("%q fits %q: %v", entry, name, got)
		}
	})
}
