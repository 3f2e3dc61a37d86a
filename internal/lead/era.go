// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// EraDoc is the key meta/era. `store init` writes the first era, `store recover`
// each later one, and `store acknowledge` a person's word about it.
type EraDoc struct {
	Era           uint32             `json:"era"`
	EtcdClusterID string             `json:"etcd_cluster_id"`
	Recovered     *incident.Recovery `json:"recovered,omitempty"` // nil: the store began with it
}

// Older tells whether a key that was changed last at mod is of an era before the
// store was recovered: what it asks for may have been done, and undone, since.
func (p *Picture) Older(mod int64) bool {
	r := p.Era.Value.Recovered
	return r != nil && mod <= r.Rev
}

// Standing is the fence of a node with its token; ok is false when none stands.
// One of an older era does not: whoever decides raises it anew.
func (p *Picture) Standing(n cluster.Name) (f isolate.Fence, t cluster.Token, ok bool) {
	at, ok := p.Fences[n]
	return at.Value, p.Token(at.Mod), ok && !p.Older(at.Mod)
}

// olderFence tells whether a fence of an older era is written for a node.
func (p *Picture) olderFence(n cluster.Name) bool {
	at, written := p.Fences[n]
	return written && p.Older(at.Mod)
}

// Trusted tells whether the store's word may be acted upon: it was never
// recovered, or a person has acknowledged that it was.
func (p *Picture) Trusted() bool { return !p.Era.Value.Recovered.Waits() }

// Orphaned tells whether a host's own disk speaks of an incident that the
// recovered store knows nothing of: it was opened after the copy was taken, and
// nobody but that host knows that its node may lack writes.
func (p *Picture) Orphaned(n cluster.Name, l isolate.Local) bool {
	open, is := p.Opens[n]
	over, closed := p.Archive[l.Incident]
	switch {
	case p.Era.Value.Recovered == nil:
		return false
	case l.Incident == "": // it knew of one, and of no fence of it
		return !l.Deadline.IsZero() && !is
	}
	return open.Value != l.Incident && !(closed && over.Node == n)
}

// Known is a store as an agent believed it last; the zero value is none.
type Known struct {
	EtcdCluster string
	Rev         int64
	Era         uint32
}

// Follow tells whether an agent goes over to another store than the one it
// knows: only to one whose era is higher, and was written in the etcd cluster
// that answers. why is the reason against it.
func Follow(k Known, f store.Sight) (follow bool, why string) {
	if len(f.Era) == 0 {
		return false, fmt.Sprintf("etcd cluster %s has no era: it is empty, or belongs to others", f.EtcdCluster)
	}
	var doc EraDoc
	if err := store.Strict(f.Era, &doc); err != nil {
		return false, "its era cannot be read: " + err.Error()
	}
	switch {
	case doc.EtcdClusterID != f.EtcdCluster:
		return false, copied(f.EtcdCluster, doc)
	case doc.Era < k.Era:
		return false, older(doc, k.Era)
	case doc.Era > k.Era:
		return true, ""
	case f.EtcdCluster != k.EtcdCluster:
		return false, fmt.Sprintf("it is etcd cluster %s, this agent knows %s, and both are in era %d: two stores were made of one, or set up", f.EtcdCluster, k.EtcdCluster, doc.Era)
	}
	return false, fmt.Sprintf("it stands at revision %d, and this agent has seen %d: it went back", f.Rev, k.Rev)
}

func copied(etcdCluster string, doc EraDoc) string {
	return fmt.Sprintf("it is etcd cluster %s and its era was written in %s: it is a copy of another store", etcdCluster, doc.EtcdClusterID)
}

func older(doc EraDoc, era uint32) string {
	return fmt.Sprintf("it is in era %d, and this agent has seen era %d: it is an older store", doc.Era, era)
}

// Forget drops all that is known of the store, for one that is another now. What
// this agent saw itself stays, and one that judges remembers which nodes were in an
// incident: the other store may not know of it, and then it is a silence that
// nobody wrote down.
func (s *State) Forget(now cluster.Moment, wall time.Time) {
	if s.view.Began != 0 {
		for _, r := range s.Picture.OpenRecords() {
			if r.OfSlowness() {
				continue // it lacked nothing
			}
			v := s.view.Verdicts[r.Node]
			v.Node, v.Answer, v.Cause, v.Process = r.Node, membership.Gone, r.Cause, "" // whichever runs now
			v.LastAlive = max(1, now.Add(-max(0, wall.Sub(r.Outage.From))))
			v.Since = v.LastAlive
			s.silent[r.Node] = silence{Verdict: v, over: true}
		}
	}
	s.forgot = true
	s.Picture.reset()
	s.term, s.resync = nil, false
	s.clocks, s.busy = map[string]clock{}, map[cluster.Datacenter]bool{}
	s.given = given{}
}

// The numbers that a datacenter leaves out when its store was recovered: what was
// written after the copy was taken may have used them, and people quote them.
const (
	incidentsLeft = 1000
	eventsLeft    = 100_000
)

// words takes in what is said to a datacenter from outside its incidents: that
// the store was recovered or acknowledged, words of an older era, operators.
func (s *State) words(dc cluster.Datacenter, now cluster.Moment, wall time.Time) (Commit, bool) {
	if c, ok := s.tellEra(dc, wall); ok {
		return c, true
	}
	if c, ok := s.dropWord(dc, wall); ok {
		return c, true
	}
	return s.fold(dc, now, wall)
}

// tellEra writes into the journal, once for each, that the store was recovered
// and that it was acknowledged. Every transaction compares the era, and this one
// comes first in its datacenter, so a ledger that is older than the era has not
// told of it.
func (s *State) tellEra(dc cluster.Datacenter, wall time.Time) (Commit, bool) {
	era, ledger := s.Picture.Era, s.Picture.Ledgers[dc]
	r := era.Value.Recovered
	if r == nil || ledger.Mod >= era.Mod {
		return Commit{}, false
	}
	if s.Picture.Older(ledger.Mod) {
		ledger.Value.NextIncident += incidentsLeft
		ledger.Value.NextEvent += eventsLeft
	}
	line := incident.Line{Kind: incident.Asked, Code: "era_recovered", Rule: incident.RuleEra,
		Args: map[string]string{"by": r.By, "from": r.From, "why": r.Why, "era": fmt.Sprint(era.Value.Era)}}
	line.Who = r.By
	if a := r.Acknowledged; a != nil {
		line.Code, line.Args["by"], line.Args["why"], line.Who = "era_acknowledged", a.By, a.Why, a.By
	}
	return s.tell(dc, &txn{s: s, t: store.Txn{Compare: s.guards()}}, ledger.Value, []incident.Line{line}, wall)
}

// dropWord turns an operator's word away that was given before the store was
// recovered: it may have been followed since, and is not followed twice.
func (s *State) dropWord(dc cluster.Datacenter, wall time.Time) (Commit, bool) {
	for _, id := range slices.Sorted(maps.Keys(s.Picture.Inbox)) {
		word := s.Picture.Inbox[id]
		if !s.Picture.Older(word.Mod) || s.home(word.Value) != dc {
			continue
		}
		line := incident.Line{Kind: incident.Refused, Code: "word_of_an_older_era", Rule: incident.RuleEra, Who: word.Value.Who,
			Args: map[string]string{"by": word.Value.Who, "request": id}}
		return s.tell(dc, s.wordTxn(id), s.Picture.Ledgers[dc].Value, []incident.Line{line}, wall)
	}
	return Commit{}, false
}
