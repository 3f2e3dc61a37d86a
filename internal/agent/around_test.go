// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"supervisor/incident"
)

// What is wrong around an agent is told on every host, with its newest words, and
// is over when it is not told any more.
func TestWhatIsWrongAroundAnAgentIsToldEverywhere(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.halt("n2", true)
		var left atomic.Pointer[string]
		n2 := r.start("n2", func(o *Options) {
			o.Around = func() []incident.Trouble {
				if left.Load() == nil {
					return nil
				}
				return []incident.Trouble{{Code: "CERT_EXPIRING", Args: map[string]string{"left": *left.Load(), "at": "then", "file": "/c"}}}
			}
		})
		told := func(words string) bool {
			for _, n := range names {
				if !slices.ContainsFunc(r.host(n).snapshot().Findings, func(f incident.Finding) bool {
					return f.Code == "CERT_EXPIRING" && strings.Contains(f.Sentence, words)
				}) {
					return false
				}
			}
			return true
		}
		const soon = (aroundEvery+2)*pulseEvery + announceAgain
		for _, words := range []string{"14 days", "13 days"} {
			left.Store(&words)
			r.wait(words+" on every host", soon, func() bool { return told("the certificate of n2 ends in " + words) })
		}
		if !n2.logged("CERT_EXPIRING") {
			t.Error("nothing is said of it in the log")
		}
		left.Store(nil)
		r.wait("the finding gone", soon, func() bool {
			for _, n := range names {
				if r.host(n).finds("CERT_EXPIRING") {
					return false
				}
			}
			return true
		})
	})
}
