// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"supervisor/internal/sim"
)

// sum is what a series played.
type sum struct {
	Seeds, Violations      int
	Steps                  int
	Opened, Closed, Held   int
	Played, Active         time.Duration
	Struck, Pairs          map[string]int
	Slowest                time.Duration // of real time, for one seed
	slowestSeed, repeated  int64
	broken                 []sim.Report
	brokenSeeds, traceSeed []int64
}

func (s *sum) add(seed int64, r sim.Report, took time.Duration) {
	s.Seeds++
	s.Steps, s.Opened, s.Closed, s.Held = s.Steps+r.Steps, s.Opened+r.Opened, s.Closed+r.Closed, s.Held+r.Held
	s.Played, s.Active = s.Played+r.Played, s.Active+r.Active
	for f, n := range r.Struck {
		s.Struck[f] += n
	}
	for p, n := range r.Pairs {
		s.Pairs[p] += n
	}
	if took > s.Slowest {
		s.Slowest, s.slowestSeed = took, seed
	}
	if r.Violation != "" {
		s.Violations++
		s.broken, s.brokenSeeds = append(s.broken, r), append(s.brokenSeeds, seed)
	}
}

// repeatEvery is how many seeds come to one that is played twice: one seed is
// one trace.
const repeatEvery = 100

// series plays seed after seed on some workers. An interrupt lets it begin no
// more, and what was played is told as ever.
func series(q request, out, errs io.Writer) int {
	ctx, stopped := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stopped()
	began, spent := time.Now(), processor()
	total := sum{Struck: map[string]int{}, Pairs: map[string]int{}}
	var mu sync.Mutex
	next := q.from
	var failed error
	take := func() (int64, bool) {
		mu.Lock()
		defer mu.Unlock()
		over := q.seeds > 0 && next >= q.from+int64(q.seeds) || time.Since(began) > q.atMost || ctx.Err() != nil
		if over || failed != nil || total.Violations >= q.endAt {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var wg sync.WaitGroup
	for range max(1, q.workers) {
		wg.Go(func() {
			for {
				seed, ok := take()
				if !ok {
					return
				}
				start := time.Now()
				r, err := sim.Run(q.options(seed))
				took := time.Since(start)
				same := true
				if err == nil && seed%repeatEvery == 0 {
					again, _ := sim.Run(q.options(seed))
					same = again.Trace == r.Trace && again.Steps == r.Steps
				}
				mu.Lock()
				if err != nil {
					failed = err
				} else {
					total.add(seed, r, took)
					if r.Violation != "" {
						fmt.Fprintf(errs, "seed %d:%d: %s\n", sim.Edition, seed, r.Violation)
					}
				}
				if seed%repeatEvery == 0 {
					total.repeated++
				}
				if !same {
					total.traceSeed = append(total.traceSeed, seed)
				}
				mu.Unlock()
			}
		})
	}
	stop := progress(&mu, &total, began, q, errs)
	wg.Wait()
	stop()
	if total.Seeds == 0 && failed == nil && ctx.Err() == nil {
		fmt.Fprintf(errs, "error: no seed was played, the %s of -for were over before the first; give it longer\n", q.atMost)
		return usage
	}
	if failed != nil {
		fmt.Fprintln(errs, "error:", failed)
		return usage
	}
	return total.print(q, out, errs, processor()-spent)
}

// processor is the time that this process had on processors: what else runs on
// the machine does not count.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// progress says every ten seconds how far a series is.
func progress(mu *sync.Mutex, total *sum, began time.Time, q request, errs io.Writer) (stop func()) {
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(10 * time.Second)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
			}
			mu.Lock()
			left := q.atMost - time.Since(began)
			if q.seeds > 0 && total.Seeds > 0 {
				left = time.Duration(float64(time.Since(began)) / float64(total.Seeds) * float64(q.seeds-total.Seeds))
			}
			fmt.Fprintf(errs, "%d seeds, %.0f active hours, %d violations; %s left\n", total.Seeds, total.Active.Hours(), total.Violations, max(0, left).Round(time.Second))
			mu.Unlock()
		}
	}()
	return func() { close(done); <-ended }
}

func (s *sum) print(q request, out, errs io.Writer, spent time.Duration) int {
	for i, r := range s.broken {
		report(q, out, q.options(s.brokenSeeds[i]), r)
	}
	for _, seed := range s.traceSeed {
		fmt.Fprintf(out, "VIOLATION one-seed-one-trace: seed %d:%d played twice gave two traces\n", sim.Edition, seed)
	}
	fmt.Fprintf(out, "%d seeds from %d:%d, %d steps, %d incidents opened, %d closed, %d held, %d violations\n",
		s.Seeds, sim.Edition, q.from, s.Steps, s.Opened, s.Closed, s.Held, s.Violations)
	fmt.Fprintf(out, "%.0f cluster-hours, %.0f of them with a fault or an open incident; in an hour of one processor %.0f and %.0f\n",
		s.Played.Hours(), s.Active.Hours(), s.Played.Hours()/spent.Hours(), s.Active.Hours()/spent.Hours())
	faults, pairs := coverage{sim.Faults(), s.Struck, faultsWanted}, coverage{sim.Pairs(), s.Pairs, pairsWanted}
	fmt.Fprintln(out, "kinds of faults:", faults)
	fmt.Fprintln(out, "pairs of them within a minute:", pairs)
	if q.counts {
		faults.print(out)
		pairs.print(out)
	}
	fmt.Fprintf(out, "slowest seed %d:%d, %s; %d seeds played twice\n", sim.Edition, s.slowestSeed, s.Slowest.Round(time.Millisecond), s.repeated)
	if q.ledger != "" {
		if err := s.enter(q); err != nil {
			fmt.Fprintln(errs, "error:", err)
			return usage
		}
	}
	if s.Violations+len(s.traceSeed) > 0 {
		return violate
	}
	return done
}
