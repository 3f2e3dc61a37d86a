// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"slices"
	"strings"

	"supervisor/incident"
)

// Moment is where a record stands between two commits: what a leader that
// dies there leaves to its heir. Two moments of the same kind are equal.
type Moment struct {
	Phase   incident.Phase
	Step    string // of the return; empty when there is none
	Pending string // kinds of effects that are still to come, sorted; empty: none
}

// Over is the last moment of every incident: its record is archived.
var Over = Moment{Phase: incident.Closed}

// MomentOf is where a record stands.
func MomentOf(r incident.Record) Moment {
	if r.Ended() {
		return Over
	}
	m := Moment{Phase: r.Phase}
	if r.Return != nil && (r.Phase == incident.Returning || r.Phase == incident.Verifying) {
		m.Step = r.Return.Step.String()
	}
	var kinds []string
	for _, e := range r.Pending {
		kinds = append(kinds, kind(e))
	}
	slices.Sort(kinds)
	m.Pending = strings.Join(slices.Compact(kinds), "+")
	return m
}

// kind names what an effect makes true, without its numbers.
func kind(e incident.Effect) string {
	switch {
	case e.Fence != nil:
		return "fence"
	case e.Lift != "":
		return "lift"
	case e.Pool != nil:
		return "pool"
	case e.Once != nil:
		return e.Once.Verb.String()
	}
	return "unknown"
}

// String is "phase/step, kinds pending".
func (m Moment) String() string {
	s := m.Phase.String()
	if m.Step != "" {
		s += "/" + m.Step
	}
	if m.Pending != "" {
		s += ", " + m.Pending + " pending"
	}
	return s
}

// Distinct keeps the first of equal moments, in order.
func Distinct(all []Moment) []Moment {
	var out []Moment
	for _, m := range all {
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// Lacking names what of the expected phases and return steps no moment shows.
func Lacking(passed []Moment, phases []incident.Phase, steps []incident.ReturnStep) []string {
	var missing []string
	for _, p := range phases {
		if !slices.ContainsFunc(passed, func(m Moment) bool { return m.Phase == p }) {
			missing = append(missing, "phase "+p.String())
		}
	}
	for _, s := range steps {
		if !slices.ContainsFunc(passed, func(m Moment) bool { return m.Step == s.String() }) {
			missing = append(missing, "step "+s.String())
		}
	}
	return missing
}
