// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	for _, row := range []struct {
		why    string
		answer map[string]any
		want   Settings
	}{
		{"what a node of 5.0 says", map[string]any{"MaxHintWindow": 5000, "PaxosVariant": "v1"}, Settings{HintWindow: 5 * time.Second}},
		{"Paxos v2 is repaired too", map[string]any{"MaxHintWindow": 10800000, "PaxosVariant": "v2"}, Settings{HintWindow: 3 * time.Hour, PaxosV2: true}},
		{"an attribute that throws is not known", map[string]any{"MaxHintWindow": 5000, "PaxosVariant": "ERROR: no such attribute"}, Settings{HintWindow: 5 * time.Second}},
	} {
		t.Run(row.why, func(t *testing.T) {
			a := jolokia(t, func([]request) any { return []any{ok(row.answer)} })
			got, err := a.Settings(t.Context())
			if err != nil || got != row.want {
				t.Errorf("%+v, %v; want %+v", got, err, row.want)
			}
		})
	}
}
