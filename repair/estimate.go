// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"
	"time"
)

// Sample is a moment at which so many segments of a job were done.
type Sample struct {
	At   time.Time
	Done int
	// Idle is set where the time since the sample before was not all work: the
	// repair waited, or was held. It tells nothing of how long a segment takes.
	Idle bool
}

// Estimate is how long the rest of a job takes, learned from its segments that
// are done. It is a span; one that is not known is none.
type Estimate struct {
	Known   bool
	Segment time.Duration // what one segment took lately
	Least   time.Duration // from now to the end
	Most    time.Duration
}

// learnedMax is how many of the last steps are learned from: data differs from
// range to range, and peers become slower and faster.
const learnedMax = 8

// pace is how long a step of a job took for each of its segments.
type pace struct {
	each   time.Duration
	gained int
}

// Foresee estimates the rest of a job of so many segments from how it came to
// be done so far, in the order of time. One step says nothing about how much
// steps differ, so it takes two. What has passed since the last sample is taken
// off, but no more than a step like the last one takes: a step that lasts is no
// progress.
func Foresee(samples []Sample, total int, now time.Time) Estimate {
	paces := pacesOf(samples)
	if len(samples) == 0 || len(paces) < 2 {
		return Estimate{}
	}
	last := samples[len(samples)-1]
	left := max(0, total-last.Done)
	gain := min(left, paces[len(paces)-1].gained)
	since := max(0, now.Sub(last.At))
	rest := func(each time.Duration) time.Duration {
		return time.Duration(left)*each - min(since, time.Duration(gain)*each)
	}
	var took time.Duration
	gained := 0
	for _, p := range paces {
		took += time.Duration(p.gained) * p.each
		gained += p.gained
	}
	slices.SortFunc(paces, func(a, b pace) int { return int(a.each - b.each) })
	quarter := len(paces) / 4
	return Estimate{Known: true, Segment: took / time.Duration(gained), Least: rest(paces[quarter].each), Most: rest(paces[len(paces)-1-quarter].each)}
}

// pacesOf are the last steps that tell how long a segment takes.
func pacesOf(samples []Sample) []pace {
	var out []pace
	for i, s := range samples {
		if i == 0 || s.Idle {
			continue
		}
		before := samples[i-1]
		if gained, took := s.Done-before.Done, s.At.Sub(before.At); gained > 0 && took > 0 {
			out = append(out, pace{took / time.Duration(gained), gained})
		}
	}
	return out[max(0, len(out)-learnedMax):]
}
