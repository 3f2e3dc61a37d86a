// SPDX-License-Identifier: Apache-2.0

package run

import (
	"strings"
	"testing"
	"time"

	"supervisor/internal/api"
	"supervisor/internal/demo"
	"supervisor/internal/demo/haproxy"
	"supervisor/internal/demo/load"
)

func TestProxyIsBelievedOnlyForWhatItSays(t *testing.T) {
	up := haproxy.State{Up: true, Weight: 1, Normal: 1}
	down := haproxy.State{Weight: 1, Normal: 1}
	drained := haproxy.State{Up: true, Admin: 8, Weight: 1, Normal: 1}
	for why, row := range map[string]struct {
		states           []haproxy.State
		drained, serving int // index of the look; -1: never
	}{
		"its own check's fall is no drain of ours":    {[]haproxy.State{up, down, up}, -1, -1},
		"drained, and back when it is up with weight": {[]haproxy.State{up, drained, drained, up, up}, 1, 3},
		"back while its check still fails is not yet": {[]haproxy.State{up, drained, down, up}, 1, 3},
		"out again: what counts is when it stayed":    {[]haproxy.State{drained, up, drained, up}, 0, 3},
		"a weight of 0 takes no new client either":    {[]haproxy.State{up, {Up: true, Normal: 1}, up}, 1, 2},
		"down first, drained while it is down":        {[]haproxy.State{down, {Admin: 8, Weight: 1, Normal: 1}}, 1, -1},
	} {
		var got seen
		for i, st := range row.states {
			got.note(st, at(i))
		}
		for name, pair := range map[string]struct {
			got  time.Time
			want int
		}{"drained": {got.drained, row.drained}, "serving": {got.serving, row.serving}} {
			if want := (map[bool]time.Time{true: {}, false: at(pair.want)})[pair.want < 0]; !pair.got.Equal(want) {
				t.Errorf("%s: %s at %v, want %v", why, name, pair.got, want)
			}
		}
	}
}

func TestParseUsed(t *testing.T) {
	const status = "Name:\tsupervisor\nVmRSS:\t   31236 kB\nRssAnon:\t   12000 kB\nRssFile:\t   19236 kB\n"
	const stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 31 0 0 20 0 9 0 12345"
	got, err := parseUsed(status, stat, at0)
	if err != nil {
		t.Fatal(err)
	}
	if want := (used{at: at0, resident: 31236 << 10, anonymous: 12000 << 10, ticks: 281}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var r Rest
	later := got
	later.at, later.ticks = at0.Add(time.Minute), got.ticks+30
	r.add(got, later)
	if r.CPU < 0.0049 || r.CPU > 0.0051 {
		t.Errorf("30 ticks in a minute are half a percent of a core, got %v", r.CPU)
	}
	for why, row := range map[string][2]string{
		"no anonymous memory told":   {"VmRSS:\t1 kB\n", stat},
		"a process that is no more":  {"", stat},
		"a stat line that is cut":    {status, "42 (x) S 1"},
		"words instead of processor": {status, "42 (x) S 1 2 3 4 5 6 7 8 9 10 a b"},
	} {
		if got, err := parseUsed(row[0], row[1], at0); err == nil {
			t.Errorf("%s: got %+v, want an error", why, got)
		}
	}
}

func TestDistinctCountsRowsAndNotReads(t *testing.T) {
	a := load.Audit{Faults: []load.AuditFault{{Node: "n1", Row: "t1"}, {Node: "n3", Row: "t1"}, {Node: "n3", Row: "cold"}}}
	if got := distinct(a, []string{"t1", "t2"}); got != 1 {
		t.Errorf("got %d, want the one tail row, once", got)
	}
}

func TestOptionsAreCheckedBeforeAnythingStarts(t *testing.T) {
	whole := Options{Scenario: Crash, Runs: 1, Binary: "/bin/true", Line: func(api.Event) string { return "" },
		Up: demo.Options{Progress: demo.NewProgress(&strings.Builder{}, Steps(1))}}
	if err := whole.check(); err != nil {
		t.Fatal(err)
	}
	for why, change := range map[string]func(*Options){
		"an unknown scenario": func(o *Options) { o.Scenario = "flood" },
		"no run":              func(o *Options) { o.Runs = 0 },
		"too many runs":       func(o *Options) { o.Runs = RunsMax + 1 },
		"no binary":           func(o *Options) { o.Binary = "" },
	} {
		o := whole
		change(&o)
		if err := o.check(); err == nil {
			t.Errorf("%s: want an error", why)
		}
		if err := Run(t.Context(), o, nil); err == nil {
			t.Errorf("%s: it ran", why)
		}
	}
}
