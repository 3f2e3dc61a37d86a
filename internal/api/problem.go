// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Exit codes are a contract with scripts.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitRefused     = 3
	ExitNotFound    = 4
	ExitUnreachable = 5
)

// Code names what went wrong. One code per message; codes of errors are
// apart from codes of findings.
type Code string

// The codes.
const (
	NodeUnknown       Code = "NODE_UNKNOWN"
	DatacenterUnknown Code = "DATACENTER_UNKNOWN"
	KeyspaceUnknown   Code = "KEYSPACE_UNKNOWN"
	TableUnknown      Code = "TABLE_UNKNOWN"
	RegionUnknown     Code = "REGION_UNKNOWN"
	RepairUnknown     Code = "REPAIR_UNKNOWN"
	IncidentUnknown   Code = "INCIDENT_UNKNOWN"
	IncidentAmbiguous Code = "INCIDENT_AMBIGUOUS"
	FindingUnknown    Code = "FINDING_UNKNOWN"
	PolicyNone        Code = "POLICY_NONE"
	PlanUnknown       Code = "PLAN_UNKNOWN"
	PlanStale         Code = "PLAN_STALE"
	PlanEmpty         Code = "PLAN_EMPTY"
	QuorumWouldBreak  Code = "QUORUM_WOULD_BREAK"
	GuardForbids      Code = "GUARD_FORBIDS"
	OrderWaiting      Code = "ORDER_WAITS"
	OrderUnknown      Code = "ORDER_UNKNOWN"
	ConfirmWrong      Code = "CONFIRM_WRONG"
	ReasonMissing     Code = "REASON_MISSING"
	ConfigInvalid     Code = "CONFIG_INVALID"
	NotPermitted      Code = "NOT_PERMITTED"
	CertRefused       Code = "CERT_REFUSED"
	StoreUnavailable  Code = "STORE_UNAVAILABLE"
	NobodyLeads       Code = "NOBODY_LEADS"
	AgentUnreachable  Code = "AGENT_UNREACHABLE"
	AgentBusy         Code = "AGENT_BUSY"
	AgentForeign      Code = "AGENT_FOREIGN"
	GateForeign       Code = "GATE_FOREIGN"
	RecordingNone     Code = "RECORDING_NONE"
	Usage             Code = "USAGE"
	RouteUnknown      Code = "ROUTE_UNKNOWN"
	BodyTooLarge      Code = "BODY_TOO_LARGE"
	Internal          Code = "INTERNAL"
)

// ErrorRow says what a code means for scripts and what a person types next.
type ErrorRow struct {
	Code   Code
	Status int // of HTTP; 0: raised by the client itself
	Exit   int
	Title  string
	Remedy string // {subject} is replaced
}

// Errors is the one table of error codes.
func Errors() []ErrorRow { return slices.Clone(errorRows) }

var errorRows = []ErrorRow{
	{NodeUnknown, http.StatusNotFound, ExitNotFound, "no such node", "all: supervisor nodes -o name"},
	{DatacenterUnknown, http.StatusNotFound, ExitNotFound, "no such datacenter", "all: supervisor status"},
	{KeyspaceUnknown, http.StatusNotFound, ExitNotFound, "no such keyspace", "what a node has: supervisor repair NODE --dry-run"},
	{TableUnknown, http.StatusNotFound, ExitNotFound, "no such table", "leave --table out for all tables of the keyspace"},
	{RegionUnknown, http.StatusNotFound, ExitNotFound, "no such region", "those of the policy: supervisor policy show"},
	{RepairUnknown, http.StatusNotFound, ExitNotFound, "no such repair", "all: supervisor repair list"},
	{IncidentUnknown, http.StatusNotFound, ExitNotFound, "no such incident", "all: supervisor incident list -o name"},
	{IncidentAmbiguous, http.StatusBadRequest, ExitUsage, "the shortened ID fits several incidents", "write it out: inc-DATACENTER-N"},
	{FindingUnknown, http.StatusNotFound, ExitNotFound, "no such finding code", "all that hold now: supervisor finding list -o name"},
	{PolicyNone, http.StatusNotFound, ExitNotFound, "no policy that can be read stands", "write one: supervisor policy init; then: supervisor policy apply FILE"},
	{PlanUnknown, http.StatusNotFound, ExitNotFound, "no such plan, or it is too old", "make a new one: supervisor policy apply FILE"},
	{PlanStale, http.StatusConflict, ExitRefused, "the world moved since the plan was made", "look again: supervisor policy apply FILE"},
	{PlanEmpty, http.StatusConflict, ExitRefused, "the plan changes nothing", "see what stands: supervisor policy show"},
	{QuorumWouldBreak, http.StatusConflict, ExitRefused, "a range would lose its quorum", "wait until what is out is back; see: supervisor status"},
	{GuardForbids, http.StatusConflict, ExitRefused, "a rule forbids it", "what the rule waits for: supervisor explain NODE"},
	{OrderWaiting, 0, ExitFailed, "the leader has not taken the order in", "it is taken in within 5 min, or refused; see: supervisor status"},
	{OrderUnknown, http.StatusGatewayTimeout, ExitFailed, "nobody knows whether the order is written down", "it may still be followed; look before you order again: supervisor status"},
	{ConfirmWrong, http.StatusForbidden, ExitRefused, "the plan must be confirmed by typing its name", "type the name that the plan shows, or pass it with --confirm"},
	{ReasonMissing, http.StatusBadRequest, ExitUsage, "an order needs a reason", "add --reason \"why\""},
	{ConfigInvalid, http.StatusUnprocessableEntity, ExitUsage, "the document has faults", "mend the places named and apply it again"},
	{NotPermitted, http.StatusForbidden, ExitRefused, "you may look, not act", "ask for membership in the socket's group, or use sudo; over the network, for an operator's certificate"},
	{CertRefused, http.StatusForbidden, ExitRefused, "the certificate is not believed", "one of its cluster: supervisor certs issue --operator NAME, or --reader NAME"},
	{StoreUnavailable, http.StatusServiceUnavailable, ExitRefused, "the store does not answer", "standing fences and pools stay as they are; see: supervisor status"},
	{NobodyLeads, http.StatusServiceUnavailable, ExitRefused, "nobody leads the region", "look at the control agents; see: supervisor status"},
	{AgentUnreachable, 0, ExitUnreachable, "no agent answers", "why: the last lines of the agent's log"},
	{AgentBusy, http.StatusServiceUnavailable, ExitUnreachable, "the agent did not answer in time", "try again; its log says what it waits for"},
	{AgentForeign, 0, ExitUnreachable, "what answers there is no agent of this version", "compare: supervisor version"},
	{GateForeign, http.StatusConflict, ExitRefused, "the gate and the agent are of different nodes", "compare the node names in both configurations"},
	{RecordingNone, http.StatusConflict, ExitRefused, "this agent has no recording", "ask a control agent, which judges, a few seconds after its start"},
	{Usage, http.StatusBadRequest, ExitUsage, "the request cannot be read", "see: supervisor --help"},
	{RouteUnknown, http.StatusNotFound, ExitUsage, "no such path", "agent and command may be of different versions: supervisor version"},
	{BodyTooLarge, http.StatusRequestEntityTooLarge, ExitUsage, "the document is too large", "a policy has at most 1 MiB"},
	{Internal, http.StatusInternalServerError, ExitFailed, "the agent broke while it answered", "its log has the reason"},
}

// ErrorOf finds the row of a code. A code nobody knows, of a newer agent, is
// a plain failure.
func ErrorOf(c Code) ErrorRow {
	if i := slices.IndexFunc(errorRows, func(r ErrorRow) bool { return r.Code == c }); i >= 0 {
		return errorRows[i]
	}
	return ErrorRow{Code: c, Status: http.StatusInternalServerError, Exit: ExitFailed}
}

// Problem is an error on the wire, a problem document of RFC 9457. It is an
// error value on both sides.
type Problem struct {
	Type    string   `json:"type"` // urn:cassandra-supervisor:error:CODE
	Title   string   `json:"title"`
	Status  int      `json:"status"`
	Detail  string   `json:"detail"`
	Code    Code     `json:"code"`
	Rule    string   `json:"rule,omitempty"`
	Subject string   `json:"subject,omitempty"`
	Remedy  []string `json:"remedy"`
	Exit    int      `json:"exit"`
	Faults  []Fault  `json:"faults,omitempty"`
}

// Fault is one mistake in a document.
type Fault struct {
	At   string `json:"at"`   // line:column; empty when not known
	Path string `json:"path"` // pools[0].floor; empty for the document as a whole
	What string `json:"what"` // what stands there, and what would be right
}

// problem makes the document of a code; the row's remedy comes after the
// remedies given.
func problem(c Code, subject, detail string, remedy ...string) *Problem {
	row := ErrorOf(c)
	return &Problem{Type: "urn:cassandra-supervisor:error:" + string(c), Title: row.Title, Status: row.Status, Detail: detail,
		Code: c, Subject: subject, Remedy: append(slices.DeleteFunc(remedy, func(s string) bool { return s == "" }), row.Remedy), Exit: row.Exit}
}

// under names the rule that refused.
func (p *Problem) under(rule string) *Problem {
	p.Rule = rule
	return p
}

// Error is the detail: what happened to what.
func (p *Problem) Error() string { return p.Detail }

// ErrNoStore is what a Source returns when the store cannot be written.
var ErrNoStore = errors.New("the store does not answer")

// ErrNoRecording is what a Source returns when no judge was recorded.
var ErrNoRecording = errors.New("there is no recording")

// asProblem turns any error into a document.
func asProblem(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, ErrNoStore):
		return problem(StoreUnavailable, "store", err.Error()).under("intent-first")
	case errors.Is(err, ErrNoRecording):
		return problem(RecordingNone, "", err.Error())
	}
	return problem(Internal, "", err.Error())
}

// didYouMean is a line with the names nearest to what was typed, or nothing.
func didYouMean(typed string, names []string) string {
	type near struct {
		name string
		far  int
	}
	var found []near
	for _, n := range names {
		if d := distance(typed, n); d <= max(2, len(typed)/3) {
			found = append(found, near{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return a.far - b.far })
	line := ""
	for i, f := range found[:min(3, len(found))] {
		if i > 0 {
			line += ", "
		}
		line += f.name
	}
	if line == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %s?", line)
}

// distance is Levenshtein's, over bytes of at most 64 each: names are short.
func distance(a, b string) int {
	a, b = a[:min(64, len(a))], b[:min(64, len(b))]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
