// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

// silence is the verdict with which one began.
type silence struct {
	membership.Verdict
	over bool // the node answered, and may lack writes of it
}

// View is what this agent's judge says.
func (s *State) View() membership.View { return s.view }

// Look takes a new view of the judge in and remembers what it shows; nothing is
// decided on it yet.
func (s *State) Look(v membership.View) {
	s.view = v
	s.noteSilences()
}

// noteSilences keeps the verdicts that are worth an incident and have none yet:
// the store may take nothing now, the policy be unreadable, or nobody lead. A
// node that answers again before its incident could be written is a node like
// any other by then, and may lack what it missed. Whoever hears fewer than half
// is cut off itself and notes nothing.
func (s *State) noteSilences() {
	s.noteBeginnings()
	if told := incident.HintWindow(s.Picture.Agents); told > 0 {
		s.hints = told
	}
	if heard, of := s.view.Hearing(); heard*2 < of {
		return
	}
	for n, v := range s.view.Verdicts { // order: each node for itself
		_, open := s.Picture.Opens[n]
		noted, known := s.silent[n]
		switch {
		case open, known && s.missedNothing(noted.Verdict, v):
			if open && known && incident.Spoils(s.Picture.returning(n), noted.Verdict) {
				s.lapsed[n] = true // seen before the node's return was read here
			}
			delete(s.silent, n)
		case !known && (incident.Worth(v) || unanswered(v)):
			s.silent[n] = s.silenceOf(v)
		case known && incident.Silent(v) && !incident.Silent(noted.Verdict):
			noted.Answer, noted.Cause = v.Answer, v.Cause
			s.silent[n] = noted
		case known && !noted.over && s.missedSome(noted.Verdict, v):
			noted.over = true
			s.silent[n] = noted
		}
	}
	s.noteLapses()
}

// unanswered tells whether most who watch a node do not reach it, though it is
// not judged yet: the silence may be over before it is, and beyond the hints.
func unanswered(v membership.Verdict) bool {
	return v.Answer == membership.Unknown && v.For >= 2 && 2*v.For > v.Heard && v.Cause != membership.Planned
}

// noteLapses keeps which nodes were silent when their return had gone too far
// for it. Whoever leads takes such a return back at once; where nobody can, the
// silence may be over before it is decided upon.
func (s *State) noteLapses() {
	for _, r := range s.Picture.OpenRecords() {
		if incident.Spoils(r, s.view.Verdicts[r.Node]) {
			s.lapsed[r.Node] = true
		}
	}
	s.forgetLapses()
}

// forgetLapses drops those whose return was taken back, or is over.
func (s *State) forgetLapses() {
	for n := range s.lapsed { // order: each node for itself
		if !incident.SilenceSpoils(s.Picture.returning(n)) {
			delete(s.lapsed, n)
		}
	}
}

// noteBeginnings keeps when each node that was seen alive began not to be, on
// this agent's own clock, until it is alive again without an incident. Whoever
// leads next goes on with an incident of another's, and its wall time may be
// that of another clock. A judge that begins knows of nobody yet: what it had
// not seen alive did not begin to be silent then.
func (s *State) noteBeginnings() {
	for n, v := range s.view.Verdicts { // order: each node for itself
		_, open := s.Picture.Opens[n]
		_, known := s.went[n]
		switch {
		case v.Answer == membership.Alive && !open:
			delete(s.went, n)
			s.well[n] = true
		case v.Answer == membership.Alive:
			delete(s.well, n) // what the incident is about began before
		case v.Answer != membership.Alive && !known && s.well[n]:
			s.went[n] = s.unhinted(n, min(v.Since, v.LastAlive))
			delete(s.well, n)
		}
	}
}

// missedNothing tells whether a node is back with the process that was silent,
// and so soon that the others kept hints for it. For how long they do must have
// been told: an agent that has not read the store yet knows only that it is short.
func (s *State) missedNothing(noted, v membership.Verdict) bool {
	return s.hints > 0 && v.Answer == membership.Alive && !s.beyondHints(noted, v) && v.Own == membership.Good && v.Process == noted.Process
}

// missedSome tells whether a node that is reached may lack writes of a silence for
// which no incident was opened.
func (s *State) missedSome(noted, v membership.Verdict) bool {
	another := v.Own == membership.Good && noted.Process != "" && v.Process != noted.Process
	if incident.ReachedBroken(v) { // its answer does not tell when the silence ended
		return another || incident.BeyondHints(s.view.At.Sub(noted.Since), s.hints)
	}
	return v.Answer == membership.Alive && (another || s.beyondHints(noted, v))
}

// beyondHints goes by the window that was told last: when all leases end at once
// nobody tells one for a while.
func (s *State) beyondHints(noted, v membership.Verdict) bool {
	return incident.BeyondHints(v.Since.Sub(noted.Since), s.hints)
}

// opening is the verdict that an incident begins with, and when its silence began
// on this agent's clock; zero: it saw no beginning.
type opening struct {
	v     membership.Verdict
	began cluster.Moment
}

// worth is what opens an incident of a node: the present verdict, or one of a
// silence that is over and that nobody could write down, whoever saw it.
func (s *State) worth(n cluster.Name, now cluster.Moment, wall time.Time) (opening, bool) {
	v := s.view.Verdicts[n]
	noted, known := s.silent[n]
	if incident.Worth(v) {
		if known && incident.Silent(noted.Verdict) && v.Cause == membership.CQLDead {
			v.Cause = noted.Cause // its clients are shut out now, and it took no writes before
		}
		return opening{v, s.beginning(v)}, true
	}
	if known && s.missedSome(noted.Verdict, v) {
		return opening{noted.Verdict, noted.Since}, true
	}
	if told, is := s.toldOf(n); is {
		return opening{v: s.toldVerdict(told, now, wall)}, true
	}
	v, is := incident.WorthUnasked(v, incident.World{Agents: s.Picture.Agents, Policy: s.Picture.Policy.Value, Topology: s.Topology()})
	return opening{v, s.beginning(v)}, is
}
