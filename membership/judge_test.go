// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
)

const start = cluster.Moment(time.Hour)

func look(observer, subject cluster.Name, p Path, o Outcome, at cluster.Moment) Report {
	return Report{Observer: observer, Boot: "a", At: at, Look: Look{Subject: subject, Path: p, Outcome: o, Misses: 1}}
}

// TestFreshnessHasAnEdge stands on both sides of the last moment at which a
// word counts.
func TestFreshnessHasAnEdge(t *testing.T) {
	for _, row := range []struct {
		why  string
		wait time.Duration
		want Vote
	}{
		{"exactly as old as allowed still counts", DefaultBars().Fresh, Against},
		{"a nanosecond older says nothing", DefaultBars().Fresh + 1, Unheard},
	} {
		t.Run(row.why, func(t *testing.T) {
			v := judge(View{}, []Report{look("n1", "n2", CQL, Good, start)}, four(), DefaultBars(), start)
			v = judge(v, nil, four(), DefaultBars(), start.Add(row.wait))
			if got := v.Verdicts["n2"].Ballots[0].Vote; got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// TestWakeIsEnough: a judge that is called only with news and at Wake gives its
// answer at the very moment the picture has stood still for long enough.
func TestWakeIsEnough(t *testing.T) {
	v := judge(View{}, []Report{look("n3", "n1", CQL, Good, start)}, four(), DefaultBars(), start)
	if heard, of := v.Hearing(); heard != 1 || of != 4 {
		t.Errorf("hears %d of %d, want 1 of 4", heard, of)
	}
	crash := start.Add(5 * time.Second)
	v = judge(v, []Report{look("n2", "n2", Process, Exited, crash), look("n1", "n2", CQL, Refused, crash)}, four(), DefaultBars(), crash)
	for turns := 0; v.Verdicts["n2"].Answer != Gone; turns++ {
		wake, ok := v.Wake()
		if !ok || turns > 10 {
			t.Fatalf("after %d turns nothing wakes the judge: %v", turns, ok)
		}
		v = judge(v, nil, four(), DefaultBars(), wake)
	}
	if took := v.At.Sub(crash); took != DefaultBars().Stable {
		t.Errorf("answered after %v, want %v", took, DefaultBars().Stable)
	}
	if _, ok := (View{}).Wake(); ok {
		t.Error("a view of nothing wants to be woken")
	}
}

func TestLastAliveIsTheYoungestAnswer(t *testing.T) {
	at := start.Add(10 * time.Second)
	v := judge(View{}, []Report{look("n1", "n2", CQL, Good, start), look("n3", "n2", CQL, Late, start.Add(time.Second))}, four(), DefaultBars(), start.Add(time.Second))
	v = judge(v, []Report{look("n1", "n2", CQL, Refused, at), look("n3", "n2", CQL, Refused, at)}, four(), DefaultBars(), at)
	if got := v.Verdicts["n2"].LastAlive; got != start.Add(time.Second) {
		t.Errorf("last alive %v after the start, want 1 s", got.Sub(start))
	}
	if got := v.Verdicts["n4"].LastAlive; got != 0 {
		t.Errorf("n4 was never seen, last alive is %v", got)
	}
}

// A copy of a host says that its disk failed and its process ended; one observer
// does not reach the node, because it is cut off itself, and two do.
func TestAFailedDiskDoesNotDrainWhatOthersReach(t *testing.T) {
	for _, unreached := range []bool{false, true} {
		v := judge(View{}, nil, four(), DefaultBars(), start)
		at := start.Add(10 * time.Second)
		out := map[bool]Outcome{false: Good, true: Refused}[unreached]
		batch := []Report{look("n1", "n1", Process, Exited, at), look("n1", "n1", Disk, Wrong, at), look("n2", "n1", CQL, Refused, at),
			look("n3", "n1", CQL, out, at)}
		v = judge(v, batch, four(), DefaultBars(), at)
		v = judge(v, nil, four(), DefaultBars(), at.Add(DefaultBars().StableMax))
		if x := v.Verdicts["n1"]; x.For < 2 || x.Answer != Gone || x.Cause != DiskFailed || x.Drain != unreached {
			t.Errorf("two of three others do not reach it %v: %v %v, %d of %d, drain %v", unreached, x.Answer, x.Cause, x.For, x.Heard, x.Drain)
		}
	}
}

// TestAnOldGoodWordIsNoWitness: storage accepted and the process ran a moment
// before the crash. That makes a crash look like a port that was turned off only
// while nobody was refused by the other port and its agent may still say more.
func TestAnOldGoodWordIsNoWitness(t *testing.T) {
	crash := start.Add(5 * time.Second)
	before := crash.Add(-10 * time.Millisecond)
	for _, row := range []struct {
		why     string
		storage Outcome
		wait    time.Duration
		want    Cause
	}{
		{"the other port refuses too", Refused, DefaultBars().StableMax, ProcessDown},
		{"nobody has asked the other port since", NoWord, DefaultBars().StableMax, CQLDead},
		{"nobody has, and its agent says no more", NoWord, DefaultBars().Fresh + time.Second, ProcessDown},
	} {
		t.Run(row.why, func(t *testing.T) {
			v := judge(View{}, nil, four(), DefaultBars(), start)
			batch := []Report{look("n1", "n1", Process, Good, before), look("n1", "n1", Admin, Good, before), look("n1", "n1", CQL, Good, before)}
			for _, n := range []cluster.Name{"n2", "n3", "n4"} {
				batch = append(batch, look(n, "n1", Storage, Good, before), look(n, "n1", Phi, Good, before), look(n, "n1", CQL, Refused, crash))
			}
			v = judge(v, batch, four(), DefaultBars(), crash)
			v = judge(v, nil, four(), DefaultBars(), crash.Add(DefaultBars().StableMax))
			later := crash.Add(row.wait)
			batch = nil
			for _, n := range []cluster.Name{"n2", "n3", "n4"} {
				batch = append(batch, look(n, "n1", CQL, Refused, later))
				if row.storage != NoWord {
					batch = append(batch, look(n, "n1", Storage, row.storage, later))
				}
			}
			v = judge(v, batch, four(), DefaultBars(), later)
			if x := v.Verdicts["n1"]; x.Answer != Gone || x.Cause != row.want || !x.Drain {
				t.Errorf("got %v %v drain=%v, want %v", x.Answer, x.Cause, x.Drain, row.want)
			}
		})
	}
}

// TestAnOldMinorityDoesNotDateTheEvidence: n2 has been cut off for an hour
// when n1 crashes; what n3 saw before the crash is still from before it.
func TestAnOldMinorityDoesNotDateTheEvidence(t *testing.T) {
	v := judge(View{}, nil, four(), DefaultBars(), start)
	crash := start.Add(5 * time.Second)
	cut := look("n2", "n1", CQL, Silent, crash)
	cut.Held, cut.Misses = time.Hour, 7200
	v = judge(v, []Report{cut, look("n3", "n1", Storage, Good, crash.Add(-time.Second)), look("n4", "n1", Storage, Good, crash.Add(-time.Second)),
		look("n3", "n1", CQL, Refused, crash), look("n4", "n1", CQL, Refused, crash)}, four(), DefaultBars(), crash)
	v = judge(v, nil, four(), DefaultBars(), crash.Add(time.Second))
	x := v.Verdicts["n1"]
	if x.Cause != ProcessDown {
		t.Errorf("cause %v, want ProcessDown", x.Cause)
	}
	if x.Since != crash.Add(-time.Hour) {
		t.Errorf("since %v before the crash, want the hour of the earliest", crash.Sub(x.Since))
	}
	_, missing := FenceBar(x, v.Bars, 15*time.Second, v.At)
	if !strings.Contains(strings.Join(missing, "\n"), "min-age") {
		t.Errorf("one old observer made the evidence old enough to fence: %q", missing)
	}
}

func TestStormCountsShares(t *testing.T) {
	for _, row := range []struct {
		why         string
		nodes, gone int
		want        bool
	}{
		{"one of three is a fault", 3, 1, false},
		{"two of three is a storm", 3, 2, true},
		{"a fifth is allowed", 10, 2, false},
		{"more than a fifth is not", 10, 3, true},
		{"one alone in its datacenter is no storm", 1, 1, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			top := Topology{Nodes: places(row.nodes, 3)}
			v := View{Verdicts: map[cluster.Name]Verdict{}}
			for i := range row.gone {
				n := cluster.Name(fmt.Sprintf("n%04d", i))
				v.Verdicts[n] = Verdict{Node: n, Answer: Gone, Cause: HostGone}
			}
			v.Verdicts["n0009"] = Verdict{Answer: Gone, Cause: Planned}
			v.Verdicts["n0000"] = Verdict{Answer: Unknown, For: 2} // about to be Gone
			if got, why := Storm(Suspects(v, top, "dc"), top, DefaultBars(), "dc"); got != row.want {
				t.Errorf("got %v %q", got, why)
			}
			if got, _ := Storm(Suspects(v, top, "elsewhere"), top, DefaultBars(), "elsewhere"); got {
				t.Error("a datacenter without nodes has a storm")
			}
		})
	}
}

func TestCauseNeedsItsWitness(t *testing.T) {
	for _, row := range []struct {
		why  string
		e    evidence
		want Cause
		sure bool
	}{
		{"the disk comes first: such data never return", evidence{disk: true, exited: true}, DiskFailed, true},
		{"the own agent saw the exit", evidence{exited: true, accepts: 2, heard: true}, ProcessDown, true},
		{"the own agent's word of a hang outweighs gossip", evidence{hangs: true, runs: true, phi: 2, peers: 2}, Hung, true},
		{"fine inside, silent outside", evidence{fine: true, silent: 2, mute: 2, peers: 2}, Isolated, true},
		{"fine inside and storage reachable: only the port is shut", evidence{fine: true, silent: 2, accepts: 2, peers: 2}, CQLDead, true},
		{"closed to clients, its JVM answers inside, silent outside", evidence{admin: true, runs: true, refused: 1, silent: 2, mute: 2, peers: 2}, Isolated, true},
		{"half of the storage ports silent is no silence", evidence{admin: true, runs: true, refused: 1, silent: 2, mute: 1, peers: 2}, CQLDead, true},
		{"silent ports, but its gossip is heard", evidence{admin: true, runs: true, refused: 3, mute: 2, phi: 2, peers: 2}, CQLDead, true},
		{"Jolokia answers: the JVM lives", evidence{admin: true, runs: true, silent: 3, peers: 2}, CQLDead, true},
		{"gossip arrives: the JVM lives", evidence{phi: 2, peers: 2, refused: 2, rejects: 2}, CQLDead, true},
		{"half of the peers is no majority", evidence{phi: 1, peers: 2, refused: 2, rejects: 2}, ProcessDown, true},
		{"the process runs and refuses: it starts, or CQL is off", evidence{runs: true, refused: 3}, CQLDead, true},
		{"the process runs and is silent", evidence{runs: true, silent: 3}, Hung, true},
		{"nobody inside, refused outside, storage accepts: its kernel does", evidence{refused: 2, accepts: 2}, Hung, true},
		{"the same, and its gossip is heard", evidence{refused: 2, accepts: 2, phi: 2, peers: 2}, CQLDead, true},
		{"the same, and its own agent is heard, though not well", evidence{spoke: true, refused: 2, accepts: 2}, CQLDead, true},
		{"nobody inside, refused outside on both ports", evidence{refused: 2, rejects: 2}, ProcessDown, true},
		{"nobody inside, silent outside, storage accepts", evidence{silent: 2, accepts: 2}, Hung, true},
		{"nobody inside, silent outside on both ports", evidence{silent: 2, mute: 2}, HostGone, true},
		{"one port refuses: the host is there", evidence{silent: 2, rejects: 2}, ProcessDown, true},
		{"the own agent may speak any moment", evidence{heard: true, refused: 2}, ProcessDown, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			if got, sure := row.e.cause(); got != row.want || sure != row.sure {
				t.Errorf("got %v, sure %v", got, sure)
			}
		})
	}
}

func fleet(n int) (Topology, []Report) {
	top := Topology{Nodes: places(n, 5)}
	top.Watch = Assign(top.Nodes)
	var all []Report
	for name := range top.Nodes {
		for _, o := range top.Watch[name] {
			for _, p := range []Path{CQL, Storage, Phi} {
				all = append(all, look(o, name, p, Good, start))
			}
		}
	}
	return top, all
}

// BenchmarkJudge is one turn of a judge of 1,000 nodes: with the digest of one
// observer, with those of fifty (what 50 ms of a quiet cluster bring), and
// with a whole cluster's at once.
func BenchmarkJudge(b *testing.B) {
	top, all := fleet(1000)
	by := map[cluster.Name][]Report{}
	for _, r := range all {
		by[r.Observer] = append(by[r.Observer], r)
	}
	var fifty []Report
	for i := range 50 {
		fifty = append(fifty, by[cluster.Name(fmt.Sprintf("n%04d", i*20))]...)
	}
	full := judge(View{}, all, top, DefaultBars(), start)
	full = judge(full, nil, top, DefaultBars(), start.Add(time.Second))
	for _, c := range []struct {
		name  string
		batch []Report
	}{{"nothing", nil}, {"one", by["n0007"]}, {"fifty", fifty}, {"all", all}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				judge(full, c.batch, top, DefaultBars(), start.Add(time.Second))
			}
		})
	}
}

// TestOldWordsEnd: what makes a word stop to count makes it stop without news.
func TestOldWordsEnd(t *testing.T) {
	at := func(d time.Duration) cluster.Moment { return start.Add(d) }
	refused := func(d time.Duration) []Report {
		return []Report{look("n2", "n1", CQL, Refused, at(d)), look("n3", "n1", CQL, Refused, at(d)),
			look("n2", "n1", Storage, Refused, at(d))}
	}
	t.Run("an heir's window ends", func(t *testing.T) {
		v := judge(View{}, nil, four(), DefaultBars(), start)
		v = judge(v, refused(1500*time.Millisecond), four(), DefaultBars(), at(1500*time.Millisecond))
		v = judge(v, nil, four(), DefaultBars(), at(2600*time.Millisecond))
		v = judge(v, nil, four(), DefaultBars(), at(3*time.Second))
		if x := v.Verdicts["n1"]; x.Answer != Gone {
			t.Errorf("a whole window was heard and the answer is %v", x.Answer)
		}
	})
	t.Run("an announced stop ends though nobody is heard", func(t *testing.T) {
		v := judge(View{}, []Report{look("n1", "n1", Process, Leaving, start)}, four(), DefaultBars(), start)
		v = judge(v, nil, four(), DefaultBars(), at(time.Minute))
		v = judge(v, nil, four(), DefaultBars(), at(time.Hour-1))
		if x := v.Verdicts["n1"]; x.Cause != Planned {
			t.Errorf("cause %v before the end", x.Cause)
		}
		v = judge(v, nil, four(), DefaultBars(), at(time.Hour))
		if x := v.Verdicts["n1"]; x.Cause == Planned {
			t.Error("still planned after an hour")
		}
	})
	t.Run("the storage port's word outlives one window, as it comes every 2 s", func(t *testing.T) {
		v := judge(View{}, append(refused(0), look("n2", "n4", CQL, Good, start)), four(), DefaultBars(), start)
		v = judge(v, refused(4 * time.Second)[:2], four(), DefaultBars(), at(4*time.Second))
		if got := v.Verdicts["n1"].Ballots[1].look(Storage).Outcome; got != Refused {
			t.Errorf("after 4 s the storage port's word is %v", got)
		}
	})
}

func TestWhoIsHeard(t *testing.T) {
	later := start.Add(time.Second)
	empty := func(boot cluster.Boot, at cluster.Moment) Report { return Report{Observer: "n2", Boot: boot, At: at} }
	first := judge(View{}, []Report{look("n2", "n1", CQL, Silent, start)}, four(), DefaultBars(), start)

	t.Run("what an earlier start of the agent saw died with it", func(t *testing.T) {
		v := judge(first, []Report{empty("b", later)}, four(), DefaultBars(), later)
		if got := v.Verdicts["n1"].Ballots[1]; got.Vote != Abstains || len(got.Cites) != 0 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a straggler of an earlier start does not make the observer fresh", func(t *testing.T) {
		v := judge(first, []Report{empty("b", later)}, four(), DefaultBars(), later)
		v = judge(v, []Report{empty("a", later.Add(time.Second))}, four(), DefaultBars(), later.Add(time.Second))
		if h := v.Observers["n2"]; h.At != later || h.Twin != 0 || v.Ignored[Superseded] != 1 {
			t.Errorf("got %+v, ignored %v", h, v.Ignored)
		}
	})
	t.Run("a name used twice is believed again half a minute after the last sign", func(t *testing.T) {
		sign := later.Add(stragglerMax + 1)
		v := judge(first, []Report{empty("b", later)}, four(), DefaultBars(), later)
		v = judge(v, []Report{empty("a", sign)}, four(), DefaultBars(), sign)
		v = judge(v, nil, four(), DefaultBars(), sign.Add(10*time.Second))
		if !v.Duplicates["n2"] || !v.Verdicts["n1"].Ballots[1].Duplicate {
			t.Errorf("not seen as a duplicate: %+v", v.Verdicts["n1"].Ballots[1])
		}
		v = judge(v, nil, four(), DefaultBars(), sign.Add(twinHold))
		if v.Duplicates["n2"] || v.Verdicts["n1"].Ballots[1].Duplicate {
			t.Errorf("still seen as a duplicate: %+v", v.Verdicts["n1"].Ballots[1])
		}
	})
	t.Run("the older of two is heard again when the younger is silent for long, and then it is the younger that is not", func(t *testing.T) {
		v := judge(first, []Report{empty("copy", later)}, four(), DefaultBars(), later)
		soon, long := later.Add(twinQuiet), later.Add(twinQuiet+1)
		if v = judge(v, []Report{empty("a", soon)}, four(), DefaultBars(), soon); v.Observers["n2"].At != later {
			t.Errorf("heard too soon: %+v", v.Observers["n2"])
		}
		if v = judge(v, []Report{empty("a", long)}, four(), DefaultBars(), long); v.Observers["n2"].At != long || v.Observers["n2"].Boot != "a" {
			t.Errorf("still unheard: %+v", v.Observers["n2"])
		}
		v = judge(v, []Report{empty("copy", long.Add(time.Second))}, four(), DefaultBars(), long.Add(time.Second))
		if h := v.Observers["n2"]; h.At != long || len(h.Former) != 1 {
			t.Errorf("the copy is heard again: %+v", h)
		}
	})
	t.Run("an older look does not replace a younger one", func(t *testing.T) {
		old := look("n2", "n1", CQL, Good, start.Add(-time.Second))
		old.Age = 2 * time.Second
		v := judge(first, []Report{old}, four(), DefaultBars(), later)
		if got := kept(v, "n2", "n1", CQL).Outcome; got != Silent {
			t.Errorf("got %v", got)
		}
	})
	t.Run("who is not assigned to a node has no word about it", func(t *testing.T) {
		top := Topology{Nodes: four().Nodes, Watch: four().Watch}
		top.Watch["n1"] = []cluster.Name{"n1", "n3"}
		v := judge(View{}, []Report{look("n2", "n1", CQL, Good, start)}, top, DefaultBars(), start)
		if v.Ignored[NotAssigned] != 1 || kept(v, "n2", "n1", CQL).Path != PathUnknown || v.Verdicts["n1"].Of != 2 {
			t.Errorf("ignored %v, kept %v", v.Ignored, v.Reports["n1"])
		}
	})
	t.Run("nobody but its own agent speaks of the inside of a node", func(t *testing.T) {
		var batch []Report
		for _, p := range []Path{Process, Admin, Disk} {
			batch = append(batch, look("n2", "n1", p, Good, start))
		}
		if v := judge(View{}, batch, four(), DefaultBars(), start); v.Ignored[NotOwn] != 3 {
			t.Errorf("ignored %v", v.Ignored)
		}
	})
	t.Run("times that overflow a moment are impossible", func(t *testing.T) {
		r := look("n2", "n1", CQL, Refused, start)
		r.Held = 1<<63 - 1
		if v := judge(View{}, []Report{r}, four(), DefaultBars(), start); v.Ignored[Impossible] != 1 {
			t.Errorf("ignored %v", v.Ignored)
		}
	})
	t.Run("an abstaining peer is no witness of the cause either", func(t *testing.T) {
		x := Verdict{Ballots: []Ballot{{Vote: Abstains, Unwell: true, Cites: []Report{look("n4", "n1", Storage, Good, later)}},
			{Vote: Abstains, Duplicate: true, Cites: []Report{look("n3", "n1", Storage, Good, later)}}}}
		if e := weigh(&x, DefaultBars(), start); e.accepts != 0 || e.peers != 0 {
			t.Errorf("got %+v", e)
		}
	})
}

func TestAnotherPolicyJudgesAgain(t *testing.T) {
	v := judge(View{}, []Report{look("n2", "n1", CQL, Silent, start)}, four(), DefaultBars(), start)
	strict := DefaultBars()
	strict.MissesMax = 1
	v = judge(v, nil, four(), strict, start)
	if got := v.Verdicts["n1"].For; got != 1 {
		t.Errorf("%d votes under the new policy, want 1", got)
	}
}

func TestTimeDoesNotGoBack(t *testing.T) {
	v := judge(View{}, nil, four(), DefaultBars(), start)
	if v = judge(v, nil, four(), DefaultBars(), start.Add(-time.Hour)); v.At != start {
		t.Errorf("the judge went back %v", start.Sub(v.At))
	}
}

// TestWordsAreSpelledOnce: what is written to JSON reads back as itself, and a
// word that does not exist is refused.
func TestWordsAreSpelledOnce(t *testing.T) {
	check := func(name string, count int, spell func(uint8) string, reads func(string) (uint8, error)) {
		for i := range uint8(count) {
			if got, err := reads(spell(i)); err != nil || got != i {
				t.Errorf("%s %d is spelled %q and reads as %d: %v", name, i, spell(i), got, err)
			}
		}
		if _, err := reads("no such word"); err == nil {
			t.Errorf("%s reads a word that does not exist", name)
		}
	}
	check("answer", len(answerWords), func(i uint8) string { b, _ := Answer(i).MarshalText(); return string(b) },
		func(w string) (uint8, error) { var a Answer; err := a.UnmarshalText([]byte(w)); return uint8(a), err })
	check("cause", len(Causes()), func(i uint8) string { b, _ := Cause(i).MarshalText(); return string(b) },
		func(w string) (uint8, error) { var a Cause; err := a.UnmarshalText([]byte(w)); return uint8(a), err })
	check("vote", len(voteWords), func(i uint8) string { b, _ := Vote(i).MarshalText(); return string(b) },
		func(w string) (uint8, error) { var a Vote; err := a.UnmarshalText([]byte(w)); return uint8(a), err })
	check("path", len(pathWords), func(i uint8) string { b, _ := Path(i).MarshalText(); return string(b) },
		func(w string) (uint8, error) { var a Path; err := a.UnmarshalText([]byte(w)); return uint8(a), err })
	check("outcome", len(outcomeWords), func(i uint8) string { b, _ := Outcome(i).MarshalText(); return string(b) },
		func(w string) (uint8, error) { var a Outcome; err := a.UnmarshalText([]byte(w)); return uint8(a), err })
}

// TestThatANodeStillLivesIsToldOnceASecond has all say every 250 ms that all is
// well: verdicts stay young and few of them are counted anew.
func TestThatANodeStillLivesIsToldOnceASecond(t *testing.T) {
	var v View
	counted := 0
	for i := range 41 {
		now := start.Add(time.Duration(i) * 250 * time.Millisecond)
		before := v.Verdicts["n1"].At
		v = judge(v, []Report{look("n1", "n1", CQL, Good, now), look("n2", "n1", CQL, Good, now), look("n3", "n1", CQL, Good, now)}, four(), DefaultBars(), now)
		x := v.Verdicts["n1"]
		if x.At != before {
			counted++
		}
		if age := now.Sub(x.At); age >= retold || now.Sub(x.LastAlive) >= retold {
			t.Fatalf("after %d turns the verdict is %s old, and the last answer in it %s", i, age, now.Sub(x.LastAlive))
		}
	}
	if counted > 15 {
		t.Errorf("counted anew %d times in 10 s", counted)
	}
}

// kept is what a view keeps of one path of an observer to a subject.
func kept(v View, o, subject cluster.Name, p Path) Report {
	for _, r := range v.Reports[o] {
		if r.Subject == subject && r.Path == p {
			return r
		}
	}
	return Report{}
}
