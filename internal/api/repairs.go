// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/repair"
)

// The states of a repair.
const (
	RepairRuns     = "runs"     // an order is under way
	RepairWaits    = "waits"    // for what Why says
	RepairCompares = "compares" // it has ended, and another coordinator compares
	RepairHeld     = "held"     // a person is needed
	RepairEnded    = "ended"
)

// RepairLine is one repair in one line: that of a node on its way back, or one that
// a person asked for.
type RepairLine struct {
	ID         string             `json:"id"` // of the incident, or of the repair
	By         string             `json:"by"` // who asked for it; empty: it is part of a return
	Node       cluster.Name       `json:"node"`
	Datacenter cluster.Datacenter `json:"datacenter"`
	Round      int                `json:"round"` // the first is done while the node hibernates
	State      string             `json:"state"`
	Done       *int               `json:"done"`  // segments; null: not kept
	Total      *int               `json:"total"` // segments; null: not kept
	Began      *Time              `json:"began"` // of the round; null: not kept
	Moved      *Time              `json:"moved"` // when a segment was done last; null: none was, or not kept
	SegmentMS  *int64             `json:"segment_ms"`
	Estimate   *SpanMS            `json:"estimate"` // to the end of the round; null: no estimate yet
	Rule       incident.Rule      `json:"rule"`     // that it waits for; empty: none
	Why        string             `json:"why"`      // it waits
}

// SpanMS is a length of time that is not known better than between two.
type SpanMS struct {
	LeastMS int64 `json:"least_ms"`
	MostMS  int64 `json:"most_ms"`
}

// Repair is everything about one repair.
type Repair struct {
	RepairLine
	Keyspaces   []RepairPart          `json:"keyspaces"`    // in the order in which they are repaired
	Scope       *incident.RepairScope `json:"scope"`        // what was asked for; null: it is part of a return
	LeftOut     int                   `json:"left_out"`     // ranges that were refused when it was asked for
	Batch       *RepairBatch          `json:"batch"`        // that is under way; null: none
	Failed      int                   `json:"failed"`       // orders that came to nothing, of this incident
	LastFailure string                `json:"last_failure"` // empty: none
	CassandraMS int64                 `json:"cassandra_ms"` // Cassandra's own work in this incident
}

// RepairPart is how far one keyspace has come.
type RepairPart struct {
	Keyspace string         `json:"keyspace"`
	Tables   []string       `json:"tables"` // empty: all
	Done     int            `json:"done"`
	Total    int            `json:"total"`
	Ranges   int            `json:"ranges"`
	Peers    []cluster.Name `json:"peers"`
}

// RepairBatch is what one order repairs, or compares.
type RepairBatch struct {
	Effect    string        `json:"effect"`
	Agent     cluster.Name  `json:"agent"` // whose Cassandra coordinates
	Verb      incident.Verb `json:"verb"`
	Segments  int           `json:"segments"`
	Keyspaces []string      `json:"keyspaces"`
	LimitMS   int64         `json:"limit_ms"`
}

// RepairsOf lists the repairs, those of open incidents first, then of closed
// ones, newest first.
func RepairsOf(s Snapshot) []RepairLine {
	out := []RepairLine{}
	for _, r := range repairRecords(s) {
		out = append(out, repairLine(s, r))
	}
	return out
}

func repairRecords(s Snapshot) []incident.Record {
	all := slices.DeleteFunc(slices.Concat(s.Open, s.World.Repairs, s.Closed), func(r incident.Record) bool { return !repairs(r) })
	slices.SortStableFunc(all, func(a, b incident.Record) int {
		switch {
		case a.Ended() != b.Ended():
			return map[bool]int{true: 1, false: -1}[a.Ended()]
		case a.Ended():
			return cmp.Or(b.Began.Compare(a.Began), strings.Compare(b.ID, a.ID))
		}
		return a.Began.Compare(b.Began)
	})
	return all
}

// repairs tells whether a record is of a repair, or of an incident that repairs its
// node, or has done so.
func repairs(r incident.Record) bool {
	return r.Return != nil && (r.Asked() || r.Return.Job != nil || r.Return.Rounds > 0)
}

// RepairOf is one repair, by the name of its node, or of its incident, which
// may be shortened. Of a node it is the newest.
func RepairOf(s Snapshot, id string) (Repair, error) {
	name := cluster.Name(id)
	if _, known := s.World.Hosts[name]; known {
		for _, r := range repairRecords(s) {
			if r.Node == name {
				return repairOf(s, r), nil
			}
		}
		return Repair{}, problem(RepairUnknown, id, "no repair of "+id+" is under way or kept", "what a repair would do: supervisor repair "+id+" --dry-run")
	}
	r, err := findRecord(s, id)
	if err != nil {
		return Repair{}, err
	}
	if !repairs(r) {
		return Repair{}, problem(RepairUnknown, r.ID, r.ID+" has repaired nothing", "its story: supervisor incident show "+r.ID+" --timeline")
	}
	return repairOf(s, r), nil
}

func repairOf(s Snapshot, r incident.Record) Repair {
	out := Repair{RepairLine: repairLine(s, r), Keyspaces: []RepairPart{}, CassandraMS: ms(r.Return.Cassandra)}
	if r.Asked() {
		scope := r.Repair.Scope
		out.Scope, out.LeftOut = &scope, r.Repair.Refused
	}
	for _, p := range jobShown(r).Parts() {
		out.Keyspaces = append(out.Keyspaces, RepairPart{Keyspace: p.Keyspace, Tables: append([]string{}, p.Tables...),
			Done: p.Done, Total: p.Total, Ranges: p.Ranges, Peers: append([]cluster.Name{}, p.Peers...)})
	}
	for _, e := range r.Pending {
		if e.Once != nil && len(e.Once.Segments) > 0 {
			out.Batch = &RepairBatch{Effect: e.ID, Agent: e.Once.Agent, Verb: e.Once.Verb, Segments: len(e.Once.Segments),
				Keyspaces: keyspacesOf(e.Once.Segments), LimitMS: ms(e.Limit)}
		}
	}
	for _, e := range s.Log {
		if verb := e.Args["verb"]; e.Incident == r.ID && e.Code == "order_failed" && (verb == incident.VerbRepair.String() || verb == incident.VerbPreview.String()) {
			out.Failed, out.LastFailure = out.Failed+1, e.Sentence()
		}
	}
	return out
}

func keyspacesOf(segments []repair.Segment) []string {
	out := []string{}
	for _, g := range segments {
		if !slices.Contains(out, g.Keyspace) {
			out = append(out, g.Keyspace)
		}
	}
	return out
}

// jobShown is the job whose segments are counted: while another coordinator
// compares, the comparison.
func jobShown(r incident.Record) repair.Job {
	switch {
	case r.Return.Step == incident.Previewing && !r.Asked(): // of one that was asked for a sample is compared
		return r.Return.Comparison()
	case r.Return.Job != nil:
		return *r.Return.Job
	}
	return repair.Job{}
}

func repairLine(s Snapshot, r incident.Record) RepairLine {
	ran := ranOf(s, r)
	out := RepairLine{ID: r.ID, Node: r.Node, Datacenter: r.Datacenter, Round: max(1, r.Return.Rounds), State: repairState(r),
		Began: at(ran.began), Moved: at(ran.moved)}
	if r.Asked() {
		out.By = r.Repair.By
	}
	if repairing(r) {
		out.Round = r.Return.Rounds + 1
	}
	if r.Return.Job != nil {
		done, total := jobShown(r).Progress()
		out.Done, out.Total = &done, &total
		if repairing(r) {
			out.foresee(repair.Foresee(ran.upTo(done), total, s.At))
		}
	} else if ran.total > 0 {
		out.Done, out.Total = &ran.done, &ran.total
	}
	if out.State == RepairWaits || out.State == RepairHeld {
		out.Rule, out.Why = waitOf(s, r)
	}
	return out
}

func (l *RepairLine) foresee(e repair.Estimate) {
	if !e.Known {
		return
	}
	each := ms(e.Segment)
	l.SegmentMS = &each
	if l.State == RepairRuns { // who waits ends when that is over, and nobody knows when
		l.Estimate = &SpanMS{ms(e.Least), ms(e.Most)}
	}
}

// repairing tells whether a round is not over.
func repairing(r incident.Record) bool {
	return r.Return.Step == incident.Repairing || r.Return.Step == incident.RepairingAgain
}

func repairState(r incident.Record) string {
	ordered := slices.ContainsFunc(r.Pending, func(e incident.Effect) bool { return e.Once != nil })
	switch {
	case r.Ended():
		return RepairEnded
	case r.Phase == incident.Held:
		return RepairHeld
	case repairing(r) && ordered:
		return RepairRuns
	case r.Return.Step == incident.Previewing && ordered:
		return RepairCompares
	case repairing(r), r.Waits != "":
		return RepairWaits
	}
	return RepairEnded
}

// waitOf is why a repair does not go on: the rule of its record, and the words
// that the journal has for it.
func waitOf(s Snapshot, r incident.Record) (incident.Rule, string) {
	if r.Phase == incident.Held {
		return r.HeldRule, r.Held
	}
	if r.Waits == "" {
		return "", "the last order came to nothing; the next is given in a moment"
	}
	for _, e := range slices.Backward(s.Log) {
		if e.Incident == r.ID && e.Kind == incident.Waited && e.Rule == r.Waits {
			return r.Waits, e.Sentence()
		}
	}
	return r.Waits, ""
}

// ran is how a round of repair came on, as the journal tells it.
type ran struct {
	round       int
	began       time.Time
	moved       time.Time
	done, total int
	samples     []repair.Sample
}

// ranOf reads the journal of an incident: which batches of its last round ended
// when, and where it waited in between.
func ranOf(s Snapshot, r incident.Record) ran {
	var x ran
	idle := false
	for _, e := range s.Log {
		if e.Incident != r.ID {
			continue
		}
		when, err := time.Parse(time.RFC3339, e.At)
		if err != nil {
			continue // a clock without time: somebody else's entry
		}
		switch {
		case e.Code == "proved_down" || e.Code == "proved_up" || e.Code == "asked_repair": // a round is planned with it
			x = ran{began: when, samples: []repair.Sample{{At: when}}}
			idle = false
		case e.Code == "did_repair":
			x.did(when, e.Args, idle)
			idle = false
		case e.Code == "order_failed" || e.Code == "released":
			x.samples = append(x.samples, repair.Sample{At: when, Done: x.done, Idle: true})
			idle = false
		case e.Kind == incident.Waited || e.Code == "held":
			idle = true
		}
	}
	return x
}

// did adds the end of a batch. One that has done less than before is of a plan
// that was made anew.
func (x *ran) did(when time.Time, args map[string]string, idle bool) {
	done, total, round := countOf(args["done"]), countOf(args["total"]), countOf(args["round"])
	if x.round != 0 && round != x.round || done <= x.done || x.total != 0 && total != x.total {
		x.samples = nil
	}
	x.round, x.done, x.total, x.moved = round, done, total, when
	x.samples = append(x.samples, repair.Sample{At: when, Done: done, Idle: idle})
}

func countOf(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		return 0
	}
	return n
}

// upTo leaves out what is of another plan than the one of which so much is done.
func (x ran) upTo(done int) []repair.Sample {
	if x.done > done {
		return nil
	}
	return x.samples
}
