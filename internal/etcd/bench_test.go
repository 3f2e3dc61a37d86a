// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/internal/etcd"
	"supervisor/internal/store"
)

// commit is a transaction of the size a leader writes: record, ledger, event
// and order, compared with six keys.
func commitOfALeader(i int) store.Txn {
	var t store.Txn
	for _, key := range []string{"incident/x/record", "ledger/fra", "log/fra/1", "order/n3/x"} {
		t.Put = append(t.Put, store.Put{Key: key, Value: bytes.Repeat([]byte{byte('a' + i%20)}, 1024)})
	}
	for _, key := range []string{"leader/1", "meta/era", "meta/level", "policy/current", "holds", "open/n9"} {
		t.Compare = append(t.Compare, store.Compare{Key: key, On: store.Create})
	}
	return t
}

func benchStore(b *testing.B) *etcd.Store {
	return dial(b, options(b, "n1", "/supervisor/1/orders/eu/", embedded(b)))
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCommit is one leader's commit on an embedded member, synced to disk.
func BenchmarkCommit(b *testing.B) {
	s := benchStore(b)
	var took []time.Duration
	for i := range b.N {
		began := time.Now()
		if r, err := s.Commit(b.Context(), commitOfALeader(i)); err != nil || !r.OK {
			b.Fatalf("commit: %+v, %v", r, err)
		}
		took = append(took, time.Since(began))
	}
	report(b, took)
}

// BenchmarkWatch is the time from the call of a commit until another client
// has its changes in hand.
func BenchmarkWatch(b *testing.B) {
	s := benchStore(b)
	ch := s.Watch(b.Context(), "order/")
	<-ch
	var took []time.Duration
	for i := range b.N {
		began := time.Now()
		if _, err := s.Commit(b.Context(), commitOfALeader(i)); err != nil {
			b.Fatal(err)
		}
		<-ch
		took = append(took, time.Since(began))
	}
	report(b, took)
}

// BenchmarkIdleMemory tells the memory of this process, test included, with a
// member, a client, a term and a watch, after 2,000 commits.
func BenchmarkIdleMemory(b *testing.B) {
	s := benchStore(b)
	if _, _, err := s.Campaign(b.Context()); err != nil {
		b.Fatal(err)
	}
	s.Watch(b.Context(), "order/")
	for i := range 2000 {
		if _, err := s.Commit(b.Context(), commitOfALeader(i)); err != nil {
			b.Fatal(err)
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		var kib float64
		for field, unit := range map[string]string{"RssAnon:": "anon-MiB", "VmRSS:": "rss-MiB"} {
			if _, err := fmt.Sscanf(line, field+" %f kB", &kib); err == nil {
				b.ReportMetric(kib/1024, unit)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
}
