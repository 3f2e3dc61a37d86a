// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

func init() { commands["repairs"] = (*stage).repairEnds }

func (s *stage) repairs() (list []Record) {
	for _, n := range slices.Sorted(maps.Keys(s.asked)) {
		list = append(list, s.asked[n])
	}
	return list
}

func (s *stage) repairsLook() string {
	out := ""
	for _, n := range slices.Sorted(maps.Keys(s.asked)) {
		if d := NextRepair(s.asked[n], Looked{}, s.repairWorld(n)); d.Changed {
			out += s.take(d)
		}
	}
	return out
}

// keep has the record of a decision stand where it belongs.
func (s *stage) keep(d Decision) {
	n := d.Record.Node
	if d.Record.Asked() {
		s.takeRepair(d)
		return
	}
	if old, had := s.records[n]; !had || old.Step != d.Record.Step {
		s.entered[n] = s.w.Now
	}
	s.records[n] = d.Record
}

// takeRepair lets a decision about a repair come true that a person asked for.
func (s *stage) takeRepair(d Decision) {
	n := d.Record.Node
	if old, had := s.asked[n]; !had || old.Step != d.Record.Step || old.ID != d.Record.ID {
		s.entered["repair of "+n] = s.w.Now
	}
	s.asked[n] = d.Record
	for _, e := range d.Effects {
		if e.Once == nil || e.Once.Verb != VerbRepair && e.Once.Verb != VerbPreview {
			s.t.Errorf("%s does more than repair and compare: %+v", d.Record.ID, e)
		}
	}
	if len(d.Ledger.Holders) != len(s.w.Ledger.Holders) {
		s.t.Errorf("%s changes the budget: %+v, was %+v", d.Record.ID, d.Ledger.Holders, s.w.Ledger.Holders)
	}
	if d.Record.Phase == Closed && d.Record.Return.Job != nil {
		s.t.Errorf("%s is closed and keeps %d segments", d.Record.ID, len(d.Record.Return.Job.Segments))
	}
}

func (s *stage) repairWorld(n cluster.Name) World {
	w := s.worldOf("")
	w.Elapsed, w.InStep = w.Wall.Sub(s.asked[n].Began), w.Now.Sub(s.entered["repair of "+n])
	w.Older = s.older["repair of "+n]
	delete(s.older, "repair of "+n)
	return w
}

// repairEnds settles the order of a repair: repairs n3 done differs=ks.t, done=0,1.
func (s *stage) repairEnds(names []cluster.Name, args map[string]string) string {
	r := s.asked[names[0]]
	if names[1] == "adopted" {
		return s.take(NextRepair(r, Adopted{By: "n2"}, s.repairWorld(names[0])))
	}
	if names[1] == "older" {
		s.older = map[cluster.Name]bool{"repair of " + names[0]: true}
		return ""
	}
	if len(r.Pending) == 0 {
		s.t.Fatalf("the repair of %s awaits nothing", names[0])
	}
	e := r.Pending[0]
	var outcome Outcome
	if err := outcome.UnmarshalText([]byte(names[1])); err != nil {
		s.t.Fatal(err)
	}
	res := Result{Why: args["why"], Rule: Rule(args["rule"]), Took: time.Second}
	if args["differs"] != "" {
		res.Differs = strings.Split(args["differs"], ",")
	}
	for i := range e.Once.Segments {
		if outcome == Done || i < len(args["done"]) { // done=x: one segment, done=xx: two
			res.Done = append(res.Done, e.Once.First+i)
		}
	}
	return s.take(NextRepair(r, Finished{Effect: e.ID, Outcome: outcome, Result: res}, s.repairWorld(names[0])))
}

func (s *stage) repairStatus() string {
	out := ""
	for _, n := range slices.Sorted(maps.Keys(s.asked)) {
		r := s.asked[n]
		out += fmt.Sprintf("%s of %s %s/%s", r.ID, n, r.Phase, r.Return.Step)
		if r.Return.Job != nil {
			done, total := r.Return.Job.Progress()
			out += fmt.Sprintf(" %d/%d", done, total)
		}
		if r.Waits != "" {
			out += ", waits for " + string(r.Waits)
		}
		if len(r.Pending) > 0 {
			out += ", " + r.Pending[0].Once.Verb.String() + " pending"
		}
		out += "\n"
	}
	return out
}

// Whatever happens while a person's repair is under way, it orders nothing but
// repairs and comparisons, one at a time, never while an incident is open about
// its node, while dc1 is paused or only observed, and it forgets nothing that was
// done.
func TestAnAskedRepairKeepsToItsRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStage(t)
		s.ring(6)
		s.policy.Return.BatchMax = rapid.IntRange(1, 3).Draw(rt, "batch")
		r := Hear(Ask{Verb: AskRepair, Who: "ana", Why: "a test", About: About{Node: "n3", Said: s.w.Wall}}, s.worldOf("n3"), "inc-9").Decision.Record
		if r.ID != "rep-9" {
			rt.Fatalf("it began as %q", r.ID)
		}
		modes := map[string]Mode{"observe": Observe, "auto": Auto}
		for range rapid.IntRange(1, 60).Draw(rt, "moves") {
			w := s.worldOf("")
			w.Now, w.Wall = w.Now.Add(10*time.Second), w.Wall.Add(10*time.Second)
			s.w.Now, s.w.Wall = w.Now, w.Wall
			w.InStep = time.Duration(rapid.IntRange(0, 400).Draw(rt, "in step")) * time.Second
			mode := rapid.SampledFrom([]string{"auto", "auto", "auto", "observe"}).Draw(rt, "mode")
			p := s.policy
			p.Modes = map[cluster.Datacenter]Mode{"dc1": modes[mode]}
			w.Policy = &p
			paused := rapid.IntRange(0, 5).Draw(rt, "paused") == 0
			if paused {
				w.Holds.Pauses = []Pause{{By: "bo", Until: w.Wall.Add(time.Hour)}}
			}
			ill := rapid.IntRange(0, 4).Draw(rt, "incident") == 0
			if ill {
				w.Open = []Record{{ID: "inc-1", Node: rapid.SampledFrom([]cluster.Name{"n3", "n1"}).Draw(rt, "of"), Datacenter: "dc1", Phase: Returning, Return: &Return{}}}
			}
			before := r
			var ev Event = Looked{}
			if len(r.Pending) > 0 && rapid.Bool().Draw(rt, "ends") {
				f := Finished{Effect: r.Pending[0].ID, Outcome: Outcome(rapid.IntRange(1, 4).Draw(rt, "outcome"))}
				for i := range r.Pending[0].Once.Segments {
					if f.Outcome == Done || rapid.Bool().Draw(rt, "segment") {
						f.Result.Done = append(f.Result.Done, r.Pending[0].Once.First+i)
					}
				}
				if rapid.IntRange(0, 2).Draw(rt, "differs") == 0 {
					f.Result.Differs = []string{"ks.t"}
				}
				ev = f
			}
			d := NextRepair(r, ev, w)
			r = d.Record
			for _, e := range d.Effects {
				if e.Once == nil || e.Once.Verb != VerbRepair && e.Once.Verb != VerbPreview {
					rt.Fatalf("it does %+v", e)
				}
				if ill || paused || mode == "observe" {
					rt.Fatalf("ill %t, paused %t, mode %s: %+v", ill, paused, mode, e)
				}
			}
			switch {
			case len(r.Pending) > 1:
				rt.Fatalf("%d orders at once", len(r.Pending))
			case len(d.Ledger.Holders) > 0:
				rt.Fatalf("it holds %v", d.Ledger.Holders)
			case before.Return.Job != nil && r.Return.Job != nil && before.Return.Rounds == r.Return.Rounds && before.Phase == r.Phase:
				was, _ := before.Return.Job.Progress()
				if is, _ := r.Return.Job.Progress(); is < was {
					rt.Fatalf("%d done, and before %d", is, was)
				}
			}
			if r.Phase == Closed || r.Phase == Held {
				return
			}
		}
	})
}
