// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"supervisor/cluster"
)

func digests(b *inbox) string {
	var all []string
	taken, _ := b.take()
	for _, d := range taken {
		all = append(all, string(d))
	}
	return fmt.Sprint(all)
}

func TestInboxKeepsTheNewestAndCountsTheRest(t *testing.T) {
	b := newInbox(3)
	for i := range 8 {
		b.put(encode(kindDigest, fmt.Appendf(nil, "d%d", i)))
	}
	select {
	case <-b.ready:
	default:
		t.Fatal("nobody was told")
	}
	if got := digests(b); got != "[d5 d6 d7]" {
		t.Errorf("took %s, want the newest three, oldest first", got)
	}
	if got := b.counts(); got != (Dropped{Overflow: 5}) {
		t.Errorf("dropped %+v, want 5 overflows", got)
	}
	b.put(encode(kindDigest, []byte("d8")))
	if got := digests(b); got != "[d8]" {
		t.Errorf("after a full ring took %s", got)
	}
	if got := digests(b); got != "[]" {
		t.Errorf("an empty box held %s", got)
	}
}

func TestInboxMakesManyRequestsForOneNodeOne(t *testing.T) {
	b := newInbox(3)
	for range 1000 {
		b.put(encode(kindLookNow, []byte("n3")))
		b.put(encode(kindLookNow, []byte("n1")))
	}
	if _, got := b.take(); !slices.Equal(got, []cluster.Name{"n3", "n1"}) {
		t.Errorf("look now at %v, want each node once", got)
	}
	for i := range lookNowMax + 7 {
		b.put(encode(kindLookNow, fmt.Appendf(nil, "n%d", i)))
	}
	if _, got := b.take(); len(got) != lookNowMax || b.counts().Overflow != 7 {
		t.Errorf("%d different nodes wait, dropped %+v; want %d and 7", len(got), b.counts(), lookNowMax)
	}
}

func TestInboxTurnsAwayWhatItDoesNotKnow(t *testing.T) {
	for why, packet := range map[string][]byte{
		"nothing":                         {},
		"a version without a kind":        {wireVersion},
		"a kind without a body":           {wireVersion, byte(kindDigest)},
		"a later version":                 {wireVersion + 1, byte(kindDigest), 'x'},
		"an unknown kind":                 {wireVersion, 9, 'x'},
		"a digest that is too long":       encode(kindDigest, make([]byte, DigestMax+1)),
		"a name longer than any name":     encode(kindLookNow, make([]byte, nameMax+1)),
		"a packet of another application": []byte("hello"),
	} {
		b := newInbox(3)
		b.put(packet)
		digests, lookNow := b.take()
		if d := b.counts(); len(digests)+len(lookNow) != 0 || d.Malformed != 1 {
			t.Errorf("%s: took %q and %q, dropped %+v; want it counted and dropped", why, digests, lookNow, d)
		}
	}
}

func TestInboxCopiesWhatItKeeps(t *testing.T) {
	b := newInbox(3)
	packet := encode(kindDigest, []byte("mine"))
	b.put(packet)
	clear(packet)
	if got := digests(b); got != "[mine]" {
		t.Errorf("took %s after the library used its buffer again", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(kindDigest, []byte("digest")))
	f.Add(encode(kindLookNow, []byte("n3")))
	f.Fuzz(func(t *testing.T, packet []byte) {
		k, body, err := decode(packet)
		if err == nil && !bytes.Equal(encode(k, body), packet) {
			t.Errorf("%x decodes to %v %x, which is another packet", packet, k, body)
		}
	})
}
