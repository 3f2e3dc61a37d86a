// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/residency"
)

// otherPolicy is one in which no field has its default.
func otherPolicy() incident.Policy {
	p := incident.DefaultPolicy()
	p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Auto, "yes": incident.Observe, "1.5": incident.Assist}
	p.Regions = map[cluster.Region][]cluster.Datacenter{"region1": {"dc1", "yes"}, "null": {"1.5"}}
	p.Residency = residency.Policy{Rules: []residency.Rule{
		{Keyspaces: []string{"audit", "aud*"}, Regions: []cluster.Region{"region1"}},
		{Keyspaces: []string{"*"}, Regions: []cluster.Region{"null", "region1"}}}}
	p.Detection = incident.Detection{Fresh: 2500 * time.Millisecond, Stable: 301 * time.Microsecond * 10, StableMax: 2 * time.Second,
		MissesMax: 4, ObserversMin: 5, StormShare: 1.0 / 3,
		SlowFactor: 7.5, SlowFloor: 20 * time.Millisecond, SlowAfter: 8 * time.Second}
	p.Ages = incident.Ages{Fence: 61 * time.Second, Replace: 24 * time.Hour, CQLDead: time.Hour + time.Second}
	p.Budgets = incident.Budgets{NodesPerDatacenter: 2, StartsMax: 4, StartsWindow: time.Hour, SilencesMax: 5, FencesMax: 2, FencesWindow: 2 * time.Hour}
	p.Pools = []loadbalancer.Declared{{Name: "cql", Backend: "true", Members: []cluster.Name{"n1", "2"}, Writers: []cluster.Name{"n1"},
		Proxies: []loadbalancer.Proxy{{Name: "p:1", Socket: "/run/a b.sock"}, {Name: "p2", Socket: "[::1]:99"}}}}
	p.KnownRows = []incident.KnownRows{{Keyspace: "demo", Table: "rows", Max: 7}}
	p.TTLOnly = []string{"a.b"}
	p.AcceptAuthRF = true
	p.Versions = []string{"5.0.9", "4.1"}
	p.Gate.Unasked = isolate.Hibernate
	p.Repair = incident.RepairBars{PendingCompactionsMax: 7, DroppedMutationsMax: 8, DiskFreeMin: 0.25, LatencyFactorMax: 9.5}
	p.Return = incident.ReturnBars{TriesMax: 1, RoundsMax: 2, RampEvery: time.Millisecond, BatchMax: 16}
	p.Slow = incident.SlowBars{DrainAfter: time.Second, SeverityAfter: 2 * time.Second, OverAfter: 20 * time.Second, QuietFor: time.Minute, AskAfter: 2 * time.Minute}
	p.Repair.SkipQuiet, p.Repair.HeedLoad = new(bool), true
	return p
}

func TestRenderedPolicyReadsBackTheSame(t *testing.T) {
	smallest := incident.DefaultPolicy()
	smallest.Regions = map[cluster.Region][]cluster.Datacenter{"region1": {"dc1"}}
	for name, want := range map[string]incident.Policy{"defaults": smallest, "nothing as by default": otherPolicy()} {
		got, err := ParsePolicy(name, RenderPolicy(want), nil)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, RenderPolicy(want))
			continue
		}
		if got.Hash != Hash(want) || got.Hash == "" {
			t.Errorf("%s: hash %q, want that of the rendered one, %q", name, got.Hash, Hash(want))
		}
		got.Hash = ""
		if !reflect.DeepEqual(bare(t, got), bare(t, want)) {
			t.Errorf("%s: read back\n%+v\nwant\n%+v", name, got, want)
		}
	}
}

// bare is a policy without the difference between no list and an empty one.
func bare(t *testing.T, p incident.Policy) any {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	return full(tree)
}

// A field that the example above leaves at its default would not be compared.
func TestOtherPolicyLeavesNothingAsByDefault(t *testing.T) {
	a, b := reflect.ValueOf(otherPolicy()), reflect.ValueOf(incident.DefaultPolicy())
	var compare func(path string, a, b reflect.Value)
	compare = func(path string, a, b reflect.Value) {
		if a.Kind() == reflect.Struct {
			for i := range a.NumField() {
				if a.Type().Field(i).Tag.Get("yaml") != "-" {
					compare(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
				}
			}
			return
		}
		if reflect.DeepEqual(a.Interface(), b.Interface()) {
			t.Errorf("%s is as by default", path)
		}
	}
	compare("", a, b)
}

func TestEveryFieldOfThePolicyHasAComment(t *testing.T) {
	named := map[string]bool{}
	var walk func(path string, v reflect.Type)
	walk = func(path string, v reflect.Type) {
		for i := range v.NumField() {
			f := v.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if name == "-" {
				continue
			}
			at := strings.TrimPrefix(path+"."+name, ".")
			if _, ok := policyComments[at]; !ok {
				t.Errorf("%s has no comment", at)
			}
			named[at] = true
			if f.Type.Kind() == reflect.Struct {
				walk(at, f.Type)
			}
		}
	}
	walk("", reflect.TypeFor[incident.Policy]())
	for at := range policyComments {
		if !named[at] {
			t.Errorf("the comment of %s belongs to no field", at)
		}
	}
}

func TestHashIsOfWhatThePolicySays(t *testing.T) {
	base := otherPolicy()
	signed := otherPolicy()
	signed.Version, signed.By, signed.Why, signed.Hash = 7, "ana", "because", "x"
	text, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	var stored incident.Policy
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	emptied := otherPolicy()
	emptied.Pools, base.Pools = []loadbalancer.Declared{}, nil
	long, changed := otherPolicy(), otherPolicy()
	long.Ages.Replace = 200 * 24 * time.Hour // in nanoseconds more than a float64 keeps
	changed.Ages.Replace = long.Ages.Replace + time.Nanosecond
	swapped := otherPolicy()
	swapped.Versions = []string{"4.1", "5.0.9"}
	for _, row := range []struct {
		why  string
		a, b incident.Policy
		same bool
	}{
		{"author, reason and version say nothing about what is permitted", otherPolicy(), signed, true},
		{"stored and read back it is the same document", otherPolicy(), stored, true},
		{"no pools are no pools, however the list is spelled", base, emptied, true},
		{"a nanosecond is a change: it would be lost in a float", long, changed, false},
		{"the order of a list may mean something", otherPolicy(), swapped, false},
		{"an emptied list is a change", otherPolicy(), base, false},
	} {
		if got := Hash(row.a) == Hash(row.b); got != row.same {
			t.Errorf("%s: equal hashes %v, want %v", row.why, got, row.same)
		}
	}
	if got := Hash(otherPolicy()); len(got) != 64 {
		t.Errorf("hash %q is not 64 hex digits", got)
	}
}

func TestFirstPolicyIsInOrder(t *testing.T) {
	hosts := []cluster.Host{
		{Name: "a", Region: "eu", Datacenter: "fra"}, {Name: "b", Region: "eu", Datacenter: "ber"},
		{Name: "c", Region: "us", Datacenter: "iad"}, {Name: "d", Region: "eu", Datacenter: "fra"}}
	pools := otherPolicy().Pools
	pools[0].Members, pools[0].Writers = []cluster.Name{"a"}, []cluster.Name{"b"}
	for _, row := range []struct {
		why    string
		hosts  []cluster.Host
		pools  []loadbalancer.Declared
		strict bool
		rules  int
	}{
		{"without hosts it is a document to edit, yet in order", nil, nil, false, 1},
		{"the open rule names every region of the roster", hosts, nil, false, 1},
		{"strict: every keyspace is refused until somebody names it", hosts, nil, true, 0},
		{"pools given are declared", hosts, pools, false, 1},
	} {
		text := InitPolicy(row.hosts, row.pools, row.strict)
		p, err := ParsePolicy("policy.yaml", text, row.hosts)
		if err != nil {
			t.Errorf("%s: %v", row.why, err)
			continue
		}
		regions := []cluster.Region{"region1"}
		if row.hosts != nil {
			regions = []cluster.Region{"eu", "us"}
		}
		if len(p.Residency.Rules) != row.rules || len(p.Pools) != len(row.pools) || len(p.Regions) != len(regions) {
			t.Errorf("%s: got\n%s", row.why, text)
		}
		for _, r := range regions {
			if refused := p.Residency.Admit([]string{"made_later"}, r); (refused != nil) != row.strict {
				t.Errorf("%s: a new keyspace in %s: %v", row.why, r, refused)
			}
			for _, dc := range p.Regions[r] {
				if p.ModeOf(dc) != incident.Assist {
					t.Errorf("%s: %s is in mode %s", row.why, dc, p.ModeOf(dc))
				}
			}
		}
	}
}

// The pool shown as an example must be one.
func TestPoolExampleIsInOrder(t *testing.T) {
	_, example, ok := strings.Cut(poolExample, "For example:\n")
	if !ok {
		t.Fatal("no example")
	}
	if _, err := ParsePolicy("x", []byte("regions: {r: [d]}\npools:\n"+example), nil); err != nil {
		t.Error(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(InitPolicy(nil, nil, false), &doc); err != nil || !strings.Contains(string(InitPolicy(nil, nil, false)), "#   - name: cql") {
		t.Errorf("the example is missing: %v", err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	long := dir + "/long.yaml"
	if err := os.WriteFile(long, []byte(strings.Repeat("# far too much\n", bytesMax/10)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ path, want string }{
		{dir + "/none.yaml", "no such file"},
		{dir, "is a directory"},
		{long, "longer than"},
	} {
		_, agent := ReadAgent(row.path)
		_, policy := ReadPolicy(row.path, nil)
		_, hosts := ReadHosts(row.path)
		for _, err := range []error{agent, policy, hosts} {
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: %v, want %q", row.path, err, row.want)
			}
		}
	}
}

// One typo a line must not fill the screen; the count stays true.
func TestLongListsOfFaultsAreCut(t *testing.T) {
	var text strings.Builder
	for i := range 150 {
		text.WriteString("x" + strings.Repeat("y", i) + ": 1\n")
	}
	_, err := ParsePolicy("p.yaml", []byte("regions: {r: [d]}\n"+text.String()), nil)
	f, ok := err.(Faults)
	if !ok || len(f.Faults) != 150 || len(f.Lines()) != 101 || !strings.Contains(f.Lines()[100], "50 more") {
		t.Errorf("got %v", err)
	}
}

// Each name is compared with each other one: what is longer than any real
// policy is refused before that begins.
func TestVeryLongResidencyRulesAreRefusedAtOnce(t *testing.T) {
	text := "regions: {r: [d]}\nresidency:\n  rules:\n    - {regions: [r], keyspaces: [" + strings.Repeat("k, ", entriesMax+1) + "]}\n"
	_, err := ParsePolicy("p.yaml", []byte(text), nil)
	f, ok := err.(Faults)
	if !ok || len(f.Faults) != 1 || f.Faults[0].Path != "residency.rules" {
		t.Errorf("got %v", err)
	}
}
