// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"time"

	"supervisor/incident"
)

// hanging are stories of a process that lives and answers nobody.
func hanging() []Scenario {
	return []Scenario{
		Scenario{
			Name:    "long-collections",
			Story:   "A process stands still for eight seconds again and again, as one does whose heap is too small, and is never fenced for it.",
			Options: small(1, 4*time.Minute, pausedFor(8*second, 0, 3*time.Minute, 25*second)...),
			Guard:   string(incident.RuleMinAge),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Ages.Fence = second })
			},
			Breaks: fenceEvidence,
		}.truths(endedAtMost(0), serveOrAsk()),
		Scenario{
			Name:  "hangs-again",
			Story: "A process hangs, is fenced and returned, and hangs again, whatever is done.",
			Options: small(1, 8*time.Minute, slices.Concat(hangs(second), hangs(2*time.Minute), hangs(4*time.Minute),
				hangs(6*time.Minute))...),
			Guard: string(incident.RuleQuarantine),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Budgets.FencesMax = 100 })
			},
			Breaks: oneFence,
		}.truths(endedAtMost(1), serveOrAsk()),
		Scenario{
			Name:  "hangs-with-its-agent",
			Story: "A process hangs and its agent is stopped: nobody on the host can end it, and a person is told so; the agent goes on, and ends it.",
			Options: small(2, 5*time.Minute, hitFor(second, 100*second, "agent-stopped", 3),
				hitFor(2*second, 10*time.Minute, "hang", 3)),
		}.truths(personIsAsked(time.Minute), endedAtMost(1), allServe()),
	}
}

func pausedFor(lasts, from, to, every time.Duration) []Stroke {
	strokes := repeated(from, to, every, "pause", 3)
	for i := range strokes {
		strokes[i].For = lasts
	}
	return strokes
}

// hangs stops the process of n4 for good.
func hangs(at time.Duration) []Stroke {
	return []Stroke{{At: at, Fault: "hang", Node: 3, Salt: 1, For: 10 * time.Minute, Wait: time.Minute}}
}
