// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"supervisor/internal/sim"
)

// repeatEvery is how many seeds come to one that is played twice: one seed is
// one trace.
const repeatEvery = 100

// played is a series at work: what its workers share.
type played struct {
	q     request
	heard context.Context
	began time.Time
	errs  io.Writer

	mu     sync.Mutex
	next   int64
	ended  ending
	failed error
	total  sum
}

// ending is why a series began no more seeds.
type ending uint8

// The endings. Only a series that went on to its own end is entered in a ledger.
const (
	goesOn ending = iota
	allPlayed
	timeOver
	enoughBroken
	stopped
)

// series plays seed after seed on some workers. An interrupt lets it begin no
// more, and what was played is told as ever.
func series(q request, out, errs io.Writer, hear listen) int {
	heard, stop := hear()
	defer stop()
	p := &played{q: q, heard: heard, began: time.Now(), errs: errs, next: q.from, total: newSum()}
	spent := processor()
	var wg sync.WaitGroup
	for range q.workers {
		wg.Go(p.work)
	}
	quiet := p.progress()
	wg.Wait()
	quiet()
	if p.failed != nil {
		fmt.Fprintln(errs, "error:", p.failed)
		return usage
	}
	p.total.Spent = processor() - spent
	return p.tell(out)
}

// work plays seeds until there are no more.
func (p *played) work() {
	for {
		seed, ok := p.take()
		if !ok {
			return
		}
		start := time.Now()
		r, err := sim.Run(p.q.options(seed))
		took := time.Since(start)
		same := true
		if err == nil && seed%repeatEvery == 0 {
			again, _ := sim.Run(p.q.options(seed))
			same = again.Trace == r.Trace && again.Steps == r.Steps
		}
		p.took(seed, r, err, took, same)
	}
}

// take gives the next seed, or says that there is none and keeps why.
func (p *played) take() (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == goesOn {
		switch {
		case p.q.seeds > 0 && p.next >= p.q.from+int64(p.q.seeds):
			p.ended = allPlayed
		case p.total.Violations >= p.q.endAt:
			p.ended = enoughBroken
		case p.heard.Err() != nil:
			p.ended = stopped
		case time.Since(p.began) > p.q.atMost:
			p.ended = timeOver
		}
	}
	if p.ended != goesOn || p.failed != nil {
		return 0, false
	}
	p.next++
	return p.next - 1, true
}

// took adds what a seed came to. A violation is said at once, with the command
// that repeats it: nobody knows what ends the process before it is reported.
func (p *played) took(seed int64, r sim.Report, err error, took time.Duration, same bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failed = err
		return
	}
	p.total.add(seed, r, took)
	if r.Violation != "" {
		fmt.Fprintf(p.errs, "seed %d:%d: %s\n  again: %s\n", sim.Edition, seed, r.Violation, p.q.replayed(seed, r.Steps, ""))
	}
	if seed%repeatEvery == 0 {
		p.total.repeated++
	}
	if !same {
		p.total.traceSeed = append(p.total.traceSeed, seed)
	}
}

// tell prints what was played and enters it, and then reports what broke, which
// takes longest: its last line is the command that repeats it.
func (p *played) tell(out io.Writer) int {
	s, q := &p.total, p.q
	if s.Seeds == 0 && p.ended != stopped {
		fmt.Fprintf(p.errs, "error: no seed was played, the %s of -for were over before the first; give it longer\n", q.atMost)
		return usage
	}
	s.print(q, p.ended, out)
	code := done
	if q.ledger != "" {
		code = p.enter()
	}
	for i, r := range s.broken {
		report(p.heard, q, q.options(s.brokenSeeds[i]), r, out, p.errs)
	}
	for _, seed := range s.traceSeed {
		fmt.Fprintf(out, "VIOLATION one-seed-one-trace: seed %d:%d played twice gave two traces\n  again: %s\n", sim.Edition, seed, q.twice(seed))
	}
	switch {
	case s.broke() > 0:
		return violate
	case p.ended == stopped:
		return interrupted
	}
	return code
}

// enter adds the series to the ledger, if it was played to its end.
func (p *played) enter() int {
	if p.ended == stopped {
		fmt.Fprintf(p.errs, "nothing is entered in %s: the series was interrupted\n", p.q.ledger)
		return done
	}
	if err := p.total.enter(p.q); err != nil {
		fmt.Fprintf(p.errs, "error: %v; the row was to be\n%s", err, p.total.row(p.q))
		return usage
	}
	return done
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

// progressEvery is how often a series, or a search, says how far it is.
const progressEvery = 10 * time.Second

// progress says now and then how far a series is, and answers an interrupt at
// once, until it is stopped.
func (p *played) progress() (stop func()) {
	over := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(progressEvery)
		defer t.Stop()
		unheard := p.heard.Done()
		for {
			select {
			case <-over:
				if unheard != nil && p.heard.Err() != nil {
					p.answer()
				}
				return
			case <-unheard:
				p.answer()
				unheard = nil
			case <-t.C:
				p.howFar()
			}
		}
	}()
	return func() { close(over); <-ended }
}

func (p *played) answer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.errs, "interrupted: no more seeds are begun, and those that were are played to their end; one more interrupt ends all at once")
}

// howFar says how much was played, and how long it goes on.
func (p *played) howFar() {
	p.mu.Lock()
	defer p.mu.Unlock()
	spent := time.Since(p.began)
	left := p.q.atMost - spent
	if p.q.seeds > 0 && p.total.Seeds > 0 {
		left = min(left, time.Duration(float64(spent)/float64(p.total.Seeds)*float64(p.q.seeds-p.total.Seeds)))
	}
	fmt.Fprintf(p.errs, "%s, %.1f active hours, %d violations; about %s left\n", p.total.ofSeeds(p.q), p.total.Active.Hours(), p.total.broke(), max(0, left).Round(time.Second))
}
