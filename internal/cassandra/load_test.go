// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// working answers as a node of 5.0 that takes part in one repair.
func working(q request) any {
	switch {
	case strings.Contains(q.MBean, "type=Compaction,name=PendingTasks"):
		return ok(12)
	case strings.Contains(q.MBean, "MUTATION_REQ"):
		return ok(3)
	case strings.Contains(q.MBean, "ClientRequest"):
		return ok(9887.0)
	case q.MBean == validationPool:
		out := gauges(q.MBean, "Value", map[string]any{"ActiveTasks": 1, "PendingTasks": 2, "CompletedTasks": 8})["value"].(map[string]any)
		return ok(out)
	case q.MBean == repairService:
		return ok(1)
	case q.MBean == streamManager:
		return ok([]any{map[string]any{"currentRxBytes": 100, "currentTxBytes": 20, "planId": "x"}})
	case q.MBean == compactionManager:
		return ok([]any{map[string]any{"taskType": "Validation", "completed": "4000", "total": "9000"}, map[string]any{"taskType": "Compaction", "completed": "7"}})
	case strings.Contains(q.MBean, "TotalIncomingBytes"):
		return ok(50000)
	}
	return absent()
}

// askedBut has every question answered, but for those of one bean.
func askedBut(t *testing.T, bean string, otherwise any) *Admin {
	return jolokia(t, func(asks []request) any {
		var out []any
		for _, q := range asks {
			if bean != "" && strings.Contains(q.MBean, bean) {
				out = append(out, otherwise)
				continue
			}
			out = append(out, working(q))
		}
		return out
	})
}

func TestLoad(t *testing.T) {
	got, err := askedBut(t, "", nil).Load(context.Background())
	want := Load{Compactions: 12, Dropped: 3, Latency: 9887 * time.Microsecond, Validations: 3, Streams: 1, Sessions: 1, Moved: 8 + 120 + 4000 + 50000}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	got, err = askedBut(t, "RepairService", absent()).Load(context.Background())
	if err != nil || got.Sessions != -1 {
		t.Errorf("of a release that does not tell its sessions: %+v, %v", got, err)
	}
	got, err = askedBut(t, "ClientRequest", ok("NaN")).Load(context.Background())
	if err != nil || got.Latency != 0 {
		t.Errorf("of a node that nobody reads through: %+v, %v", got, err)
	}
}

func TestLoadNamesWhatIsNonsense(t *testing.T) {
	for bean, what := range map[string]string{"name=PendingTasks": "pending compactions", "MUTATION_REQ": "dropped mutations", "ValidationExecutor": "validations"} {
		for _, nonsense := range []any{ok("many"), ok(map[string]any{"x": 1}), ok(-4)} {
			_, err := askedBut(t, bean, nonsense).Load(context.Background())
			if !errors.Is(err, ErrNonsense) || !strings.Contains(err.Error(), what) {
				t.Errorf("%s as %v: %v", bean, nonsense, err)
			}
		}
	}
}
