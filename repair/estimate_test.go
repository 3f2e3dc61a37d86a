// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// steps are samples of a job: each adds so many segments in so many seconds.
func steps(pairs ...int) []Sample {
	out := []Sample{{At: noon}}
	for i := 0; i+1 < len(pairs); i += 2 {
		last := out[len(out)-1]
		out = append(out, Sample{At: last.At.Add(time.Duration(pairs[i+1]) * time.Second), Done: last.Done + pairs[i]})
	}
	return out
}

func idle(samples []Sample, at int) []Sample {
	samples[at].Idle = true
	return samples
}

func TestForesee(t *testing.T) {
	const s = time.Second
	for _, row := range []struct {
		why     string
		samples []Sample
		total   int
		since   time.Duration // the last sample
		want    Estimate
	}{
		{"nothing is known of a job that nobody saw begin", nil, 100, 0, Estimate{}},
		{"nor of one that has just begun", steps(), 100, 0, Estimate{}},
		{"one step says nothing about how much steps differ", steps(10, 20), 100, 0, Estimate{}},
		{"equal steps: a span of one width", steps(10, 20, 10, 20), 100, 0, Estimate{true, 2 * s, 160 * s, 160 * s}},
		{"steps that differ make it a span", steps(10, 20, 10, 40), 100, 0, Estimate{true, 3 * s, 160 * s, 320 * s}},
		{"larger steps weigh more in what a segment takes", steps(30, 30, 10, 50), 100, 0, Estimate{true, 2 * s, 60 * s, 300 * s}},
		{"what has passed since is taken off", steps(10, 20, 10, 20), 100, 5 * s, Estimate{true, 2 * s, 155 * s, 155 * s}},
		{"but a step that lasts is no progress", steps(10, 20, 10, 20), 100, time.Hour, Estimate{true, 2 * s, 140 * s, 140 * s}},
		{"a clock that went back adds nothing", steps(10, 20, 10, 20), 100, -time.Hour, Estimate{true, 2 * s, 160 * s, 160 * s}},
		{"the last step may be the rest", steps(10, 20, 10, 20), 25, time.Hour, Estimate{true, 2 * s, 0, 0}},
		{"all is done: nothing is left", steps(10, 20, 10, 20), 20, 5 * s, Estimate{true, 2 * s, 0, 0}},
		{"a plan that shrank leaves nothing, and not less", steps(10, 20, 10, 20), 15, 0, Estimate{true, 2 * s, 0, 0}},
		{"time in which it waited tells nothing", idle(steps(10, 20, 10, 3600, 10, 20), 2), 100, 0, Estimate{true, 2 * s, 140 * s, 140 * s}},
		{"two steps of which one waited are one", idle(steps(10, 20, 10, 3600), 2), 100, 0, Estimate{}},
		{"steps without progress are none", steps(10, 20, 0, 60, 10, 20), 100, 0, Estimate{true, 2 * s, 160 * s, 160 * s}},
		{"single outliers among many do not stretch it", steps(10, 20, 10, 20, 10, 20, 10, 900), 100, 0, Estimate{true, 24 * s, 120 * s, 120 * s}},
		{"it learns: what was long ago is forgotten", steps(10, 900, 10, 20, 10, 20, 10, 20, 10, 20, 10, 20, 10, 20, 10, 20, 10, 20), 100, 0, Estimate{true, 2 * s, 20 * s, 20 * s}},
	} {
		t.Run(row.why, func(t *testing.T) {
			now := noon.Add(row.since)
			if len(row.samples) > 0 {
				now = row.samples[len(row.samples)-1].At.Add(row.since)
			}
			if got := Foresee(row.samples, row.total, now); got != row.want {
				t.Fatalf("got %+v\nwant %+v", got, row.want)
			}
		})
	}
}

func TestAnEstimateIsASpanAndNeverNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := []Sample{{At: noon}}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			last := samples[len(samples)-1]
			samples = append(samples, Sample{At: last.At.Add(time.Duration(rapid.IntRange(-10, 300).Draw(t, "took")) * time.Second),
				Done: last.Done + rapid.IntRange(-3, 20).Draw(t, "gained"), Idle: rapid.Bool().Draw(t, "idle")})
		}
		total := rapid.IntRange(0, 400).Draw(t, "total")
		now := noon.Add(time.Duration(rapid.IntRange(-10, 7200).Draw(t, "now")) * time.Second)
		e := Foresee(samples, total, now)
		later := Foresee(samples, total, now.Add(time.Minute))
		switch {
		case e.Least < 0 || e.Most < e.Least:
			t.Fatalf("from %s to %s", e.Least, e.Most)
		case e.Known && e.Segment <= 0:
			t.Fatalf("a segment takes %s", e.Segment)
		case later.Least > e.Least || later.Most > e.Most:
			t.Fatalf("%+v, and a minute later %+v", e, later)
		}
	})
}
