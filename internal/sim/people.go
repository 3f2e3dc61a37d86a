// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// Saying is a person's word at a moment of the storm, as the command line writes
// it: into the inbox, whoever leads. Words are no faults: no seed draws them.
type Saying struct {
	At    time.Duration
	Who   string
	Verb  incident.AskVerb
	Node  int // of fence, unfence, and of the incident that the word is about
	Scope cluster.Datacenter
	For   time.Duration
}

// people plans what is said in this world.
func (w *world) people() {
	for i, s := range w.o.Said {
		w.after(s.At, func() { w.says(i, s) })
	}
}

// says writes the word. One about an incident names that of its node, and an
// approval the plan that stands there.
func (w *world) says(i int, s Saying) {
	n := w.nodes[s.Node%len(w.nodes)].name
	about := incident.About{Datacenter: s.Scope, For: s.For, Said: w.wall()}
	word := lead.Word{Who: s.Who, Verb: string(s.Verb), Why: "a drill", About: &about}
	switch s.Verb {
	case incident.AskFence:
		about.Node, about.Levels = n, isolate.Clients|isolate.Reads
	case incident.AskUnfence:
		about.Node = n
	case incident.AskApprove, incident.AskAbort, incident.AskAck, incident.AskRetry:
		about.Incident = "nothing"
		for _, r := range w.open() {
			if r.Node == n {
				about.Incident = r.ID
				if r.Proposal != nil {
					word.Plan = r.Proposal.Hash
				}
			}
		}
	case incident.AskPause, incident.AskResume, incident.AskMute, incident.AskUnmute, incident.AskRepair:
	}
	w.note("%s says %s %s", s.Who, s.Verb, n)
	w.put(store.Word(wordName(i)), word)
	w.said[wordName(i)] = w.now
}

func wordName(i int) string { return fmt.Sprintf("%020d-people", i) }

// isPaused tells whether a pause stands for a node's datacenter.
func (w *world) isPaused(n *node) bool {
	h, _ := get[incident.Holds](w, store.Holds)
	_, paused := h.Paused(n.home(), w.wall())
	return paused
}

// mayBePaused tells whether a leader may still go by a pause, whose end is by its
// own clock.
func (w *world) mayBePaused(n *node) bool {
	h, _ := get[incident.Holds](w, store.Holds)
	return slices.ContainsFunc(h.Pauses, func(p incident.Pause) bool { return p.Datacenter == "" || p.Datacenter == n.home() })
}

// handsOff tells whether people want a node left as it is: its datacenter is
// paused, or they stopped its incident.
func (w *world) handsOff(n *node) bool {
	if len(w.o.Said) == 0 {
		return false
	}
	stopped := slices.ContainsFunc(w.open(), func(r incident.Record) bool { return r.Node == n.name && r.HeldRule == incident.RuleOperator })
	return stopped || w.mayBePaused(n)
}

// nothingWhilePaused wants nothing begun in a paused datacenter, whoever leads.
func nothingWhilePaused() Truth {
	return Truth{Holds: "nothing is begun and nobody is drained while it is paused", fails: func(w *world) string {
		for _, n := range w.nodes {
			switch {
			case !w.isPaused(n) || !w.allowed(n):
			case w.acting[string(n.name)+"/cassandra"] != "":
				return w.acting[string(n.name)+"/cassandra"] + " is being done"
			case w.balancer.says[n.name].Want != loadbalancer.Ready:
				return string(n.name) + " is out of the pool"
			}
		}
		return ""
	}}
}

// answeredAs wants each word to be answered in the journal as it is written
// here: followed, or refused by a rule's name.
func answeredAs(want ...string) Truth {
	return Truth{Holds: "people are told: " + strings.Join(want, ", "), atEnd: true, fails: func(w *world) string {
		kvs, _ := w.store.List(store.Logs)
		got := map[string]string{}
		for _, kv := range kvs {
			e, err := lead.ReadOnce[incident.Entry](w.decoded, kv, false)
			if err == nil && e.Actor.Kind == "operator" {
				got[e.Args["request"]] = string(e.Rule)
				if e.Kind == incident.Asked {
					got[e.Args["request"]] = "followed"
				}
			}
		}
		for i, what := range want {
			if got[wordName(i)] != what {
				return fmt.Sprintf("word %d is answered by %q", i, got[wordName(i)])
			}
		}
		return ""
	}}
}

// ordered are outages in which people told a machine what to do.
func ordered() []Scenario {
	fences := func(at time.Duration, node int) Saying {
		return Saying{At: at, Who: "a tired operator", Verb: incident.AskFence, Node: node}
	}
	reddit := small(1, 4*time.Minute, hit(10*second, "agents-restart", 0), hit(40*second, "kill", 3), hit(60*second, "leader-crash", 0))
	reddit.Said = []Saying{{At: second, Who: "ana", Verb: incident.AskPause, For: 2 * time.Minute}}
	gitlab := small(1, 4*time.Minute, hit(20*second, "leader-crash", 0))
	gitlab.Said = []Saying{fences(second, 3), fences(second, 0), fences(30*second, 1), {At: time.Minute, Who: "bo", Verb: incident.AskUnfence, Node: 3}}
	away := small(1, 4*time.Minute, hit(30*second, "kill", 3), hit(70*second, "leader-crash", 0), hit(90*second, "kill", 3))
	away.Said = []Saying{{At: second, Who: "ana", Verb: incident.AskFence, Node: 3}, {At: 50 * second, Who: "ana", Verb: incident.AskUnfence, Node: 3},
		{At: 60 * second, Who: "bo", Verb: incident.AskAbort, Node: 3}, {At: 100 * second, Who: "bo", Verb: incident.AskRetry, Node: 3}}
	asks := small(1, 5*time.Minute, hangs(second)...)
	policed(&asks, moded(incident.Assist))
	asks.Said = []Saying{{At: 10 * second, Who: "ana", Verb: incident.AskApprove, Node: 3}, {At: 2 * time.Minute, Who: "ana", Verb: incident.AskApprove, Node: 3}}
	return []Scenario{
		Scenario{
			Name:    "asks-before-it-ends",
			Story:   "A process hangs where mode assist stands: nothing is ended before somebody approves the plan, neither too early nor twice.",
			Options: asks, Guard: string(incident.RuleFencing), Remove: func(o *Options) {
				policed(o, moded(incident.Auto))
			},
		}.truths(answeredAs(string(incident.RulePlan), "followed"), endedAtMost(1), allServe()),
		Scenario{
			Name:    "reddit-2016",
			Story:   "Reddit, August 2016: the automation was switched off on its host, and something switched it on again in the middle of the work; here all agents are restarted while the region is paused, and a process ends.",
			Options: reddit, Guard: string(incident.RulePaused), Remove: func(o *Options) { o.Bug = forgetfulPause },
		}.truths(nothingWhilePaused(), answeredAs("followed"), allServe()),
		Scenario{
			Name:    "gitlab-2017",
			Story:   "GitLab, January 2017, and others: somebody tired takes away one machine too many; here three nodes one after the other, two of them in the same moment.",
			Options: gitlab, Guard: string(incident.RuleBudget), Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Budgets.NodesPerDatacenter = 9 })
			},
		}.truths(outAtMost(1), allServe()),
		Scenario{
			Name:    "hands-on-a-node",
			Story:   "Somebody fences a node, whose process ends meanwhile; it is unfenced, aborted in its return by somebody else, and tried again, while the leader crashes.",
			Options: away,
		}.truths(answeredAs("followed", "followed", "followed", "followed"), allServe()),
	}
}

// moded gives every datacenter a mode.
func moded(m incident.Mode) func(*incident.Policy) {
	return func(p *incident.Policy) {
		for dc := range p.Modes {
			p.Modes[dc] = m
		}
	}
}
