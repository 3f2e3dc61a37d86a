// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The numbers of a lease. A guard renews it so often that several renewals may
// fail or be late before it ends, and says that it makes no progress so early that
// its unit can end it, and take the lease away, long before that.
const (
	renewEvery = time.Second
	// lateMax is how long no pass may succeed before the guard is not spoken for.
	// With a watchdog of 3 s and 2 s to die, a guard that hangs is gone 7 s after
	// its last renewal, one that is stopped after 6 s: half of the package's 12 s.
	lateMax = 2 * time.Second
	// linesMax is how many lines wait for a journal that does not take them.
	linesMax = 32
)

// keeper holds the lease of a guard. Its goroutine waits for no turn, no disk, no
// question and no journal: each of them may take longer than the lease, on a host
// on which clients are served all the while. It needs no thread of its own: what
// it runs beside are system calls, which hand the processor on, and moments of
// computing, which are preempted.
//
// A nil keeper is that of a guard without a lease.
type keeper struct {
	rules Rules
	boot  func() time.Duration
	of    Lease
	lines chan string
	told  func(line string)

	mu      sync.Mutex // not held while rules are written, only for a renewal
	v       vigil
	over    bool          // the guard ends: there is a lease no more
	foreign bool          // the table is somebody else's, and so is what it holds
	stands  bool          // a lease was there when last looked
	fine    time.Duration // the last pass without trouble
	fault   string        // why a pass had trouble, as it was told last
}

func (o Options) leaseFaults() []error {
	var faults []error
	if err := (Lease{For: o.Standstill}).check(); err != nil {
		faults = append(faults, err)
	}
	if o.Standstill != 0 && (o.Unasked < time.Second || o.Boot == nil) {
		faults = append(faults, fmt.Errorf("with a lease a guard needs the boot clock, and begins again unasked after 1s at least, not %s", o.Unasked))
	}
	return faults
}

func newKeeper(o Options) *keeper {
	at := o.Boot()
	return &keeper{rules: o.Rules, boot: o.Boot, of: Lease{Ports: sorted(o.Ports.Clients, comparePorts), For: o.Standstill},
		lines: make(chan string, linesMax), told: o.Tell,
		v: vigil{lease: o.Standstill, unasked: o.Unasked, passed: at}, fine: at}
}

func comparePorts(a, b uint16) int { return int(a) - int(b) }

func (k *keeper) lease() Lease {
	if k == nil {
		return Lease{}
	}
	return k.of
}

// say never waits: whoever renews must not, and a journal may.
func (k *keeper) say(format string, args ...any) {
	select {
	case k.lines <- fmt.Sprintf(format, args...):
	default:
	}
}

// begin is called once, when a guard has made what is kept stand or knows that it
// cannot. A lease that an earlier guard left is taken over, whatever is known of
// the rest; where that has ended, this host stood still.
func (k *keeper) begin() {
	if k == nil {
		return
	}
	if st, err := k.rules.Standing(); err == nil {
		k.mu.Lock()
		k.foreign, k.stands = st.Foreign, !st.Lease.Off()
		k.mu.Unlock()
	}
	k.pass()
}

// pass does what is due now.
func (k *keeper) pass() {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.boot()
	v, due := k.v.pass(at)
	k.v = v
	err := k.do(due, at)
	switch {
	case err == nil:
		k.fine, k.fault = at, ""
		return
	case errors.Is(err, ErrNoLease):
		// Somebody took it away, with whatever else. The guard's next look puts it
		// right; until then nothing closes.
		k.stands, k.fine, k.fault = false, at, ""
		return
	case !k.stands:
		// Where no rules can be made there is nothing that ends, either.
		k.fine = at
	}
	if fault := err.Error(); fault != k.fault {
		k.say("%s", fault)
		k.fault = fault
	}
}

func (k *keeper) do(due step, at time.Duration) error {
	if k.over || k.foreign {
		return nil
	}
	switch due {
	case renew:
		return k.renew(at)
	case end:
		k.stood("this guard did nothing for %s", k.v.lasted())
		// A host that slept has slept longer than the kernel has counted.
		return k.rules.Hold(Ended)
	case beginAlone:
		return k.beginAlone(at)
	case wait:
	}
	return nil
}

func (k *keeper) renew(at time.Duration) error {
	switch err := k.rules.Hold(Kept); {
	case err == nil:
		k.v, k.stands = k.v.kept(at), true
		return nil
	case errors.Is(err, ErrEnded):
		k.ended(at)
		return k.rules.Hold(Ended) // one of its sets may say otherwise for a moment
	default:
		return err
	}
}

// ended notes what the kernel found.
func (k *keeper) ended(at time.Duration) {
	k.v = k.v.stood(at)
	k.stood("the lease had ended, and was last renewed %s before", k.v.lasted())
}

func (k *keeper) stood(how string, d time.Duration) {
	ago := d.Round(time.Millisecond).String()
	if d == 0 {
		ago = "an unknown time"
	}
	k.say("this host stood still (standstill %d: "+how+"): clients are refused on port %s until the agent has read the store, or for %s",
		k.v.number(), ago, joined(k.of.Ports), k.v.unasked)
}

func (k *keeper) beginAlone(at time.Duration) error {
	if err := k.rules.Hold(Begun); err != nil {
		return err
	}
	k.say("NOBODY SAID THAT THIS HOST IS AWAKE for %s after standstill %d: clients are let in again, and NOBODY HAS READ what they missed; is the agent there?",
		k.v.unasked, k.v.number())
	k.v = k.v.begun(at, true)
	return nil
}

// apply makes a state stand with the lease as it is, or begun by an awake word.
func (k *keeper) apply(s State, awake bool) (found []string, err error) {
	k.mu.Lock()
	at, still, over := k.boot(), k.v.number(), k.over
	h := k.v.hold(at)
	k.mu.Unlock()
	if over {
		return k.rules.Apply(s, Lease{}, Ended)
	}
	if awake && still != 0 {
		h = Begun
	}
	found, err = k.rules.Apply(s, k.of, h)
	if errors.Is(err, ErrEnded) {
		// Between the last pass and this the host stood still.
		k.mu.Lock()
		k.ended(at)
		k.mu.Unlock()
		found, err = k.rules.Apply(s, k.of, Ended)
		h = Ended
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// Any other trouble says nothing about a lease that may stand: it is renewed.
	k.foreign = errors.Is(err, ErrForeign) || err != nil && k.foreign
	k.stands = err == nil || k.stands && !k.foreign
	if h == Begun && err == nil && k.v.number() == still {
		k.say("standstill %d is over by the word of who asks", still)
		k.v = k.v.begun(at, false)
	}
	return found, err
}

// notice makes a pass that is too late before a question is answered: the guard
// may read what waited at its socket before its own clock has struck.
func (k *keeper) notice() {
	if k == nil {
		return
	}
	k.mu.Lock()
	late := k.v.late(k.boot())
	k.mu.Unlock()
	if late {
		k.pass()
	}
}

// StoodStill tells whether this host stands still as far as the guard knows now,
// and lets the journal have what waits for it. It is for a guard that is being
// killed: a watchdog that stood still too finds everybody late.
func (g *Guard) StoodStill() bool {
	k := g.hold
	if k == nil {
		return false
	}
	k.notice()
	k.mu.Lock()
	still := k.v.still
	k.mu.Unlock()
	for still {
		select {
		case line := <-k.lines:
			k.told(line)
		default:
			return true
		}
	}
	return false
}

// hear refuses an awake word that was said before the host stood still.
func (k *keeper) hear(number uint64) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.v.hear(number)
}

// progress tells whether the lease is renewed, or deliberately is not.
func (k *keeper) progress() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if late := k.boot() - k.fine; late > lateMax {
		return fmt.Errorf("the lease was last looked after %s ago", late.Round(time.Millisecond))
	}
	return nil
}

// tell puts into a report what the kernel says of the lease and the guard knows.
func (k *keeper) tell(r *Report, st Standing) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !st.Lease.Off() {
		r.Lease = &LeaseReport{ForMS: st.Lease.For.Milliseconds(), Held: st.Held, Alone: k.v.alone}
	}
	if k.v.still {
		ago := k.boot() - k.v.noticed
		r.StoodStill = true
		r.Standstill = &Standstill{Number: k.v.number(), LastedMS: k.v.lasted().Milliseconds(), NoticedMS: ago.Milliseconds(),
			UnaskedMS: max(k.v.unasked-ago, 0).Milliseconds()}
	}
}

// keep renews, and hands lines to the journal, until it is stopped.
func (k *keeper) keep() (stop func()) {
	if k == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() {
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-tick.C:
				k.pass()
			}
		}
	})
	both.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case line := <-k.lines:
				k.told(line)
			}
		}
		for len(k.lines) > 0 {
			k.told(<-k.lines)
		}
	})
	return func() { cancel(); both.Wait() }
}

// release takes the lease away at the end of a guard: nobody will renew it. Also
// one that has ended, since nobody will be there to hear a word: a guard that is
// told to end leaves a host as it would be without one. Whoever is still answered
// after that has rules without a lease.
func (g *Guard) release() {
	if g.hold == nil {
		return
	}
	g.take()
	defer g.done()
	g.hold.mu.Lock()
	g.hold.over = true
	g.hold.mu.Unlock()
	if _, err := g.o.Rules.Release(true); err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrForeign) {
		g.o.Tell(fmt.Sprintf("%v: WHEN IT ENDS CLIENTS ARE REFUSED; supervisor port-guard release takes it away", err))
	}
}
