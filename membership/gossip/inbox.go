// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"slices"
	"sync"

	"supervisor/cluster"
)

// lookNowMax bounds the different nodes that wait to be looked at. Requests
// for the same node are one, so a flood of them costs one look per Take.
const lookNowMax = 64

// Dropped counts what did not get through, since the start.
type Dropped struct {
	Overflow  uint64 // digests pushed out by newer ones, and look-now requests beyond the bound
	Malformed uint64 // packets of another version or kind, or too long
}

// inbox holds packets until they are taken. Put never waits: memberlist calls
// it on the one goroutine that handles all its packets, probes included (it
// holds no lock there, but whoever waits there fails the failure detector).
type inbox struct {
	mu      sync.Mutex
	digests [][]byte // a ring: first is the oldest
	first   int
	used    int
	lookNow []cluster.Name
	dropped Dropped
	ready   chan struct{} // capacity 1: "something is here"
}

func newInbox(digestsMax int) *inbox {
	return &inbox{digests: make([][]byte, digestsMax), ready: make(chan struct{}, 1)}
}

// put takes in one packet and keeps no part of it.
func (b *inbox) put(packet []byte) {
	k, body, err := decode(packet)
	b.mu.Lock()
	switch {
	case err != nil:
		b.dropped.Malformed++
	case k == kindDigest:
		b.putDigest(body)
	default:
		b.putLookNow(cluster.Name(body))
	}
	b.mu.Unlock()
	if err != nil {
		return
	}
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// putDigest pushes the oldest out when full: a digest is state, so a newer one
// of the same sender replaces it, and a lost one only counts as unheard.
func (b *inbox) putDigest(d []byte) {
	if b.used == len(b.digests) {
		b.digests[b.first] = nil
		b.first = (b.first + 1) % len(b.digests)
		b.used--
		b.dropped.Overflow++
	}
	b.digests[(b.first+b.used)%len(b.digests)] = d
	b.used++
}

func (b *inbox) putLookNow(n cluster.Name) {
	switch {
	case slices.Contains(b.lookNow, n):
	case len(b.lookNow) == lookNowMax:
		b.dropped.Overflow++
	default:
		b.lookNow = append(b.lookNow, n)
	}
}

func (b *inbox) take() (digests [][]byte, lookNow []cluster.Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.used {
		digests = append(digests, b.digests[b.first])
		b.digests[b.first] = nil
		b.first = (b.first + 1) % len(b.digests)
	}
	lookNow = b.lookNow
	b.used, b.lookNow = 0, nil
	return digests, lookNow
}

func (b *inbox) counts() Dropped {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}
