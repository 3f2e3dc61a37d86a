// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"
	"time"
)

// step is what a guard does about its lease in one pass.
type step uint8

const (
	wait       step = iota // it stood still and has heard nothing since
	renew                  // it is on time
	end                    // it finds that it stood still
	beginAlone             // it stood still, and nobody came
)

// vigil decides whether a guard renews its lease. It is a value; its moments are
// those of the boot clock, which goes on while a host sleeps.
//
// Late is told by the passes and not by the renewals: a guard that was on time
// and had no rules to renew, since somebody flushed them, did not stand still.
type vigil struct {
	lease   time.Duration
	unasked time.Duration // so long it waits for a word

	passed  time.Duration // the last pass
	renewed time.Duration // the last renewal the kernel took; 0: none by this guard
	still   bool
	noticed time.Duration // when it found out
	alone   bool          // it began again without a word
}

// pass is called about once a second. The last instant of the lease is late: in
// the kernel it has ended by then.
func (v vigil) pass(at time.Duration) (vigil, step) {
	late := v.late(at)
	v.passed = at
	switch {
	case late:
		// Also one that waits already: whatever was said before this is old.
		return v.stood(at), end
	case !v.still:
		return v, renew
	case at-v.noticed >= v.unasked:
		return v, beginAlone
	}
	return v, wait
}

// late tells whether so long has passed since the last pass that nobody can say
// what happened meanwhile.
func (v vigil) late(at time.Duration) bool { return at-v.passed >= v.lease }

// stood notes that the lease ended, by the clock's word or the kernel's.
func (v vigil) stood(at time.Duration) vigil {
	v.still, v.noticed, v.alone = true, at, false
	return v
}

// kept notes a renewal. The moment is one before the kernel was asked.
func (v vigil) kept(at time.Duration) vigil {
	v.renewed = at
	return v
}

// begun notes that the lease runs again.
func (v vigil) begun(at time.Duration, alone bool) vigil {
	v.still, v.renewed, v.alone = false, at, alone
	return v
}

// hold is what becomes of the lease when rules are written now: a guard that is
// late and has not noticed yet must not write a lease that runs.
func (v vigil) hold(at time.Duration) Hold {
	if v.still || v.late(at) {
		return Ended
	}
	return Kept
}

// number names a standstill, so that a word about an earlier one is not taken for
// one about this. No two have the same while a host runs, also over the end of a
// guard. 0: it does not stand still.
func (v vigil) number() uint64 {
	if !v.still {
		return 0
	}
	return uint64(max(v.noticed.Milliseconds(), 1))
}

// lasted is how long nothing was renewed; 0 where an earlier guard knew.
func (v vigil) lasted() time.Duration {
	if v.renewed == 0 {
		return 0
	}
	return v.noticed - v.renewed
}

// errOldWord is about an awake word that was said before the host stood still.
var errOldWord = errors.New("the word is about another standstill than the one that is now: look, and read the store again")

// hear tells whether an awake word is about now. One without a number is a
// person's, who has looked.
func (v vigil) hear(number uint64) error {
	if v.still && number != 0 && number != v.number() {
		return fmt.Errorf("standstill %d: %w", number, errOldWord)
	}
	return nil
}
