// SPDX-License-Identifier: Apache-2.0

package membership

// Inside is what stands out in a node to its own agent: bits, a reason each. A bit that
// no version knows says nothing.
type Inside uint8

// What may make a node slow.
const (
	Collecting  Inside = 1 << iota // garbage collections take much of its time
	ReadsWait                      // reads wait for a thread
	WritesWait                     // writes wait for a thread
	ClientsWait                    // requests of clients wait for a thread
	Dropped                        // requests were dropped because they waited too long
)

var insideWords = []struct {
	bit   Inside
	words string
}{
	{Collecting, "garbage collections take much of its time"},
	{ReadsWait, "reads wait for a free thread"},
	{WritesWait, "writes wait for a free thread"},
	{ClientsWait, "requests of clients wait for a free thread"},
	{Dropped, "it drops requests that waited too long"},
}

// Sentences says each reason.
func (i Inside) Sentences() (out []string) {
	for _, w := range insideWords {
		if i&w.bit != 0 {
			out = append(out, w.words)
		}
	}
	return out
}

// inside is what the node's own agent says that may be why it is slow.
func (x *Verdict) inside() (out []string) {
	for i := range x.Ballots {
		t := &x.Ballots[i]
		if !t.Own || t.Duplicate {
			continue
		}
		out = t.look(Process).Inside.Sentences()
		switch t.look(Disk).Outcome {
		case Late:
			out = append(out, "a small write to its data disk is synced only after a second or more")
		case Silent:
			out = append(out, "a small write to its data disk is not synced for ten seconds or more")
		}
		if t.look(Admin).Outcome == Late {
			out = append(out, "its own JVM answers the agent beside it late, too")
		}
	}
	return out
}
