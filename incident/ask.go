// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
)

// AskVerb is what a person asks for. The list is closed.
type AskVerb string

// The verbs.
const (
	AskPause   AskVerb = "pause"
	AskResume  AskVerb = "resume"
	AskFence   AskVerb = "fence"
	AskUnfence AskVerb = "unfence"
	AskApprove AskVerb = "incident_approve"
	AskAbort   AskVerb = "incident_abort"
	AskAck     AskVerb = "incident_ack"
	AskRetry   AskVerb = "incident_retry"
	AskRepair  AskVerb = "repair"
	AskMute    AskVerb = "finding_mute"
	AskUnmute  AskVerb = "finding_unmute"
)

// AskVerbs lists the verbs.
func AskVerbs() []AskVerb {
	return []AskVerb{AskPause, AskResume, AskFence, AskUnfence, AskApprove, AskAbort, AskAck, AskRetry, AskRepair, AskMute, AskUnmute}
}

// Harms tells whether a verb changes what is done to a node: then whoever says
// it confirms its plan.
func (v AskVerb) Harms() bool {
	return slices.Contains([]AskVerb{AskFence, AskUnfence, AskApprove, AskAbort, AskRetry, AskRepair}, v)
}

// About is what a person's word is about; each verb reads its own parts.
type About struct {
	Datacenter cluster.Datacenter `json:"datacenter,omitempty"` // pause, resume; empty: the region
	Node       cluster.Name       `json:"node,omitempty"`       // fence, unfence, repair
	Levels     isolate.Levels     `json:"levels,omitempty"`     // fence
	Incident   string             `json:"incident,omitempty"`   // incident verbs
	Code       string             `json:"code,omitempty"`       // finding verbs
	Subject    string             `json:"subject,omitempty"`    // finding verbs; empty: each that holds now
	For        time.Duration      `json:"for,omitempty"`        // pause, mute
	Repair     RepairScope        `json:"repair,omitzero"`      // repair
	Said       time.Time          `json:"said,omitzero"`        // wall time of the agent that took it
	// Unconfirmed is set when its plan said that it would be refused: nobody was
	// asked whether he means it, so it is written down and never followed.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
}

// Ask is a person's word as the leader takes it in.
type Ask struct {
	Verb    AskVerb
	Request string // its name in the inbox
	Who     string
	Why     string
	Plan    string // approve: the hash of the plan that was seen
	About
	Claimed []string // effects of the incident that somebody has begun with
}

// Heard is what a word comes to. Exactly one of its parts is filled besides
// the lines: a decision about an incident, or new holds, or neither when the
// word was refused without either.
type Heard struct {
	Decision Decision // of an incident; without an ID there is none
	Holds    *Holds
	Lines    []Line // of the journal, when no incident is concerned
}

// asked are the words of which a late one surprises: somebody else may have
// done it meanwhile, or the world has moved.
const askedMax = 5 * time.Minute

// Refusal is why a word is not followed: the rule that forbids it, and the
// numbers.
type Refusal struct {
	Rule   Rule
	Reason string
}

func refuse(r Rule, format string, args ...any) *Refusal {
	return &Refusal{r, fmt.Sprintf(format, args...)}
}

// Hear decides about a person's word, by the same rules as about everything
// else. It is a function of its arguments only. id names an incident that the
// word may open.
func Hear(a Ask, w World, id string) Heard {
	h := a.hear(w, id)
	first := slices.Concat(h.Lines, h.Decision.Lines)[0]
	if a.Unconfirmed && first.Kind != Refused {
		return a.turnedAway(refuse(RulePlan, "its plan said that it would be refused, so nobody confirmed it, and the world has moved: ask again"))
	}
	return h
}

func (a Ask) hear(w World, id string) Heard {
	if f := a.lateFault(w); f != nil {
		return a.turnedAway(f)
	}
	switch a.Verb {
	case AskPause, AskResume, AskMute, AskUnmute:
		holds, line, f := w.Holds.hear(a, w)
		if f != nil {
			return a.turnedAway(f)
		}
		return Heard{Holds: &holds, Lines: []Line{line}}
	case AskFence:
		if _, open := w.openAt(a.Node); !open {
			return a.fenceHealthy(w, id)
		}
	case AskRepair:
		return a.beginRepair(w, id)
	case AskUnfence, AskApprove, AskAbort, AskAck, AskRetry:
	default:
		return a.turnedAway(refuse(RuleOperator, "nobody knows the verb %q", a.Verb))
	}
	r, f := a.record(w)
	if f != nil {
		return a.turnedAway(f)
	}
	next := Next
	if r.Asked() {
		next = NextRepair
	}
	d := next(r, Said{a}, w)
	if len(d.Lines) == 0 {
		return a.turnedAway(refuse(RuleOperator, "%s was written by another version of the program and is left alone", r.ID))
	}
	return Heard{Decision: d}
}

// lateFault refuses a word that lay in the inbox while nobody led. A pause may
// come late, and from any clock: it only forbids, and ends by the leader's. Two
// hosts' clocks are compared, which can only refuse.
func (a Ask) lateFault(w World) *Refusal {
	age := w.Wall.Sub(a.Said)
	if a.Said.IsZero() || age.Abs() <= askedMax || a.Verb == AskPause && age <= HoldMax {
		return nil
	}
	return refuse(RuleOperator, "by the clock of its agent it was said %s ago, and it counts for %s: say it again, or mend the clocks", age.Round(time.Second), askedMax)
}

// record is the open incident that a word is about.
func (a Ask) record(w World) (Record, *Refusal) {
	if a.Verb == AskFence || a.Verb == AskUnfence {
		r, open := w.openAt(a.Node)
		if !open {
			return r, refuse(RuleOperator, "no fence stands on %s and no incident is open about it", a.Node)
		}
		return r, nil
	}
	i := slices.IndexFunc(w.Open, func(r Record) bool { return r.ID == a.Incident })
	if k := slices.IndexFunc(w.Repairs, func(r Record) bool { return r.ID == a.Incident && !r.Ended() }); k >= 0 {
		return w.Repairs[k], nil
	}
	if i < 0 {
		return Record{}, refuse(ClosedIsQuiet, "%s is not open: what is closed stays as it is", a.Incident)
	}
	return w.Open[i], nil
}

func (w *World) openAt(n cluster.Name) (Record, bool) {
	i := slices.IndexFunc(w.Open, func(r Record) bool { return r.Node == n })
	if i < 0 {
		return Record{}, false
	}
	return w.Open[i], true
}

// turnedAway is a word that comes to nothing but its line in the journal.
func (a Ask) turnedAway(f *Refusal) Heard {
	return Heard{Lines: []Line{a.refused(f)}}
}

// args are the arguments of every line about a word; request lets whoever
// said it find the answer.
func (a Ask) args(pairs ...string) map[string]string {
	args := map[string]string{"by": short(a.Who), "why": short(a.Why), "request": a.Request}
	for i := 0; i+1 < len(pairs); i += 2 {
		args[pairs[i]] = short(pairs[i+1])
	}
	return args
}

// wordMax bounds each argument of a line about a word, whoever wrote it into the
// inbox: an answer that the store does not take would bar every other decision.
const wordMax = 400

func short(s string) string {
	if len(s) <= wordMax {
		return s
	}
	return strings.ToValidUTF8(s[:wordMax], "") + "…"
}

func (a Ask) refused(f *Refusal) Line {
	return Line{Kind: Refused, Code: "refused_ask", Rule: f.Rule, Who: a.Who,
		Args: a.args("verb", a.spelled(), "subject", a.subject(), "reason", f.Reason)}
}

func (a Ask) followed(code string, pairs ...string) Line {
	return Line{Kind: Asked, Code: code, Who: a.Who, Args: a.args(append([]string{"subject", a.subject()}, pairs...)...)}
}

// spelled is the verb as it is typed.
func (a Ask) spelled() string { return strings.ReplaceAll(string(a.Verb), "_", " ") }

// subject is what the word is about, in one word.
func (a Ask) subject() string {
	switch a.Verb {
	case AskPause, AskResume:
		return Scoped(a.Datacenter)
	case AskFence, AskUnfence, AskRepair:
		return string(a.Node)
	case AskMute, AskUnmute:
		return strings.TrimSpace(a.Code + " " + a.Subject)
	}
	return a.Incident
}

// hear changes the holds by a word.
func (h Holds) hear(a Ask, w World) (Holds, Line, *Refusal) {
	switch a.Verb {
	case AskPause:
		return h.pause(a, w)
	case AskResume:
		return h.resume(a, w)
	case AskMute:
		return h.mute(a, w)
	}
	return h.unmute(a, w)
}

func lengthFault(a Ask) *Refusal {
	if a.For < holdMin || a.For > HoldMax {
		return refuse(RuleOperator, "it would last %s; from %s to %s is allowed, for what has no end is forgotten", a.For, holdMin, HoldMax)
	}
	return nil
}

// pause adds a pause. One that stands is replaced by whoever extends it, and
// not shortened by the second of two people.
func (h Holds) pause(a Ask, w World) (Holds, Line, *Refusal) {
	if f := lengthFault(a); f != nil {
		return h, Line{}, f
	}
	if a.Datacenter != "" && !slices.Contains(w.datacenters(), a.Datacenter) {
		return h, Line{}, refuse(RuleOperator, "no host of the roster is in datacenter %s", a.Datacenter)
	}
	p := Pause{Datacenter: a.Datacenter, By: a.Who, Why: a.Why, From: w.Wall.UTC(), Until: w.Wall.Add(a.For).UTC()}
	for _, each := range h.Pauses {
		if each.Datacenter == p.Datacenter && each.Until.After(p.Until) {
			return h, Line{}, refuse(RulePaused, "%s; that is longer than what was asked for: resume first", each.Words())
		}
	}
	next := h.without(func(each Pause) bool { return each.Datacenter == p.Datacenter }, func(Mute) bool { return false })
	next.Pauses = append(next.Pauses, p)
	return next, a.followed("asked_pause", "until", Stamp(p.Until)), nil
}

func (h Holds) resume(a Ask, w World) (Holds, Line, *Refusal) {
	i := slices.IndexFunc(h.Pauses, func(p Pause) bool { return p.Datacenter == a.Datacenter })
	switch {
	case i >= 0 && stands(h.Pauses[i].Until, w.Wall):
	case i >= 0:
		return h, Line{}, refuse(RulePaused, "the pause of %s by %s ended at %s already", Scoped(a.Datacenter), h.Pauses[i].By, Stamp(h.Pauses[i].Until))
	default:
		why := ""
		if other, paused := h.Paused(a.Datacenter, w.Wall); paused {
			why = "; " + other.Words()
		}
		return h, Line{}, refuse(RulePaused, "%s is not paused by itself%s", Scoped(a.Datacenter), why)
	}
	next := h.without(func(p Pause) bool { return p.Datacenter == a.Datacenter }, func(Mute) bool { return false })
	return next, a.followed("asked_resume", "paused", h.Pauses[i].By, "rest", next.rest(a.Datacenter, w.Wall)), nil
}

// rest says what pause still stands for a datacenter.
func (h Holds) rest(dc cluster.Datacenter, wall time.Time) string {
	if p, paused := h.Paused(dc, wall); paused {
		return "; it stays paused: " + p.Words()
	}
	return ""
}

// mute hides what holds of a code now; what gets worse, on another subject, is
// shown.
func (h Holds) mute(a Ask, w World) (Holds, Line, *Refusal) {
	row, known := RowOf(a.Code)
	switch f := lengthFault(a); {
	case f != nil:
		return h, Line{}, f
	case !known:
		return h, Line{}, refuse(RuleOperator, "no finding has the code %q", a.Code)
	case !row.Mutable:
		return h, Line{}, refuse(RuleMute, "%s cannot be muted: whoever does not see it loses data or a fence", a.Code)
	}
	var subjects []string
	for _, s := range row.holds(w) {
		if a.Subject == "" || a.Subject == s.Subject {
			subjects = append(subjects, s.Subject)
		}
	}
	slices.Sort(subjects)
	same := func(m Mute) bool { return m.Code == a.Code && slices.Equal(m.Subjects, subjects) }
	next := h.without(func(Pause) bool { return false }, same)
	switch {
	case len(subjects) == 0:
		return h, Line{}, refuse(RuleMute, "%s does not hold now, and nothing is muted in advance", a.subject())
	case len(next.Mutes) >= mutesMax:
		return h, Line{}, refuse(RuleMute, "%d mutes stand already", len(next.Mutes))
	}
	m := Mute{Code: a.Code, Subjects: subjects, By: a.Who, Why: a.Why, From: w.Wall.UTC(), Until: w.Wall.Add(a.For).UTC()}
	next.Mutes = append(next.Mutes, m)
	return next, a.followed("asked_mute", "until", Stamp(m.Until), "subjects", strings.Join(subjects, ", ")), nil
}

func (h Holds) unmute(a Ask, _ World) (Holds, Line, *Refusal) {
	meant := func(m Mute) bool {
		return m.Code == a.Code && (a.Subject == "" || slices.Contains(m.Subjects, a.Subject))
	}
	if !slices.ContainsFunc(h.Mutes, meant) {
		return h, Line{}, refuse(RuleMute, "%s is not muted", a.subject())
	}
	return h.without(func(Pause) bool { return false }, meant), a.followed("asked_unmute"), nil
}

// Unwritten is what a word comes to that could be decided and not written.
func Unwritten(a Ask) Heard {
	return a.turnedAway(refuse(NoSilentWait, "what it asks for cannot be written down; look at the findings"))
}
