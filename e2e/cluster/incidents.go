// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	"supervisor/cluster"
)

// Incident is what the supervisor says of one, open or closed.
type Incident struct {
	ID    string       `json:"id"`
	Node  cluster.Name `json:"node"`
	Cause string       `json:"cause"`
	Phase string       `json:"phase"`
	Held  string       `json:"held"`
	Step  *struct {
		Name string `json:"name"`
	} `json:"step"`
	// Stages are the moments at which something was proven, in milliseconds since
	// the first sign.
	Stages map[string]*int64 `json:"stages"`
}

// Closed tells whether the incident is over.
func (i Incident) Closed() bool { return i.Phase == "closed" }

// Incidents lists all incidents that the host's agent knows, newest first.
func (h *Host) Incidents(ctx context.Context) ([]Incident, error) {
	var list []Incident
	return list, h.ask(ctx, &list, "incident", "list")
}

// Timeline is the story of an incident as people read it.
func (h *Host) Timeline(ctx context.Context, id string) (string, error) {
	return h.Supervisor(ctx, "incident", "show", id, "--timeline")
}

// Known are the incidents that the host's agent knows by now: what AwaitIncident
// does not look for.
func (h *Host) Known(ctx context.Context) (map[string]bool, error) {
	list, err := h.Incidents(ctx)
	known := make(map[string]bool, len(list))
	for _, i := range list {
		known[i.ID] = true
	}
	return known, err
}

// AwaitIncident waits until the newest incident about a node that is not among the
// known ones fits, by the word of this host's agent.
func (h *Host) AwaitIncident(ctx context.Context, about cluster.Name, known map[string]bool, limit time.Duration, what string, fits func(Incident) bool) (Incident, error) {
	var found Incident
	err := await(ctx, limit, what, func(ctx context.Context) (bool, string) {
		list, err := h.Incidents(ctx)
		if err != nil {
			return false, err.Error()
		}
		for _, i := range list {
			if i.Node == about && !known[i.ID] {
				found = i
				return fits(i), fmt.Sprintf("%+v", i)
			}
		}
		return false, fmt.Sprintf("no new incident about %s", about)
	})
	return found, err
}
