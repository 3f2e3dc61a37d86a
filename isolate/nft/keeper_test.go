// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// desk is a guard with a lease whose clock stands in the test, without a socket.
type desk struct {
	t    *testing.T
	k    *kernel
	o    Options
	g    *Guard
	told []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, k: &kernel{clock: boot}}
	d.o = Options{Ports: mayClose, File: filepath.Join(t.TempDir(), "wanted.json"), Rules: d.k, May: func(uint32) bool { return true },
		Tell: func(line string) { d.told = append(d.told, line) }, Standstill: leased, Unasked: unasked, Boot: d.k.boot}
	d.start()
	return d
}

func (d *desk) start() {
	d.t.Helper()
	g, err := NewGuard(d.o)
	if err != nil {
		d.t.Fatal(err)
	}
	d.g = g
	g.Restore()
}

// after moves the clock without a pass.
func (d *desk) after(span time.Duration) *desk {
	d.k.change(func(k *kernel) { k.clock += span })
	return d
}

// goes is a span in which the guard is on time.
func (d *desk) goes(span time.Duration) *desk {
	for ; span > 0; span -= time.Second {
		d.after(time.Second)
		d.g.hold.pass()
	}
	return d
}

func (d *desk) ask(q question) Report {
	d.t.Helper()
	q.Version = wireVersion
	text, err := json.Marshal(q)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.g.answer(text, &unix.Ucred{})
}

func (d *desk) look() Report { return d.ask(question{}) }

// is compares what a report says of the lease.
func (d *desk) is(what string, held, still, alone bool) Report {
	d.t.Helper()
	r := d.look()
	if r.Lease == nil || r.Lease.Held != held || r.StoodStill != still || r.Lease.Alone != alone || (r.Standstill != nil) != still || !r.Stands || r.Code != "" {
		d.t.Errorf("%s: held %v, stood still %v, alone %v are wanted; %+v, %+v, %+v", what, held, still, alone, r, r.Lease, r.Standstill)
	}
	return r
}

func (d *desk) lines() string {
	for len(d.g.hold.lines) > 0 {
		d.told = append(d.told, <-d.g.hold.lines)
	}
	return strings.Join(d.told, "\n")
}

func TestALeaseIsKept(t *testing.T) {
	d := newDesk(t)
	d.is("at first", true, false, false)
	if d.g.StoodStill() {
		t.Error("it says that it stood still")
	}
	d.goes(3*leased).is("later", true, false, false)
	d.after(leased - 1).g.hold.pass()
	d.is("late, and not too late", true, false, false)
	d.ask(question{Wanted: &fenced})
	d.goes(2*leased).is("with another state", true, false, false)
	if n := d.k.writes; n != 2 {
		t.Errorf("written %d times", n)
	}
	// Also the host's end is seen by the next guard's start.
	d.start()
	d.is("another guard, at once", true, false, false)
	if on, _, err := readKept(d.o.File, mayClose); err != nil || !on.Equal(fenced) {
		t.Errorf("on the disk is %s, %v", on, err)
	}
	if strings.Contains(d.lines(), "still") {
		t.Errorf("told: %s", d.lines())
	}
}

func TestAStandstillEndsByAWord(t *testing.T) {
	d := newDesk(t)
	d.goes(leased).after(leased).g.hold.pass()
	s := d.is("it stood still", false, true, false).Standstill
	if !d.g.StoodStill() || !strings.Contains(strings.Join(d.told, " "), "did nothing for 12s") {
		t.Errorf("told: %q", d.told)
	}
	if s.LastedMS != leased.Milliseconds() || s.UnaskedMS != unasked.Milliseconds() {
		t.Errorf("it says %+v", s)
	}
	d.g.look()
	d.goes(unasked-time.Second).is("it waits", false, true, false)
	if r := d.ask(question{Wanted: &fenced}); !r.StoodStill || !r.Stands || !r.Standing.Equal(fenced) {
		t.Errorf("a state without a word: %+v", r)
	}
	writes := d.k.writes
	if r := d.ask(question{Wanted: &cutOff, Awake: true, Standstill: s.Number}); r.StoodStill || !r.Stands || !r.Lease.Held {
		t.Errorf("a word: %+v", r)
	}
	if d.k.writes != writes+1 {
		t.Errorf("a word takes %d transactions with rules", d.k.writes-writes)
	}
	d.goes(2*leased).is("and it goes on", true, false, false)
	if r := d.ask(question{Wanted: &cutOff, Awake: true, Standstill: s.Number}); r.Code != "" || d.k.writes != writes+1 {
		t.Errorf("the word once more: %+v", r)
	}
}

func TestAStandstillThatNobodyAsksAbout(t *testing.T) {
	d := newDesk(t)
	d.after(time.Hour).goes(unasked).is("a moment before", false, true, false)
	d.goes(time.Second).is("nobody came", true, false, true)
	if !strings.Contains(d.lines(), "NOBODY SAID THAT THIS HOST IS AWAKE") {
		t.Errorf("told: %s", d.lines())
	}
	d.goes(2*leased).is("and it goes on", true, false, true)
}

// A word that was said before the host stood still is not about it, whether or not
// the guard has noticed by the time it reads the word.
func TestAnOldWord(t *testing.T) {
	d := newDesk(t)
	d.after(time.Hour).g.hold.pass()
	first := d.look().Standstill.Number
	for _, notice := range []func(){func() {}, func() { d.g.hold.pass() }} {
		d.after(time.Hour)
		notice()
		if r := d.ask(question{Wanted: &fenced, Awake: true, Standstill: first}); r.Code != CodeRefused || !strings.Contains(r.Error, "another standstill") {
			t.Errorf("an old word: %+v", r)
		}
	}
	if r := d.is("after two old words", false, true, false); !r.Wanted.Empty() {
		t.Errorf("a refused word makes stand %s", r.Wanted)
	}
	if r := d.ask(question{Awake: true}); r.Code != CodeRefused {
		t.Errorf("a word without what is wanted: %+v", r)
	}
	if r := d.ask(question{Wanted: &State{}, Awake: true}); r.StoodStill {
		t.Errorf("a person's word: %+v", r)
	}
}

// The kernel's word counts where the guard's clock says nothing.
func TestTheKernelSaysThatTheLeaseEnded(t *testing.T) {
	for why, find := range map[string]func(d *desk){
		"in a renewal":          func(d *desk) { d.g.hold.pass() },
		"in a look":             func(d *desk) { d.k.change(func(k *kernel) { k.table.Extra = []string{"a hand's"} }); d.g.look() },
		"in a question":         func(d *desk) { d.ask(question{Wanted: &fenced}) },
		"by the next guard":     func(d *desk) { d.start() },
		"by one of other ports": func(d *desk) { d.o.Ports.Clients = []uint16{9042}; d.start() },
	} {
		t.Run(why, func(t *testing.T) {
			d := newDesk(t)
			d.goes(leased).k.change(func(k *kernel) { k.until = k.clock })
			find(d)
			if why == "in a question" {
				d.goes(time.Second)
			}
			d.is("found", false, true, false)
			d.goes(unasked-2*time.Second).is("it waits", false, true, false)
		})
	}
}

// A host that slept: the kernel's timers did not count that, the boot clock did.
func TestALeaseThatStillRunsAfterASleep(t *testing.T) {
	d := newDesk(t)
	d.after(time.Hour).k.change(func(k *kernel) { k.until = k.clock + leased })
	if st, _ := d.k.Standing(); !st.Held {
		t.Fatalf("there stands %+v", st)
	}
	d.is("noticed by the first question", false, true, false)
	d.after(time.Hour).k.change(func(k *kernel) { k.until = k.clock + leased })
	d.g.look()
	d.g.hold.pass()
	d.is("and again, by a look and a pass", false, true, false)
}

// Where rules were flushed, nothing closes, and what is put right is open.
func TestAFlushIsNoStandstill(t *testing.T) {
	d := newDesk(t)
	d.goes(time.Second).k.change(func(k *kernel) { k.there, k.table = false, Table{} })
	d.goes(2 * leased) // its looks fail for some reason
	d.g.look()
	d.is("put right", true, false, false)
	d.after(time.Hour).k.change(func(k *kernel) { k.there, k.table = false, Table{} })
	d.g.look()
	d.g.hold.pass()
	d.is("put right after a standstill that no pass has noticed", false, true, false)
}

// Trouble that says nothing about the lease is no reason to leave it alone: the
// next renewal is tried, and the guard is not spoken for meanwhile.
func TestTroubleWithRenewals(t *testing.T) {
	d := newDesk(t)
	d.k.change(func(k *kernel) { k.broken = errors.New("no memory") })
	d.g.look()
	d.goes(lateMax)
	if err := d.g.Progress(t.Context()); err != nil {
		t.Errorf("two failed: %v", err)
	}
	d.goes(time.Second)
	if err := d.g.Progress(t.Context()); err == nil {
		t.Error("nothing is renewed, and the guard is spoken for")
	}
	d.k.change(func(k *kernel) { k.broken = nil })
	d.goes(time.Second).is("it is over", true, false, false)
	if err := d.g.Progress(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(d.lines(), "no memory"); n != 2 { // the look's and the renewal's
		t.Errorf("told %d times: %s", n, d.lines())
	}
	// A loop that hangs.
	if err := d.after(lateMax + 1).g.Progress(t.Context()); err == nil {
		t.Error("nobody renews, and the guard is spoken for")
	}
}

// Where no rules can be made nothing ends, so it is no reason to end the guard.
func TestNoRulesNoLease(t *testing.T) {
	k := &kernel{clock: boot, broken: fmt.Errorf("%w: load the module", ErrUnavailable)}
	d := &desk{t: t, k: k}
	d.o = Options{Ports: mayClose, File: filepath.Join(t.TempDir(), "wanted.json"), Rules: k, May: func(uint32) bool { return true },
		Tell: func(line string) { d.told = append(d.told, line) }, Standstill: leased, Unasked: unasked, Boot: k.boot}
	d.start()
	d.goes(2 * leased)
	if err := d.g.Progress(t.Context()); err != nil {
		t.Error(err)
	}
	k.change(func(k *kernel) { k.broken = nil })
	d.g.look()
	d.is("they can be made", true, false, false)
}

// Somebody else's table is not touched, whatever set it has.
func TestALeaseInAForeignTable(t *testing.T) {
	d := newDesk(t)
	d.k.change(func(k *kernel) { k.table.Mark = "" })
	d.g.look()
	holds := d.k.holds
	d.goes(leased)
	if d.k.holds != holds {
		t.Error("it renews in somebody else's table")
	}
	d.k.change(func(k *kernel) { k.there = false })
	d.g.look()
	d.goes(leased).is("it is gone", true, false, false)
}

// A guard that does not know what is wanted leaves what stands alone, and does not
// let the lease of its predecessor end.
func TestALeaseBesideAFileThatCannotBeRead(t *testing.T) {
	d := newDesk(t)
	d.ask(question{Wanted: &cutOff})
	write := func(s string) {
		if err := writeText(d.o.File, s); err != nil {
			t.Fatal(err)
		}
	}
	write("{")
	d.start()
	d.goes(2 * leased)
	if r := d.look(); r.Code != CodeUnknown || r.Lease == nil || !r.Lease.Held || !r.Standing.Equal(cutOff) {
		t.Errorf("it says %+v", r)
	}
}

// The end of a guard leaves no lease, not even by a question that came too late.
func TestTheEndOfAGuardLeavesNoLease(t *testing.T) {
	for _, s := range []State{{}, fenced} {
		d := newDesk(t)
		d.ask(question{Wanted: &s})
		d.g.release()
		d.ask(question{Wanted: &s, Awake: true})
		d.g.look()
		d.goes(2 * time.Second)
		if st, err := d.k.Standing(); err != nil || !st.Lease.Off() || !st.Is(s) || st.there == s.Empty() {
			t.Errorf("%s: there stands %+v, %v", s, st, err)
		}
	}
	// Nor one that has ended: nobody will hear a word.
	d := newDesk(t)
	d.after(time.Hour).g.hold.pass()
	d.g.release()
	if st, err := d.k.Standing(); err != nil || st.there {
		t.Errorf("there stands %+v, %v", st, err)
	}
}

// A lease that stands in the way of nobody: a turn that takes long, a journal that
// takes nothing.
func TestARenewalWaitsForNothing(t *testing.T) {
	d := newDesk(t)
	d.g.take()
	for range 2 * linesMax {
		d.g.hold.say("a line")
	}
	d.goes(2 * leased)
	if st, err := d.k.Standing(); err != nil || !st.Held {
		t.Errorf("there stands %+v, %v", st, err)
	}
	if err := d.g.Progress(t.Context()); err != nil {
		t.Errorf("a turn that takes long: %v", err)
	}
	d.g.busy.Store(int64(time.Since(started)-turnMax) - int64(time.Second))
	if err := d.g.Progress(t.Context()); err == nil {
		t.Error("a turn that never ends, and the guard is spoken for")
	}
	d.g.done()
}

func TestOptionsOfALease(t *testing.T) {
	for why, change := range map[string]func(o *Options){
		"shorter than systemd takes":         func(o *Options) { o.Standstill = 4 * time.Second },
		"longer than anybody waits":          func(o *Options) { o.Standstill = leaseMax + time.Second },
		"half a second":                      func(o *Options) { o.Standstill = leased + time.Second/2 },
		"no time for a word":                 func(o *Options) { o.Unasked = 0 },
		"no clock":                           func(o *Options) { o.Boot = nil },
		"a length that is less than no time": func(o *Options) { o.Standstill = -leased },
	} {
		o := newDesk(t).o
		change(&o)
		if _, err := NewGuard(o); err == nil {
			t.Errorf("%s: accepted", why)
		}
	}
}

// A package that goes leaves no lease, also beside a fence that it leaves.
func TestForgetTakesTheLeaseAway(t *testing.T) {
	for _, s := range []State{{}, fenced} {
		d := newDesk(t)
		d.ask(question{Wanted: &s})
		if err := Forget(d.o.File, d.k); (err == nil) != s.Empty() {
			t.Errorf("%s: %v", s, err)
		}
		if st, _ := d.k.Standing(); !st.Is(s) || !st.Lease.Off() || st.there == s.Empty() {
			t.Errorf("%s: there stands %+v", s, st)
		}
	}
}

// A guard without a lease takes one away that another left.
func TestALeaseIsSwitchedOff(t *testing.T) {
	d := newDesk(t)
	d.ask(question{Wanted: &fenced})
	d.o.Standstill = 0
	d.start()
	if st, _ := d.k.Standing(); !st.Is(fenced) || !st.Lease.Off() {
		t.Errorf("there stands %+v", st)
	}
	if r := d.ask(question{Wanted: &State{}, Awake: true, Standstill: 7}); !r.Stands || r.Lease != nil || d.k.there {
		t.Errorf("a word to a guard without a lease: %+v", r)
	}
	d.o.Standstill = leased
	d.start()
	d.o.Standstill = 0
	d.start()
	if d.k.there {
		t.Error("nothing is wanted, and a lease stays")
	}
}

func writeText(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
