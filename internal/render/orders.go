// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"

	"supervisor/internal/api"
)

// asked draws the plan of an operator's verb: what it would do, or which rule
// forbids it.
func (l *lines) asked(x api.Plan) {
	verb := strings.ReplaceAll(x.Verb, "_", " ")
	l.add("PLAN %s: %s. Nothing was changed.", x.Hash, verb)
	for _, does := range x.Does {
		l.wrapped("  ", does)
	}
	if x.Repair != nil {
		l.repairPlan(*x.Repair)
	}
	switch {
	case x.Refused != nil:
		l.wrapped("  FORBIDDEN  ", fmt.Sprintf("%s (rule %s)", x.Refused.Reason, x.Refused.Rule))
	case len(x.Does) == 0:
		l.add("  this agent does not judge; the leader decides")
	}
}

// OrderAnswer draws what became of an order: what was done, by whom, and what
// to type next.
func OrderAnswer(p Page, e api.Envelope[api.OrderAnswer]) string {
	l := &lines{p: p}
	x := e.Data
	switch x.State {
	case api.OrderRefused:
		l.wrapped("REFUSED  ", fmt.Sprintf("%s (rule %s)", x.Says, x.Rule))
	case api.OrderFollowed:
		l.wrapped("DONE  ", x.Says)
	default:
		l.add("WAITS  the leader has not taken %s in yet", x.Request)
	}
	l.events(x.Events, false)
	for _, next := range x.Next {
		l.add("  %s", next)
	}
	missing(l, e)
	return l.text()
}

func pauseWords(x api.PauseLine) string {
	until := x.Until
	return fmt.Sprintf("PAUSED by %s until %s: %s", x.By, moment(&until), x.Why)
}

func muteWords(f api.Finding) string {
	if f.Mute == nil {
		return ""
	}
	until := f.Mute.Until
	return fmt.Sprintf("; muted by %s until %s: %s", f.Mute.By, moment(&until), f.Mute.Why)
}
