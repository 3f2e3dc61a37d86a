// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/membership"
	"supervisor/repair"
)

func TestWhoLacksWritesIsNoSource(t *testing.T) {
	rows := []struct {
		why   string
		r     Record
		own   cluster.Boot // the process that its agent names
		lacks bool
	}{
		{"silent, and nothing decided yet", Record{Phase: Draining, Cause: membership.HostGone}, "p1", true},
		{"its clients were shut out, no more", Record{Phase: Draining, Cause: membership.CQLDead}, "p1", false},
		{"it is given back by the hints of its peers", Record{Phase: Verifying, Cause: membership.Hung, Process: "p1"}, "p1", false},
		{"another process answers", Record{Phase: Verifying, Cause: membership.Hung, Process: "p1"}, "p2", true},
		{"it cannot be kept from readers", Record{Phase: Returning, Return: &Return{Step: Preflight}}, "p1", true},
		{"it was repaired and compared", Record{Phase: Verifying, Return: &Return{Step: Opening}}, "p1", false},
		{"its disk failed, and seems well", Record{Phase: Held, HeldRule: FenceBeforeReplace, Cause: membership.DiskFailed}, "p1", true},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			r.r.Node = "n1"
			v := membership.Verdict{Node: "n1", Answer: membership.Alive, Own: membership.Good, Process: r.own}
			w := World{Open: []Record{{Node: "n2"}, r.r}, View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n1": v}}}
			if _, got := w.lacking("n1"); got != r.lacks {
				t.Errorf("lacks %v", got)
			}
		})
	}
	started := World{Agents: map[cluster.Name]Agent{"n1": {Unrepaired: true}}}
	for n, want := range map[cluster.Name]bool{"n1": true, "n2": false} {
		if _, got := started.lacking(n); got != want {
			t.Errorf("%s lacks %v: who was started unasked does, and nobody else", n, got)
		}
	}
}

func TestWhatAPeerLacksToo(t *testing.T) {
	silent := Record{Node: "n1", Phase: Returning, Process: "p1", Cause: membership.Hung, Return: &Return{}}
	killed := Record{Node: "n1", Phase: Returning, Process: "p0", Cause: membership.ProcessDown, Return: &Return{}}
	broken := Record{Node: "n1", Phase: Held, HeldRule: FenceBeforeReplace, Process: "p1"}
	rows := []struct {
		why    string
		peer   Record
		node   cluster.Boot  // the process that runs on the node; p2 is the one that its incident is about
		back   time.Duration // the peer, before now; the node began to lack writes a minute before it
		joined cluster.Boot  // the process that was seen in the ring behind its fence for as long
		byWall bool
		lacks  bool
	}{
		{"the node lost what it had not synced while the peer was away", silent, "p3", 30 * time.Second, "", false, true},
		{"the peer lost what it had not synced while the node was away", killed, "p2", 30 * time.Second, "p1", false, true},
		{"both were silent, and lost nothing that they had", silent, "p2", 30 * time.Second, "", false, false},
		{"the peer was back before the node lacked anything", silent, "p3", 2 * time.Minute, "", false, false},
		{"so was its next process, in the ring behind its fence", killed, "p3", 2 * time.Minute, "p1", false, false},
		{"its next process answers, which the verdict's age says nothing of", killed, "p3", 2 * time.Minute, "", false, true},
		{"nor does a process before that", killed, "p3", 2 * time.Minute, "p0", false, true},
		{"of which nobody is sure that knows it by wall time", silent, "p3", 2 * time.Minute, "", true, true},
		{"a failed disk may lack anything", broken, "p2", 2 * time.Minute, "", false, true},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			now := cluster.Moment(time.Hour)
			began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			w := World{Now: now, Elapsed: 45 * time.Second, ByWall: r.byWall, Open: []Record{r.peer},
				Joined: map[cluster.Name]Joined{"n1": {Process: r.joined, Since: now.Add(-r.back)}},
				View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{
					"n1": {Node: "n1", Answer: membership.Alive, Own: membership.Good, Process: "p1", Since: now.Add(-r.back)},
					"n2": {Node: "n2", Answer: membership.Gone, Own: membership.Good, Process: r.node},
				}}}
			x := newTurn(Record{Node: "n2", Process: "p2", Began: began, Outage: Outage{From: began.Add(-15 * time.Second)}, Return: &Return{}}, w)
			if got := x.lacksToo("n1"); got != r.lacks {
				t.Errorf("lacks too: %v", got)
			}
		})
	}
}

func TestWhoIsComparedWith(t *testing.T) {
	closed := membership.Verdict{Answer: membership.Gone, Cause: membership.CQLDead, Own: membership.Good, Process: "p1"}
	normal := isolate.OwnState{Running: true, Mode: "NORMAL", Process: "p1"}
	rows := []struct {
		why    string
		v      membership.Verdict
		own    isolate.OwnState
		fenced bool
		want   bool
	}{
		{"it serves", membership.Verdict{Answer: membership.Alive}, isolate.OwnState{}, false, true},
		{"it is in the ring behind its fence", closed, normal, true, true},
		{"it hibernates", closed, isolate.OwnState{Running: true, Mode: "STARTING", Process: "p1"}, true, false},
		{"another process runs than the one its agent spoke of", closed, isolate.OwnState{Running: true, Mode: "NORMAL", Process: "p0"}, true, false},
		{"it is silent", membership.Verdict{Answer: membership.Gone, Cause: membership.HostGone, Own: membership.Good, Process: "p1"}, normal, true, false},
		{"its disk failed", membership.Verdict{Answer: membership.Gone, Cause: membership.DiskFailed, Own: membership.Good, Process: "p1"}, normal, true, false},
		{"its clients are shut out, by nobody's fence", closed, normal, false, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			w := World{View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n1": r.v}}, Agents: map[cluster.Name]Agent{"n1": {}},
				Seen: map[cluster.Name]map[cluster.Name]isolate.Seen{"n1": {"n1": {Own: &r.own}}}}
			if r.fenced {
				w.Fences = map[cluster.Name]StandingFence{"n1": {Fence: isolate.Fence{Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate}}}
			}
			if got := w.compares("n1"); got != r.want {
				t.Errorf("compared with: %v", got)
			}
		})
	}
}

func TestHintsEndWithWhoKeptThem(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rows := []struct {
		why   string
		other Record
		lost  bool
	}{
		{"its process ended in the silence", Record{Node: "n1", Cause: membership.ProcessDown, Began: began.Add(20 * time.Second)}, true},
		{"its disk failed in the silence", Record{Node: "n1", Cause: membership.DiskFailed, Began: began.Add(20 * time.Second)}, true},
		{"both began at once, by two wall clocks", Record{Node: "n1", Cause: membership.ProcessDown, Began: began.Add(-5 * time.Second)}, true},
		{"it was away before: it kept none", Record{Node: "n1", Cause: membership.ProcessDown, Began: began.Add(-time.Minute)}, false},
		{"it is cut off, and hands its hints over later", Record{Node: "n1", Cause: membership.Isolated, Began: began.Add(20 * time.Second)}, false},
		{"the silence itself", Record{Node: "n3", Cause: membership.ProcessDown, Began: began.Add(20 * time.Second)}, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			v := membership.Verdict{Node: "n3", Answer: membership.Alive, Own: membership.Good, Since: cluster.Moment(time.Hour)}
			w := World{Now: v.Since, Elapsed: 5 * time.Second, Open: []Record{r.other}, Hints: time.Hour,
				View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n3": v}}}
			x := newTurn(Record{Node: "n3", Began: began, Cause: membership.Hung}, w)
			if got := x.beyondHints(v); got != r.lost {
				t.Errorf("taken for beyond the hints: %v", got)
			}
		})
	}
}

// A repair counted n1 and n2 beside n3, which is proven.
func TestWhoComparesANode(t *testing.T) {
	serves := membership.Verdict{Answer: membership.Alive}
	behind := membership.Verdict{Answer: membership.Gone, Cause: membership.CQLDead, Own: membership.Good, Process: "p1"}
	rows := []struct {
		why      string
		n1, n2   membership.Verdict
		want     cluster.Name
		together int // hosts of the comparison
	}{
		{"who serves comes first, with those that serve", behind, serves, "n2", 2},
		{"nobody serves: one behind its fence, with all", behind, behind, "n1", 3},
		{"one behind its fence alone could lack the same", behind, membership.Verdict{}, "", 0},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			w := World{View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n1": r.n1, "n2": r.n2}},
				Agents: map[cluster.Name]Agent{"n1": {}, "n2": {}}, Fences: map[cluster.Name]StandingFence{}, Seen: map[cluster.Name]map[cluster.Name]isolate.Seen{}}
			for _, n := range []cluster.Name{"n1", "n2"} {
				if w.verdict(n).Answer == membership.Gone {
					w.Fences[n] = StandingFence{Fence: isolate.Fence{Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate}}
				}
				w.Seen[n] = map[cluster.Name]isolate.Seen{n: {Own: &isolate.OwnState{Running: true, Mode: "NORMAL", Process: "p1"}}}
			}
			segment := repair.Segment{Keyspace: "ks", Hosts: []cluster.Name{"n3", "n1", "n2"}}
			x := newTurn(Record{Node: "n3", Return: &Return{Step: Previewing, Job: &repair.Job{Segments: []repair.Segment{segment}}}}, w)
			agent, segments := x.previewPlan()
			if agent != r.want || len(segments) > 0 && len(segments[0].Hosts) != r.together {
				t.Errorf("%q compares %v", agent, segments)
			}
		})
	}
}
