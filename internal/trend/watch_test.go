// SPDX-License-Identifier: Apache-2.0

package trend

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

// rule is that of a disk of 1000: a point every 5 min, up to 6 h of them.
var rule = Rule{Every: 5 * time.Minute, Lowest: true, Keep: 72, Age: 12 * time.Hour, Least: 12, Span: 2 * time.Hour, Horizon: 24 * time.Hour, Near: 1, Streak: 3}

// climb is what a watch of rises only wants.
var climb = Rule{Every: 2 * time.Minute, Lowest: true, Keep: 120, Age: 24 * time.Hour, Least: 8, Span: 90 * time.Minute, Horizon: 4 * time.Hour, Floor: 0.5, Streak: 3}

const limit = 1000.0

// missing is no reading.
var missing = math.NaN()

// line is a value that rises by so much an hour.
func line(from, hourly float64) func(time.Duration) float64 {
	return func(t time.Duration) float64 { return from + hourly*t.Hours() }
}

// noise is chance that every run draws alike.
func noise(t time.Duration) float64 {
	x := math.Sin(t.Seconds()*12.9898) * 43758.5453
	return 2*(x-math.Floor(x)) - 1
}

// teeth is a sawtooth from 0 to height.
func teeth(height float64, every time.Duration) func(time.Duration) float64 {
	return func(t time.Duration) float64 { return height * float64(t%every) / float64(every) }
}

// flip is when a watch began or ended, and the words it told meanwhile.
type flips struct {
	at    []time.Duration // began, ended, began …
	first Word
	words int // that were told, one after the other
}

// play reads f every 30 s.
func play(r Rule, lasts time.Duration, f func(time.Duration) float64) flips {
	var out flips
	var w Watch
	var told Word
	on := false
	for t := time.Duration(0); t < lasts; t += 30 * time.Second {
		w = w.Read(r, cluster.Moment(time.Hour+t), f(t), limit)
		word, now := w.Told()
		if now != on {
			on = now
			out.at = append(out.at, t)
			if len(out.at) == 1 {
				out.first = word
			}
		}
		if now && word != told {
			out.words++
			told = word
		}
	}
	return out
}

func TestWatch(t *testing.T) {
	for _, row := range []struct {
		why   string
		rule  Rule
		lasts time.Duration
		f     func(time.Duration) float64
		want  []time.Duration // within a quarter of an hour
	}{
		{"what stays as it is says nothing", rule, 48 * time.Hour, line(600, 0), nil},
		{"a rise is told as soon as it can be, and until the end", rule, 8 * time.Hour, line(600, 50), []time.Duration{2 * time.Hour}},
		{"a rise that needs more than the horizon is not told", rule, 48 * time.Hour, line(100, 10), nil},
		{"noise without a trend says nothing", rule, 30 * time.Hour, func(t time.Duration) float64 { return 800 + 100*noise(t) }, nil},
		{"noise upon a rise does not hide it, nor make it flap", rule, 11 * time.Hour,
			func(t time.Duration) float64 { return 500 + 40*t.Hours() + 60*noise(t) }, []time.Duration{3 * time.Hour}},
		{"compactions that come and go are no rise", rule, 30 * time.Hour,
			func(t time.Duration) float64 { return 600 + teeth(300, 100*time.Minute)(t) }, nil},
		{"a rise beneath compactions is one", rule, 18 * time.Hour,
			func(t time.Duration) float64 { return 400 + 25*t.Hours() + teeth(60, 40*time.Minute)(t) }, []time.Duration{4*time.Hour + 50*time.Minute}},
		{"few readings say nothing", rule, 25 * time.Minute, line(600, 600), nil},
		{"one reading in ten is enough", rule, 8 * time.Hour, func(t time.Duration) float64 {
			if t%(5*time.Minute) != 0 {
				return missing
			}
			return 600 + 50*t.Hours()
		}, []time.Duration{2 * time.Hour}},
		{"an hour without a reading ends nothing", rule, 8 * time.Hour, func(t time.Duration) float64 {
			if t > 4*time.Hour && t < 5*time.Hour {
				return missing
			}
			return 600 + 50*t.Hours()
		}, []time.Duration{2 * time.Hour}},
		{"a day without a reading ends it: nobody knows", rule, 20 * time.Hour, func(t time.Duration) float64 {
			if t > 4*time.Hour {
				return missing
			}
			return 600 + 50*t.Hours()
		}, []time.Duration{2 * time.Hour, 16 * time.Hour}},
		{"a rise that stops is told until its window has seen that", rule, 24 * time.Hour,
			func(t time.Duration) float64 { return min(600+50*t.Hours(), 800) }, []time.Duration{2 * time.Hour, 7*time.Hour + 45*time.Minute}},
		{"a few files that are removed are no end", rule, 12 * time.Hour, func(t time.Duration) float64 {
			if t > 6*time.Hour {
				return 550 + 40*t.Hours()
			}
			return 600 + 40*t.Hours()
		}, []time.Duration{2*time.Hour + 15*time.Minute}},
		{"much room is one", rule, 12 * time.Hour, func(t time.Duration) float64 {
			if t > 6*time.Hour {
				return 100
			}
			return 600 + 40*t.Hours()
		}, []time.Duration{2*time.Hour + 15*time.Minute, 7*time.Hour + 20*time.Minute}},
		{"a disk that is full need not rise", rule, 4 * time.Hour, line(1001, 0), []time.Duration{25 * time.Minute}},
		{"one that is just not is told until it is clearly past", rule, 12 * time.Hour, func(t time.Duration) float64 {
			switch {
			case t < 2*time.Hour:
				return 1001
			case t < 6*time.Hour:
				return 980 + 20*noise(t)
			}
			return 700
		}, []time.Duration{25 * time.Minute, 6*time.Hour + 15*time.Minute}},
		{"a wrong reading now and then changes nothing", rule, 48 * time.Hour, func(t time.Duration) float64 {
			if t%(25*time.Minute) < 5*time.Minute {
				return 1e6
			}
			return 600
		}, nil},
		{"a heap that leaks", climb, 9 * time.Hour, line(300, 80), []time.Duration{5 * time.Hour}},
		{"one that warms up is below the floor", climb, 9 * time.Hour,
			func(t time.Duration) float64 { return min(50+200*t.Hours(), 450) }, nil},
		{"one that goes up and down with the day's load is not told beyond what was seen", climb, 30 * time.Hour,
			func(t time.Duration) float64 { return 550 + 100*math.Sin(t.Hours()*2*math.Pi/24) + 20*noise(t) }, nil},
		{"collections as a saw", climb, 24 * time.Hour,
			func(t time.Duration) float64 { return 500 + teeth(400, 70*time.Minute)(t) }, nil},
		{"rare collections need more time and no more of them", climb, 12 * time.Hour, func(t time.Duration) float64 {
			if t%(20*time.Minute) != 0 {
				return missing
			}
			return 500 + 45*t.Hours()
		}, []time.Duration{8*time.Hour + 20*time.Minute}},
	} {
		t.Run(row.why, func(t *testing.T) {
			got := play(row.rule, row.lasts, row.f)
			ok := len(got.at) == len(row.want)
			for i := 0; ok && i < len(row.want); i++ {
				ok = (got.at[i] - row.want[i]).Abs() <= 15*time.Minute
			}
			if !ok {
				t.Errorf("began and ended at %v, want %v", got.at, row.want)
			}
			if most := int(row.lasts/renew) + 1; got.words > min(most, 20) {
				t.Errorf("%d words in %v", got.words, row.lasts)
			}
		})
	}
}

// Whatever rises evenly towards its limit is told before it is there, with a time
// that is true within what noise and missing readings leave; what does not rise
// never is.
func TestARiseIsToldInTimeAndNothingElseIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Float64Range(0, 700).Draw(t, "from")
		hours := rapid.Float64Range(8, 20).Draw(t, "hours to the limit")
		hourly := (limit - from) / hours
		loud := rapid.Float64Range(0, 0.5).Draw(t, "noise in hours of rise")
		holes := rapid.IntRange(0, 60).Draw(t, "of a hundred readings that are missing")
		seed := time.Duration(rapid.IntRange(0, 1e6).Draw(t, "seed")) * time.Second
		read := func(rise float64) func(time.Duration) float64 {
			return func(at time.Duration) float64 {
				if (noise(at+seed+1)+1)*50 < float64(holes) {
					return missing
				}
				return from + rise*at.Hours() + loud*hourly*noise(at+seed)
			}
		}
		end := time.Duration(hours * float64(time.Hour))
		rule := rule
		rule.Every, rule.Keep = 10*time.Minute, 36 // the same window with a quarter of the pairs
		rises := play(rule, end-time.Hour, read(hourly))
		if len(rises.at) != 1 {
			t.Fatalf("began and ended at %v, the limit is reached after %v", rises.at, end)
		}
		left := end - rises.at[0]
		if told := rises.first.Left; told > left*13/10 || told < left/2 {
			t.Fatalf("%v before it was there, %v were told", left, told)
		}
		if still := play(rule, 24*time.Hour, read(0)); len(still.at) != 0 {
			t.Fatalf("what does not rise began and ended at %v", still.at)
		}
	})
}

func TestWordsChangeBySteps(t *testing.T) {
	for _, row := range []struct {
		why    string
		word   Word
		next   Word
		stood  time.Duration
		stale  bool
		spoken string
	}{
		{"the same again", Word{Left: time.Hour, Known: true}, Word{Left: time.Hour, Known: true, From: 1}, time.Hour, false, "in about 1 h"},
		{"nearer is told at once", Word{Left: time.Hour, Known: true}, Word{Left: 45 * time.Minute, Known: true}, 0, true, "in about 1 h"},
		{"farther may be noise", Word{Left: 0, Known: true}, Word{Left: 10 * time.Minute, Known: true}, renew - 1, false, "within 10 min"},
		{"farther for long", Word{Left: 90 * time.Minute, Known: true}, Word{Left: 2 * time.Hour, Known: true}, renew, true, "in about 90 min"},
		{"it is there", Word{Left: 0, Known: true}, Word{Known: true, There: true}, 0, true, "within 10 min"},
		{"nothing is known any more, which may be noise", Word{Known: true, There: true}, Word{}, 0, false, "now"},
		{"a rise begins above the mark", Word{}, Word{Left: 36 * time.Hour, Known: true}, 0, true, "if it goes on"},
		{"days", Word{Left: 72 * time.Hour, Known: true}, Word{Left: 72 * time.Hour, Known: true}, 0, false, "in about 3 days"},
	} {
		if got := row.word.stale(row.next, row.stood); got != row.stale || row.word.Time() != row.spoken {
			t.Errorf("%s: stale %v, %q; want %v, %q", row.why, got, row.word.Time(), row.stale, row.spoken)
		}
	}
	for left, want := range map[time.Duration]time.Duration{0: 0, 10*time.Minute - 1: 0, 10 * time.Minute: 10 * time.Minute,
		89 * time.Minute: time.Hour, 24*time.Hour - 1: 18 * time.Hour, 47 * time.Hour: 24 * time.Hour, 49 * time.Hour: 48 * time.Hour} {
		if got := step(left); got != want {
			t.Errorf("%v is told as %v, want %v", left, got, want)
		}
	}
}

func TestEvidence(t *testing.T) {
	w := Word{From: 412 << 30, To: 469.96 * (1 << 30), Limit: 540 << 30, Over: 5*time.Hour + 10*time.Minute}
	if got, want := w.Evidence(Bytes), "from 412 GiB to 470 GiB in 5.2 h, the limit is 540 GiB"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for got, want := range map[string]string{Bytes(17): "17 B", Bytes(1536): "1.5 KiB", Bytes(1 << 60): "1024 PiB", Count(99.6): "100",
		Seconds(90): "90 s", Seconds(3600): "1 h", Seconds(5400): "90 min", Seconds(200000): "2.3 days"} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if text := fmt.Sprint(w.Time()); strings.Contains(text, "now") {
		t.Errorf("what is not there is told as %q", text)
	}
}
