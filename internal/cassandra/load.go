// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Load is how much a Cassandra has to do at one moment, for those who would give
// it more.
type Load struct {
	Compactions int64         // under way and waiting
	Dropped     int64         // mutations, since the process began
	Latency     time.Duration // 99th percentile of the reads it coordinated of late; 0: none
	Validations int64         // under way and waiting
	Streams     int64         // under way
	// Sessions are the repairs it takes part in, whoever began them; -1: this release
	// does not tell.
	Sessions int64
	// Moved is another number whenever something was validated or streamed since.
	Moved int64
}

const (
	repairService     = "org.apache.cassandra.db:type=RepairService"
	compactionManager = "org.apache.cassandra.db:type=CompactionManager"
	streamManager     = "org.apache.cassandra.net:type=StreamManager"
	validationPool    = metrics + "type=ThreadPools,path=internal,scope=ValidationExecutor,name=*"
)

// Load reads all of it in one POST. What must be known and is not told, or told as
// something else than a number, is an error that names it.
func (a *Admin) Load(ctx context.Context) (Load, error) {
	got, err := a.bulk(ctx, a.o.ReadMax,
		request{Type: "read", MBean: metrics + "type=Compaction,name=PendingTasks", Attribute: "Value"},
		request{Type: "read", MBean: metrics + "type=DroppedMessage,scope=MUTATION_REQ,name=Dropped", Attribute: "Count"},
		request{Type: "read", MBean: metrics + "type=ClientRequest,scope=Read,name=Latency", Attribute: "99thPercentile"},
		request{Type: "read", MBean: validationPool, Config: map[string]any{"ignoreErrors": true}},
		request{Type: "exec", MBean: repairService, Operation: "parentRepairSessionsCount()"},
		request{Type: "read", MBean: streamManager, Attribute: "CurrentStreams"},
		request{Type: "read", MBean: compactionManager, Attribute: "Compactions"},
		request{Type: "read", MBean: metrics + "type=Streaming,name=TotalIncomingBytes", Attribute: "Count"},
		request{Type: "read", MBean: metrics + "type=Streaming,name=TotalOutgoingBytes", Attribute: "Count"})
	if err != nil {
		return Load{}, fmt.Errorf("read load: %w", err)
	}
	return loadOf(got)
}

func loadOf(got []answer) (Load, error) {
	l := Load{Sessions: -1}
	for _, must := range []struct {
		what string
		at   int
		into *int64
	}{{"pending compactions", 0, &l.Compactions}, {"dropped mutations", 1, &l.Dropped}} {
		if err := got[must.at].into(must.into); err != nil {
			return Load{}, fmt.Errorf("read load: %s: %w", must.what, err)
		}
		if *must.into < 0 {
			return Load{}, fmt.Errorf("read load: %s: %w: %d", must.what, ErrNonsense, *must.into)
		}
	}
	pool := metricValues(got[3], "name")
	pending, known := pool["PendingTasks"]
	if !known {
		return Load{}, fmt.Errorf("read load: validations: %w: %.80s", ErrNonsense, got[3].Value)
	}
	l.Validations = pool["ActiveTasks"] + pending
	var micros float64
	if got[2].into(&micros) == nil && micros > 0 {
		l.Latency = time.Duration(micros * float64(time.Microsecond))
	}
	var sessions int64
	if got[4].into(&sessions) == nil {
		l.Sessions = sessions
	}
	streams, streamed := streamsOf(got[5])
	l.Streams, l.Moved = streams, pool["CompletedTasks"]+streamed+validatedOf(got[6])
	for _, total := range got[7:9] {
		var n int64
		if total.into(&n) == nil {
			l.Moved += n
		}
	}
	return l, nil
}

// streamsOf counts the streams under way and what of them has passed. A total
// counts a file only when it is whole.
func streamsOf(n answer) (streams, moved int64) {
	var current []struct{ CurrentRxBytes, CurrentTxBytes int64 }
	if n.into(&current) != nil {
		return 0, 0
	}
	for _, s := range current {
		moved += s.CurrentRxBytes + s.CurrentTxBytes
	}
	return int64(len(current)), moved
}

// validatedOf is how far the validations under way have come.
func validatedOf(n answer) int64 {
	var tasks []map[string]json.RawMessage
	if n.into(&tasks) != nil {
		return 0
	}
	var sum int64
	for _, t := range tasks {
		var kind, done string
		if json.Unmarshal(t["taskType"], &kind) != nil || kind != "Validation" || json.Unmarshal(t["completed"], &done) != nil {
			continue
		}
		if bytes, err := strconv.ParseInt(done, 10, 64); err == nil {
			sum += bytes
		}
	}
	return sum
}
