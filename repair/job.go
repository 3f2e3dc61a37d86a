// SPDX-License-Identifier: Apache-2.0

package repair

// Job is a planned repair and how far it has come. Segments never change;
// Done only gains. A Job without segments is complete: whether the plan
// refused something is told beside it, not in it.
type Job struct {
	Segments []Segment `json:"segments"`
	Done     Bitmap    `json:"done"` // bit i: segment i was compared and streamed
}

// Mark returns the job with segment i done. A number that no segment has
// changes nothing: a late word about another plan is not an error.
func (j Job) Mark(i int) Job {
	if i < 0 || i >= len(j.Segments) {
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
	return done == total
}

// Progress counts the segments that are done, and all.
func (j Job) Progress() (done, total int) {
	for i := range j.Segments {
		if j.Done.Has(i) {
			done++
		}
	}
	return done, len(j.Segments)
}

// Bitmap is one bit per segment, the lowest bit of the first byte first. In
// JSON it is base64: 1,000 segments are 168 characters. One that is too short,
// or missing, has no bits beyond its end.
type Bitmap []byte

// Has says whether bit i is set.
func (b Bitmap) Has(i int) bool { return i >= 0 && i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0 }

func newBitmap(size int) Bitmap { return make(Bitmap, (size+7)/8) }

// with returns a copy that has bit i, of a map for size segments.
func (b Bitmap) with(i, size int) Bitmap {
	out := make(Bitmap, max(len(b), (size+7)/8))
	copy(out, b)
	out[i/8] |= 1 << (i % 8)
	return out
}
