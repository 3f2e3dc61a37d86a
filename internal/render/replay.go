// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"

	"supervisor/internal/api"
	"supervisor/internal/trace"
)

// Replay draws a recording that was judged anew.
func Replay(p Page, x trace.Replayed) string {
	l := &lines{p: p}
	l.head(fmt.Sprintf("recording of %s, cluster %s, version %s · %s in %s, until %s", x.Agent, x.Cluster, x.Version,
		api.Counted(x.Turns, "turn"), Span(x.Until.Sub(x.From)), moment(&api.Time{Time: x.Until})), "")
	header := []string{"T+", "TIME", "NODE", "VERDICT", "VOTES", "DRAIN", "FENCE"}
	if len(x.Differ) > 0 {
		header = append(header[:6:6], "RECORDED", "FENCE")
	}
	rows := [][]string{header}
	for _, e := range x.Events {
		row := []string{fmt.Sprintf("%.3f", float64(e.MS)/1000), moment(&api.Time{Time: e.At}), string(e.Node), verdictWords(e.Standing), e.Votes(), yesNo(e.Drain)}
		if len(x.Differ) > 0 {
			row = append(row, recordedWords(e))
		}
		rows = append(rows, append(row, lackWords(e)))
	}
	switch {
	case len(x.Events) > 0:
		l.table("", rows...)
		l.wrapped("", "votes: for gone / that count / eligible observers · fence: what its bar lacks")
	default:
		l.add("no verdict changed")
	}
	if len(x.Differ) == 0 {
		l.wrapped("", "this program judges as it was recorded")
		return l.text()
	}
	var names []string
	for _, n := range x.Differ {
		names = append(names, string(n))
	}
	l.wrapped("DIFFERS   ", fmt.Sprintf("this program judges %s otherwise than version %s did", strings.Join(names, ", "), x.Version))
	return l.text()
}

func verdictWords(s trace.Standing) string {
	if s == (trace.Standing{}) {
		return "not judged"
	}
	words := Title(s.Answer.String())
	if s.Cause != 0 {
		words += " " + Title(s.Cause.String())
	}
	return words
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func recordedWords(e trace.Event) string {
	if e.Recorded == nil {
		return "the same"
	}
	return e.Recorded.String()
}

func lackWords(e trace.Event) string {
	if e.Fence {
		return "met"
	}
	return orDash(strings.Join(e.Lacks, dot))
}
