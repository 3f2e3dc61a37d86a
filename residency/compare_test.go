// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

func spelledPairs(pairs []Pair) string {
	var words []string
	for _, p := range pairs {
		words = append(words, p.Keyspace+"@"+string(p.Region))
	}
	return strings.Join(words, " ")
}

func TestCompare(t *testing.T) {
	for _, row := range []struct {
		why              string
		old, next        Policy
		keyspaces        string
		allowed, refused string
	}{
		{"the same rules in other words change nothing", policy("a b -> eu-central"), policy("b -> eu-central", "a -> eu-central"), "a b", "", ""},
		{"one more region", policy("orders -> eu-central"), policy("orders -> eu-central us-east"), "orders", "orders@us-east", ""},
		{"one region less", policy("orders -> eu-central us-east"), policy("orders -> eu-central"), "orders", "", "orders@us-east"},
		{"it moves from one to the other", policy("orders -> eu-central"), policy("orders -> us-east"), "", "orders@us-east", "orders@eu-central"},
		{"a name that loses its own rule", policy("* -> eu-central us-east", "orders -> eu-central"), policy("* -> eu-central us-east"), "", "orders@us-east", ""},
		{"a keyspace that only exists", policy("a* -> eu-central"), policy("a* -> eu-central us-east"), "abc x", "a*@us-east abc@us-east", ""},
		{"a pattern for what nobody has made yet", Policy{}, policy("tmp_* -> us-east"), "", "tmp_*@us-east", ""},
		{"the rule for all others goes: Cassandra's own is free again, the rest is refused", policy("* -> eu-central"), Policy{}, "", "system_auth@us-east system_distributed@us-east system_traces@us-east", "*@eu-central"},
		{"what is spoken for by another pattern than before", policy("* -> eu-central us-east", "a* -> eu-central"), policy("*b -> eu-central us-east"), "",
			"a*b@us-east", "*@eu-central *@us-east a*@eu-central"},
		{"what Cassandra keeps for itself is nobody's question", policy("system* -> eu-central"), policy("system_* -> eu-central"), "system system_schema", "", "system*@eu-central"},
	} {
		t.Run(row.why, func(t *testing.T) {
			got := Compare(row.old, row.next, strings.Fields(row.keyspaces), []cluster.Region{us, eu})
			if a, r := spelledPairs(got.Allowed), spelledPairs(got.Refused); a != row.allowed || r != row.refused {
				t.Errorf("allowed %q, want %q; refused %q, want %q", a, row.allowed, r, row.refused)
			}
			if back := Compare(row.next, row.old, strings.Fields(row.keyspaces), []cluster.Region{us, eu}); spelledPairs(back.Allowed) != row.refused || spelledPairs(back.Refused) != row.allowed {
				t.Errorf("and back: %+v", back)
			}
		})
	}
}

// A widening that nobody is shown is one that nobody confirms.
func TestNoWideningIsMissed(t *testing.T) {
	regions := []cluster.Region{eu, us, "ap"}
	valid := rapid.Custom(anyPolicy).Filter(func(p Policy) bool { return len(p.Validate(regions)) == 0 })
	rapid.Check(t, func(t *rapid.T) {
		old, next := valid.Draw(t, "old"), valid.Draw(t, "next")
		d := Compare(old, next, nil, regions)
		for _, name := range append(names(), "c", "ac", "cb", "acb", "system_auth", "system_traces") {
			for _, r := range regions {
				was, is := old.Admit([]string{name}, r) == nil, next.Admit([]string{name}, r) == nil
				shown := slices.ContainsFunc(d.Allowed, func(p Pair) bool { return p.Region == r })
				if is && !was && !shown {
					t.Fatalf("%v -> %v widens %s in %s, shown is %v", old, next, name, r, d.Allowed)
				}
			}
		}
	})
}

func TestReachIsWhatAdmitSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		ks := rapid.SampledFrom([]string{"a", "ab", "b", "ccc", "system_auth", "system", "", "*"}).Draw(t, "keyspace")
		to := rapid.SampledFrom([]cluster.Region{eu, us, "ap", "mars", ""}).Draw(t, "to")
		if got, want := p.reach(ks).allows(to), p.Admit([]string{ks}, to) == nil; got != want {
			t.Fatalf("%v about %q in %q: %v, Admit says %v", p, ks, to, got, want)
		}
	})
}

func TestMeetingFitsBoth(t *testing.T) {
	for _, a := range []string{"*", "a*", "*b", "a*b", "*a*", "ab*", "*ba", "a*a*"} {
		for _, b := range []string{"*", "a*", "*b", "b*", "*ab*", "*a*b", "ba*"} {
			both, meet := meeting(a, b)
			if meet != overlap(a, b) || meet && (!fits(a, standIn(both)) || !fits(b, standIn(both))) {
				t.Errorf("%q and %q meet in %q (%v)", a, b, both, meet)
			}
		}
	}
}
