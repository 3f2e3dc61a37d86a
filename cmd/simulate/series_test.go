// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/sim"
)

// ledger is an empty table.
func ledger(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(rowsEnd), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A series says first whether anything broke, and a line of each matter.
func TestASeriesSaysWhatItCameTo(t *testing.T) {
	page := ledger(t)
	code, out, errs := asked(nobody, "-seeds", "2", "-from", "4", "-workers", "1", "-commit", "abc", "-ledger", page)
	if code != done || strings.Contains(errs, "error") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if want := fmt.Sprintf("no violation in 2 of 2 seeds, %d:4 to %d:5\n", sim.Edition, sim.Edition); !strings.HasPrefix(out, want) {
		t.Errorf("does not begin with %q:\n%s", want, out)
	}
	for _, want := range []string{"\n  incidents ", "\n  time ", "\n  rate ", "\n  faults     of 77 kinds ", "\n  pairs ", "\n  repeats ", "\n  slowest "} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	if row := fmt.Sprintf("| abc | %d:4 | 2 | ", sim.Edition); !strings.HasPrefix(text(t, page), row) {
		t.Errorf("entered %q, want %q", text(t, page), row)
	}
}

// What an interrupted series played is told and not entered, and its code is its own.
func TestAnInterruptedSeriesSaysSo(t *testing.T) {
	page := ledger(t)
	code, out, errs := asked(somebody, "-seeds", "2", "-commit", "abc", "-ledger", page)
	if code != interrupted || out != "interrupted before the first seed was played\n" || !strings.Contains(errs, "nothing is entered in "+page+": the series was interrupted") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	p, errors := half(t, request{seeds: 5, from: 3, commit: "abc", ledger: page})
	var told strings.Builder
	if code := p.tell(&told); code != interrupted || !strings.HasPrefix(told.String(), fmt.Sprintf("interrupted; no violation in 1 of 5 seeds, %d:3 to %d:3\n", sim.Edition, sim.Edition)) {
		t.Errorf("exit %d, %s", code, told.String())
	}
	if text(t, page) != rowsEnd || !strings.Contains(errors.String(), "nothing is entered") {
		t.Errorf("entered %q, said %q", text(t, page), errors.String())
	}
}

// half is a series that was interrupted when one seed was played.
func half(t *testing.T, q request) (*played, *strings.Builder) {
	t.Helper()
	var errs strings.Builder
	heard, _ := somebody()
	p := &played{q: q, heard: heard, began: time.Now(), errs: &errs, next: q.from + 1, total: newSum()}
	p.q.endAt, p.q.atMost, p.q.storm = 5, time.Minute, stormLong
	p.took(q.from, sim.Report{Steps: 10}, nil, time.Second, true)
	if _, more := p.take(); more || p.ended != stopped {
		t.Fatalf("goes on, %d", p.ended)
	}
	return p, &errs
}

// A violation is worse than an interrupt, and is told with its command when it is
// found and at the end, though nobody looks for a shorter schedule.
func TestAViolationOutlivesAnInterrupt(t *testing.T) {
	p, errs := half(t, request{from: 3, nodes: 3})
	p.took(4, sim.Report{Steps: 77, Nodes: 3, Violation: "budget: too many", Invariant: "budget", Strokes: []sim.Stroke{{Fault: "kill"}}, Played: time.Minute}, nil, time.Second, true)
	again := fmt.Sprintf("  again: go run -tags grpcnotrace ./cmd/simulate -seed %d:4 -steps 77 -nodes 3", sim.Edition)
	if !strings.Contains(errs.String(), again) {
		t.Errorf("%q does not say %q", errs.String(), again)
	}
	var out strings.Builder
	if code := p.tell(&out); code != violate {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"interrupted; 1 VIOLATION in 2 seeds", "VIOLATION budget: too many", again, "interrupted, some may be left out"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
}

// A series whose seeds were all begun when it was interrupted is whole.
func TestAnInterruptAfterTheLastSeedTakesNothing(t *testing.T) {
	page := ledger(t)
	p, _ := half(t, request{seeds: 5, from: 3, commit: "abc", ledger: page})
	p.ended, p.next = goesOn, 8
	if _, more := p.take(); more || p.ended != allPlayed {
		t.Fatalf("ended by %d", p.ended)
	}
	var out strings.Builder
	if code := p.tell(&out); code != done || !strings.HasPrefix(text(t, page), "| abc | ") {
		t.Errorf("exit %d, entered %q", code, text(t, page))
	}
}

// A row that cannot be entered any more is not lost, and that is said where errors are.
func TestARowIsNotLostWithItsPage(t *testing.T) {
	page := ledger(t)
	p, errs := half(t, request{seeds: 5, from: 3, commit: "abc", ledger: page})
	p.ended = allPlayed
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code := p.tell(&out); code != usage || strings.Contains(out.String(), "error") {
		t.Errorf("exit %d, %s", code, out.String())
	}
	for _, want := range []string{"error: -ledger: ", page, fmt.Sprintf("the row was to be\n| abc | %d:3 | 1 |", sim.Edition)} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q does not say %q", errs.String(), want)
		}
	}
}

// A seed of two traces counts as a violation everywhere, and says how it is
// played twice.
func TestTwoTracesAreAViolation(t *testing.T) {
	page := ledger(t)
	p, _ := half(t, request{seeds: 5, from: 100, commit: "abc", ledger: page})
	p.ended = allPlayed
	p.took(200, sim.Report{}, nil, time.Second, false)
	var out strings.Builder
	if code := p.tell(&out); code != violate || !strings.HasSuffix(text(t, page), " | 1 |\n"+rowsEnd) {
		t.Errorf("exit %d, entered %q", code, text(t, page))
	}
	for _, want := range []string{"1 VIOLATION in 2 of 5 seeds", "2 seeds were played twice, 1 of them gave two traces", "again: go run -tags grpcnotrace ./cmd/simulate -from 200 -seeds 1\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
}

// Why there were no more seeds is said when it is not that all were played.
func TestASeriesSaysWhyItEnded(t *testing.T) {
	s := newSum()
	s.add(1, sim.Report{}, time.Second)
	q := request{from: 1, seeds: 9, endAt: 5, atMost: time.Minute}
	for e, want := range map[ending]string{allPlayed: "", timeOver: "; the 1m0s of -for were over", enoughBroken: "; -violations ended it after 5"} {
		if got := s.verdict(q, e); got != fmt.Sprintf("no violation in 1 of 9 seeds, %d:1 to %d:1", sim.Edition, sim.Edition)+want {
			t.Errorf("ended by %d: %q", e, got)
		}
	}
}

// An interrupt in the middle of a series is answered at once.
func TestAnInterruptIsAnswered(t *testing.T) {
	heard, interrupt := context.WithCancel(t.Context())
	var out, errs strings.Builder
	time.AfterFunc(50*time.Millisecond, interrupt)
	q := request{from: 1, seeds: 100_000, nodes: 3, workers: 2, endAt: 5, atMost: time.Minute, storm: 10 * time.Second}
	code := series(q, &out, &errs, func() (context.Context, context.CancelFunc) { return heard, interrupt })
	if code != interrupted || !strings.HasPrefix(out.String(), "interrupted") {
		t.Errorf("exit %d, %q", code, out.String())
	}
	if want := "interrupted: no more seeds are begun, and those that were are played to their end; one more interrupt ends all at once\n"; strings.Count(errs.String(), want) != 1 {
		t.Errorf("said %q, want %q", errs.String(), want)
	}
}

// A series says how many seeds it has behind it, and when it ends at the latest.
func TestASeriesSaysHowFarItIs(t *testing.T) {
	p, errs := half(t, request{seeds: 5, from: 3})
	for spent, left := range map[time.Duration]time.Duration{40 * time.Second: 20 * time.Second, 4 * time.Second: 16 * time.Second} {
		errs.Reset()
		p.began = time.Now().Add(-spent)
		p.howFar()
		var said string
		if _, err := fmt.Sscanf(errs.String(), "1 of 5 seeds, 0.0 active hours, 0 violations; about %s left\n", &said); err != nil {
			t.Fatalf("%q: %v", errs.String(), err)
		}
		// a busy machine is late
		if got, err := time.ParseDuration(said); err != nil || (got-left).Abs() > 5*time.Second {
			t.Errorf("after %s: %s left, want %s, %v", spent, said, left, err)
		}
	}
}
