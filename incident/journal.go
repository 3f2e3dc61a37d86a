// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"supervisor/cluster"
)

// EventVersion is the version of the event schema this program writes.
const EventVersion = 1

// Entry is one event of a datacenter's journal as it is stored: append-only,
// numbered, each with the hash of the one before. It carries no free text; its
// sentence is rendered from code and args.
type Entry struct {
	V        int               `json:"v"`
	ID       string            `json:"id"` // <datacenter>-<number>
	Cluster  string            `json:"cluster"`
	Incident string            `json:"incident,omitempty"`
	Seq      int64             `json:"seq"`  // within the incident
	At       string            `json:"at"`   // UTC with milliseconds: for people
	TMS      int64             `json:"t_ms"` // since the incident began
	Kind     Kind              `json:"kind"`
	Code     string            `json:"code"`
	Actor    Actor             `json:"actor"`
	Subject  Subject           `json:"subject"`
	Effect   string            `json:"effect,omitempty"`
	Token    string            `json:"token,omitempty"`
	Rule     Rule              `json:"rule,omitempty"`
	Mode     Mode              `json:"mode"`
	Policy   int64             `json:"policy_version"`
	Args     map[string]string `json:"args,omitempty"`
	Evidence []string          `json:"evidence,omitempty"`
	Prev     string            `json:"prev"` // hash of the event before in this datacenter's journal
}

// Actor is who did or said it: an agent, a leader, or a person.
type Actor struct {
	Kind string `json:"kind"` // leader, operator
	Name string `json:"name"`
}

// Subject is what an event is about.
type Subject struct {
	Region     cluster.Region     `json:"region"`
	Datacenter cluster.Datacenter `json:"datacenter"`
	Rack       cluster.Rack       `json:"rack,omitempty"`
	Node       cluster.Name       `json:"node,omitempty"`
}

// detailMax bounds the one argument that may carry foreign text.
const detailMax = 240

// Writer says who writes journal entries, and when.
type Writer struct {
	Cluster string
	Actor   Actor
	Wall    time.Time
	Elapsed time.Duration
}

// Append turns lines into entries and returns the ledger that counts them and
// the record that numbers them. Entries are marshalled here, because the hash
// of one is part of the next.
func Append(l Ledger, r Record, lines []Line, w Writer) (Ledger, Record, []Entry, error) {
	l = l.clone()
	var entries []Entry
	for _, line := range lines {
		e := entry(r, line, w)
		e.ID = fmt.Sprintf("%s-%d", r.Datacenter, l.NextEvent)
		e.Prev = l.PrevHash
		r.Seq++
		e.Seq = r.Seq
		hash, err := e.Hash()
		if err != nil {
			return l, r, nil, err
		}
		l.PrevHash = hash
		l.NextEvent++
		entries = append(entries, e)
	}
	return l, r, entries, nil
}

func entry(r Record, line Line, w Writer) Entry {
	args := maps.Clone(line.Args)
	t := w.Elapsed
	if ms, err := strconv.ParseInt(args["t_ms"], 10, 64); err == nil {
		t = time.Duration(ms) * time.Millisecond
		delete(args, "t_ms")
	}
	if d := args["detail"]; len(d) > detailMax {
		args["detail"] = d[:detailMax]
	}
	if line.Who != "" {
		w.Actor = Actor{Kind: "operator", Name: line.Who}
	}
	return Entry{
		V: EventVersion, Cluster: w.Cluster, Incident: r.ID, At: Stamp(w.Wall), TMS: t.Milliseconds(),
		Kind: line.Kind, Code: line.Code, Actor: w.Actor,
		Subject: Subject{Region: r.Region, Datacenter: r.Datacenter, Rack: r.Rack, Node: r.Node},
		Effect:  line.Effect, Rule: line.Rule, Mode: r.Mode, Policy: r.Policy, Args: args, Evidence: line.Evidence,
	}
}

// Stamp renders a wall time as every document of ours does: UTC, milliseconds.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Hash is the SHA-256 of the entry's JSON, in hex. Fields are written in the
// order of the type and map keys sorted, so the hash is stable.
func (e Entry) Hash() (string, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("hash event %s: %w", e.ID, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Chain checks that entries follow one another from the hash before; it
// returns the number of the first entry that does not, or -1.
func Chain(prev string, entries []Entry) int {
	for i, e := range entries {
		if e.Prev != prev {
			return i
		}
		hash, err := e.Hash()
		if err != nil {
			return i
		}
		prev = hash
	}
	return -1
}

// Sentence renders the entry for people.
func (e Entry) Sentence() string { return Sentence(e.Code, e.Args) }
