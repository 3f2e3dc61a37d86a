// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo"
	"supervisor/internal/demo/load"
)

var at0 = time.Date(2026, 11, 22, 3, 1, 14, 201e6, time.UTC)

func at(ms int) time.Time { return at0.Add(time.Duration(ms) * time.Millisecond) }

// good is an outage that went as it must.
func good() Result {
	ms := func(n int64) *int64 { return &n }
	none := 0
	return Result{Scenario: Outage, Node: Victim,
		Alone: Alone{Fault: at0, Noticed: demo.Noticed{CassandraFirst: at(19200), CassandraAll: at(19900), HAProxy: at(4300)}, Away: 52 * time.Second,
			Audit: load.Audit{Rows: 600, Old: 510, Missing: 7}, TailRows: 40, TailLost: 7, Stale: 9,
			Rest: Rest{Resident: 50 << 20, Anonymous: 15 << 20, CPU: 0.004, Over: time.Minute}},
		Healed: Healed{Fault: at0, Proxy: seen{drained: at(450), serving: at(50200)}, Away: 42 * time.Second,
			Story: &api.Timeline{
				Incident: api.Incident{IncidentLine: api.IncidentLine{Phase: incident.Closed, Began: api.Time{Time: at(200)}},
					Stages: map[incident.Stage]*int64{incident.StageReturned: ms(48800), incident.StageClosed: ms(80400)}},
				Events: []api.Event{
					{Entry: incident.Entry{Kind: incident.Saw, At: incident.Stamp(at(200))}},
					{Entry: incident.Entry{Kind: incident.Judged, At: incident.Stamp(at(350))}},
					{Entry: incident.Entry{Kind: incident.Did, Code: "did_start", At: incident.Stamp(at(42000))}},
				}},
			Counts: load.Counts{WritesAcked: 38410, Reads: 41233, WriteErrors: load.Errors{Count: 12, Last: at(1900)}},
			Audit:  &load.Audit{Rows: 600}, Lost: &none}}
}

func TestDocumentIsTheContract(t *testing.T) {
	got, err := good().JSON()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"scenario":"outage","fault_at":"2026-11-22T03:01:14.201Z","node":"n3","verdict_ms":350,"drained_ms":450,"fenced_ms":null,` +
		`"returned_ms":49000,"serving_ms":50200,"closed_ms":80600,"phase":"closed","cassandra_down_ms":19200,"haproxy_down_ms":4300,` +
		`"writes_acked":38410,"writes_lost":0,"reads":41233,"stale_reads":0,"audit_rows":600,"audit_old":0,"audit_old_without":517,` +
		`"client_errors":12,"agent_rss_bytes":52428800}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatDidNotHappenIsNull(t *testing.T) {
	r := good()
	r.Healed = Healed{Fault: at0, Unclear: errors.New("n3 does not answer")}
	r.Alone.Noticed = demo.Noticed{}
	line, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"verdict_ms", "drained_ms", "fenced_ms", "returned_ms", "serving_ms", "closed_ms", "phase",
		"cassandra_down_ms", "haproxy_down_ms", "writes_lost", "audit_rows", "audit_old"} {
		if v, there := fields[name]; !there || v != nil {
			t.Errorf("%s is %v, there: %v; want null", name, v, there)
		}
	}
}

func TestFaults(t *testing.T) {
	if faults := good().Faults(); len(faults) > 0 {
		t.Fatalf("a good run has faults: %v", faults)
	}
	one := 1
	for why, row := range map[string]struct {
		change func(*Result)
		want   string
	}{
		"a stale read in the calm means that the judge is wrong":    {func(r *Result) { r.Alone.CalmStale = 1 }, "before the first fault"},
		"in the second calm too":                                    {func(r *Result) { r.Healed.CalmStale = 2 }, "before the second fault"},
		"an outage that leaves nothing old proves nothing about us": {func(r *Result) { r.Alone.Audit.Old, r.Alone.Audit.Missing = 0, 0 }, "proves nothing"},
		"nobody noticed":                   {func(r *Result) { r.Healed.Story = nil }, "no incident"},
		"held is not closed, and says why": {func(r *Result) { r.Healed.Story.Incident.Phase, r.Healed.Story.Incident.Held = incident.Held, "ask me" }, "held, ask me"},
		"a client read old data":           {func(r *Result) { r.Healed.Counts.StaleReads = 3 }, "3 stale live reads"},
		"and when that was": {func(r *Result) {
			r.Healed.Counts.StaleReads = 1
			r.Healed.Counts.Stale = []load.Stale{{Node: "n2", Row: "cold-1", Got: 4, Want: 5, Began: r.Healed.Fault.Add(44 * time.Second)}}
		}, "1 stale live reads: T+44.0 s through n2, row cold-1 showed 4 and 5 was due"},
		"a client's write is gone":                   {func(r *Result) { r.Healed.Lost = &one }, "acknowledged write"},
		"a row is missing after all":                 {func(r *Result) { r.Healed.Audit.Missing = 1 }, "in the audit"},
		"what could not be looked at was not proven": {func(r *Result) { r.Healed.Unclear = errors.New("no answer") }, "no answer"},
	} {
		r := good()
		row.change(&r)
		if faults := r.Faults(); len(faults) != 1 || !strings.Contains(faults[0], row.want) {
			t.Errorf("%s: got %q, want one with %q", why, faults, row.want)
		}
	}
	crash := good()
	crash.Scenario, crash.Alone.Audit = Crash, load.Audit{Rows: 600}
	if faults := crash.Faults(); len(faults) > 0 {
		t.Errorf("a crash need not leave old rows, hints may bring them: %v", faults)
	}
}

func TestTable(t *testing.T) {
	const want = `                                    supervisor   Cassandra alone  HAProxy tcp-check
  knows                                 0.35 s            19.2 s              4.3 s
  sends no new client there             0.45 s                 -              4.3 s
  clean and serving again               50.2 s                 -                  -
  closed, all given back                80.6 s                 -                  -
  old rows in the audit at ONE    0 of 600, without us 517 of 600
  stale live reads                0 of 41 233, without us 9
  acknowledged writes lost        0 of 38 410
  tail rows lost without us       7 of 40
  client errors                   12, the last at T+1.9 s
  node away until its start       42.0 s, without us 52.0 s
  agent at rest                   50 MiB (15 anonymous), 0.4 % of a core
`
	if got := good().Table(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, line := range strings.Split(want, "\n") {
		if len(line) > 100 {
			t.Errorf("wider than 100 columns: %s", line)
		}
	}
	bad := good()
	bad.Healed.Counts.StaleReads = 3
	bad.Alone.Noticed.HAProxy = time.Time{}
	for _, want := range []string{"NOT REACHED: 3 stale live reads", "not within 60 s"} {
		if got := bad.Table(); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestSeriesShowsMediansOfWhatHappened(t *testing.T) {
	var all []Result
	for _, ms := range []int{900, 300, 500} {
		r := good()
		r.Healed.Proxy.drained = at(ms)
		all = append(all, r)
	}
	all[1].Healed.Story = nil // no verdict, so no both
	got := Series(all)
	var line string
	for l := range strings.Lines(got) {
		if strings.Contains(l, "verdict and drain") {
			line = l
		}
	}
	if want := []string{"0.70", "s", "0.50", "s", "0.90", "s", "2"}; !slices.Equal(strings.Fields(line)[4:], want) {
		t.Errorf("got %q, want %v behind the name", line, want)
	}
	if !strings.Contains(got, "0 stale live reads, 0 old rows, 0 writes lost, 1 not reached") {
		t.Errorf("no sum of what has to be 0, or the run without an incident counts as good:\n%s", got)
	}
	if !strings.Contains(got, "7/40  7/40  7/40") {
		t.Errorf("no lost tail rows of each run in\n%s", got)
	}
}

func TestMedian(t *testing.T) {
	for why, row := range map[string]struct {
		sorted []int64
		want   int64
	}{
		"one is its own":           {[]int64{7}, 7},
		"the middle of an odd row": {[]int64{1, 2, 9}, 2},
		"between the middle two":   {[]int64{1, 2, 4, 9}, 3},
	} {
		if got := median(row.sorted); got != row.want {
			t.Errorf("%s: got %d, want %d", why, got, row.want)
		}
	}
}
