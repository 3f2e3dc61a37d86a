// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
)

// A schedule that is written and read back plays the same, to the last step.
func TestAWrittenScheduleIsPlayedAgain(t *testing.T) {
	o := Bug{Name: lateKill, Story: hung()}.options(1)
	for i := range 10 {
		o.Strokes = append(o.Strokes, Stroke{At: time.Duration(i+20)*time.Second + 1, Fault: "policy-change", Node: 1 << 15, Salt: -int64(i), Wait: patience})
	}
	broke := play(t, o)
	best, last, done := Shrink(o, broke, func(int) bool { return true })
	if !done || len(best) != 1 {
		t.Fatalf("done %v, left %v", done, best)
	}
	nodes, err := NodesOf(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		why     string
		strokes []Stroke
		want    Report
	}{{"a long one", o.Strokes, broke}, {"the one it was shrunk to", best, last}} {
		again := o
		if again.Strokes, err = ParseSchedule(WriteSchedule(r.strokes, nodes), o); err != nil {
			t.Fatal(err)
		}
		again.StepsMax = r.want.Steps
		if got := play(t, again); got.Violation == "" || got.Violation != r.want.Violation || got.Trace != r.want.Trace || got.Steps != r.want.Steps {
			t.Errorf("%s: %q after %d steps, and then %q after %d", r.why, r.want.Violation, r.want.Steps, got.Violation, got.Steps)
		}
	}
}

// What is left of a schedule that a seed drew is played again too: chance that
// the drawing used is not used then, in the search and after it.
func TestADrawnScheduleThatWasShrunkIsPlayedAgain(t *testing.T) {
	o := options(2)
	o.Nodes, o.Bug = 3, noClaim
	broke := play(t, o)
	tries := 0
	best, last, _ := Shrink(o, broke, func(int) bool { tries++; return tries <= 12 })
	if broke.Violation == "" || len(best) == len(broke.Strokes) || !slices.Equal(best, last.Strokes) {
		t.Fatalf("%q by %d of %d strokes", broke.Violation, len(best), len(broke.Strokes))
	}
	nodes, err := NodesOf(o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Strokes, err = ParseSchedule(WriteSchedule(best, nodes), o); err != nil {
		t.Fatal(err)
	}
	if got := play(t, o); got.Violation != last.Violation || got.Trace != last.Trace {
		t.Errorf("%q, and then %q", last.Violation, got.Violation)
	}
}

// What seeds draw is written and read back whole, but for the numbers of nodes,
// of which a world has only so many.
func TestEverySchedulesNotationIsReadBack(t *testing.T) {
	o := options(7)
	nodes, err := NodesOf(o)
	if err != nil {
		t.Fatal(err)
	}
	drawn := play(t, o).Strokes
	if len(drawn) < 10 {
		t.Fatalf("%d strokes", len(drawn))
	}
	for _, strokes := range [][]Stroke{drawn, {}, {hitFor(second, time.Hour, "store-slow", 0)}} {
		got, err := ParseSchedule(WriteSchedule(strokes, nodes), o)
		if err != nil || got == nil {
			t.Fatalf("%v, %v", got, err)
		}
		want := slices.Clone(strokes)
		for i := range want {
			want[i].Node %= len(nodes)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

// A person reads who is struck, as the trace names it; also who stands where the
// data may not.
func TestAStrokeNamesItsVictim(t *testing.T) {
	nodes := []cluster.Name{"n1", "n2", "n3", "x1"}
	for node, want := range map[int]string{2: "    1.5s kill on n3", 7: "    1.5s kill on x1"} {
		if got := (Stroke{At: 1500 * time.Millisecond, Fault: "kill", Node: node}).On(nodes); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for seed := range int64(12) {
		o := options(seed)
		nodes, err := NodesOf(o)
		if r := play(t, Options{Seed: seed, Strokes: []Stroke{}, StepsMax: 1}); err != nil || len(nodes) != r.Nodes || nodes[0] != "n1" {
			t.Errorf("seed %d: %v of %d, %v", seed, nodes, r.Nodes, err)
		}
	}
}

func TestAWrongScheduleIsSaid(t *testing.T) {
	rows := []struct{ why, text, says string }{
		{"nothing", "", `stroke 1 of the schedule, "": wants moment/fault/node/salt, such as 1.5s/kill/n1/7`},
		{"the second is wrong", "1s/kill/n2/7,1s/kill/n2", `stroke 2 of the schedule, "1s/kill/n2"`},
		{"a moment without its unit", "5/kill/n2/7", `its moment: "5" is no time of 0s or more`},
		{"a moment before the storm", "-5s/kill/n2/7", `"-5s" is no time`},
		{"a moment after the storm", "3m/kill/n2/7", "the storm is over after 3m0s"},
		{"an unknown fault", "5s/meteor/n2/7", `no fault "meteor"; there are: `},
		{"an unknown node", "5s/kill/n4/7", `no node "n4" in this world; there are: n1 n2 n3`},
		{"a node by its number", "5s/kill/2/7", `no node "2"`},
		{"a salt that is no number", "5s/kill/n2/pepper", `"pepper" is a whole number`},
		{"a wait without length", "5s/kill/n2/7/wait", `wait: "" is no time`},
		{"something more", "5s/kill/n2/7/till=9s", "wait= and for= only"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			o := options(1)
			o.Nodes = 3
			if _, err := ParseSchedule(r.text, o); err == nil || !strings.Contains(err.Error(), r.says) {
				t.Errorf("%v does not say %q", err, r.says)
			}
		})
	}
}
