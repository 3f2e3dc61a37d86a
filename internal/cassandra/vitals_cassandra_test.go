// SPDX-License-Identifier: Apache-2.0

//go:build cassandra

package cassandra

import (
	"testing"
	"time"
)

// Every reading that a release is believed to give is given. The heap is known
// only after a collection of the old generation, which a young process has not
// had.
func TestRealVitals(t *testing.T) {
	for _, n := range realNodes(t) {
		v, err := adminOf(t, n).Vitals(within(t, 10*time.Second), true)
		if err != nil {
			t.Fatal(err)
		}
		if v.Heap.Known && (v.Heap.Used > v.Heap.Max || v.Heap.Max < 1<<20) {
			t.Errorf("%s: heap %+v", n.Name, v.Heap)
		}
		if !v.Files.Known || v.Files.Used < 10 || v.Files.Used > v.Files.Max {
			t.Errorf("%s: files %+v", n.Name, v.Files)
		}
		if v.Clients.Known && v.Clients.Used > v.Clients.Max {
			t.Errorf("%s: clients %+v", n.Name, v.Clients)
		}
		if len(v.Pools) != len(watchedPools) {
			t.Errorf("%s: pools %+v", n.Name, v.Pools)
		}
		for _, p := range v.Pools {
			if p.Threads == 0 || p.QueueMax == 0 {
				t.Errorf("%s: pool %+v", n.Name, p)
			}
		}
		if v.Aborted != 0 {
			t.Errorf("%s: %d compactions aborted; -1 is not known", n.Name, v.Aborted)
		}
		if v.Compaction.Table == "" || v.Compaction.Bytes <= 0 {
			t.Errorf("%s: a compaction may need %+v", n.Name, v.Compaction)
		}
		if !v.Hint.At.IsZero() && (v.Hint.For == "" || time.Since(v.Hint.At) < 0) {
			t.Errorf("%s: oldest hint %+v", n.Name, v.Hint)
		}
	}
}

// TestRealOldGenerationIsNamed has every node collect, so that the old generation
// must be known by its name.
func TestRealOldGenerationIsNamed(t *testing.T) {
	for _, n := range realNodes(t) {
		a := adminOf(t, n)
		if err := a.exec(within(t, time.Minute), "java.lang:type=Memory", "gc()", nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			v, err := a.Vitals(within(t, 5*time.Second), false)
			if err == nil && !v.Heap.Known {
				t.Logf("%s: %+v", n.Name, v.Heap)
				err = ErrNonsense
			}
			return err
		})
	}
}
