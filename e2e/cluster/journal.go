// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"slices"

	"supervisor/cluster"
)

// Entry is the part of a journal's entry that a suite asks for.
type Entry struct {
	ID       string `json:"id"`
	At       string `json:"at"`
	Incident string `json:"incident"`
	Kind     string `json:"kind"`
	Code     string `json:"code"`
	Subject  struct {
		Node cluster.Name `json:"node"`
	} `json:"subject"`
	Sentence string `json:"sentence"`
}

// Journal is what the journal tells of all incidents that are not among the known
// ones, each in its order.
func (h *Host) Journal(ctx context.Context, known map[string]bool) ([]Entry, error) {
	list, err := h.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, in := range slices.Backward(list) {
		if known[in.ID] {
			continue
		}
		var story struct {
			Events []Entry `json:"events"`
		}
		if err := h.ask(ctx, &story, "incident", "show", in.ID, "--timeline"); err != nil {
			return nil, err
		}
		all = append(all, story.Events...)
	}
	return all, nil
}

// forceful are the codes of what is done to a node that may be well: its clients or
// its process are fenced off, its peers cut it off, its host is turned off, or it is started behind a fence. A
// drain is none: it takes no process and is over when the node answers.
var forceful = []string{"decided_fence", "decided_fence_again", "decided_fence_reads", "decided_cut", "decided_power", "decided_power_again",
	"decided_repair_in_place",
	"did_kill", "did_start", "did_power_off", "proved_fence", "proved_cut", "proved_power"}

// Fences are the entries of a journal by which a node was fenced, ended or started
// again. After a fault that broke no Cassandra there may be none.
func Fences(journal []Entry) []Entry {
	return slices.DeleteFunc(slices.Clone(journal), func(e Entry) bool { return !slices.Contains(forceful, e.Code) })
}
