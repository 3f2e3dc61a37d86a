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
			v := Judge(View{}, []Report{look("n1", "n2", CQL, Good, start)}, four(), DefaultBars(), start)
			v = Judge(v, nil, four(), DefaultBars(), start.Add(row.wait))
			if got := v.Verdicts["n2"].Ballots[0].Vote; got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// TestWakeIsEnough: a judge that is called only with news and at Wake gives its
// answer at the very moment the picture has stood still for long enough.
func TestWakeIsEnough(t *testing.T) {
	v := Judge(View{}, []Report{look("n3", "n1", CQL, Good, start)}, four(), DefaultBars(), start)
	if heard, of := v.Hearing(); heard != 1 || of != 4 {
		t.Errorf("hears %d of %d, want 1 of 4", heard, of)
	}
	crash := start.Add(5 * time.Second)
	v = Judge(v, []Report{look("n2", "n2", Process, Exited, crash), look("n1", "n2", CQL, Refused, crash)}, four(), DefaultBars(), crash)
	for turns := 0; v.Verdicts["n2"].Answer != Gone; turns++ {
		wake, ok := v.Wake()
		if !ok || turns > 10 {
			t.Fatalf("after %d turns nothing wakes the judge: %v", turns, ok)
		}
		v = Judge(v, nil, four(), DefaultBars(), wake)
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
	v := Judge(View{}, []Report{look("n1", "n2", CQL, Good, start), look("n3", "n2", CQL, Late, start.Add(time.Second))}, four(), DefaultBars(), start.Add(time.Second))
	v = Judge(v, []Report{look("n1", "n2", CQL, Refused, at), look("n3", "n2", CQL, Refused, at)}, four(), DefaultBars(), at)
	if got := v.Verdicts["n2"].LastAlive; got != start.Add(time.Second) {
		t.Errorf("last alive %v after the start, want 1 s", got.Sub(start))
	}
	if got := v.Verdicts["n4"].LastAlive; got != 0 {
		t.Errorf("n4 was never seen, last alive is %v", got)
	}
}

// TestAnOldGoodWordIsNoWitness: storage accepted and the process ran a moment
// before the crash; neither makes a crash look like a port that was turned off.
func TestAnOldGoodWordIsNoWitness(t *testing.T) {
	v := Judge(View{}, nil, four(), DefaultBars(), start)
	crash := start.Add(5 * time.Second)
	before := crash.Add(-10 * time.Millisecond)
	batch := []Report{look("n1", "n1", Process, Good, before), look("n1", "n1", Admin, Good, before), look("n1", "n1", CQL, Good, before)}
	for _, n := range []cluster.Name{"n2", "n3", "n4"} {
		batch = append(batch, look(n, "n1", Storage, Good, before), look(n, "n1", Phi, Good, before), look(n, "n1", CQL, Refused, crash))
	}
	v = Judge(v, batch, four(), DefaultBars(), crash)
	v = Judge(v, nil, four(), DefaultBars(), crash.Add(DefaultBars().StableMax))
	if x := v.Verdicts["n1"]; x.Answer != Gone || x.Cause != ProcessDown || !x.Drain {
		t.Errorf("got %v %v drain=%v", x.Answer, x.Cause, x.Drain)
	}
}

// TestAnOldMinorityDoesNotDateTheEvidence: n2 has been cut off for an hour
// when n1 crashes; what n3 saw before the crash is still from before it.
func TestAnOldMinorityDoesNotDateTheEvidence(t *testing.T) {
	v := Judge(View{}, nil, four(), DefaultBars(), start)
	crash := start.Add(5 * time.Second)
	cut := look("n2", "n1", CQL, Silent, crash)
	cut.Held, cut.Misses = time.Hour, 7200
	v = Judge(v, []Report{cut, look("n3", "n1", Storage, Good, crash.Add(-time.Second)), look("n4", "n1", Storage, Good, crash.Add(-time.Second)),
		look("n3", "n1", CQL, Refused, crash), look("n4", "n1", CQL, Refused, crash)}, four(), DefaultBars(), crash)
	v = Judge(v, nil, four(), DefaultBars(), crash.Add(time.Second))
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
			if got, why := Storm(v, top, DefaultBars(), "dc"); got != row.want {
				t.Errorf("got %v %q", got, why)
			}
			if got, _ := Storm(v, top, DefaultBars(), "elsewhere"); got {
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
		{"Jolokia answers: the JVM lives", evidence{admin: true, runs: true, silent: 3, peers: 2}, CQLDead, true},
		{"gossip arrives: the JVM lives", evidence{phi: 2, peers: 2, refused: 2, rejects: 2}, CQLDead, true},
		{"half of the peers is no majority", evidence{phi: 1, peers: 2, refused: 2, rejects: 2}, ProcessDown, true},
		{"the process runs and refuses: it starts, or CQL is off", evidence{runs: true, refused: 3}, CQLDead, true},
		{"the process runs and is silent", evidence{runs: true, silent: 3}, Hung, true},
		{"nobody inside, refused outside, storage accepts", evidence{refused: 2, accepts: 2}, CQLDead, true},
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
	top := Topology{Nodes: places(n, 5), Watch: map[cluster.Name][]cluster.Name{}}
	var all []Report
	for name := range top.Nodes {
		top.Watch[name] = Watchers(top.Nodes, name, Degree)
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
	full := Judge(View{}, all, top, DefaultBars(), start)
	full = Judge(full, nil, top, DefaultBars(), start.Add(time.Second))
	for _, c := range []struct {
		name  string
		batch []Report
	}{{"nothing", nil}, {"one", by["n0007"]}, {"fifty", fifty}, {"all", all}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Judge(full, c.batch, top, DefaultBars(), start.Add(time.Second))
			}
		})
	}
}
