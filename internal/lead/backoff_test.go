// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"errors"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
)

// unwrittenNow is what the leader tells of its own writes.
func (b *bench) unwrittenNow() string {
	for _, f := range incident.Diagnose(b.s.World("dc1", b.now, time.Unix(0, int64(b.now)))) {
		if f.Code == "STORE_NOT_WRITTEN" {
			return f.Args["why"]
		}
	}
	return ""
}

// fail answers commits with an error until as many failed, and reads the store
// whole after each. What comes out of the last reading is the next to be answered.
func (b *bench) fail(out Out, times int) Out {
	b.t.Helper()
	for ticks, failed := 0, 0; failed < times; ticks++ {
		if ticks > 100 {
			b.t.Fatalf("%d of %d commits were tried", failed, times)
		}
		if len(out.Commits) == 0 {
			out = b.turn(Ticked{})
			continue
		}
		b.turn(Answered{Commit: out.Commits[0], Err: errors.New("database space exceeded")})
		failed++
		out = b.relist()
	}
	return out
}

// A leader that can read everything and write nothing says so: what it decides
// stays on paper. It is told of the present, not of what was.
func TestALeaderWhoseDecisionsAreNotWrittenSaysSo(t *testing.T) {
	b := newBench(t)
	b.see(false)
	out := b.fail(b.see(true), failedMax)
	if why := b.unwrittenNow(); why != "" {
		t.Errorf("after %d failures, as a network makes them: %q", failedMax, why)
	}
	out = b.fail(out, 1)
	if why := b.unwrittenNow(); !strings.HasSuffix(why, "database space exceeded") {
		t.Errorf("after %d: %q", failedMax+1, why)
	}
	out = b.fail(out, 3)
	if b.unwrittenNow() == "" {
		t.Error("it fails again, and is not told")
	}
	for ticks := 0; len(out.Commits) == 0 && ticks < 100; ticks++ {
		out = b.turn(Ticked{}) // its pause
	}
	b.write(out)
	if why := b.unwrittenNow(); why != "" {
		t.Errorf("after a write: %q", why)
	}
}

// A failure is told as long as the leader tries again: when there is nothing to
// write any more, nobody knows.
func TestWhatIsNotTriedAgainIsNotTold(t *testing.T) {
	s := State{failed: failedMax + 1, reason: "x", until: cluster.Moment(time.Hour)}
	for after, told := range map[time.Duration]bool{-time.Second: true, unwrittenFor: true, unwrittenFor + 1: false} {
		if why := s.unwritten(s.until.Add(after)); (why != "") != told {
			t.Errorf("%v after the pause: %q", after, why)
		}
	}
}
