// SPDX-License-Identifier: Apache-2.0

package trend

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Word is what is told of a watch. It changes by steps, and seldom.
type Word struct {
	Left  time.Duration // until the limit, rounded down to a step; 0: less than the first one, or it is there
	Known bool          // Left is; what is near its limit need not rise
	There bool          // it has reached the limit
	From  float64       // level of the first points
	To    float64
	Limit float64
	Over  time.Duration // between these two
}

// steps are the times that are told; beyond the last one its multiples.
var steps = [...]time.Duration{10 * time.Minute, 20 * time.Minute, 30 * time.Minute, 45 * time.Minute, time.Hour, 90 * time.Minute,
	2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 8 * time.Hour, 12 * time.Hour, 18 * time.Hour, 24 * time.Hour}

// step rounds down, for what is told must not be too late.
func step(left time.Duration) time.Duration {
	if day := steps[len(steps)-1]; left >= day {
		return left - left%day
	}
	at := time.Duration(0)
	for _, s := range steps {
		if left >= s {
			at = s
		}
	}
	return at
}

func (r Rule) word(l Line, limit float64) Word {
	w := Word{There: l.To >= limit, From: l.From, To: l.To, Limit: limit, Over: l.Over}
	left, comes := l.Left(limit)
	if comes && (w.There || l.Rising >= climbsNot && left < reach*l.Over) {
		w.Left = step(left)
		w.Known = true
	}
	return w
}

// renew is how long a word stands that has become too early.
const renew = 10 * time.Minute

// stale tells whether another word is to be told instead: one that is nearer at
// once, any other one only after a while.
func (w Word) stale(next Word, stood time.Duration) bool {
	if w.Known == next.Known && w.There == next.There && w.Left == next.Left {
		return false
	}
	nearer := next.There && !w.There || next.Known && (!w.Known || next.Left < w.Left)
	return nearer || stood >= renew
}

// Time is when the limit is reached, as the end of a sentence.
func (w Word) Time() string {
	first := steps[0]
	switch {
	case w.There:
		return "now"
	case !w.Known:
		return "if it goes on"
	case w.Left < first:
		return "within " + Spell(first)
	}
	return "in about " + Spell(w.Left)
}

// Evidence is what the word rests on.
func (w Word) Evidence(unit func(float64) string) string {
	return fmt.Sprintf("from %s to %s in %s, the limit is %s", unit(w.From), unit(w.To), Spell(w.Over), unit(w.Limit))
}

// Spell tells a duration in one unit.
func Spell(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Minute:
		return strconv.Itoa(int(math.Round(d.Seconds()))) + " s"
	case d < 2*time.Hour && d%time.Hour != 0:
		return strconv.Itoa(int(d.Round(time.Minute)/time.Minute)) + " min"
	case d < 2*day:
		return tenths(d.Hours()) + " h"
	}
	return tenths(d.Hours()/24) + " days"
}

// tenths is a number with at most one digit after the point.
func tenths(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }

// Bytes spells a number of bytes.
func Bytes(v float64) string {
	unit := 0
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for v >= 1024 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	return tenths(v) + " " + units[unit]
}

// Count spells a number of things.
func Count(v float64) string { return strconv.FormatInt(int64(math.Round(v)), 10) }

// Seconds spells a number of seconds as a time.
func Seconds(v float64) string { return Spell(time.Duration(v * float64(time.Second))) }
