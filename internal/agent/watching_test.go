// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

func TestAnObserverThatDoesNotTakeTheRosterIsToldAgain(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.halt("n2", true)
		h := r.start("n2", func(o *Options) { o.Observer.(*fakeObserver).refuses = 5 })
		r.wait("both others watched", 20*time.Second, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(h.looks.peers) == 2
		})
		if !h.logged("not watched as assigned") {
			t.Error("nobody says that n2 watched nobody")
		}
	})
}

// A digest that one datagram does not hold is sent in parts, each younger than
// the one before.
func TestADigestTooLargeForOneDatagramIsSentInParts(t *testing.T) {
	d := desktop(t)
	d.a.o.Key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	d.a.o.Cluster, d.seq = "demo", 7
	dg := membership.Digest{Cluster: "demo", Observer: "n3", Boot: "b2", Seq: 7}
	for i := range membership.WatchMax + 1 {
		subject := cluster.Name(fmt.Sprintf("%d%s%d", i, strings.Repeat("-", 120), i))
		dg.Looks = append(dg.Looks, membership.Look{Subject: subject, Path: membership.CQL, Outcome: membership.Good})
	}
	packets, err := d.packets(dg)
	if err != nil || len(packets) < 2 {
		t.Fatalf("%d packets: %v", len(packets), err)
	}
	looks, last := 0, uint64(0)
	for _, b := range packets {
		got, err := membership.Decode(b, func(cluster.Name) (ed25519.PublicKey, bool) {
			return d.a.o.Key.Public().(ed25519.PublicKey), true
		})
		if err != nil || got.Seq <= last || len(b) > membership.DigestMax {
			t.Errorf("packet of %d bytes, sequence %d after %d: %v", len(b), got.Seq, last, err)
		}
		looks, last = looks+len(got.Looks), got.Seq
	}
	if looks != len(dg.Looks) || d.seq < last {
		t.Errorf("%d of %d looks, sequence %d told and %d kept", looks, len(dg.Looks), last, d.seq)
	}
}
