// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
)

const (
	wireVersion = 1
	// DigestMax is the largest digest in bytes: with the gossip transport's two
	// bytes, its checksum and encryption and the longest label it must fit into
	// one unfragmented datagram on Ethernet. One of eleven subjects has about 500.
	DigestMax = 1100
	wordMax   = 255                        // bytes of a name, a cluster name or a boot
	looksMax  = 250                        // looks in one digest; also bounds what a hostile one makes us allocate
	spanMax   = 100 * 365 * 24 * time.Hour // longer than any outcome stands
	// signed is put before the bytes that are signed, so that a signature
	// over a digest is good for nothing else.
	signed = "supervisor digest\x00"
)

// The reasons why a received digest is not believed.
var (
	ErrDigestSize      = errors.New("digest is too large or cut short")
	ErrDigestWire      = errors.New("digest has an unknown wire version")
	ErrDigestMalformed = errors.New("digest is malformed")
	ErrDigestUnknown   = errors.New("digest is of an observer without a known key")
	ErrDigestSignature = errors.New("digest has a bad signature")
)

// Encode gives the signed bytes of a digest; sign returns the ed25519
// signature of what it is given. Ages are rounded up and Held down to
// milliseconds: the doubt makes evidence older and shorter. It fails when a
// word is out of bounds or the whole exceeds DigestMax.
//
// Layout: version, cluster, observer, boot, seq, flags, process, the common
// ending of the subjects' names, their number, then for each subject the
// bytes it shares with the name before, the rest, and its looks (path and
// outcome in one byte, misses, held, age); the signature. Numbers are
// varints, words carry their length.
//
// An answered look missed nothing, and earlier programs neither send another number
// than 0 for its misses nor look at it. There stands, by CQL, Took in microseconds,
// and by Process, Inside.
func (d Digest) Encode(sign func([]byte) []byte) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("encode digest of %s: %w", d.Observer, err)
	}
	b := []byte{wireVersion}
	b = putWord(b, d.Cluster)
	b = putWord(b, string(d.Observer))
	b = putWord(b, string(d.Boot))
	b = binary.AppendUvarint(b, d.Seq)
	var flags byte
	if d.Unwell {
		flags = 1
	}
	b = append(b, flags)
	b = putWord(b, string(d.Process))
	b = putLooks(b, d.Looks)
	b = append(b, sign(append([]byte(signed), b...))...)
	if len(b) > DigestMax {
		return nil, fmt.Errorf("encode digest of %s: %d bytes, at most %d: %w", d.Observer, len(b), DigestMax, ErrDigestSize)
	}
	return b, nil
}

// Rounded is the digest as those it is sent to read it, so that its sender
// judges by the same words as they.
func (d Digest) Rounded() Digest {
	d.Looks = slices.Clone(d.Looks)
	for i, l := range d.Looks {
		d.Looks[i] = l.rounded()
	}
	return d
}

func (l Look) rounded() Look {
	l.Held = l.Held.Truncate(time.Millisecond)
	l.Age = (l.Age + time.Millisecond - 1).Truncate(time.Millisecond)
	l.setNumber(l.number())
	return l
}

// numberMax bounds the number of a look.
const numberMax = 1 << 31

// number is what stands in the place of the misses.
func (l *Look) number() uint64 {
	switch {
	case l.answered() && l.Path == CQL:
		return uint64(min((l.Took+time.Microsecond-1)/time.Microsecond, numberMax))
	case l.answered() && l.Path == Process:
		return uint64(l.Inside)
	}
	return uint64(l.Misses)
}

// setNumber reads it.
func (l *Look) setNumber(n uint64) {
	l.Misses, l.Took, l.Inside = 0, 0, 0
	switch {
	case l.answered() && l.Path == CQL:
		l.Took = time.Duration(n) * time.Microsecond
	case l.answered() && l.Path == Process:
		l.Inside = Inside(n)
	default:
		l.Misses = int(n)
	}
}

func (d Digest) check() error {
	for _, w := range []string{d.Cluster, string(d.Observer), string(d.Boot), string(d.Process)} {
		if len(w) > wordMax {
			return fmt.Errorf("word of %d bytes: %w", len(w), ErrDigestMalformed)
		}
	}
	if len(d.Looks) > looksMax {
		return fmt.Errorf("%d looks: %w", len(d.Looks), ErrDigestSize)
	}
	for _, l := range d.Looks {
		if l.Subject == "" || len(l.Subject) > wordMax || l.Path == PathUnknown || !l.possible() {
			return fmt.Errorf("look at %q by %s: %w", l.Subject, l.Path, ErrDigestMalformed)
		}
	}
	return nil
}

// Split parts a digest that is too large for one datagram into two by its
// subjects; ok is false when it is about one only. Each part is a digest of its
// own and wants a sequence of its own: what a digest leaves out stays as it was
// told last.
func (d Digest) Split() (first, second Digest, ok bool) {
	looks := slices.Clone(d.Looks)
	slices.SortStableFunc(looks, func(x, y Look) int { return cmp.Compare(x.Subject, y.Subject) })
	at := len(looks) / 2
	for at > 0 && at < len(looks) && looks[at].Subject == looks[at-1].Subject {
		at++
	}
	if at == len(looks) { // the last subject has half of the looks and more
		at = slices.IndexFunc(looks, func(l Look) bool { return l.Subject == looks[len(looks)-1].Subject })
	}
	if at <= 0 {
		return d, Digest{}, false
	}
	first, second = d, d
	first.Looks, second.Looks = looks[:at], looks[at:]
	return first, second, true
}

func putWord(b []byte, w string) []byte {
	return append(append(b, byte(len(w))), w...)
}

func putLooks(b []byte, looks []Look) []byte {
	looks = slices.Clone(looks)
	slices.SortStableFunc(looks, func(x, y Look) int {
		return cmp.Or(cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.Path, y.Path))
	})
	var groups [][]Look
	for rest := looks; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Subject == rest[0].Subject {
			n++
		}
		groups, rest = append(groups, rest[:n]), rest[n:]
	}
	ending := commonEnding(groups)
	b = putWord(b, ending)
	b = binary.AppendUvarint(b, uint64(len(groups)))
	before := ""
	for _, g := range groups {
		name := strings.TrimSuffix(string(g[0].Subject), ending)
		shared := commonStart(before, name)
		b = append(b, byte(shared))
		b = putWord(b, name[shared:])
		b = binary.AppendUvarint(b, uint64(len(g)))
		for _, l := range g {
			b = append(b, byte(l.Path)<<4|byte(l.Outcome))
			l = l.rounded()
			b = binary.AppendUvarint(b, l.number())
			b = binary.AppendUvarint(b, uint64(l.Held/time.Millisecond))
			b = binary.AppendUvarint(b, uint64(l.Age/time.Millisecond))
		}
		before = name
	}
	return b
}

func commonEnding(groups [][]Look) string {
	if len(groups) < 2 {
		return ""
	}
	ending := string(groups[0][0].Subject)
	for _, g := range groups[1:] {
		name := string(g[0].Subject)
		n := 0
		for n < len(ending) && n < len(name) && ending[len(ending)-1-n] == name[len(name)-1-n] {
			n++
		}
		ending = ending[len(ending)-n:]
	}
	return ending
}

func commonStart(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Decode reads a digest and verifies its signature with the key that the
// roster has for its observer. Nothing beyond the observer's name is looked
// at before the signature held. Whether cluster, boot and sequence are right
// is the Inbox's question. The looks come sorted by subject and path.
// Beside ErrDigestUnknown and ErrDigestSignature the Digest names whom it says it is of.
func Decode(b []byte, key func(observer cluster.Name) (ed25519.PublicKey, bool)) (Digest, error) {
	if len(b) > DigestMax || len(b) < ed25519.SignatureSize+1 {
		return Digest{}, fmt.Errorf("decode digest of %d bytes: %w", len(b), ErrDigestSize)
	}
	if b[0] != wireVersion {
		return Digest{}, fmt.Errorf("decode digest, version %d, want %d: %w", b[0], wireVersion, ErrDigestWire)
	}
	body, signature := b[:len(b)-ed25519.SignatureSize], b[len(b)-ed25519.SignatureSize:]
	r := reader{rest: body[1:]}
	d := Digest{Cluster: r.word(), Observer: cluster.Name(r.word())}
	if r.failed {
		return Digest{}, fmt.Errorf("decode digest: %w", ErrDigestMalformed)
	}
	k, known := key(d.Observer)
	if !known || len(k) != ed25519.PublicKeySize {
		return Digest{Observer: d.Observer}, fmt.Errorf("decode digest of %q: %w", d.Observer, ErrDigestUnknown)
	}
	if !ed25519.Verify(k, append([]byte(signed), body...), signature) {
		return Digest{Observer: d.Observer}, fmt.Errorf("decode digest of %q: %w", d.Observer, ErrDigestSignature)
	}
	d.Boot, d.Seq = cluster.Boot(r.word()), r.number()
	flags := r.octet()
	d.Unwell, d.Process = flags == 1, cluster.Boot(r.word())
	d.Looks = r.looks()
	if r.failed || len(r.rest) > 0 || flags > 1 {
		return Digest{}, fmt.Errorf("decode digest of %q: %w", d.Observer, ErrDigestMalformed)
	}
	return d, nil
}

// reader takes values from the front of rest; once something was missing or
// out of bounds, failed stays true and everything reads as zero.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) octet() byte {
	if r.failed || len(r.rest) == 0 {
		r.failed = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) number() uint64 {
	if r.failed {
		return 0
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// upTo reads a number of at most limit.
func (r *reader) upTo(limit uint64) uint64 {
	v := r.number()
	if v > limit {
		r.failed = true
		return 0
	}
	return v
}

func (r *reader) word() string {
	n := int(r.octet())
	if r.failed || n > len(r.rest) {
		r.failed = true
		return ""
	}
	w := string(r.rest[:n])
	r.rest = r.rest[n:]
	return w
}

func (r *reader) looks() []Look {
	ending := r.word()
	before := ""
	var looks []Look
	for subjects := r.upTo(looksMax); subjects > 0 && !r.failed; subjects-- {
		shared := int(r.octet())
		rest := r.word()
		if shared > len(before) {
			r.failed = true
			return nil
		}
		before = before[:shared] + rest
		subject := cluster.Name(before + ending)
		n := r.upTo(looksMax)
		if r.failed || n == 0 || len(looks)+int(n) > looksMax || subject == "" || len(subject) > wordMax {
			r.failed = true
			return nil
		}
		for ; n > 0; n-- {
			looks = append(looks, r.look(subject))
		}
	}
	return looks
}

func (r *reader) look(subject cluster.Name) Look {
	const millis = uint64(spanMax / time.Millisecond)
	kind := r.octet()
	l := Look{Subject: subject, Path: Path(kind >> 4), Outcome: Outcome(kind & 15)}
	l.setNumber(r.upTo(numberMax))
	l.Held = time.Duration(r.upTo(millis)) * time.Millisecond
	l.Age = time.Duration(r.upTo(millis)) * time.Millisecond
	if l.Path == PathUnknown || int(l.Path) >= len(pathWords) || int(l.Outcome) >= len(outcomeWords) {
		r.failed = true
	}
	return l
}
