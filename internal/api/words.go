// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"strings"

	"supervisor/incident"
	"supervisor/membership"
)

// State answers "do I have to get up?" in one of four words.
type State string

// The states, best first.
const (
	Healthy  State = "healthy"
	Degraded State = "degraded"  // less redundancy, being handled
	NeedsYou State = "needs_you" // waits for a person
	Blind    State = "blind"     // nothing is judged, nothing is done
)

// States lists the states, best first.
func States() []State { return []State{Healthy, Degraded, NeedsYou, Blind} }

// Exit is the code of `supervisor check`, as monitors read it.
func (s State) Exit() int {
	switch s {
	case Healthy:
		return 0
	case Degraded:
		return 1
	case NeedsYou:
		return 2
	case Blind:
		return 3
	}
	return 3
}

// Serving is whether a node serves its clients.
type Serving string

// The three answers, as everywhere.
const (
	ServingYes     Serving = "yes"
	ServingNo      Serving = "no"
	ServingUnknown Serving = "unknown"
)

// Verdicts lists every word that the verdict of a node can be: the answers,
// then the causes.
func Verdicts() []string {
	words := []string{membership.Unknown.String(), membership.Alive.String(), membership.Gone.String()}
	return append(words, membership.Causes()[1:]...)
}

// Votes lists every word that a vote can be.
func Votes() []string {
	return []string{membership.Unheard.String(), membership.For.String(), membership.Against.String(), membership.Abstains.String()}
}

// Modes lists every mode.
func Modes() []string {
	return []string{incident.Observe.String(), incident.Assist.String(), incident.Auto.String()}
}

// Counted is a number with its noun: 1 node, 2 nodes, 2 proxies.
func Counted[N int | int64](n N, noun string) string {
	return fmt.Sprintf("%d %s", n, Plural(n, noun, plural(noun)))
}

// Plural chooses between the word for one and the word for any other number.
func Plural[N int | int64](n N, one, others string) string {
	if n == 1 {
		return one
	}
	return others
}

func plural(noun string) string {
	if stem, is := strings.CutSuffix(noun, "y"); is && !strings.HasSuffix(stem, "a") {
		return stem + "ies"
	}
	return noun + "s"
}

// verdictWord is the one word for a verdict: its cause, or else its answer.
func verdictWord(a membership.Answer, c membership.Cause) string {
	if a != membership.Unknown && c != membership.NoCause {
		return c.String()
	}
	return a.String()
}
