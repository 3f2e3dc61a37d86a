// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

// tooks is what the answers of each of four nodes take to each observer.
type tooks map[cluster.Name]map[cluster.Name]time.Duration

var fourNames = []cluster.Name{"n1", "n2", "n3", "n4"}

func evenly(d time.Duration) tooks {
	m := tooks{}
	for _, o := range fourNames {
		m[o] = map[cluster.Name]time.Duration{}
		for _, n := range fourNames {
			m[o][n] = d
		}
	}
	return m
}

// reports are what all four say at one moment; each of their processes has run for ran.
func (m tooks) reports(ran time.Duration, now cluster.Moment) (all []Report) {
	for _, o := range fourNames {
		own := look(o, o, Process, Good, now)
		own.Held = ran
		all = append(all, own)
		for _, n := range fourNames {
			r := look(o, n, CQL, Good, now)
			r.Took = m[o][n]
			all = append(all, r)
		}
	}
	return all
}

// judged lets four say the same each second, for so many.
func (m tooks) judged(b Bars, seconds int) View {
	var v View
	for i := range seconds + 1 {
		now := start.Add(time.Duration(i) * time.Second)
		v = judge(v, m.reports(time.Hour, now), four(), b, now)
	}
	return v
}

func slowOnes(v View) (names []cluster.Name) {
	for _, n := range fourNames {
		if v.Verdicts[n].Cause == Slow {
			names = append(names, n)
		}
	}
	return names
}

func TestWhoStandsOut(t *testing.T) {
	const ms = time.Millisecond
	for _, row := range []struct {
		why         string
		took, peers time.Duration
		before      bool
		want        bool
	}{
		{"many times what the others take, and long", 60 * ms, 2 * ms, false, true},
		{"just the factor is not above it", 50 * ms, 10 * ms, false, false},
		{"just the floor is not above it", 10 * ms, 1 * ms, false, false},
		{"many times what the others take, and short", 9 * ms, 100 * time.Microsecond, false, false},
		{"long, and so are the others", 400 * ms, 90 * ms, false, false},
		{"half the bounds are enough for who found it slow before", 6 * ms, 2 * ms, true, true},
		{"at half the factor it is over", 25 * ms, 10 * ms, true, false},
		{"at half the floor it is over", 5 * ms, 1 * ms, true, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			if got := DefaultBars().standsOut(row.took, row.peers, row.before); got != row.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestWhoIsSlow(t *testing.T) {
	const slow, fast = 60 * time.Millisecond, time.Millisecond
	for _, row := range []struct {
		why     string
		seconds int
		change  func(tooks, *Bars)
		want    []cluster.Name
	}{
		{"all three others find it slow", 5, func(m tooks, _ *Bars) { m["n2"]["n1"], m["n3"]["n1"], m["n4"]["n1"] = slow, slow, slow }, []cluster.Name{"n1"}},
		{"not before it has stood out for five seconds", 4, func(m tooks, _ *Bars) { m["n2"]["n1"], m["n3"]["n1"], m["n4"]["n1"] = slow, slow, slow }, nil},
		{"two of three", 9, func(m tooks, _ *Bars) { m["n2"]["n1"], m["n3"]["n1"] = slow, slow }, []cluster.Name{"n1"}},
		{"one of three", 9, func(m tooks, _ *Bars) { m["n2"]["n1"] = slow }, nil},
		{"one and its own agent", 9, func(m tooks, _ *Bars) { m["n2"]["n1"], m["n1"]["n1"] = slow, slow }, nil},
		{"one of one who measures", 9, func(m tooks, _ *Bars) { m["n2"]["n1"], m["n3"]["n1"], m["n4"]["n1"] = slow, 0, 0 }, nil},
		{"two find it slow, and each has one other to compare with", 9, func(m tooks, _ *Bars) {
			m["n2"]["n1"], m["n3"]["n1"] = slow, slow
			m["n2"]["n3"], m["n2"]["n4"], m["n3"]["n2"], m["n3"]["n4"] = 0, 0, 0, 0
		}, nil},
		{"the other has nobody to compare with and is not counted", 9, func(m tooks, _ *Bars) {
			m["n2"]["n1"], m["n3"]["n1"] = slow, slow
			m["n4"] = map[cluster.Name]time.Duration{"n1": fast, "n4": fast}
		}, []cluster.Name{"n1"}},
		{"two at once", 9, func(m tooks, _ *Bars) {
			for _, o := range fourNames {
				m[o]["n1"], m[o]["n2"] = slow, slow
			}
		}, []cluster.Name{"n1", "n2"}},
		{"bounds of nothing find nobody slow", 9, func(m tooks, b *Bars) {
			m["n2"]["n1"], m["n3"]["n1"], m["n4"]["n1"] = slow, slow, slow
			b.SlowFactor, b.SlowFloor = 0, 0
		}, nil},
		{"a higher floor", 9, func(m tooks, b *Bars) {
			m["n2"]["n1"], m["n3"]["n1"], m["n4"]["n1"] = slow, slow, slow
			b.SlowFloor = 100 * time.Millisecond
		}, nil},
	} {
		t.Run(row.why, func(t *testing.T) {
			m, b := evenly(fast), DefaultBars()
			row.change(m, &b)
			if got := slowOnes(m.judged(b, row.seconds)); !slices.Equal(got, row.want) {
				t.Errorf("slow are %v, want %v", got, row.want)
			}
		})
	}
}

// Nodes of another datacenter answer from further away and are nobody's peers.
func TestAnotherDatacenterIsNoPeer(t *testing.T) {
	top := NewTopology([]cluster.Host{{Name: "n1", Datacenter: "dc", Rack: "a"}, {Name: "n2", Datacenter: "dc", Rack: "b"},
		{Name: "n3", Datacenter: "far", Rack: "c"}, {Name: "n4", Datacenter: "far", Rack: "a"}})
	m := evenly(time.Millisecond)
	m["n1"]["n3"], m["n1"]["n4"], m["n2"]["n3"], m["n2"]["n4"] = 80*time.Millisecond, 80*time.Millisecond, 80*time.Millisecond, 80*time.Millisecond
	var v View
	for i := range 20 {
		now := start.Add(time.Duration(i) * time.Second)
		v = judge(v, m.reports(time.Hour, now), top, DefaultBars(), now)
	}
	if got := slowOnes(v); len(got) > 0 {
		t.Errorf("slow are %v", got)
	}
}

func TestASlowVerdictTellsByHowMuch(t *testing.T) {
	const ms = time.Millisecond
	m := evenly(2 * ms)
	m["n2"]["n1"], m["n3"]["n1"], m["n4"]["n1"] = 60*ms, 90*ms, 70*ms
	x := m.judged(DefaultBars(), 8).Verdicts["n1"]
	s := x.Slow
	if s.Typical != 70*ms || s.Peers != 2*ms || s.Of != 3 || s.For != 8*time.Second || s.Since != start || !slices.Equal(s.Says, []cluster.Name{"n2", "n3", "n4"}) {
		t.Errorf("got %+v", s)
	}
	if x := m.judged(DefaultBars(), 8).Verdicts["n2"]; x.Slow.Of != 0 || x.Slow.Says != nil {
		t.Errorf("a node that is not slow says %+v", x.Slow)
	}
}

// A judge that nobody tells anything new wakes for the moment at which a node is slow.
func TestSlowWakesTheJudge(t *testing.T) {
	m := evenly(time.Millisecond)
	m["n2"]["n1"], m["n3"]["n1"], m["n4"]["n1"] = 60*time.Millisecond, 60*time.Millisecond, 60*time.Millisecond
	v := m.judged(DefaultBars(), 4)
	now := start.Add(4*time.Second + 700*time.Millisecond)
	v = judge(v, m.reports(time.Hour, now), four(), DefaultBars(), now)
	wake, due := v.Wake()
	if due && wake > start.Add(5*time.Second) || !due {
		t.Fatalf("wakes %v after the start", wake.Sub(start))
	}
	if v = judge(v, nil, four(), DefaultBars(), start.Add(5*time.Second)); v.Verdicts["n1"].Cause != Slow {
		t.Errorf("cause %v", v.Verdicts["n1"].Cause)
	}
}

func TestAColdProcessIsNotSlow(t *testing.T) {
	m := evenly(time.Millisecond)
	m["n2"]["n1"], m["n3"]["n1"], m["n4"]["n1"] = 60*time.Millisecond, 60*time.Millisecond, 60*time.Millisecond
	for _, row := range []struct {
		ran  time.Duration
		want Cause
	}{{50 * time.Second, NoCause}, {coldFor - 1, NoCause}, {coldFor, Slow}} {
		var v View
		for i := range 10 {
			now := start.Add(time.Duration(i) * time.Second)
			v = judge(v, m.reports(row.ran-9*time.Second+now.Sub(start), now), four(), DefaultBars(), now)
		}
		if got := v.Verdicts["n1"].Cause; got != row.want {
			t.Errorf("of a process that has run for %v: %v", row.ran, got)
		}
	}
}

var anyTook = rapid.SampledFrom([]time.Duration{0, 300 * time.Microsecond, time.Millisecond, 4 * time.Millisecond, 12 * time.Millisecond,
	60 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond})

func drawTooks(t *rapid.T) tooks {
	m := evenly(time.Millisecond)
	for _, o := range fourNames {
		for _, n := range fourNames {
			m[o][n] = anyTook.Draw(t, fmt.Sprint(o, " to ", n))
		}
	}
	return m
}

// It takes two who compare, and most of them, whatever was measured and when.
func TestFewAreNeverEnoughForSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var v View
		now := start
		for range rapid.IntRange(5, 15).Draw(t, "turns") {
			now = now.Add(anyGap.Draw(t, "gap"))
			batch := drawTooks(t).reports(time.Hour, now)
			batch = slices.DeleteFunc(batch, func(r Report) bool { return rapid.IntRange(0, 9).Draw(t, "lost") == 0 })
			v = judge(v, batch, four(), DefaultBars(), now)
			for n, x := range v.Verdicts {
				s := x.Slow
				if x.Cause == Slow && (x.Answer != Alive || len(s.Says) < 2 || 2*len(s.Says) <= s.Of || slices.Contains(s.Says, n)) {
					t.Fatalf("%s: %+v", n, x)
				}
				if x.Drain && x.Answer == Alive {
					t.Fatalf("%s is slow and drained by its verdict: %+v", n, x)
				}
			}
		}
	})
}

// Whoever measures all others alike, at whatever pace, finds nobody slow.
func TestWhatAllHaveInCommonIsNotSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := evenly(0)
		for _, o := range fourNames {
			pace := anyTook.Draw(t, "pace of "+string(o))
			for _, n := range fourNames {
				m[o][n] = pace * time.Duration(rapid.IntRange(10, 20).Draw(t, "off")) / 10
			}
		}
		if got := slowOnes(m.judged(DefaultBars(), 12)); len(got) > 0 {
			t.Fatalf("%v of %v", got, m)
		}
	})
}

// Longer answers of a node, or shorter ones of the others, never make it less slow.
func TestSlowerIsNotBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawTooks(t)
		before := m.judged(DefaultBars(), 7).Verdicts["n1"].Cause
		for _, o := range fourNames[1:] {
			if m[o]["n1"] > 0 {
				m[o]["n1"] *= time.Duration(rapid.IntRange(1, 5).Draw(t, "slower"))
			}
			for _, n := range fourNames[1:] {
				m[o][n] /= time.Duration(rapid.IntRange(1, 5).Draw(t, "faster"))
			}
		}
		if after := m.judged(DefaultBars(), 7).Verdicts["n1"].Cause; before == Slow && after != Slow {
			t.Fatalf("slow at first, and %v then: %v", after, m)
		}
	})
}
