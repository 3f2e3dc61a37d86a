// SPDX-License-Identifier: Apache-2.0

package render

import (
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC)
	east := time.FixedZone("CET", 3600)
	for _, tt := range []struct {
		why        string
		p          Page
		text, want string
	}{
		{"today", Page{Now: now}, "until 2026-11-22T04:02:00.000Z: a switch", "until 04:02:00 UTC: a switch"},
		{"another day", Page{Now: now}, "from 2026-11-21T04:02:00Z", "from 21 Nov 04:02:00 UTC"},
		{"another year", Page{Now: now}, "2025-11-22T04:02:00Z", "22 Nov 2025 04:02:00 UTC"},
		{"today by the reader's clock", Page{Now: now, Zone: east}, "2026-11-22T23:01:00Z", "00:01:00 CET"},
		{"yesterday by the reader's clock", Page{Now: now, Zone: east}, "2026-11-22T22:59:00Z", "22 Nov 23:59:00 CET"},
		{"a steady page", Page{Now: now, Steady: true}, "2026-11-22T04:02:00Z", "22 Nov 04:02:00 UTC"},
		{"two", Page{Now: now}, "2026-11-22T04:02:00Z to 2026-11-22T05:00:00Z", "04:02:00 UTC to 05:00:00 UTC"},
		{"no time", Page{Now: now}, "2026-99-22T04:02:00Z and 2026-11-22", "2026-99-22T04:02:00Z and 2026-11-22"},
	} {
		if got := tt.p.Times(tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
	}
}
