// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// SlowLine is how a slow node stands out among its peers.
type SlowLine struct {
	Since     *Time          `json:"since"`
	ForMS     int64          `json:"for_ms"`
	Says      []cluster.Name `json:"says"` // observers that find it slow
	Of        int            `json:"of"`   // observers that measure enough others to compare
	TypicalUS int64          `json:"typical_us"`
	PeersUS   int64          `json:"peers_us"` // of the nodes it was compared with
	Inside    []string       `json:"inside"`   // what its own agent says that may be why
}

// slowLine is nil of a node that is not slow.
func slowLine(s Snapshot, v membership.Verdict) *SlowLine {
	if v.Cause != membership.Slow {
		return nil
	}
	x := v.Slow
	return &SlowLine{Since: s.ago(x.Since), ForMS: ms(x.For), Says: append([]cluster.Name{}, x.Says...), Of: x.Of, TypicalUS: x.Typical.Microseconds(),
		PeersUS: x.Peers.Microseconds(), Inside: listed(x.Inside)}
}

// Sentence tells who finds the node slow, and by how much.
func (x SlowLine) Sentence() string {
	says := make([]string, len(x.Says))
	for i, n := range x.Says {
		says[i] = string(n)
	}
	return fmt.Sprintf("%s of %s that can compare: its answers take %s, those of the others %s, for %s", strings.Join(says, ", "),
		Counted(x.Of, "observer"), Span(x.TypicalUS), Span(x.PeersUS), seconds(time.Duration(x.ForMS)*time.Millisecond))
}

// Span is a short time of so many microseconds.
func Span(us int64) string {
	return (time.Duration(us) * time.Microsecond).Round(100 * time.Microsecond).String()
}
