// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"encoding/json"
	"testing"
	"time"

	"supervisor/membership"
)

// What an earlier program stored says nothing of slow nodes. That is no bound of
// nothing, by which every node would be slow.
func TestAPolicyThatSaysNothingOfSlowNodesMeansTheUsual(t *testing.T) {
	usual := membership.DefaultBars()
	for _, row := range []struct {
		why  string
		doc  string
		want func(*membership.Bars)
	}{
		{"an earlier program's", `{"detection":{"fresh":3000000000,"stable":300000000,"stable_max":1000000000,"misses_max":3,"observers_min":3,"storm_share":0.2}}`,
			func(*membership.Bars) {}},
		{"one bound is said", `{"detection":{"fresh":3000000000,"stable":300000000,"stable_max":1000000000,"misses_max":3,"observers_min":3,"storm_share":0.2,"slow_floor":40000000}}`,
			func(b *membership.Bars) { b.SlowFloor = 40 * time.Millisecond }},
	} {
		t.Run(row.why, func(t *testing.T) {
			var p Policy
			if err := json.Unmarshal([]byte(row.doc), &p); err != nil {
				t.Fatal(err)
			}
			want := usual
			row.want(&want)
			if got := p.Bars(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}
