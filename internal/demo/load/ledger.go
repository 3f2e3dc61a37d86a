// SPDX-License-Identifier: Apache-2.0

package load

import (
	"sort"
	"sync"
	"time"
)

// Grace is how much older than the beginning of a read an acknowledgement must be
// before the read has to show it: coordinators apply a write at the replicas
// they did not wait for a little later.
const Grace = time.Second

// readMax is the longest time between the beginning of a read and its
// judgement; older acknowledgements than Grace+readMax count as one.
const readMax = 10 * time.Second

// ledger knows which version of each row was acknowledged when. Versions of a
// row only grow, and each row has one writer.
type ledger struct {
	mu   sync.Mutex
	rows map[string]*track
}

type track struct {
	issued int64 // highest version ever sent
	acks   []ack // ascending; the first one may stand for older ones
}

type ack struct {
	version int64
	at      time.Time
}

func newLedger() *ledger { return &ledger{rows: make(map[string]*track)} }

// issue returns the version that the next write of the row carries.
func (l *ledger) issue(row string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.rows[row]
	if t == nil {
		t = &track{}
		l.rows[row] = t
	}
	t.issued++
	return t.issued
}

// acked notes that version was acknowledged at that moment.
func (l *ledger) acked(row string, version int64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.rows[row]
	t.acks = append(t.acks, ack{version, at})
	for len(t.acks) > 1 && at.Sub(t.acks[1].at) > Grace+readMax {
		t.acks = t.acks[1:]
	}
}

// due is the version that a read which began at that moment has to show at
// least, and when it was acknowledged; 0 when none was long enough before.
func (l *ledger) due(row string, began time.Time) ack {
	return l.lastBefore(row, began.Add(-Grace))
}

// last is the newest acknowledged version.
func (l *ledger) last(row string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.rows[row]
	if t == nil || len(t.acks) == 0 {
		return 0
	}
	return t.acks[len(t.acks)-1].version
}

func (l *ledger) lastBefore(row string, limit time.Time) ack {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.rows[row]
	if t == nil {
		return ack{}
	}
	later := sort.Search(len(t.acks), func(i int) bool { return !t.acks[i].at.Before(limit) })
	if later == 0 {
		return ack{}
	}
	return t.acks[later-1]
}

// names are all rows that have an acknowledged version, sorted.
func (l *ledger) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make([]string, 0, len(l.rows))
	for name, t := range l.rows {
		if len(t.acks) > 0 {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}
