// SPDX-License-Identifier: Apache-2.0

package trend

import (
	"slices"
	"time"

	"supervisor/cluster"
)

// Rule is how one kind of reading is watched. It is complete: nothing is
// defaulted.
type Rule struct {
	// Every is the while whose readings make one point, and how often it is judged.
	Every time.Duration
	// Lowest makes the point of the lowest reading, else it is of the newest. What
	// goes up and is taken back again and again, by a collection or a compaction,
	// leads where its lowest readings lead.
	Lowest bool
	Keep   int           // points kept: 16 bytes each
	Age    time.Duration // older points are dropped, and all of them when none came for so long
	// Least and Span are points, and a time that they look back, without which no
	// rise is believed. A sawtooth looks like one until its second tooth is in sight,
	// so Span is longer than a tooth.
	Least int
	Span  time.Duration
	// Horizon begins it: a rise that reaches the limit within it. It is looked as far
	// ahead as reach times what the points look back, and no farther.
	Horizon time.Duration
	// Floor and Near are shares of the limit: a rise below the first is how such
	// things begin, and what is above the second needs no rise. A Near of 0 always
	// does.
	Floor, Near float64
	// Streak is how many times in a row it must be judged otherwise before it begins
	// or ends.
	Streak int
}

const (
	reach = 4
	// A rise begins with four pairs of five that climb. A sawtooth without a trend
	// has three of four when two teeth are in sight, and two of three with three.
	climbs = 0.8
	// It ends when the rise is no more than noise may be, or when the limit is twice
	// as far as what began it.
	climbsNot = 0.65
	farther   = 2
	// pastNear and pastFloor are the shares of the two below which a level is clearly
	// past them.
	pastNear, pastFloor = 0.95, 0.8
)

// Watch is one kind of reading, watched. The zero Watch has seen nothing.
type Watch struct {
	points []Point
	open   Point // of the while that goes on
	opened bool
	limit  float64
	streak int
	on     bool
	told   Word
	toldAt cluster.Moment
}

// answer is what one look at the points says.
type answer uint8

const (
	unsure answer = iota // neither: things stay as they are
	leads                // to the limit, within the horizon
	clears               // it does not, or nobody can tell
)

// Read takes a reading and the limit it is held against. What is no number, has no
// limit or comes from the past is no reading.
func (w Watch) Read(r Rule, at cluster.Moment, value, limit float64) Watch {
	if !finite(value) || !finite(limit) || limit <= 0 || w.opened && at < w.open.At {
		return w.Missed(r, at)
	}
	w = w.Missed(r, at)
	w.limit = limit
	switch {
	case !w.opened:
		w.open, w.opened = Point{at, value}, true
	case !r.Lowest || value < w.open.Value:
		w.open = Point{at, value}
	}
	return w
}

// Missed lets time pass without a reading.
func (w Watch) Missed(r Rule, at cluster.Moment) Watch {
	if !w.opened && len(w.points) == 0 {
		return w
	}
	if at.Sub(w.newest()) > r.Age {
		return Watch{}
	}
	if !w.opened || int64(at)/int64(r.Every) == int64(w.open.At)/int64(r.Every) {
		return w
	}
	w.points = slices.Concat(w.points, []Point{w.open})
	w.opened = false
	w.points = w.points[max(0, len(w.points)-r.Keep):]
	for at.Sub(w.points[0].At) > r.Age {
		w.points = w.points[1:]
	}
	return w.judged(r, at)
}

func (w Watch) newest() cluster.Moment {
	if w.opened {
		return w.open.At
	}
	return w.points[len(w.points)-1].At
}

// judged looks at the points and turns on or off when they have said so often
// enough.
func (w Watch) judged(r Rule, at cluster.Moment) Watch {
	line, drawn := Fit(w.points)
	a := clears
	if drawn {
		a = r.judge(line, len(w.points), w.limit)
	}
	if a == leads && !w.on || a == clears && w.on {
		w.streak++
	} else {
		w.streak = 0
	}
	if w.streak >= r.Streak {
		w.on, w.streak = !w.on, 0
		if w.on {
			w.told, w.toldAt = r.word(line, w.limit), at
		}
	}
	if w.on && drawn {
		if next := r.word(line, w.limit); w.told.stale(next, at.Sub(w.toldAt)) {
			w.told, w.toldAt = next, at
		}
	}
	return w
}

// judge is one look. Points that are too few for a rise say that nobody can tell.
func (r Rule) judge(l Line, points int, limit float64) answer {
	if r.Near > 0 && l.To >= r.Near*limit {
		return leads
	}
	left, comes := l.Left(limit)
	within := comes && left < r.Horizon && left < reach*l.Over
	enough := points >= r.Least && l.Over >= r.Span
	if enough && within && l.Rising >= climbs && l.To >= r.Floor*limit {
		return leads
	}
	switch {
	case r.Near > 0 && l.To >= pastNear*r.Near*limit:
		return unsure
	case !enough, !comes, left >= farther*r.Horizon, l.Rising < climbsNot, l.To < pastFloor*r.Floor*limit:
		return clears
	}
	return unsure
}

// Told is what there is to say; false: nothing.
func (w Watch) Told() (Word, bool) { return w.told, w.on }
