// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"supervisor/incident"
)

func TestHowAnActEnded(t *testing.T) {
	live := context.Background()
	over, cancel := context.WithCancel(live)
	cancel()
	for _, row := range []struct {
		why  string
		act  context.Context
		err  error
		want incident.Outcome
	}{
		{"nothing went wrong, at the last moment too", over, nil, incident.Done},
		{"a guard spoke", live, fmt.Errorf("start: %w", refusal{incident.IntentFirst, "no"}), incident.TurnedAway},
		{"the order's limit passed", over, context.DeadlineExceeded, incident.Uncertain},
		{"the start command goes on without us: another one may not follow at once", live, fmt.Errorf("start: %w", ErrUncertain), incident.Uncertain},
		{"it was tried and is not done", live, errors.New("exit status 1"), incident.Failed},
	} {
		if got := outcomeOf(live, row.act, row.err); got != row.want {
			t.Errorf("%s: %s, want %s", row.why, got, row.want)
		}
	}
}
