// SPDX-License-Identifier: Apache-2.0

package load

import (
	"maps"
	"sync"
	"time"
)

// Counts is what the load has seen so far. Two of them, taken at the ends of
// a stretch of time, tell by Since what happened in between.
type Counts struct {
	WritesAcked int
	Reads       int               // answered ones
	StaleReads  int               // answers older than a version acknowledged more than Grace before, or none at all
	WriteErrors Errors            // of the steady writers: what a client sees
	ReadErrors  map[string]Errors // by the node read through; one that is down refuses all
	Stale       []Stale           // the first staleMax
}

// Errors counts failed requests.
type Errors struct {
	Count int
	Last  time.Time // when the last one failed; zero when none did
	Text  string    // what the last one said
}

// Stale is one stale live read.
type Stale struct {
	Node      string // read through it
	Row       string
	Got, Want int64 // Got 0: no row
	Began     time.Time
	Acked     time.Time // when Want was acknowledged
}

// staleMax bounds the list, not the count.
const staleMax = 1000

// Since is what was counted after earlier, a former value of the same load.
func (c Counts) Since(earlier Counts) Counts {
	d := c
	d.WritesAcked -= earlier.WritesAcked
	d.Reads -= earlier.Reads
	d.StaleReads -= earlier.StaleReads
	d.WriteErrors = c.WriteErrors.since(earlier.WriteErrors)
	d.ReadErrors = make(map[string]Errors)
	for node, e := range c.ReadErrors {
		d.ReadErrors[node] = e.since(earlier.ReadErrors[node])
	}
	d.Stale = c.Stale[min(len(earlier.Stale), len(c.Stale)):]
	return d
}

func (e Errors) since(earlier Errors) Errors {
	if e.Count == earlier.Count {
		return Errors{}
	}
	e.Count -= earlier.Count
	return e
}

type counter struct {
	mu sync.Mutex
	c  Counts
}

func newCounter() *counter { return &counter{c: Counts{ReadErrors: make(map[string]Errors)}} }

// wrote counts an acknowledgement, of any kind of row.
func (k *counter) wrote() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.c.WritesAcked++
}

// writeFailed counts an error of the steady writers.
func (k *counter) writeFailed(err error, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.c.WriteErrors.add(err, at)
}

// readFailed counts an error of a read through node.
func (k *counter) readFailed(node string, err error, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.c.ReadErrors[node]
	e.add(err, at)
	k.c.ReadErrors[node] = e
}

// read counts an answer; it is stale when it shows less than what was due.
func (k *counter) read(s Stale) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.c.Reads++
	if s.Got >= s.Want {
		return
	}
	k.c.StaleReads++
	if len(k.c.Stale) < staleMax {
		k.c.Stale = append(k.c.Stale, s)
	}
}

func (e *Errors) add(err error, at time.Time) {
	e.Count++
	e.Last, e.Text = at, err.Error()
}

func (k *counter) snapshot() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.c
	c.ReadErrors = maps.Clone(c.ReadErrors)
	c.Stale = c.Stale[:len(c.Stale):len(c.Stale)] // later appends copy
	return c
}
