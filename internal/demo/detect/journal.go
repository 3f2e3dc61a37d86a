// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo/node"
)

// journalled takes the leader's own time of its verdict where it was written down
// before anybody saw it in the view, which is read a few times a second on a machine
// that has other work. A disk's verdict stands in the view long before an incident.
func (s *stage) journalled(ctx context.Context, victim node.Node, fault time.Time, got *seen) {
	ctx, cancel := context.WithTimeout(ctx, lookMax)
	defer cancel()
	for _, n := range s.plan.Nodes {
		if n.Name == victim.Name {
			continue
		}
		all, err := get[[]api.IncidentLine](ctx, s.asks[n.Name], "/v1/incidents")
		if err != nil {
			continue
		}
		for _, in := range all {
			// It begins with the first bad look, by a clock that is converted.
			if string(in.Node) != victim.Name || in.Began.Before(fault.Add(-time.Second)) {
				continue
			}
			story, err := get[api.Timeline](ctx, s.asks[n.Name], api.Path("v1", "incidents", in.ID, "timeline"))
			if err != nil {
				continue
			}
			if at := judgedAt(story); !at.IsZero() {
				got.written(story.Incident.Cause, at)
			}
		}
	}
}

// judgedAt is when an incident's story says that the node was judged; zero: it does
// not.
func judgedAt(story api.Timeline) time.Time {
	for _, ev := range story.Events {
		if ev.Kind != incident.Judged {
			continue
		}
		if at, err := time.Parse(time.RFC3339Nano, ev.At); err == nil {
			return at
		}
	}
	return time.Time{}
}
