// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"supervisor/membership/gossip"
)

// edition is raised when seeds begin to play other stories.
const edition = 1

// sizes are how many nodes there are, in three racks. One run in thirteen is of 33, of
// which each costs as much as twenty others.
var sizes = []int{3, 5, 9, 33, 3, 5, 9, 3, 5, 9, 3, 5, 9}

// The bounds of what is waited for.
const (
	startMax  = time.Minute
	calmMax   = 2 * time.Minute
	detectMax = 30 * time.Second
	barMax    = 90 * time.Second
	// leftovers are memberlist's dials and probes that go on when it was stopped.
	leftovers = time.Minute
)

// row is what one run brought.
type row struct {
	seed     uint64
	fault    string
	size     int
	what     string
	needless int
	stormed  int
	wrong    int           // fences
	bare     int           // fences that only their age kept from being wrong
	cut      int           // nodes that nobody reached and that met the bar
	calm     time.Duration // until all was Alive again; -1: never within calmMax
	crash    string        // process or host
	detected time.Duration // until the last judge said so; -1: not within detectMax
	barMet   time.Duration // of a lost host; -1: not within barMax; 0: not asked for
	stories  []string
}

// crashMax is how long a judge may take for the crash of a process, and for the
// loss of a host: silence takes three looks, and where a vote is missing the
// dead agent's last word has to grow old first.
var crashMax = map[string]time.Duration{"process": 3 * time.Second, "host": 6 * time.Second}

// breaks tells in which ways a run was not as it has to be.
func (r row) breaks(f fault) (all []string) {
	must := func(ok bool, format string, args ...any) {
		if !ok {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	must(r.wrong == 0, "%d wrong fences, never one", r.wrong)
	drains := r.needless + r.stormed
	must(drains <= f.bound(r.size), "%d needless drains, %d of them held back by a storm, at most %d", drains, r.stormed, f.bound(r.size))
	must(r.calm >= 0, "not all is Alive %v after the fault", calmMax)
	must(r.detected >= 0, "the crash at the end was not seen by every judge in %v", detectMax)
	must(r.detected <= crashMax[r.crash], "a %s's crash was seen after %v, at most %v", r.crash, r.detected, crashMax[r.crash])
	must(r.barMet >= 0, "the lost host was not to be fenced within %v", barMax)
	return all
}

// run is one story.
type run struct {
	seed  uint64
	size  int
	fault fault
	dice  *rand.Rand
	w     *world
	row   row
}

// storyOf is which fault and size a seed plays.
func storyOf(seed uint64) (fault, int) {
	return faults[seed%uint64(len(faults))], sizes[seed/uint64(len(faults))%uint64(len(sizes))]
}

// play plays a seed in a bubble of its own.
func play(t *testing.T, seed uint64, key string, change ...func(*run)) row {
	t.Helper()
	f, size := storyOf(seed)
	r := &run{seed: seed, size: size, fault: f}
	for _, c := range change {
		c(r)
	}
	r.dice = dice(mix(edition)<<1 ^ seed)
	r.row = row{seed: seed, fault: r.fault.name, size: r.size}
	synctest.Test(t, func(t *testing.T) { r.story(t, key) })
	return r.row
}

// planted has a bar with a bug held against the truth.
func planted(b bar) func(*run) {
	return func(r *run) { r.fault = withBar(r.fault, b) }
}

func withBar(f fault, b bar) fault {
	inner := f.play
	f.play = func(r *run) string {
		r.w.locked(func() { r.w.count.bar = b })
		return inner(r)
	}
	return f
}

// keyFile is one for all agents of all runs.
func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, gossip.NewKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (r *run) story(t *testing.T, key string) {
	r.w = newWorld(mix(edition^r.seed), r.size, key)
	over := make(chan struct{})
	r.w.all.Go(func() { r.w.noteTruth(over) })
	for _, n := range r.dice.Perm(r.size) {
		time.Sleep(between(r.dice, 0, 2*time.Second/time.Duration(r.size)))
		r.w.start(n, "first")
	}
	if !until(startMax, r.quiet) {
		t.Errorf("seed %d:%d: agents that nothing was done to are not all well and see all Alive after %v", edition, r.seed, startMax)
	}
	r.row.what = r.fault.play(r)
	r.row.calm = took(calmMax, r.alive)
	if !until(startMax, r.quiet) {
		r.row.calm = -1 // they would not hear of the crash either
	}
	r.crash()
	r.w.locked(func() {
		c := r.w.count
		r.row.needless, r.row.stormed, r.row.wrong, r.row.bare, r.row.cut, r.row.stories = c.needless, c.stormed, len(c.wrong), len(c.bare), len(c.cut), c.stories
	})
	close(over)
	for n := range r.size {
		r.w.stop(n, false)
	}
	r.w.all.Wait()
	time.Sleep(leftovers)
}

// until waits for something for a bounded time.
func until(most time.Duration, holds func() bool) bool { return took(most, holds) >= 0 }

// took is how long it was waited for; -1: it did not come.
func took(most time.Duration, holds func() bool) time.Duration {
	for began := time.Now(); time.Since(began) < most; time.Sleep(20 * time.Millisecond) {
		if holds() {
			return time.Since(began)
		}
	}
	return -1
}

// alive tells whether every judge that runs says that all are Alive.
func (r *run) alive() (all bool) {
	r.w.locked(func() {
		all = true
		for j := range r.w.control {
			all = all && (r.w.nodes[j].agent == nil || r.w.count.alive[j])
		}
	})
	return all
}

// quiet tells whether also no observer abstains.
func (r *run) quiet() bool { return r.alive() && !r.abstained() }

// abstained tells whether an agent that runs abstains.
func (r *run) abstained() (any bool) {
	r.w.locked(func() {
		for _, n := range r.w.nodes {
			any = any || n.agent != nil && n.agent.abstains.Load()
		}
	})
	return any
}

// crash ends a Cassandra, or takes the power from its host, and measures how long
// it takes the judges.
func (r *run) crash() {
	n, began := r.dice.IntN(r.size), time.Now()
	r.w.locked(func() { r.w.count.crashed = n })
	if r.dice.IntN(2) == 0 {
		r.row.crash = "process"
		r.w.end(n)
	} else {
		r.row.crash = "host"
		r.w.stop(n, false)
		r.w.locked(func() { r.w.network.hosts[n].down, r.w.nodes[n].cassandra = true, ended })
	}
	r.row.detected = -1
	until(detectMax, func() (all bool) {
		r.w.locked(func() {
			all = true
			last := began
			for j := range r.w.control {
				at, seen := r.w.count.seen[j]
				all = all && (r.w.nodes[j].agent == nil || seen)
				last = maxTime(last, at)
			}
			if all {
				r.row.detected = last.Sub(began)
			}
		})
		return all
	})
	if r.row.crash != "host" {
		return
	}
	met := func() (met bool) {
		r.w.locked(func() { met = !r.w.count.barMet.IsZero() })
		return met
	}
	if took(barMax, met) < 0 {
		r.row.barMet = -1
		return
	}
	r.w.locked(func() { r.row.barMet = r.w.count.barMet.Sub(began) })
}

func (r row) String() string {
	return fmt.Sprintf("seed %d:%d %s size %d (%s): needless %d stormed %d wrong %d bare %d cut %d calm %v, %s seen in %v, bar %v", edition, r.seed, r.fault, r.size, r.what,
		r.needless, r.stormed, r.wrong, r.bare, r.cut, r.calm, r.crash, r.detected, r.barMet)
}
