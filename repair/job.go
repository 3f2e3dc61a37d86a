// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Job is a planned repair and how far it has come. Segments never change;
// Done only gains. A Job without segments is complete: whether the plan
// refused something is told beside it, not in it.
type Job struct {
	Segments []Segment
	Done     Bitmap // bit i: segment i was compared and streamed
	// Plan names the segments of a large job where they are kept apart from it, and
	// Of counts them. Such a job is written without them, and is lost while nobody
	// has put them back.
	Plan string
	Of   int
}

// Lost tells whether the segments, kept apart, are not there. A lost job is
// never complete, and nothing can be ordered or marked of it.
func (j Job) Lost() bool { return j.Plan != "" && len(j.Segments) != j.Of }

// Apart is the job as it is written when its segments are kept under a name.
func (j Job) Apart(plan string) Job {
	j.Plan, j.Of = plan, len(j.Segments)
	return j
}

// With is the job with its segments put back. Others than were planned leave it
// lost.
func (j Job) With(segments []Segment) Job {
	j.Segments = nil
	if len(segments) == j.Of {
		j.Segments = segments
	}
	return j
}

// Mark returns the job with segment i done. A number that no segment has
// changes nothing: a late word about another plan is not an error.
func (j Job) Mark(i int) Job {
	if i < 0 || i >= len(j.Segments) || j.Lost() {
		return j
	}
	j.Done = j.Done.with(i, len(j.Segments))
	return j
}

// Batch returns the numbers of the first max segments that are not done.
func (j Job) Batch(max int) []int {
	var out []int
	for i := 0; i < len(j.Segments) && len(out) < max; i++ {
		if !j.Done.Has(i) {
			out = append(out, i)
		}
	}
	return out
}

// Complete says that every segment is done.
func (j Job) Complete() bool {
	done, total := j.Progress()
	return done == total && !j.Lost()
}

// Progress counts the segments that are done, and all.
func (j Job) Progress() (done, total int) {
	total = max(len(j.Segments), j.Of)
	for i := range min(total, 8*len(j.Done)) {
		if j.Done.Has(i) {
			done++
		}
	}
	return done, total
}

// stored is a job in JSON. Segments were written as they are before they were
// packed; such a job is still read.
type stored struct {
	Segments []Segment `json:"segments,omitempty"`
	Packed   Segments  `json:"packed,omitempty"`
	Plan     string    `json:"plan,omitempty"`
	Of       int       `json:"of,omitempty"`
	Done     Bitmap    `json:"done"`
}

// MarshalJSON writes the job with its segments packed, or without them when they
// are kept apart.
func (j Job) MarshalJSON() ([]byte, error) {
	if j.Plan != "" {
		return json.Marshal(stored{Plan: j.Plan, Of: j.Of, Done: j.Done})
	}
	return json.Marshal(stored{Packed: j.Segments, Done: j.Done})
}

// UnmarshalJSON reads all three forms. A job of which a part is unknown is an
// error: it must not be gone on with as if the part were not there.
func (j *Job) UnmarshalJSON(text []byte) error {
	var s stored
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return fmt.Errorf("repair job: %w", err)
	}
	switch {
	case s.Packed != nil && s.Segments != nil, s.Plan != "" && s.Packed != nil, s.Plan != "" && s.Segments != nil:
		return errors.New("repair job: its segments stand there twice")
	case s.Of < 0 || s.Of > bitsMax || s.Plan == "" && s.Of != 0 || s.Plan != "" && s.Of == 0:
		return fmt.Errorf("repair job: plan %q of %d segments", s.Plan, s.Of)
	}
	*j = Job{Segments: s.Segments, Done: s.Done, Plan: s.Plan, Of: s.Of}
	if s.Packed != nil {
		j.Segments = s.Packed
	}
	return nil
}
