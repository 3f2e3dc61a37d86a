// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
)

// counters is one reading at a time of the counters of one table, ks.a.
func counters(at time.Duration, process cluster.Boot, id string, count, bytes int64) reading {
	return reading{process: process, began: cluster.Moment(at), end: cluster.Moment(at + time.Second),
		said: map[string]cassandra.TableWrites{"ks.a": {Count: count, Bytes: bytes}}, ids: map[string]string{"ks.a": id}}
}

func TestWhatCountersTell(t *testing.T) {
	const s = time.Second
	rows := []struct {
		why  string
		read []reading // before the last one
		last reading
		want string // seconds without a mutation, without anything
	}{
		{"nothing moved since the first reading", []reading{counters(s, "p", "i", 5, 90)}, counters(20*s, "p", "i", 5, 90), "18 18"},
		{"a mutation may have come until the reading that tells of it was over",
			[]reading{counters(s, "p", "i", 5, 90), counters(11*s, "p", "i", 6, 90)}, counters(20*s, "p", "i", 6, 90), "8 8"},
		{"bytes came, and no mutation", []reading{counters(s, "p", "i", 5, 90), counters(11*s, "p", "i", 5, 91)}, counters(20*s, "p", "i", 5, 91), "18 8"},
		{"a compaction may hide some", []reading{counters(s, "p", "i", 5, 90), counters(11*s, "p", "i", 5, 50)}, counters(20*s, "p", "i", 5, 50), "18 8"},
		{"counters that fell are other ones", []reading{counters(s, "p", "i", 5, 90), counters(11*s, "p", "i", 0, 90)}, counters(20*s, "p", "i", 0, 90), "8 8"},
		{"another process knows nothing of before", []reading{counters(s, "p", "i", 5, 90), counters(11*s, "q", "i", 5, 90)}, counters(20*s, "q", "i", 5, 90), "8 8"},
		{"nor does a table that was made again", []reading{counters(s, "p", "i", 0, 0), counters(11*s, "p", "j", 0, 0)}, counters(20*s, "p", "j", 0, 0), "8 8"},
		{"thirty seconds are no gap", []reading{counters(s, "p", "i", 5, 90)}, counters(32*s, "p", "i", 5, 90), "30 30"},
		{"more are", []reading{counters(s, "p", "i", 5, 90)}, counters(33*s, "p", "i", 5, 90), ""},
		{"one that was not read for a while is new", []reading{counters(s, "p", "i", 5, 90), {process: "p", began: cluster.Moment(5 * s), end: cluster.Moment(6 * s)}},
			counters(20*s, "p", "i", 5, 90), ""},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			var w writes
			for _, each := range r.read {
				w.take(each)
			}
			w.take(r.last)
			c := w.tables["ks.a"]
			wrote, all := r.last.began.Sub(max(c.since, c.wrote)), r.last.began.Sub(max(c.since, c.wrote, c.grew))
			if got := fmt.Sprint(int(wrote/s), int(all/s)); got != r.want && (r.want != "" || wrote > 0) {
				t.Errorf("%s, want %q", got, r.want)
			}
		})
	}
}

// A table that was written while a node was away, and no more since, is repaired once.
func TestATableThatWasWrittenAMomentAgoIsToldToo(t *testing.T) {
	var w writes
	w.take(counters(time.Second, "p", "i", 5, 90))
	w.take(counters(11*time.Second, "p", "i", 6, 90))
	last := counters(22*time.Second, "p", "i", 6, 90)
	w.take(last)
	if got := w.answer([]string{"i/1"}, last.began).Still["ks"]["a"]; got != [2]int64{10, 10} {
		t.Errorf("told %v", got)
	}
}

func TestTheAnswerToWhoAsks(t *testing.T) {
	long := func(w *writes, name string, n int) {
		ids, said := map[string]string{}, map[string]cassandra.TableWrites{}
		for i := range n {
			ids[fmt.Sprintf("ks.%s%d", name, i)], said[fmt.Sprintf("ks.%s%d", name, i)] = "i", cassandra.TableWrites{}
		}
		for at := time.Duration(0); at <= 2*time.Minute; at += 10 * time.Second {
			w.take(reading{process: "p", began: cluster.Moment(at), end: cluster.Moment(at), said: said, ids: ids})
		}
	}
	now := cluster.Moment(2 * time.Minute)
	rows := []struct {
		why    string
		tables int
		name   string
		asked  []string
		told   int // tables; -1: no answer
	}{
		{"nobody asks", 3, "t", nil, -1},
		{"somebody does", 3, "t", []string{"i/1"}, 3},
		{"what is more than is remembered is written", countedMax + 5, "t", []string{"i/1"}, 0},
		{"so is all in an answer that is too large", 400, strings.Repeat("t", 90), []string{"i/1"}, 0},
		{"a usual cluster has room", 400, "a_table_of_mine_", []string{"i/1"}, 400},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			var w writes
			w.at = 1 // a reading at moment 0 is none
			long(&w, r.name, r.tables)
			got := w.answer(r.asked, now)
			if got == nil != (r.told < 0) || got != nil && len(got.Still["ks"]) != r.told {
				t.Fatalf("told %+v", got)
			}
			if len(w.tables) > countedMax {
				t.Errorf("%d tables are remembered", len(w.tables))
			}
			if got != nil && !slices.Equal(got.Answers, r.asked) {
				t.Errorf("answers %v", got.Answers)
			}
		})
	}
	var w writes
	if w.answer([]string{"i/1"}, now) != nil {
		t.Error("without a reading nothing is known")
	}
}

// Whatever was written when, and however readings came: nobody is told that a table
// was quiet for longer than it was.
func TestNoTableIsToldQuieterThanItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w writes
		process, count, bytes := 1, int64(0), int64(0)
		var wrote, grew, began, end int64 = 1, 1, 0, 1
		now := int64(1)
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now += int64(rapid.IntRange(0, 25).Draw(t, "passes"))
			switch rapid.IntRange(0, 6).Draw(t, "event") {
			case 0:
				count, wrote = count+1, now
			case 1:
				bytes, grew = bytes+1000, now
			case 2:
				bytes = max(0, bytes-int64(rapid.IntRange(0, 3).Draw(t, "compacted")))
			case 3:
				process, count, wrote = process+1, 0, now // what it took since is not told to the next one
			default:
				began, end = now, now+int64(rapid.IntRange(0, 3).Draw(t, "takes"))
				r := counters(time.Duration(began)*time.Second, cluster.Boot(fmt.Sprint(process)), "i", count, bytes)
				r.end = cluster.Moment(time.Duration(end) * time.Second)
				w.take(r)
				now = end
				said := w.answer([]string{"q"}, r.began)
				if said == nil {
					continue
				}
				if still, told := said.Still["ks"]["a"]; told && (still[0] > began-wrote || still[1] > began-max(wrote, grew)) {
					t.Fatalf("told %v at %d: it was written at %d, and grew at %d", still, began, wrote, grew)
				}
			}
		}
	})
}
