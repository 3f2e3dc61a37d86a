// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	leased  = 12 * time.Second
	unasked = time.Minute
	boot    = 1000 * time.Second
)

func onTime() vigil {
	return vigil{lease: leased, unasked: unasked, passed: boot, renewed: boot}
}

func TestWhatIsDueInAPass(t *testing.T) {
	still := onTime().stood(boot)
	rows := []struct {
		why   string
		v     vigil
		after time.Duration
		due   step
		still bool
	}{
		{"on time", onTime(), time.Second, renew, false},
		{"late, and the lease still runs", onTime(), leased - 1, renew, false},
		{"the last instant has ended in the kernel", onTime(), leased, end, true},
		{"long after", onTime(), time.Hour, end, true},
		{"it stood still, and nobody has come yet", still, time.Second, wait, true},
		{"a moment before it opens alone", lookedAt(still, unasked-time.Second), unasked - 1, wait, true},
		{"nobody came", lookedAt(still, unasked-time.Second), unasked, beginAlone, true},
		{"it stood still again while it waited", lookedAt(still, time.Second), time.Second + leased, end, true},
		{"so long that nobody can have come meanwhile", still, 2 * unasked, end, true},
		{"the clock does not move", onTime(), 0, renew, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			v, due := r.v.pass(boot + r.after)
			if due == end {
				v = v.stood(boot + r.after)
			}
			if due != r.due || v.still != r.still {
				t.Errorf("%d is due and it stands still: %v; want %d, %v", due, v.still, r.due, r.still)
			}
		})
	}
}

// lookedAt is a vigil whose passes went on for so long.
func lookedAt(v vigil, span time.Duration) vigil {
	v.passed = boot + span
	return v
}

func TestWhatBecomesOfALeaseThatIsWritten(t *testing.T) {
	for why, r := range map[string]struct {
		v     vigil
		after time.Duration
		want  Hold
	}{
		"on time":                         {onTime(), time.Second, Kept},
		"a moment before it ends":         {onTime(), leased - 1, Kept},
		"late, and no pass has noticed":   {onTime(), leased, Ended},
		"it stood still":                  {onTime().stood(boot), time.Second, Ended},
		"it stood still, and heard since": {onTime().stood(boot).begun(boot, false), time.Second, Kept},
	} {
		if got := r.v.hold(boot + r.after); got != r.want {
			t.Errorf("%s: %d, want %d", why, got, r.want)
		}
	}
}

func TestWhichWordIsHeard(t *testing.T) {
	first := onTime().stood(boot + 20*time.Second)
	second := first.stood(boot + 50*time.Second)
	for _, r := range []struct {
		why    string
		v      vigil
		number uint64
		heard  bool
	}{
		{"about this standstill", first, first.number(), true},
		{"about the one before", second, first.number(), false},
		{"a person's, who knows no number", second, 0, true},
		{"nobody stood still", onTime(), first.number(), true},
	} {
		if err := r.v.hear(r.number); (err == nil) != r.heard || err != nil && !errors.Is(err, errOldWord) {
			t.Errorf("%s: %v", r.why, err)
		}
	}
	if onTime().number() != 0 || first.number() == second.number() {
		t.Errorf("numbers %d, %d, %d", onTime().number(), first.number(), second.number())
	}
	if got := first.lasted(); got != 20*time.Second {
		t.Errorf("it lasted %s", got)
	}
	if got := (vigil{}).stood(boot).lasted(); got != 0 {
		t.Errorf("nobody knows how long, and it lasted %s", got)
	}
}

// Whatever passes and words come, in whatever rhythm: what has not been renewed
// for a lease is renewed by a word, or after the whole time that a word may take,
// and by nothing else.
func TestNoStandstillIsForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, at, dark := onTime(), boot, time.Duration(-1) // dark: since when it must wait
		for range rapid.IntRange(1, 60).Draw(t, "moves") {
			gap := time.Duration(rapid.Int64Range(0, int64(2*leased)).Draw(t, "gap"))
			late := at+gap-v.passed >= leased
			if at += gap; late {
				dark = at
			}
			if v.hold(at) == Kept && dark >= 0 {
				t.Fatalf("at %s it would write a lease that runs, dark since %s", at, dark)
			}
			var due step
			switch v, due = v.pass(at); due {
			case renew:
				if dark >= 0 {
					t.Fatalf("at %s it renews, dark since %s", at, dark)
				}
				v = v.kept(at)
			case beginAlone:
				if at-dark < unasked {
					t.Fatalf("at %s it opens alone, dark since %s", at, dark)
				}
				v, dark = v.begun(at, true), -1
			case end:
				v = v.stood(at)
			case wait:
			}
			if rapid.Bool().Draw(t, "word") && v.hear(v.number()) == nil && v.still {
				v, dark = v.begun(at, false), -1
			}
		}
	})
}
