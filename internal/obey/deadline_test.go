// SPDX-License-Identifier: Apache-2.0

package obey

import (
	"testing"
	"time"

	"supervisor/incident"
)

func TestExpiredForbidsWhatLetsDataToOthers(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		says     string
		verb     incident.Verb
		deadline time.Time
		wall     time.Time
		want     bool
	}{
		{"a repair before it", incident.VerbRepair, at, at.Add(-1), false},
		{"the last instant counts as passed", incident.VerbRepair, at, at, true},
		{"in the ring it is compared with", incident.VerbJoinRing, at, at, true},
		{"asleep it harms nobody", incident.VerbStart, at, at.Add(time.Hour), false},
		{"an end harms nobody", incident.VerbKill, at, at.Add(time.Hour), false},
		{"a preview streams nothing", incident.VerbPreview, at, at.Add(time.Hour), false},
		{"nothing was ever deleted", incident.VerbRepair, time.Time{}, at, false},
	} {
		if got := Expired(c.verb, c.deadline, c.wall); got != c.want {
			t.Errorf("%s: %v, want %v", c.says, got, c.want)
		}
	}
}
