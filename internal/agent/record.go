// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/trace"
)

// rules are what verdicts are held against now, by the policy or without one.
func (d *desk) rules() trace.Rules {
	age := incident.DefaultPolicy().Ages.Fence
	if p := d.state.Picture.Policy.Value; p != nil {
		age = p.Ages.Fence
	}
	return trace.Rules{Bars: d.state.Bars(d.hints), FenceAge: age}
}

// Recording is what the judge was told lately, and what it said.
func (a *Agent) Recording(ctx context.Context) (trace.Recording, error) {
	if !a.control() {
		return trace.Recording{}, fmt.Errorf("record the judge of %s: this agent does not judge: %w", a.o.Self, api.ErrNoRecording)
	}
	x, err := ask(ctx, a, (*desk).recording)
	if err == nil && x.Header.Turns == 0 {
		err = fmt.Errorf("record the judge of %s: it has not begun: %w", a.o.Self, api.ErrNoRecording)
	}
	return x, err
}

func (d *desk) recording() trace.Recording {
	return d.recorder.Recording(trace.Header{Version: d.a.o.Version, Cluster: d.a.o.Cluster, Agent: d.a.o.Self,
		Moment: d.a.o.Clock.Now(), Wall: d.a.o.Clock.Wall().UnixNano()})
}
