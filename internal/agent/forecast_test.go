// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

const gib = 1 << 30

// wellVitals is a node that will be well for years.
func wellVitals(at time.Duration) vitals {
	return vitals{process: "p1", space: &Space{Used: 400 * gib, Free: 600 * gib}, window: 3 * time.Hour,
		names: map[cluster.HostID]cluster.Name{"id-n2": "n2"},
		said: &cassandra.Vitals{Heap: cassandra.Fill{Used: 2*gib + int64(at/time.Second)%7<<20, Max: 8 * gib, Known: true}, Files: cassandra.Fill{Used: 900, Max: 100000, Known: true},
			Clients: cassandra.Fill{Used: 40, Max: 1000, Known: true}, Compaction: cassandra.CompactionNeed{Table: "ks.wide", Bytes: 60 * gib},
			Pools: []cassandra.ThreadPool{{Name: "ReadStage", Threads: 32, QueueMax: 1<<31 - 1, Blocked: 7}}},
		clocks: []membership.Clock{{Ahead: time.Millisecond, Error: time.Millisecond}, {Ahead: -time.Millisecond, Error: time.Millisecond}}}
}

// played is what was told of one code.
type played struct {
	flips    []time.Duration // began, ended …
	sentence string          // the first
	words    int             // one after the other, that stood in the agent's key
}

func playVitals(lasts time.Duration, change func(time.Duration, *vitals)) map[string]*played {
	f := newForecast()
	out := map[string]*played{}
	before := map[string]incident.Trouble{}
	for t := time.Duration(0); t < lasts; t += vitalsEvery {
		v := wellVitals(t)
		v.at, v.wall = cluster.Moment(time.Hour+t), time.Unix(1_700_000_000, 0).Add(t)
		change(t, &v)
		now := f.take(v)
		for _, code := range forecasts {
			was, is := before[code], now[code]
			if was.Code != is.Code {
				if out[code] == nil {
					args := maps.Clone(is.Args)
					args["node"] = "n1"
					out[code] = &played{sentence: incident.Sentence(code, args)}
				}
				out[code].flips = append(out[code].flips, t)
			}
			if is.Code != "" && !maps.Equal(was.Args, is.Args) {
				out[code].words++
			}
		}
		before = now
	}
	return out
}

func hourly(t time.Duration, each float64) int64 { return int64(each * t.Hours()) }

var forecastRows = []struct {
	why   string
	lasts time.Duration
	f     func(time.Duration, *vitals)
	code  string          // the only one that is told; empty: none is
	flips []time.Duration // within five minutes
	says  string          // a part of the sentence
	words int             // at most
}{
	{"a node that is well", 26 * time.Hour, func(time.Duration, *vitals) {}, "", nil, "", 0},
	{"a disk that fills, less what a compaction needs", 6 * time.Hour, func(t time.Duration, v *vitals) {
		v.space = &Space{Used: 700*gib + hourly(t, 20*gib), Free: 300*gib - hourly(t, 20*gib)}
	}, "DISK_FILLING", []time.Duration{165 * time.Minute}, "the data disk of n1 is full in about 8 h, counting 60 GiB that compacting ks.wide may need: from 70", 3},
	{"a disk that fills within the hour is told before two hours are over", 40 * time.Minute, func(t time.Duration, v *vitals) {
		v.space = &Space{Used: 600*gib + hourly(t, 300*gib), Free: 400*gib - hourly(t, 300*gib)}
	}, "DISK_FILLING", []time.Duration{23 * time.Minute}, "is full in about 45 min, compaction apart: from 60", 3},
	{"what a compaction needs is not there", time.Hour, func(_ time.Duration, v *vitals) {
		v.space = &Space{Used: 950 * gib, Free: 50 * gib}
	}, "DISK_FILLING", []time.Duration{25 * time.Minute}, "is full now, counting 60 GiB", 1},
	{"a disk that is full is two findings, of which this one is told at once", 10 * time.Minute, func(_ time.Duration, v *vitals) {
		v.space = &Space{Used: 995 * gib, Free: 5 * gib}
	}, "DISK_FULL", []time.Duration{0}, "its data disk is full: 5 GiB of 1000 GiB are free", 1},
	{"a disk that is full until there is room again, and a little is not enough", 10 * time.Minute, func(t time.Duration, v *vitals) {
		v.said.Aborted = int64(min(t, time.Minute) / time.Minute)
		free := int64(5 * gib)
		if t >= 2*time.Minute {
			free = 12 * gib
		}
		if t >= 4*time.Minute {
			free = 400 * gib
		}
		v.space = &Space{Used: 1000*gib - free, Free: free}
	}, "DISK_FULL", []time.Duration{0, 4 * time.Minute}, "its data disk is full: 5 GiB of 1000 GiB are free", 2},
	{"compactions that Cassandra gives up, until it gives up no more", 30 * time.Minute, func(t time.Duration, v *vitals) {
		v.said.Aborted = int64(min(t, 5*time.Minute) / time.Minute)
	}, "DISK_FULL", []time.Duration{time.Minute, 15 * time.Minute}, "Cassandra gave up 1 for lack of space", 2},
	{"those of the process before are none", 30 * time.Minute, func(t time.Duration, v *vitals) {
		v.said.Aborted = 3
		if t > 10*time.Minute {
			v.process, v.said.Aborted = "p2", 5
		}
	}, "", nil, "", 0},
	{"compactions are not counted", 30 * time.Minute, func(t time.Duration, v *vitals) {
		if v.said.Aborted = -1; t > 10*time.Minute {
			v.said.Aborted = 5
		}
	}, "", nil, "", 0},
	{"a disk that does not tell its room", time.Hour, func(_ time.Duration, v *vitals) { v.space = nil }, "", nil, "", 0},
	{"a heap that leaks, until its process is replaced", 5 * time.Hour, func(t time.Duration, v *vitals) {
		v.said.Heap.Used = 4*gib + hourly(t, gib)
		if t > 4*time.Hour {
			v.process, v.said.Heap.Used = "p2", 4*gib
		}
	}, "CASS_HEAP_CLIMBING", []time.Duration{98 * time.Minute, 4*time.Hour + 30*time.Second}, "the heap of Cassandra on n1 is full after collections in about 2 h: from 4 GiB to 5.5 GiB", 9},
	{"a heap that is read again and again and was not collected", 5 * time.Hour, func(t time.Duration, v *vitals) {
		v.said.Heap.Used = 7 * gib
	}, "", nil, "", 0},
	{"a heap that was collected six times says nothing yet, however often it is read", 4 * time.Hour, func(t time.Duration, v *vitals) {
		v.said.Heap.Used = 4*gib + int64(t/(40*time.Minute))*gib/2
	}, "", nil, "", 0},
	{"a heap that is not known", 5 * time.Hour, func(t time.Duration, v *vitals) { v.said.Heap = cassandra.Fill{} }, "", nil, "", 0},
	{"file descriptors that leak", time.Hour, func(t time.Duration, v *vitals) { v.said.Files.Used = 50000 + hourly(t, 40000) },
		"CASS_FD_NEAR_LIMIT", []time.Duration{20 * time.Minute}, "runs out of file descriptors in about 45 min: from 5", 6},
	{"file descriptors near their limit need not rise", time.Hour, func(t time.Duration, v *vitals) { v.said.Files.Used = 86000 },
		"CASS_FD_NEAR_LIMIT", []time.Duration{5 * time.Minute}, "runs out of file descriptors if it goes on: from 86000 to 86000", 1},
	{"a queue that grows", 20 * time.Minute, func(t time.Duration, v *vitals) { v.said.Pools[0].Pending = hourly(t, 12000) },
		"CASS_QUEUE_SATURATING", []time.Duration{14 * time.Minute}, "does not keep up, tasks that wait for ReadStage reach their bound within 10 min: from 1", 2},
	{"a queue with a bound of its own", 20 * time.Minute, func(t time.Duration, v *vitals) { v.said.Pools[0].Pending, v.said.Pools[0].QueueMax = 130, 128 },
		"CASS_QUEUE_SATURATING", []time.Duration{3 * time.Minute}, "ReadStage reach their bound now: from 130 to 130", 1},
	{"tasks that are blocked, until they are not", 30 * time.Minute, func(t time.Duration, v *vitals) {
		v.said.Pools[0].Blocked = 7 + int64(min(t, 10*time.Minute)/time.Second)
	}, "CASS_QUEUE_SATURATING", []time.Duration{3 * time.Minute, 13 * time.Minute}, "bound now: others are blocked", 1},
	{"a few that are blocked now and then", 2 * time.Hour, func(t time.Duration, v *vitals) {
		v.said.Pools[0].Blocked = 7 + int64(t/(2*time.Minute))
	}, "", nil, "", 0},
	{"connections of clients", 20 * time.Minute, func(_ time.Duration, v *vitals) { v.said.Clients.Used = 900 },
		"CASS_QUEUE_SATURATING", []time.Duration{5 * time.Minute}, "connections of clients reach their bound if it goes on", 1},
	{"hints that nobody takes", 3 * time.Hour, func(t time.Duration, v *vitals) {
		v.said.Hint = cassandra.OldestHint{For: "id-n2", At: time.Unix(1_700_000_000, 0)}
	}, "HINTS_BACKLOG", []time.Duration{94 * time.Minute}, "hints for n2 on n1 are older than its hint window in about 1 h: from", 12},
	{"hints that are delivered as they come", 12 * time.Hour, func(t time.Duration, v *vitals) {
		v.said.Hint = cassandra.OldestHint{For: "id-n2", At: v.wall.Add(-20*time.Minute - t%(10*time.Minute))}
	}, "", nil, "", 0},
	{"a window of seconds is not watched", time.Hour, func(t time.Duration, v *vitals) {
		v.window, v.said.Hint = 5*time.Second, cassandra.OldestHint{For: "id-n2", At: time.Unix(1_700_000_000, 0)}
	}, "", nil, "", 0},
	{"a clock that is behind, until it is right again", time.Hour, func(t time.Duration, v *vitals) {
		if t < 30*time.Minute {
			v.clocks = []membership.Clock{{Ahead: 2*time.Second + t/1000, Error: time.Millisecond}, {Ahead: 2 * time.Second, Error: 3 * time.Millisecond}}
		}
	}, "CLOCK_DRIFT", []time.Duration{5 * time.Minute, 34 * time.Minute}, "the wall clock of n1 is 2s behind those of 2 of 2 other hosts, more or less 10ms", 4},
	{"two others that say nothing sure", time.Hour, func(_ time.Duration, v *vitals) {
		v.clocks = []membership.Clock{{Ahead: 2 * time.Second, Error: 1600 * time.Millisecond}, {Ahead: 2 * time.Second, Error: 1600 * time.Millisecond}}
	}, "", nil, "", 0},
	{"one other host", time.Hour, func(_ time.Duration, v *vitals) { v.clocks = []membership.Clock{{Ahead: time.Hour}} }, "", nil, "", 0},
}

func TestForecast(t *testing.T) {
	for _, row := range forecastRows {
		t.Run(row.why, func(t *testing.T) {
			got := playVitals(row.lasts, row.f)
			if row.code == "" {
				for code, p := range got {
					t.Errorf("%s at %v: %s", code, p.flips, p.sentence)
				}
				return
			}
			p := got[row.code]
			if p == nil || len(got) != 1 {
				t.Fatalf("told: %v, want only %s", slices.Collect(maps.Keys(got)), row.code)
			}
			ok := len(p.flips) == len(row.flips) && strings.Contains(p.sentence, row.says) && p.words <= row.words
			for i := 0; ok && i < len(row.flips); i++ {
				ok = (p.flips[i] - row.flips[i]).Abs() <= 5*time.Minute
			}
			if !ok {
				t.Errorf("at %v, want %v\n%s\nwant … %s …\n%d words, at most %d", p.flips, row.flips, p.sentence, row.says, p.words, row.words)
			}
		})
	}
}

// Every sentence of a forecast has all of its arguments.
func TestForecastsAreRows(t *testing.T) {
	for _, code := range forecasts {
		row, known := incident.RowOf(code)
		if !known || row.Scope != incident.ScopeNode {
			t.Errorf("%s is no row about a node: %+v", code, row)
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(forecasts)))); n != len(forecasts) {
		t.Error(fmt.Sprint("twice the same: ", forecasts))
	}
}
