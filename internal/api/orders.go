// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"supervisor/incident"
	"supervisor/internal/lead"
)

// PlanRequest asks what an order would do.
type PlanRequest struct {
	Verb     string `json:"verb"`
	Document string `json:"document,omitempty"` // of policy_apply: the text of the file
	Target   Target `json:"target,omitzero"`    // of every other verb
}

// OrderRequest asks to do what a plan says.
type OrderRequest struct {
	Plan    string `json:"plan"`
	Confirm string `json:"confirm"` // the word that the plan wants typed, if any
	Reason  string `json:"reason"`
}

// Order is an accepted order: a word in the leader's inbox.
type Order struct {
	Request string `json:"request"`
	Plan    string `json:"plan"`
	Who     string `json:"who"`
	Version int64  `json:"version"` // policy version that will stand once it is folded in; 0: it is about no policy
}

// faultsMax bounds the faults that one answer lists; their number is told.
const faultsMax = 100

// reasonMax bounds a reason: it is kept for ever.
const reasonMax = 500

func (s *Server) plan(w http.ResponseWriter, r *http.Request) error {
	var req PlanRequest
	if err := read(r, &req); err != nil {
		return err
	}
	known := append(spelt(incident.AskVerbs()), VerbPolicyApply)
	if !slices.Contains(known, req.Verb) {
		return problem(Usage, req.Verb, fmt.Sprintf("verb %q is not known; known: %s", req.Verb, strings.Join(known, ", ")))
	}
	sn, err := s.snapshotNow(r.Context())
	if err != nil {
		return err
	}
	if req.Verb != VerbPolicyApply {
		plan, _, err := PlanAsk(sn, req.Verb, req.Target)
		if err != nil {
			return err
		}
		s.plans.keep(plan.Hash, madePlan{verb: req.Verb, target: req.Target, at: time.Now()})
		return reply(w, http.StatusOK, wrap(sn, plan))
	}
	next, faults := s.o.ReadPolicy([]byte(req.Document), roster(sn))
	if len(faults) > 0 {
		p := problem(ConfigInvalid, "policy", fmt.Sprintf("the policy has %s; nothing was applied, %s", counted(len(faults), "fault"), standing(sn)))
		p.Faults = faults[:min(faultsMax, len(faults))]
		return p
	}
	plan, err := PlanPolicy(sn, next)
	if err != nil {
		return err
	}
	s.plans.keep(plan.Hash, madePlan{verb: VerbPolicyApply, next: next, at: time.Now()})
	return reply(w, http.StatusOK, wrap(sn, plan))
}

func standing(s Snapshot) string {
	p := PolicyOf(s)
	switch {
	case p.Unread:
		return fmt.Sprintf("version %d still cannot be read", p.Version)
	case p.Document == nil:
		return "there is still no policy"
	}
	return fmt.Sprintf("version %d stays in force", p.Version)
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func (s *Server) order(w http.ResponseWriter, r *http.Request) error {
	who := callerOf(r.Context()).name
	var req OrderRequest
	if err := read(r, &req); err != nil {
		return err
	}
	// Whoever reads the journal has a terminal that obeys control characters.
	reason := strings.Join(strings.FieldsFunc(req.Reason, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if reason == "" || len(reason) > reasonMax {
		return problem(ReasonMissing, req.Plan, fmt.Sprintf("an order needs a reason of at most %d bytes", reasonMax))
	}
	sn, err := s.snapshotNow(r.Context())
	if err != nil {
		return err
	}
	made, ok := s.plans.find(req.Plan, time.Now())
	if !ok {
		return problem(PlanUnknown, req.Plan, fmt.Sprintf("no plan %q is known to this agent", req.Plan))
	}
	word, version, err := s.word(sn, made, req)
	if err != nil {
		return err
	}
	word.Who, word.Why = who, reason
	request, err := s.o.Source.Submit(r.Context(), word)
	switch {
	case err != nil && request != "":
		return problem(OrderUnknown, request, fmt.Sprintf("nobody knows whether the order is written down: %v", err), "it may stand in the leader's inbox as "+request)
	case err != nil:
		return err
	}
	return reply(w, http.StatusAccepted, wrap(sn, Order{Request: request, Plan: req.Plan, Who: who, Version: version}))
}

// word is what the leader is told: a plan that is still as it was shown.
func (s *Server) word(sn Snapshot, made madePlan, req OrderRequest) (w lead.Word, version int64, err error) {
	if made.verb == VerbPolicyApply {
		plan, err := confirmed(sn, made.next, req)
		return lead.Word{Verb: VerbPolicyApply, Plan: plan.Hash, Base: plan.Base, Policy: &made.next}, plan.Version, err
	}
	plan, ask, err := PlanAsk(sn, made.verb, made.target)
	if err == nil && plan.Hash != req.Plan {
		err = problem(PlanStale, req.Plan, fmt.Sprintf("the world moved since plan %s; the plan now is %s", req.Plan, plan.Hash))
	}
	if err == nil {
		err = writable(sn)
	}
	about := ask.About
	about.Said, about.Unconfirmed = sn.At.UTC(), plan.Refused != nil
	return lead.Word{Verb: made.verb, Plan: ask.Plan, About: &about}, 0, err
}

// confirmed makes the plan of a policy again and holds the order against it: a
// world that moved gives another hash.
func confirmed(sn Snapshot, next incident.Policy, req OrderRequest) (Plan, error) {
	plan, err := PlanPolicy(sn, next)
	switch {
	case err != nil:
		return Plan{}, err
	case plan.Hash != req.Plan:
		return Plan{}, problem(PlanStale, req.Plan, fmt.Sprintf("the world moved since plan %s: policy version %d stands now", req.Plan, plan.Base))
	case len(plan.Difference) == 0:
		return Plan{}, problem(PlanEmpty, req.Plan, fmt.Sprintf("plan %s changes nothing: policy version %d says the same", req.Plan, plan.Base))
	case plan.Confirm != "" && req.Confirm != plan.Confirm:
		return Plan{}, problem(ConfirmWrong, req.Plan, fmt.Sprintf("plan %s lets data stand in more places; it is confirmed by typing %s", req.Plan, plan.Confirm)).
			under(string(incident.NoBorderCrossing))
	}
	return plan, writable(sn)
}

// writable tells whether an order would be written down and taken in by
// somebody.
func writable(sn Snapshot) error {
	switch {
	case sn.StoreLost != "":
		return problem(StoreUnavailable, "store", "the store does not answer, so nothing can be ordered: "+sn.StoreLost).under(string(incident.IntentFirst))
	case sn.Leader == "":
		return problem(NobodyLeads, string(sn.Region), "nobody leads the region, so nobody would take the order in").under(string(incident.IntentFirst))
	}
	return nil
}

// gate passes the question of this host's gate on. It is a POST: the answer
// may use up a marker that stands for one start only.
func (s *Server) gate(w http.ResponseWriter, r *http.Request) error {
	var q GateQuestion
	if err := read(r, &q); err != nil {
		return err
	}
	sn, err := s.snapshot(r.Context())
	if err != nil {
		return err
	}
	if q.Node != "" && q.Node != sn.Self {
		return problem(GateForeign, string(q.Node), fmt.Sprintf("the gate asks for %s, this is the agent of %s", q.Node, sn.Self))
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	answer, err := s.o.Source.Gate(ctx, q)
	if err != nil {
		return problem(AgentBusy, string(q.Node), fmt.Sprintf("the agent did not answer its gate: %v", err))
	}
	return reply(w, http.StatusOK, wrap(sn, answer))
}

const (
	plansMax = 32               // kept at once; the oldest goes first
	planAge  = 15 * time.Minute // then it has to be made again
)

// plans are the plans that were shown and may still be ordered. They are kept
// in memory only: who restarts the agent makes his plan again.
type plans struct {
	mu   sync.Mutex
	made map[string]madePlan
}

type madePlan struct {
	verb   string
	next   incident.Policy // of policy_apply
	target Target          // of every other verb
	at     time.Time
}

func (p *plans) keep(hash string, made madePlan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil {
		p.made = map[string]madePlan{}
	}
	p.made[hash] = made
	for len(p.made) > plansMax {
		oldest := slices.MinFunc(slices.Sorted(maps.Keys(p.made)), func(a, b string) int { return p.made[a].at.Compare(p.made[b].at) })
		delete(p.made, oldest)
	}
}

func (p *plans) find(hash string, now time.Time) (madePlan, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.made[hash]
	return m, ok && now.Sub(m.at) < planAge
}
