// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
)

func init() { commands["say"] = (*stage).say }

// say is a person's word: say fence n3 by=ana levels=clients,reads for=2h plan=now.
// What is about an incident names its node.
func (s *stage) say(names []cluster.Name, args map[string]string) string {
	a := Ask{Verb: AskVerb(names[0]), Request: "r1", Who: args["by"], Why: "a reason", Plan: args["plan"],
		About: About{Code: args["code"], Subject: args["subject"], Datacenter: cluster.Datacenter(args["dc"]), Said: s.w.Wall}}
	if a.Who == "" {
		a.Who = "ana"
	}
	a.Repair = RepairScope{Keyspace: args["keyspace"], Table: args["table"], Region: cluster.Region(args["region"])}
	if args["claimed"] != "" {
		a.Claimed = strings.Split(args["claimed"], ",")
	}
	for word, into := range map[string]*time.Duration{"for": &a.For, "ago": new(time.Duration)} {
		d, err := time.ParseDuration(args[word])
		if args[word] != "" && err != nil {
			s.t.Fatal(err)
		}
		if *into = d; word == "ago" {
			a.Said = a.Said.Add(-d)
		}
	}
	w := s.w
	w.Open, w.Repairs = s.worldOf("").Open, s.worldOf("").Repairs
	if len(names) > 1 {
		n := names[1]
		a.Node, a.Levels = n, levelsOf(s.t, args["levels"])
		w = s.worldOf(n)
		a.Incident = s.records[n].ID
		if args["repair"] != "" {
			a.Incident = s.asked[n].ID
			w = s.repairWorld(n)
		}
		if args["id"] != "" {
			a.Incident = args["id"]
		}
		if a.Plan == "now" {
			if s.records[n].Proposal == nil {
				s.t.Fatalf("%s is in phase %s and proposes nothing", n, s.records[n].Phase)
			}
			a.Plan = s.records[n].Proposal.Hash
		}
	}
	as := "inc-9"
	if args["as"] != "" {
		as = args["as"]
	}
	return s.hear(Hear(a, w, as))
}

func levelsOf(t *testing.T, words string) isolate.Levels {
	if words == "" {
		return isolate.Clients | isolate.Reads
	}
	var l isolate.Levels
	if err := l.UnmarshalJSON([]byte(`["` + strings.ReplaceAll(words, ",", `","`) + `"]`)); err != nil {
		t.Fatal(err)
	}
	return l
}

func (s *stage) hear(h Heard) string {
	if h.Holds != nil {
		s.w.Holds = *h.Holds
	}
	if h.Decision.Record.ID != "" {
		return s.take(h.Decision)
	}
	out := ""
	for _, l := range h.Lines {
		out += "  " + string(l.Kind) + ": " + Sentence(l.Code, l.Args) + " [" + string(l.Rule) + "]\n"
	}
	return out
}

// Every word gives its line with who said it and the request that asks for it,
// whatever comes of it: whoever waits for an answer finds it there.
func TestEveryWordIsAnswered(t *testing.T) {
	for _, verb := range append(AskVerbs(), "nonsense") {
		for _, about := range []About{{}, {Node: "n3", Incident: "inc-1", Code: "QUORUM_AT_RISK", For: time.Hour, Levels: byHand}, {Node: "n9", Incident: "inc-9"}} {
			s := newStage(t)
			s.ring(3)
			s.judge([]cluster.Name{"n3"}, map[string]string{"answer": "gone", "cause": "host_gone", "own": "no_word"})
			s.begin([]cluster.Name{"n3"}, nil)
			h := Hear(Ask{Verb: verb, Request: "r7", Who: "ana", Why: "because", About: about}, s.worldOf("n3"), "inc-2")
			lines := append(slices.Clone(h.Lines), h.Decision.Lines...)
			if len(lines) == 0 {
				t.Errorf("%s %+v: no line", verb, about)
				continue
			}
			first := lines[0]
			if first.Who != "ana" || first.Args["request"] != "r7" || first.Kind != Asked && (first.Kind != Refused || first.Rule == "") {
				t.Errorf("%s %+v: %+v", verb, about, first)
			}
			if _, known := sentences[first.Code]; !known {
				t.Errorf("%s has no sentence", first.Code)
			}
		}
	}
}

// A word that is refused changes nothing but the journal.
func TestARefusedWordLeavesNothingHalfDone(t *testing.T) {
	for _, verb := range []AskVerb{AskFence, AskUnfence, AskApprove, AskAbort, AskAck, AskRetry} {
		s := newStage(t)
		s.ring(3)
		s.judge([]cluster.Name{"n3"}, map[string]string{"answer": "gone", "cause": "process_down", "own": "no_word"})
		s.begin([]cluster.Name{"n3"}, nil)
		s.settle()
		before, ledger := s.records["n3"], s.w.Ledger
		h := Hear(Ask{Verb: verb, Who: "ana", Why: "because", Plan: "stale", About: About{Node: "n3", Incident: before.ID, Levels: byHand,
			Said: s.w.Wall.Add(-time.Hour)}}, s.worldOf("n3"), "inc-2")
		if len(h.Lines) != 1 || h.Lines[0].Rule != RuleOperator || h.Holds != nil || h.Decision.Changed {
			t.Errorf("%s an hour late: %+v", verb, h)
		}
		h = Hear(Ask{Verb: verb, Who: "ana", Why: "because", Plan: "stale", About: About{Node: "n3", Incident: before.ID, Levels: byHand}}, s.worldOf("n3"), "inc-2")
		d := h.Decision
		if verb == AskAbort {
			continue // it is followed
		}
		if len(d.Lines) != 1 || d.Lines[0].Kind != Refused || len(d.Effects) > 0 || d.Record.Step != before.Step || d.Record.Phase != before.Phase ||
			!maps.Equal(d.Record.Marks, before.Marks) || !slices.Equal(d.Ledger.Holders, ledger.Holders) {
			t.Errorf("%s: %+v", verb, d)
		}
	}
}

// An answer fits into the store, whatever somebody wrote into the inbox.
func TestAnAnswerIsShort(t *testing.T) {
	long := strings.Repeat("<", 800<<10)
	for _, verb := range AskVerbs() {
		a := Ask{Verb: verb, Request: "r1", Who: long, Why: long, Plan: long, About: About{Datacenter: "dc1", Incident: long, Code: long, Subject: long, For: time.Hour}}
		h := Hear(a, World{Policy: &Policy{}, Wall: time.Unix(0, 0)}, "inc-1")
		size := 0
		for _, l := range h.Lines {
			for _, v := range l.Args {
				size += len(v)
			}
		}
		if len(h.Lines) == 0 || size > 4<<10 {
			t.Errorf("%s: %d lines, %d bytes", verb, len(h.Lines), size)
		}
	}
}
