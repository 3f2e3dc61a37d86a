// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

func at(n cluster.Name, w Want, weight int) Actual {
	return Actual{Server: n, Want: w, Weight: weight, Normal: 100}
}

func TestDifference(t *testing.T) {
	rows := []struct {
		why     string
		want    string
		actual  []Actual
		changes []string
		missing string
		foreign string
		inStep  bool
	}{
		{"all as wanted", "n1:ready n2:drain", []Actual{at("n1", Ready, 100), at("n2", Drain, 100)}, nil, "", "", true},
		{"a drained server keeps whatever weight it had", "n1:drain", []Actual{at("n1", Drain, 10)}, nil, "", "", true},
		{"a wanted drain", "n1:drain", []Actual{at("n1", Ready, 100)}, []string{"n1 ready 100 % -> drain"}, "", "", false},
		{"drained by hand, put right", "n1:ready", []Actual{at("n1", Drain, 100)}, []string{"n1 drain -> ready 100 %"}, "", "", false},
		{"maint is not drain: its check is off", "n1:drain", []Actual{at("n1", Maint, 0)}, []string{"n1 maint -> drain"}, "", "", false},
		{"a step of the ramp", "n1:ready", []Actual{at("n1", Ready, 10)}, []string{"n1 ready 10 % -> ready 100 %"}, "", "", false},
		{"who is given back comes before who is taken out", "n1:drain n2:ready n3:10",
			[]Actual{at("n1", Ready, 100), at("n3", Drain, 0), at("n2", Drain, 0)},
			[]string{"n2 drain -> ready 100 %", "n3 drain -> ready 10 %", "n1 ready 100 % -> drain"}, "", "", false},
		{"a name the proxy does not know is not in step", "n1:ready n2:ready", []Actual{at("n1", Ready, 100)}, nil, "n2", "", false},
		{"a server nobody declared is told and left alone", "n1:ready", []Actual{at("zz", Drain, 100), at("n1", Ready, 100), at("aa", Ready, 1)},
			nil, "", "aa zz", true},
		{"a proxy with no servers misses them all", "n1:ready n2:drain", nil, nil, "n1 n2", "", false},
		{"a damaged wish is no order to anybody", "n1:unknown", []Actual{at("n1", Ready, 100)}, nil, "", "", false},
		{"a weight the proxy cannot show is rounded as it rounds", "n1:10", []Actual{{Server: "n1", Want: Ready, Weight: 7, Normal: 15}},
			nil, "", "", true},
		{"a tenth of a small weight is raised until it is one client", "n1:10", []Actual{{Server: "n1", Want: Drain, Weight: 100, Normal: 5}},
			[]string{"n1 drain -> ready 20 %"}, "", "", false},
		{"and is then in step", "n1:10", []Actual{{Server: "n1", Want: Ready, Weight: 20, Normal: 5}}, nil, "", "", true},
		{"ready with no weight at all serves nobody", "n1:10", []Actual{{Server: "n1", Want: Ready, Weight: 0, Normal: 1}},
			[]string{"n1 ready 0 % -> ready 100 %"}, "", "", false},
		{"without a normal weight the percentage itself is compared", "n1:10", []Actual{{Server: "n1", Want: Ready, Weight: 11}},
			[]string{"n1 ready 11 % -> ready 10 %"}, "", "", false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			want := poolOf(t, r.want)
			d := Difference(want, r.actual)
			var got []string
			for _, c := range d.Changes {
				got = append(got, c.String())
			}
			if !slices.Equal(got, r.changes) {
				t.Errorf("changes %q, want %q", got, r.changes)
			}
			if !slices.Equal(d.Missing, names(r.missing)) || !slices.Equal(d.Foreign, names(r.foreign)) {
				t.Errorf("missing %v foreign %v", d.Missing, d.Foreign)
			}
			if !slices.Equal(d.Unknown(), slices.Sorted(slices.Values(names(r.missing+" "+r.foreign)))) {
				t.Errorf("unknown %v", d.Unknown())
			}
			if InStep(want, r.actual) != r.inStep {
				t.Errorf("in step: %v, want %v", !r.inStep, r.inStep)
			}
		})
	}
}

// TestApplyingTheDifferenceIsTheEnd plays a proxy that rounds weights down to
// whole units and reports the smallest percentage that gives them.
func TestApplyingTheDifferenceIsTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Pool{Name: "cql", Wants: map[cluster.Name]Wish{}}
		var proxy []Actual
		for _, n := range names("n1 n2 n3") {
			w := Wish{Want: Want(rapid.IntRange(1, 3).Draw(t, "want"))}
			if w.Want == Ready {
				w.Weight = rapid.IntRange(1, 100).Draw(t, "weight")
			}
			want.Wants[n] = w
			normal := rapid.IntRange(1, 256).Draw(t, "normal")
			proxy = append(proxy, Actual{Server: n, Want: Want(rapid.IntRange(1, 3).Draw(t, "at")),
				Weight: shown(rapid.IntRange(0, 100).Draw(t, "percent"), normal), Normal: normal})
		}
		for _, c := range Difference(want, proxy).Changes {
			i := slices.IndexFunc(proxy, func(a Actual) bool { return a.Server == c.Server })
			proxy[i].Want = c.To.Want
			if c.To.Want == Ready {
				proxy[i].Weight = shown(c.To.Weight, proxy[i].Normal)
			}
		}
		if d := Difference(want, proxy); !d.InStep() {
			t.Fatalf("still %v, want %v, proxy %v", d.Changes, want, proxy)
		}
		for _, a := range proxy {
			if a.Want == Ready && a.Weight == 0 {
				t.Fatalf("%s is ready and gets no clients", a.Server)
			}
		}
	})
}

func shown(percent, normal int) int {
	units := percent * normal / 100
	return (100*units + normal - 1) / normal
}
