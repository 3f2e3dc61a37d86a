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

	"supervisor/incident"
	"supervisor/internal/lead"
)

// PlanRequest asks what an order would do.
type PlanRequest struct {
	Verb     string `json:"verb"`
	Document string `json:"document"` // of policy_apply: the text of the file
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
	Version int64  `json:"version"` // policy version that will stand once it is folded in
}

// faultsMax bounds the faults that one answer lists; their number is told.
const faultsMax = 100

// reasonMax bounds a reason: it is kept for ever.
const reasonMax = 500

// actor is who may act, or the refusal.
func (s *Server) actor(ctx context.Context) (Peer, error) {
	p, known := peerOf(ctx)
	if !known {
		return Peer{}, problem(NotPermitted, "", "you may look, not act: nobody knows who you are")
	}
	if !s.mayAct(p) {
		return Peer{}, problem(NotPermitted, p.Name, fmt.Sprintf("you may look, not act: user %s is not in the socket's group", p.Name))
	}
	return p, nil
}

func (s *Server) plan(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.actor(r.Context()); err != nil {
		return err
	}
	var req PlanRequest
	if err := read(r, &req); err != nil {
		return err
	}
	if req.Verb != VerbPolicyApply {
		return problem(Usage, req.Verb, fmt.Sprintf("verb %q is not known; known: %s", req.Verb, VerbPolicyApply))
	}
	sn, err := s.snapshotNow(r.Context())
	if err != nil {
		return err
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
	s.plans.keep(plan.Hash, next, time.Now())
	return reply(w, http.StatusOK, wrap(sn, plan))
}

func standing(s Snapshot) string {
	if s.World.Policy == nil {
		return "there is still no policy"
	}
	return fmt.Sprintf("version %d stays in force", s.World.Policy.Version)
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func (s *Server) order(w http.ResponseWriter, r *http.Request) error {
	who, err := s.actor(r.Context())
	if err != nil {
		return err
	}
	var req OrderRequest
	if err := read(r, &req); err != nil {
		return err
	}
	reason := strings.Join(strings.Fields(req.Reason), " ")
	if reason == "" || len(reason) > reasonMax {
		return problem(ReasonMissing, req.Plan, fmt.Sprintf("an order needs a reason of at most %d bytes", reasonMax))
	}
	sn, err := s.snapshotNow(r.Context())
	if err != nil {
		return err
	}
	plan, next, err := s.confirmed(sn, req)
	if err != nil {
		return err
	}
	request, err := s.o.Source.Submit(r.Context(), lead.Word{Who: who.Name, Verb: VerbPolicyApply, Why: reason, Plan: plan.Hash, Base: plan.Base, Policy: &next})
	if err != nil {
		return err
	}
	return reply(w, http.StatusAccepted, wrap(sn, Order{Request: request, Plan: plan.Hash, Who: who.Name, Version: plan.Version}))
}

// confirmed makes the plan again and holds the order against it: a world that
// moved gives another hash.
func (s *Server) confirmed(sn Snapshot, req OrderRequest) (Plan, incident.Policy, error) {
	none := incident.Policy{}
	next, ok := s.plans.find(req.Plan, time.Now())
	if !ok {
		return Plan{}, none, problem(PlanUnknown, req.Plan, fmt.Sprintf("no plan %q is known to this agent", req.Plan))
	}
	plan, err := PlanPolicy(sn, next)
	switch {
	case err != nil:
		return Plan{}, none, err
	case plan.Hash != req.Plan:
		return Plan{}, none, problem(PlanStale, req.Plan, fmt.Sprintf("the world moved since plan %s: policy version %d stands now", req.Plan, plan.Base))
	case len(plan.Difference) == 0:
		return Plan{}, none, problem(PlanEmpty, req.Plan, fmt.Sprintf("plan %s changes nothing: policy version %d says the same", req.Plan, plan.Base))
	case plan.Confirm != "" && req.Confirm != plan.Confirm:
		return Plan{}, none, problem(ConfirmWrong, req.Plan, fmt.Sprintf("plan %s lets data stand in more places; it is confirmed by typing %s", req.Plan, plan.Confirm)).
			under(string(incident.NoBorderCrossing))
	case sn.StoreLost != "":
		return Plan{}, none, problem(StoreUnavailable, "store", "the store does not answer, so nothing can be ordered: "+sn.StoreLost).under(string(incident.IntentFirst))
	case sn.Leader == "":
		return Plan{}, none, problem(NobodyLeads, string(sn.Region), "nobody leads the region, so nobody would take the order in").under(string(incident.IntentFirst))
	}
	return plan, next, nil
}

// gate passes the question of this host's gate on. It is a POST: the answer
// may use up a marker that stands for one start only.
func (s *Server) gate(w http.ResponseWriter, r *http.Request) error {
	// An answer may use up the marker of a clean drain: who may only look may not.
	if _, err := s.actor(r.Context()); err != nil {
		return err
	}
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
	next incident.Policy
	at   time.Time
}

func (p *plans) keep(hash string, next incident.Policy, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil {
		p.made = map[string]madePlan{}
	}
	p.made[hash] = madePlan{next, now}
	for len(p.made) > plansMax {
		oldest := slices.MinFunc(slices.Sorted(maps.Keys(p.made)), func(a, b string) int { return p.made[a].at.Compare(p.made[b].at) })
		delete(p.made, oldest)
	}
}

func (p *plans) find(hash string, now time.Time) (incident.Policy, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.made[hash]
	return m.next, ok && now.Sub(m.at) < planAge
}
