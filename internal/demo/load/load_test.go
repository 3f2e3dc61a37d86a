// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func after(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func TestWhatAReadHasToShow(t *testing.T) {
	l := newLedger()
	for _, at := range []int{0, 400, 800} { // versions 1, 2, 3
		l.acked("r", l.issue("r"), after(at))
	}
	l.issue("r")     // version 4: sent, never acknowledged
	l.issue("other") // a row without any acknowledgement
	for _, tt := range []struct {
		why   string
		row   string
		began int
		want  int64
	}{
		{"before anything is a second old, nothing is due", "r", 999, 0},
		{"exactly a second is not more than a second", "r", 1000, 0},
		{"a moment later the first version is due", "r", 1001, 1},
		{"the newest one that is old enough counts", "r", 1500, 2},
		{"what was not acknowledged is never due", "r", 60000, 3},
		{"nor is a row nobody acknowledged", "other", 60000, 0},
		{"nor one nobody wrote", "unknown", 60000, 0},
	} {
		if got := l.due(tt.row, after(tt.began)).version; got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.why, got, tt.want)
		}
	}
	if got := l.last("r"); got != 3 {
		t.Errorf("the audit knows no grace: got %d, want 3", got)
	}
	if got := l.names(); !slices.Equal(got, []string{"r"}) {
		t.Errorf("rows that can be lost: got %v, want the acknowledged one", got)
	}
}

func TestLedgerForgetsOnlyWhatNoReadCanAskFor(t *testing.T) {
	l := newLedger()
	for i := range 1000 {
		l.acked("r", l.issue("r"), after(100*i))
	}
	end := 100 * 999
	if kept := len(l.rows["r"].acks); kept > 120 {
		t.Errorf("%d acknowledgements kept after 100 s: memory grows with time", kept)
	}
	oldest := end - int(readMax.Milliseconds())
	if got, want := l.due("r", after(oldest)).version, int64((oldest-1000)/100); got != want {
		t.Errorf("the oldest read under way: got %d, want %d", got, want)
	}
}

func TestTailRowsThatCount(t *testing.T) {
	var acks []tailAck
	for i := range 400 {
		acks = append(acks, tailAck{fmt.Sprint(i), after(5 * i)}) // 5 ms apart
	}
	for _, tt := range []struct {
		why         string
		acks        []tailAck
		fault       int
		first, last string
		count       int
	}{
		{"the last 200 ms before the fault, ends included", acks[:301], 1500, "260", "300", 41},
		{"an acknowledgement that came while it died counts", acks[:303], 1500, "260", "302", 43},
		{"at least twenty, however slow they were", acks[:301], 5000, "281", "300", 20},
		{"no more than there are", acks[:5], 5000, "0", "4", 5},
	} {
		got := chosen(tt.acks, after(tt.fault))
		if len(got) != tt.count || got[0] != tt.first || got[len(got)-1] != tt.last {
			t.Errorf("%s: got %d rows, %v", tt.why, len(got), got)
		}
	}
	if got := chosen(nil, start); len(got) != 0 {
		t.Errorf("nothing was acknowledged: got %v", got)
	}
}

func TestCountsOfAStretch(t *testing.T) {
	k := newCounter()
	k.wrote()
	k.writeFailed(errors.New("early"), after(1))
	k.read(Stale{Node: "n1", Got: 3, Want: 3})
	k.read(Stale{Node: "n1", Got: 0, Want: 1})
	before := k.snapshot()
	k.wrote()
	k.read(Stale{Node: "n3", Row: "r", Got: 4, Want: 5})
	k.readFailed("n3", errors.New("refused"), after(7))
	d := k.snapshot().Since(before)
	if d.WritesAcked != 1 || d.Reads != 1 || d.StaleReads != 1 || len(d.Stale) != 1 || d.Stale[0].Node != "n3" {
		t.Errorf("got %+v, want one of each, through n3", d)
	}
	if d.WriteErrors != (Errors{}) || d.ReadErrors["n3"] != (Errors{Count: 1, Last: after(7), Text: "refused"}) {
		t.Errorf("errors %+v, %+v", d.WriteErrors, d.ReadErrors)
	}
	if before.StaleReads != 1 || len(before.Stale) != 1 {
		t.Errorf("the earlier counts moved: %+v", before)
	}
}

func TestOptionsReportEveryFault(t *testing.T) {
	err := Options{}.check()
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 6 {
		t.Errorf("got %v, want a line for each of six fields", err)
	}
	if err := Normal([]Node{{"n1", "127.0.9.1:9042"}}, "h1").check(); err != nil {
		t.Errorf("the normal load: %v", err)
	}
}

func TestLiveReadsSeeBothKinds(t *testing.T) {
	rows := mix(names("p", moving, 9), names("p", cold, 2))
	count := 0
	for _, row := range rows {
		if row == "p-cold-000000" || row == "p-cold-000001" {
			count++
		}
	}
	if len(rows) != 12 || count != 3 {
		t.Errorf("%d rows, %d cold ones: %v", len(rows), count, rows)
	}
}
