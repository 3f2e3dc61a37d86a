// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

// four is a small cluster with three racks in which everybody watches everybody.
func four() Topology {
	return NewTopology([]cluster.Host{{Name: "n1", Datacenter: "dc", Rack: "a"}, {Name: "n2", Datacenter: "dc", Rack: "b"},
		{Name: "n3", Datacenter: "dc", Rack: "c"}, {Name: "n4", Datacenter: "dc", Rack: "a"}})
}

var (
	anyName    = rapid.SampledFrom([]cluster.Name{"n1", "n2", "n3", "n4"})
	anySubject = rapid.SampledFrom([]cluster.Name{"n1", "n1", "n1", "n2", "n5"})
	anyPath    = rapid.SampledFrom([]Path{Process, CQL, CQL, CQL, Admin, Disk, Storage, Phi, PathUnknown})
	anyOutcome = rapid.SampledFrom([]Outcome{NoWord, Good, Good, Late, Refused, Refused, Silent, Wrong, Exited, Leaving})
	anyBoot    = rapid.SampledFrom([]cluster.Boot{"a", "a", "a", "a", "a", "a", "a", "b"})
	anyAge     = rapid.SampledFrom([]time.Duration{-1, 0, 0, 0, time.Millisecond, 400 * time.Millisecond, time.Second, 2990 * time.Millisecond, 3 * time.Second, 5 * time.Second})
	anyGap     = rapid.SampledFrom([]time.Duration{0, 1, 50 * time.Millisecond, 250 * time.Millisecond, 300 * time.Millisecond,
		700 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 3*time.Second + 1, 11 * time.Second, time.Hour})
)

func drawReport(t *rapid.T, now cluster.Moment) Report {
	age := anyAge.Draw(t, "age")
	r := Report{Observer: anyName.Draw(t, "observer"), Boot: anyBoot.Draw(t, "boot"), Unwell: rapid.IntRange(0, 9).Draw(t, "unwell") == 0}
	r.Look = Look{Subject: anySubject.Draw(t, "subject"), Path: anyPath.Draw(t, "path"), Outcome: anyOutcome.Draw(t, "outcome"),
		Misses: rapid.IntRange(0, 4).Draw(t, "misses"), Held: anyAge.Draw(t, "held"), Age: age}
	r.At = now.Add(-age)
	if rapid.IntRange(0, 30).Draw(t, "future") == 0 {
		r.At = r.At.Add(time.Second)
	}
	return r
}

func drawBatch(t *rapid.T, now cluster.Moment) []Report {
	var batch []Report
	for range rapid.IntRange(0, 8).Draw(t, "reports") {
		batch = append(batch, drawReport(t, now))
	}
	return batch
}

// walk draws a history and calls visit at each turn with what goes into it.
func walk(t *rapid.T, visit func(prev View, batch []Report, now cluster.Moment)) {
	var v View
	now := cluster.Moment(time.Hour)
	for range rapid.IntRange(1, 12).Draw(t, "turns") {
		now = now.Add(anyGap.Draw(t, "gap"))
		batch := drawBatch(t, now)
		visit(v, batch, now)
		v = judge(v, batch, four(), DefaultBars(), now)
	}
}

// TestOrderOfReportsDoesNotMatter also shows that a turn is a function of its
// arguments and changes none of them.
func TestOrderOfReportsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		walk(t, func(prev View, batch []Report, now cluster.Moment) {
			before, sent := fmt.Sprintf("%+v", prev), slices.Clone(batch)
			got := judge(prev, batch, four(), DefaultBars(), now)
			again := judge(prev, rapid.Permutation(batch).Draw(t, "order"), four(), DefaultBars(), now)
			if !reflect.DeepEqual(got, again) {
				t.Fatalf("two orders of the same reports:\n%+v\n%+v", got, again)
			}
			if after := fmt.Sprintf("%+v", prev); after != before {
				t.Fatalf("the previous view was changed:\n%s\n%s", before, after)
			}
			if !slices.Equal(sent, batch) {
				t.Fatalf("the reports were changed:\n%+v\n%+v", sent, batch)
			}
		})
	})
}

// TestOnlyNewsIsJudged compares a judge that judges only what may have changed
// with one that judges every node in every turn.
func TestOnlyNewsIsJudged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lazy, thorough View
		now := cluster.Moment(time.Hour)
		for range rapid.IntRange(1, 20).Draw(t, "turns") {
			now = now.Add(anyGap.Draw(t, "gap"))
			batch := drawBatch(t, now)
			if rapid.IntRange(0, 3).Draw(t, "a round") > 0 {
				batch = drawRound(t, now)
			}
			lazy = judge(lazy, batch, four(), DefaultBars(), now)
			thorough.Due = nil
			thorough = judge(thorough, batch, four(), DefaultBars(), now)
			for n := range four().Nodes {
				a, b := lazy.Verdicts[n], thorough.Verdicts[n]
				if late := b.LastAlive.Sub(a.LastAlive); late < 0 || late > retold {
					t.Fatalf("%s was last alive %s later by a judge who judges every time:\n%+v\n%+v", n, late, a, b)
				}
				if a, b := timeless(a), timeless(b); !reflect.DeepEqual(a, b) {
					t.Fatalf("%s judged on news only:\n%+v\njudged every time:\n%+v", n, a, b)
				}
			}
		}
	})
}

// drawRound is a digest of most observers: they see all nodes well, or all but
// one.
func drawRound(t *rapid.T, now cluster.Moment) []Report {
	var batch []Report
	bad := anySubject.Draw(t, "bad")
	for _, o := range []cluster.Name{"n1", "n2", "n3", "n4"} {
		if rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
			continue
		}
		for _, subject := range []cluster.Name{"n1", "n2", "n3", "n4"} {
			for _, p := range []Path{Process, CQL, Storage} {
				if p == Process && o != subject {
					continue
				}
				r := Report{Observer: o, Boot: "a"}
				r.Look = Look{Subject: subject, Path: p, Outcome: Good, Misses: 1, Age: rapid.SampledFrom([]time.Duration{0, 300 * time.Millisecond, time.Second}).Draw(t, "age")}
				if subject == bad && rapid.IntRange(0, 2).Draw(t, "seen") == 0 {
					r.Outcome = anyOutcome.Draw(t, "outcome")
				}
				r.At = now.Add(-r.Age)
				batch = append(batch, r)
			}
		}
	}
	return batch
}

// timeless leaves out what grows while nothing happens, and of the words that
// only say again that a node lives which of them is cited.
func timeless(x Verdict) Verdict {
	x.At = 0
	x.LastAlive = 0 // compared for itself
	quiet := x.Answer == Alive && x.For == 0
	ballots := make([]Ballot, len(x.Ballots))
	copy(ballots, x.Ballots)
	for i := range ballots {
		ballots[i].Age = 0
		if quiet {
			ballots[i].Cites = nil
		}
	}
	x.Ballots = ballots
	return x
}

func TestNothingIsDrainedWithoutItsBar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		walk(t, func(prev View, batch []Report, now cluster.Moment) {
			v := judge(prev, batch, four(), DefaultBars(), now)
			for n, x := range v.Verdicts {
				bar := x.Answer == Gone && x.For >= 2 && 2*x.For > x.Heard && x.Of >= v.Bars.ObserversMin && x.Cause != Planned
				if x.Drain && !bar {
					t.Fatalf("%s is drained: %+v", n, x)
				}
				if x.Answer == Gone && now.Sub(v.Began) < v.Bars.Fresh {
					t.Fatalf("%s is gone before a whole window was heard: %+v", n, x)
				}
				if x.For+x.Against != x.Heard || x.Heard+x.Abstain > x.Of || x.Of != len(x.Ballots) {
					t.Fatalf("votes of %s do not add up: %+v", n, x)
				}
				if met, missing := FenceBar(x, v.Bars, 15*time.Second, now); met && (x.Answer != Gone || x.For < x.Of/2+1) {
					t.Fatalf("%s may be fenced without a majority of all: %+v %v", n, x, missing)
				}
			}
		})
	})
}

func TestAnAnswerNeverMakesANodeGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		walk(t, func(prev View, batch []Report, now cluster.Moment) {
			observer := anyName.Draw(t, "who is answered")
			for _, r := range append(batch, ownDisk(prev)...) {
				if r.Path == Disk {
					return // the disk speaks for itself, answers or not
				}
			}
			without := judge(prev, batch, four(), DefaultBars(), now)
			answer := Report{Observer: observer, Boot: without.Observers[observer].Boot, At: now}
			answer.Look = Look{Subject: "n1", Path: CQL, Outcome: Good, Misses: 1}
			with := judge(without, []Report{answer}, four(), DefaultBars(), now)
			a, b := without.Verdicts["n1"], with.Verdicts["n1"]
			if a.Answer != Gone && b.Answer == Gone || !a.Drain && b.Drain {
				t.Fatalf("an answer to %s made it worse:\n%+v\n%+v", observer, a, b)
			}
		})
	})
}

// ownDisk are the words about disks in a view.
func ownDisk(v View) (words []Report) {
	for _, reports := range v.Reports {
		for _, r := range reports {
			if r.Path == Disk {
				words = append(words, r)
			}
		}
	}
	return words
}

func TestDigestsSurviveTheWire(t *testing.T) {
	keys := newKeys(t, "n1")
	rapid.Check(t, func(t *rapid.T) {
		d := Digest{Cluster: rapid.StringN(0, 20, 40).Draw(t, "cluster"), Observer: "n1", Boot: "boot",
			Seq: rapid.Uint64().Draw(t, "seq"), Unwell: rapid.Bool().Draw(t, "unwell"), Process: "p"}
		for _, subject := range []cluster.Name{"a-1.example", "a-17.example", "b.example"} {
			for p := Process; p <= Phi; p++ {
				if rapid.Bool().Draw(t, "looked") {
					l := Look{Subject: subject, Path: p, Outcome: anyOutcome.Draw(t, "outcome"),
						Held: time.Duration(rapid.IntRange(0, 1e9).Draw(t, "held")) * time.Millisecond,
						Age:  time.Duration(rapid.IntRange(0, 1e6).Draw(t, "age")) * time.Millisecond}
					l.setNumber(uint64(rapid.IntRange(0, 255).Draw(t, "misses, what it took, or what stands out inside")))
					d.Looks = append(d.Looks, l)
				}
			}
		}
		b, err := d.Encode(keys.sign("n1"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b, keys.public)
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Fatalf("sent %+v\n got %+v, %v", d, got, err)
		}
	})
}
