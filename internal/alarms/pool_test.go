// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

var poolOf = flag.Int("alarms.pool", 0, "measure one pool of so many agents, for the second table of the page")

// calmFor is how long a calm pool is measured.
const calmFor = 20 * time.Second

// spread is how long after the last one joined that begins. Until then the news of
// it goes around: each agent tells of each other one a dozen times, as many in a
// packet as fit, three packets every 200 ms.
func spread(agents int) time.Duration {
	return 45*time.Second + time.Duration(agents)*300*time.Millisecond
}

// load is what a calm pool costs, and how soon it sees a crash.
type load struct {
	agents           int
	start            time.Duration // until all are members everywhere and all is Alive
	bytes, digests   float64       // per agent and second
	decide           time.Duration // of processor for one call of the judge
	decisions        float64       // per judge and second
	process, host    time.Duration // until the last judge saw it
	needless, wrongs int
}

// cpu is what this process used of a processor: in a bubble time.Now tells nothing
// of that.
func cpu() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// One pool, calm and then with a crash of each kind. It is for make alarms.
func TestPool(t *testing.T) {
	if *poolOf == 0 {
		t.Skip("make alarms plays it")
	}
	l := measure(t, *poolOf)
	t.Logf("%+v", l)
	if l.process < 0 || l.host < 0 || l.start < 0 || l.needless+l.wrongs > 0 {
		t.Errorf("%+v: a pool that did not come together, did not see a crash, or was wrong", l)
	}
	if *page == "" {
		return
	}
	text, err := os.ReadFile(*page)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = withLoad(text, l); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*page, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A small pool is measured as a large one is.
func TestPoolOfNine(t *testing.T) {
	l := measure(t, 9)
	if l.start < 0 || l.process < 0 || l.host < 0 || l.bytes <= l.digests || l.digests <= 0 || l.decisions < 8 || l.decide <= 0 {
		t.Errorf("%+v", l)
	}
}

func measure(t *testing.T, agents int) (l load) {
	t.Helper()
	key := keyFile(t)
	synctest.Test(t, func(t *testing.T) {
		r := &run{seed: 1, size: agents, dice: dice(1)}
		r.w = newWorld(1, agents, key)
		began := time.Now()
		for _, n := range r.dice.Perm(agents) {
			time.Sleep(10 * time.Second / time.Duration(agents))
			r.w.start(n, "first")
		}
		l.agents, l.start = agents, -1
		r.progress(t, began, "all have begun")
		for l.start < 0 && time.Since(began) < 5*time.Minute {
			time.Sleep(time.Second) // asking a thousand for a thousand members is much
			if r.quiet() && r.met() {
				l.start = time.Since(began)
			}
		}
		r.progress(t, began, "all are there")
		time.Sleep(spread(agents))
		r.calm(&l)
		r.progress(t, began, "measured")
		l.process = r.seen(func() int { n := agents / 2; r.w.end(n); return n })
		l.host = r.seen(func() int {
			n := agents - 1
			r.w.stop(n, false)
			r.w.locked(func() { r.w.network.hosts[n].down, r.w.nodes[n].cassandra = true, ended })
			return n
		})
		r.w.locked(func() { l.needless, l.wrongs = r.w.count.needless+r.w.count.stormed, len(r.w.count.wrong) })
		for n := range agents {
			r.w.stop(n, false)
		}
		r.w.all.Wait()
		time.Sleep(leftovers)
	})
	return l
}

// progress tells how far a large pool is, in its own time.
func (r *run) progress(t *testing.T, began time.Time, what string) {
	if r.size >= 100 {
		t.Logf("%d agents, %v: %s", r.size, time.Since(began).Round(time.Second), what)
	}
}

// met tells whether every agent has all others as members.
func (r *run) met() bool {
	return !slices.ContainsFunc(r.w.nodes, func(n *node) bool { return len(n.agent.g.Members()) < r.size })
}

// calm measures what a pool costs in which nothing happens.
func (r *run) calm(l *load) {
	var before, after uint64
	r.w.locked(func() { before, r.w.spent = r.w.bytes, spent{} })
	time.Sleep(calmFor)
	r.w.locked(func() {
		after = r.w.bytes
		s := r.w.spent
		each := float64(r.size) * calmFor.Seconds()
		l.bytes, l.digests = float64(after-before)/each, float64(s.digests)/each
		l.decide = s.judging / time.Duration(max(1, s.decisions))
		l.decisions = float64(s.decisions) / float64(len(r.w.control)) / calmFor.Seconds()
	})
}

// seen ends a node and tells how long the last judge took to see it; -1: too long.
func (r *run) seen(end func() int) time.Duration {
	began := time.Now()
	n := end()
	r.w.locked(func() { r.w.count.crashed, r.w.count.seen = n, map[int]time.Time{} })
	if !until(detectMax, func() (all bool) {
		r.w.locked(func() { all = len(r.w.count.seen) == len(r.w.control) })
		return all
	}) {
		return -1
	}
	last := began
	r.w.locked(func() {
		for _, at := range r.w.count.seen {
			last = maxTime(last, at)
		}
	})
	return last.Sub(began)
}

const poolOpens, poolCloses = "<!-- pool:begin -->\n", "<!-- pool:end -->\n"

const poolHead = "| agents | all met and Alive after | bytes/s of an agent | of these digests | calls of a judge per s | processor per call | crash seen by all judges | host lost seen |\n|---|---|---|---|---|---|---|---|\n"

// withLoad is the page with this line in its second table, in the place of one of
// the same size.
func withLoad(page []byte, l load) ([]byte, error) {
	before, rest, begins := bytes.Cut(page, []byte(poolOpens))
	table, after, ends := bytes.Cut(rest, []byte(poolCloses))
	if !begins || !ends {
		return nil, fmt.Errorf("the page lacks the lines %q and %q", strings.TrimSpace(poolOpens), strings.TrimSpace(poolCloses))
	}
	name := fmt.Sprintf("| %d |", l.agents)
	out := poolHead
	for old := range strings.Lines(strings.TrimPrefix(string(table), poolHead)) {
		if !strings.HasPrefix(old, name) { // the others stay in their order
			out += old
		}
	}
	out += fmt.Sprintf("%s %.0f s | %.0f | %.0f | %.0f | %v | %.2f s | %.2f s |\n", name, l.start.Seconds(), l.bytes, l.digests, l.decisions,
		l.decide.Round(time.Microsecond), l.process.Seconds(), l.host.Seconds())
	return slices.Concat(before, []byte(poolOpens+out+poolCloses), after), nil
}
