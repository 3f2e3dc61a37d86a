// SPDX-License-Identifier: Apache-2.0

package trend

import (
	"math"
	"slices"
	"time"

	"supervisor/cluster"
)

// Point is one reading, or what a rule made of those of a short while.
type Point struct {
	At    cluster.Moment
	Value float64
}

// Line is what points in a row have in common. Its slope is Theil and Sen's, the
// median of the slopes between all pairs: up to a quarter of the points may be
// anything at all.
type Line struct {
	Slope  float64 // a second
	Rising float64 // share of the pairs whose later point is higher; 0.5 is noise, 1 climbs without a step back
	From   float64 // level of the first points
	To     float64 // level of the last ones
	Over   time.Duration
}

// ends is how many points make the level at each end of a line: the median of
// three leaves one of them out.
const ends = 3

// Fit draws the line through points, oldest first. Fewer than three have none,
// nor have points of one moment.
func Fit(points []Point) (Line, bool) {
	if len(points) < ends {
		return Line{}, false
	}
	var slopes []float64
	rising, pairs := 0, 0
	for i, p := range points {
		for _, q := range points[i+1:] {
			pairs++
			if q.Value > p.Value {
				rising++
			}
			if took := q.At.Sub(p.At).Seconds(); took > 0 {
				slopes = append(slopes, (q.Value-p.Value)/took)
			}
		}
	}
	if len(slopes) == 0 {
		return Line{}, false
	}
	last := len(points) - 1
	return Line{Slope: median(slopes), Rising: float64(rising) / float64(pairs), From: level(points[:ends]),
		To: level(points[last-ends+1:]), Over: points[last].At.Sub(points[0].At)}, true
}

// leftMax bounds what is told of the far future.
const leftMax = 10 * 365 * 24 * time.Hour

// Left is how long it takes from the last point to the limit. A line that does
// not rise never gets there; one that is there has no time left.
func (l Line) Left(limit float64) (left time.Duration, comes bool) {
	if l.To >= limit {
		return 0, true
	}
	if l.Slope <= 0 {
		return 0, false
	}
	seconds := (limit - l.To) / l.Slope
	if seconds >= leftMax.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

func level(points []Point) float64 {
	values := make([]float64, len(points))
	for i, p := range points {
		values[i] = p.Value
	}
	return median(values)
}

// median sorts values.
func median(values []float64) float64 {
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// finite tells whether a value is a number to reckon with.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
