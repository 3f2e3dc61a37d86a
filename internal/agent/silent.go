// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"time"

	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/membership"
)

// lastLookMax is how old the last look at a process may be that decides its end:
// it is made every half second, and waits a second.
const lastLookMax = 3 * time.Second

// lastWordMax is how long a process that is to be ended because it hangs is
// given to answer once more: longer than any look waits.
const lastWordMax = time.Second

// fences makes sure of what must hold before a process that hangs is ended: the
// gate lets no next one start, whoever tries, and the process still answers
// nothing. One that woke up since the leader decided is left alone: a fresh
// answer is worth more than any evidence.
func (a *Agent) fences(ctx context.Context, id string) error {
	if err := a.bars(ctx, id); err != nil {
		return err
	}
	met, age := a.looks()
	if met != membership.Silent {
		return refusal{incident.UnknownDestroysNothing, "it does not hang: the last look at its native protocol met " + met.String()}
	}
	if age > lastLookMax {
		return refusal{incident.UnknownDestroysNothing, fmt.Sprintf("the last look at its native protocol is %s old", age.Round(time.Second))}
	}
	cctx, cancel := context.WithTimeout(ctx, lastWordMax)
	defer cancel()
	if _, err := a.o.Admin.State(cctx); err == nil {
		return refusal{incident.UnknownDestroysNothing, "its admin interface answers"}
	}
	return nil
}

// bars has the gate know the standing fence, on its disk, before a process ends
// that the host's own unit would start again at once.
func (a *Agent) bars(ctx context.Context, id string) error {
	f, err := a.ownFence(ctx, id)
	switch {
	case err != nil:
		return err
	case !f.Levels.Has(isolate.Process):
		return refusal{incident.IntentFirst, "no fence stands that keeps a process from starting"}
	}
	if err := a.keeps(ctx, f, isolate.Local.Fenced); err != nil {
		return refusal{incident.IntentFirst, fmt.Sprintf("the gate cannot be told: %v", err)}
	}
	return nil
}

// looks tells what this host's own last look at its Cassandra over the native
// protocol met, and how old that is. Only silence is a hang: what refuses has closed its port, by hand
// or behind a fence.
func (a *Agent) looks() (met membership.Outcome, age time.Duration) {
	for _, l := range a.o.Observer.Looks() {
		if l.Subject == a.o.Self && l.Path == membership.CQL {
			return l.Outcome, l.Age
		}
	}
	return membership.NoWord, 0
}
