// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
)

// keys are the private keys of observers, from fixed seeds.
type keys map[cluster.Name]ed25519.PrivateKey

func newKeys(t testing.TB, names ...cluster.Name) keys {
	t.Helper()
	k := keys{}
	for _, n := range names {
		seed := make([]byte, ed25519.SeedSize)
		copy(seed, n)
		k[n] = ed25519.NewKeyFromSeed(seed)
	}
	return k
}

func (k keys) sign(n cluster.Name) func([]byte) []byte {
	return func(b []byte) []byte { return ed25519.Sign(k[n], b) }
}

func (k keys) public(n cluster.Name) (ed25519.PublicKey, bool) {
	private, ok := k[n]
	if !ok {
		return nil, false
	}
	return private.Public().(ed25519.PublicKey), true
}

// busy is a digest about eleven subjects with names as long as people give them.
func busy() Digest {
	d := Digest{Cluster: "orders-production", Observer: "cassandra-prod-eu-central-1a-0001.int.example.com",
		Boot: "0123456789abcdef", Seq: 1 << 20, Process: "fedcba9876543210"}
	for i := range 11 {
		for _, p := range []Path{CQL, Storage, Phi} {
			d.Looks = append(d.Looks, Look{Subject: cluster.Name(fmt.Sprintf("cassandra-prod-eu-central-1%c-%04d.int.example.com", 'a'+i%3, 1+i*7)),
				Path: p, Outcome: Good, Misses: 100_000, Took: 100 * time.Millisecond, Held: 400 * time.Hour, Age: 1999 * time.Millisecond})
		}
	}
	return d
}

func TestDigestIsSmall(t *testing.T) {
	b, err := busy().Encode(newKeys(t, busy().Observer).sign(busy().Observer))
	if err != nil || len(b) >= 700 {
		t.Errorf("11 subjects, 3 paths each: %d bytes, want less than 700: %v", len(b), err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	k := newKeys(t, "n1", "n2")
	good, err := Digest{Cluster: "c", Observer: "n1", Boot: "a", Seq: 1,
		Looks: []Look{{Subject: "n2", Path: CQL, Outcome: Good}}}.Encode(k.sign("n1"))
	if err != nil {
		t.Fatal(err)
	}
	resigned := func(edit func(body []byte) []byte) []byte {
		body := edit(bytes.Clone(good[:len(good)-ed25519.SignatureSize]))
		return append(body, k.sign("n1")(append([]byte(signed), body...))...)
	}
	edited := func(i int, to byte) []byte {
		b := bytes.Clone(good)
		b[i] = to
		return b
	}
	crowd := func(sizes ...int) []byte {
		var looks []Look
		for i, n := range sizes {
			for range n {
				looks = append(looks, Look{Subject: cluster.Name(fmt.Sprint("n", i)), Path: CQL})
			}
		}
		return resigned(func(b []byte) []byte { return putLooks(b[:11], looks) })
	}
	last := len(good) - ed25519.SignatureSize - 4 // kind of the only look: kind, misses, held, age
	for _, row := range []struct {
		why  string
		b    []byte
		want error
	}{
		{"a digest as it was sent", good, nil},
		{"nothing at all", nil, ErrDigestSize},
		{"one byte more than fits a datagram", make([]byte, DigestMax+1), ErrDigestSize},
		{"a version nobody taught us", edited(0, 2), ErrDigestWire},
		{"another cluster under the same signature", edited(2, 'd'), ErrDigestSignature},
		{"a flipped bit in the signature", edited(len(good)-1, good[len(good)-1]^1), ErrDigestSignature},
		{"the name of another observer, signed by this one", resigned(func(b []byte) []byte { b[5] = '2'; return b }), ErrDigestSignature},
		{"an observer without a key", resigned(func(b []byte) []byte { b[5] = '9'; return b }), ErrDigestUnknown},
		{"bytes after the end", resigned(func(b []byte) []byte { return append(b, 0) }), ErrDigestMalformed},
		{"cut short but well signed", resigned(func(b []byte) []byte { return b[:len(b)-1] }), ErrDigestMalformed},
		{"as many looks as are allowed", crowd(200, looksMax-200), nil},
		{"one look more", crowd(200, looksMax-199), ErrDigestMalformed},
		{"a name that shares bytes with none before it", resigned(func(b []byte) []byte { b[13] = 9; return b }), ErrDigestMalformed},
		{"a path that does not exist", resigned(func(b []byte) []byte { b[last] = 15<<4 | 1; return b }), ErrDigestMalformed},
		{"an outcome that does not exist", resigned(func(b []byte) []byte { b[last] = byte(CQL)<<4 | 15; return b }), ErrDigestMalformed},
		{"a flag that does not exist", resigned(func(b []byte) []byte { b[9] = 2; return b }), ErrDigestMalformed},
		{"a look that has stood for ever", resigned(func(b []byte) []byte {
			return append(append(b[:last+2], bytes.Repeat([]byte{0xff}, 8)...), 1, 0)
		}), ErrDigestMalformed},
	} {
		t.Run(row.why, func(t *testing.T) {
			if _, err := Decode(row.b, k.public); !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	look := Look{Subject: "n2", Path: CQL, Outcome: Good}
	with := func(edit func(*Look)) []Look { l := look; edit(&l); return []Look{l} }
	many := func(n int) (looks []Look) {
		for i := range n {
			looks = append(looks, Look{Subject: cluster.Name(fmt.Sprint(i*i*7919, "-", strings.Repeat("x", 20), i)), Path: CQL})
		}
		return looks
	}
	for _, row := range []struct {
		why string
		d   Digest
	}{
		{"a name longer than its length byte can say", Digest{Observer: cluster.Name(strings.Repeat("n", 256))}},
		{"a look at nobody", Digest{Looks: with(func(l *Look) { l.Subject = "" })}},
		{"a look by no path", Digest{Looks: with(func(l *Look) { l.Path = PathUnknown })}},
		{"an age below zero", Digest{Looks: with(func(l *Look) { l.Age = -1 })}},
		{"a held time that no outcome stands", Digest{Looks: with(func(l *Look) { l.Held = 2 * spanMax })}},
		{"more looks than a digest may have", Digest{Looks: many(looksMax + 1)}},
		{"more bytes than a datagram has", Digest{Looks: many(60)}},
	} {
		t.Run(row.why, func(t *testing.T) {
			if b, err := row.d.Encode(newKeys(t, "n1").sign("n1")); err == nil {
				t.Errorf("encoded to %d bytes", len(b))
			}
		})
	}
}

// FuzzDecode signs whatever the fuzzer makes up, so that it gets past the
// signature: nothing may panic, and what decodes must encode again.
func FuzzDecode(f *testing.F) {
	k := newKeys(f, "n1")
	for _, d := range []Digest{{Observer: "n1"}, {Cluster: "c", Observer: "n1", Boot: "a", Seq: 7, Unwell: true,
		Looks: []Look{{Subject: "n1", Path: Process, Outcome: Exited}, {Subject: "n2", Path: CQL, Outcome: Silent, Misses: 3}}}} {
		b, err := d.Encode(k.sign("n1"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-ed25519.SignatureSize])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if d, err := Decode(body, k.public); err == nil {
			t.Fatalf("decoded without a signature: %+v", d)
		}
		d, err := Decode(append(bytes.Clone(body), k.sign("n1")(append([]byte(signed), body...))...), k.public)
		if err != nil {
			return
		}
		if len(d.Looks) > looksMax {
			t.Fatalf("%d looks", len(d.Looks))
		}
		if err := d.check(); err != nil {
			t.Fatalf("decoded what may not be sent: %v", err)
		}
	})
}

// A digest of the most subjects with the longest names is sent in parts that
// fit, which together say everything, in an order that is taken.
func TestADigestTooLargeIsSplit(t *testing.T) {
	long := func(word string, i int) string { return fmt.Sprintf("%s%0*d", word, 128-len(word), i) }
	d := Digest{Cluster: long("c", 0), Observer: cluster.Name(long("n", 0)), Boot: cluster.Boot(long("b", 0)), Process: cluster.Boot(long("p", 0))}
	for i := range WatchMax + 1 {
		// The number in front, so that the names share no beginning.
		subject := cluster.Name(fmt.Sprintf("%d", i) + long("n", i)[2:])
		for _, p := range []Path{Process, CQL, Admin, Disk, Storage, Phi} {
			d.Looks = append(d.Looks, Look{Subject: subject, Path: p, Outcome: Silent, Misses: 1 << 31, Held: spanMax, Age: spanMax})
		}
	}
	k := newKeys(t, d.Observer)
	inbox := Inbox{Cluster: d.Cluster}
	said := map[Look]bool{}
	parts := 0
	var send func(Digest)
	send = func(d Digest) {
		parts++
		d.Seq = uint64(parts)
		b, err := d.Encode(k.sign(d.Observer))
		if err != nil {
			first, second, ok := d.Split()
			if !ok || !errors.Is(err, ErrDigestSize) {
				t.Fatalf("%d looks: %v", len(d.Looks), err)
			}
			send(first)
			send(second)
			return
		}
		got, err := Decode(b, k.public)
		if err != nil {
			t.Fatal(err)
		}
		reports, err := inbox.Take(got, start)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range reports {
			said[r.Look] = true
		}
	}
	send(d)
	if len(said) != len(d.Looks) {
		t.Errorf("%d of %d looks arrive", len(said), len(d.Looks))
	}
	if _, _, ok := (Digest{Looks: d.Looks[:6]}).Split(); ok {
		t.Error("looks at one subject were parted")
	}
	if _, _, ok := (Digest{}).Split(); ok {
		t.Error("an empty digest was parted")
	}
}

// What an answer took stands where earlier programs have a 0 and look at nothing, so
// that they read such a digest, and theirs is read here.
func TestTheNumberOfAnAnsweredLook(t *testing.T) {
	k := newKeys(t, "n1")
	for _, row := range []struct {
		why  string
		look Look
		want []byte // the end of what is signed: path and outcome, the number, held, age
	}{
		{"an answer that nobody timed", Look{Subject: "n2", Path: CQL, Outcome: Good}, []byte{0x21, 0, 0, 0}},
		{"one that took 100 microseconds", Look{Subject: "n2", Path: CQL, Outcome: Good, Took: 100 * time.Microsecond}, []byte{0x21, 100, 0, 0}},
		{"less than one is one", Look{Subject: "n2", Path: CQL, Outcome: Late, Took: 1}, []byte{0x22, 1, 0, 0}},
		{"silence has missed", Look{Subject: "n2", Path: CQL, Outcome: Silent, Misses: 3, Took: time.Second}, []byte{0x24, 3, 0, 0}},
		{"what stands out inside", Look{Subject: "n1", Path: Process, Outcome: Good, Inside: Collecting | Dropped}, []byte{0x11, 17, 0, 0}},
	} {
		t.Run(row.why, func(t *testing.T) {
			d := Digest{Cluster: "c", Observer: "n1", Boot: "a", Seq: 1, Looks: []Look{row.look}}
			b, err := d.Encode(k.sign("n1"))
			if err != nil {
				t.Fatal(err)
			}
			if got := b[len(b)-ed25519.SignatureSize-4 : len(b)-ed25519.SignatureSize]; !bytes.Equal(got, row.want) {
				t.Errorf("got % x, want % x", got, row.want)
			}
			if read, err := Decode(b, k.public); err != nil || !reflect.DeepEqual(read, d.Rounded()) {
				t.Errorf("read %+v: %v", read, err)
			}
		})
	}
}

// A sender that judges its own digest goes by the words that others read of it.
func TestADigestIsRoundedAsItIsSent(t *testing.T) {
	k := newKeys(t, "n1")
	d := Digest{Cluster: "c", Observer: "n1", Boot: "a", Seq: 1, Looks: []Look{
		{Subject: "n1", Path: CQL, Outcome: Good, Held: 1999999, Age: 1000001},
		{Subject: "n2", Path: CQL, Outcome: Silent, Misses: 2, Held: time.Millisecond, Age: time.Millisecond},
		{Subject: "n3", Path: CQL, Outcome: Good, Held: 0, Age: 1}}}
	b, err := d.Encode(k.sign("n1"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := Decode(b, k.public)
	if got := d.Rounded(); err != nil || !reflect.DeepEqual(got, read) {
		t.Errorf("rounded %+v\nread    %+v: %v", got, read, err)
	}
	if d.Looks[0].Age != 1000001 || read.Looks[0].Age != 2*time.Millisecond || read.Looks[0].Held != time.Millisecond {
		t.Errorf("of %+v was read %+v: ages go up and spans down", d.Looks[0], read.Looks[0])
	}
}
