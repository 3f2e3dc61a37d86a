// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"time"

	"supervisor/cluster"
)

const (
	// slack is how much later than it was made a look may seem to be, because
	// its datagram was slow: a good look this close to the first bad one may
	// be from before it.
	slack = 50 * time.Millisecond
	// phiLag is how long phi stays below 2 after the last gossip. Cassandra
	// computes phi = 0.434 * silence / mean interval; 2 is reached after 4.6
	// mean intervals, and a young cluster's mean begins at 2 s.
	phiLag = 10 * time.Second
)

// evidence is what the ballots about one node say beyond their votes. Good
// words count only when they are younger than the moment a majority turned
// bad: an answer from before says nothing about what came after.
type evidence struct {
	disk    bool // own agent: the data disk refuses writes
	exited  bool // own agent: the process ended
	runs    bool // own agent, after it turned bad: the process exists
	ran     bool // own agent, within the time a word counts: the process exists
	admin   bool // own agent, after it turned bad: Jolokia answers
	fine    bool // own agent, after it turned bad: CQL answers
	hangs   bool // own agent: it exists, and neither CQL nor Jolokia answers
	spoke   bool // own agent heard
	heard   bool // own agent heard, well
	refused int  // bad CQL looks to which the kernel answered
	silent  int  // bad CQL looks without any answer
	peers   int  // others that are heard and do not abstain
	phi     int  // of them: Cassandra there hears the node's gossip
	accepts int  // of them: the storage port took a connection
	rejects int  // of them: the storage port refused
	mute    int  // of them: the storage port is silent
}

func weigh(x *Verdict, b Bars, turned cluster.Moment) evidence {
	e := evidence{exited: x.Own == Exited}
	for i := range x.Ballots {
		t := &x.Ballots[i]
		if t.Own {
			e.spoke = t.Vote != Unheard
		}
		if t.Vote == Unheard || t.Unwell || t.Duplicate {
			continue
		}
		switch r := t.look(CQL); {
		case r.bad(b) && r.Outcome == Silent:
			e.silent++
		case r.bad(b):
			e.refused++
		}
		if t.Own {
			e.hearOwn(t, b, turned)
		} else {
			e.hearPeer(t, turned)
		}
	}
	return e
}

func (e *evidence) hearOwn(t *Ballot, b Bars, turned cluster.Moment) {
	process, cql, admin, disk := t.look(Process), t.look(CQL), t.look(Admin), t.look(Disk)
	after := turned.Add(slack)
	e.heard = true
	e.disk = disk.Outcome == Wrong || disk.Outcome == Refused
	// An exit is an event and not a look: each digest says anew whether it came.
	e.ran = process.Outcome == Good
	e.runs = e.ran && process.arrived() >= after
	e.admin = admin.answered() && admin.At >= after
	e.fine = cql.answered() && cql.At >= after
	e.hangs = e.runs && cql.Outcome == Silent && cql.bad(b) && admin.Outcome == Silent
}

func (e *evidence) hearPeer(t *Ballot, turned cluster.Moment) {
	e.peers++
	switch r := t.look(Storage); {
	case r.answered() && r.At >= turned.Add(slack):
		e.accepts++
	case r.Outcome == Refused || r.Outcome == Wrong:
		e.rejects++
	case r.Outcome == Silent:
		e.mute++
	}
	if r := t.look(Phi); r.Outcome == Good && r.At >= turned.Add(phiLag) {
		e.phi++
	}
}

// cause tells why a node is Gone, and whether no word is missing that could
// overturn it: the own agent was heard a moment ago but not since, and nobody
// knows of the storage port.
func (e evidence) cause() (Cause, bool) {
	open := e.accepts > e.rejects+e.mute
	gossips := 2*e.phi > e.peers
	// Behind a fence, or with its clients shut out, nothing inside tells that it
	// is fine: that the JVM answers, and the others reach it by no path, must do.
	apart := e.admin && 2*e.mute > e.peers
	switch {
	case e.disk:
		return DiskFailed, true
	case e.exited:
		return ProcessDown, true
	case e.hangs:
		return Hung, true
	case (e.fine || apart) && !open && !gossips:
		return Isolated, true
	case e.fine, e.admin, gossips:
		return CQLDead, true
	case e.runs && e.refused > e.silent:
		return CQLDead, true
	case e.runs:
		return Hung, true
	}
	sure := !e.heard || e.accepts+e.rejects+e.mute > 0
	switch {
	case open && e.refused > e.silent && e.spoke:
		return CQLDead, sure
	case open:
		// Also where CQL is refused: by the lease of its guard, of a host that stands
		// still. Nobody there has said anything, neither its agent nor its gossip.
		return Hung, sure
	case e.refused > e.silent && e.ran && e.rejects == 0:
		// A port that was closed is seen by one after the other, as their connections
		// end, and the last word from inside may be from between. An exit its agent would
		// have told at once; where both ended, the storage port refuses too.
		return CQLDead, sure
	case e.refused > e.silent, e.rejects > e.mute:
		return ProcessDown, sure // the kernel there answers; its own agent must say that nothing runs before anything is started
	}
	return HostGone, sure
}

// aliveCause is what is to say of a node that answers. A judge that has not
// listened for a whole window cannot know that an agent is gone. Whether it is slow
// is asked apart.
func (e evidence) aliveCause(warm bool) Cause {
	if warm && !e.spoke {
		return AgentGone
	}
	return NoCause
}
