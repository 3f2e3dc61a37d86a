// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"supervisor/cluster"
)

// Segments are those of a plan as they are stored: in JSON one base64 text, in
// which each name, each list of names and each token stands once, in ring order.
// 22,000 segments take a quarter of a megabyte. A plan in which a list of tables
// or hosts is empty reads back with nil there.
type Segments []Segment

// packedForm is the first byte: packed as this program does it.
const packedForm = 1

// What a segment has in common with the one before it; it is not written again.
const (
	sameTables = 1 << iota // and keyspace
	sameHosts
	nextRange // one range, from the last token of the one before to the next token
)

// MarshalJSON packs the segments.
func (s Segments) MarshalJSON() ([]byte, error) {
	return json.Marshal(newPacker(s).pack(s))
}

// UnmarshalJSON reads what MarshalJSON wrote, and the list that was written
// before. Segments that are not understood whole must not be repaired in part.
func (s *Segments) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte("[")) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode((*[]Segment)(s)); err != nil {
			return fmt.Errorf("segments: %w", err)
		}
		return nil
	}
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return fmt.Errorf("packed segments: %w", err)
	}
	segments, err := unpack(packed)
	if err != nil {
		return fmt.Errorf("packed segments: %w", err)
	}
	*s = segments
	return nil
}

// packer knows each name, list and token by its place.
type packer struct {
	names  places[string]
	lists  places[string] // by the places of its names
	tokens []int64
}

// places gives each value a number, in the order in which they are met.
type places[T comparable] struct {
	of  map[T]int
	all []T
}

func (p *places[T]) place(v T) int {
	i, known := p.of[v]
	if !known {
		if p.of == nil {
			p.of = make(map[T]int)
		}
		i = len(p.all)
		p.of[v] = i
		p.all = append(p.all, v)
	}
	return i
}

func newPacker(segments []Segment) *packer {
	p := &packer{}
	for _, s := range segments {
		for _, r := range s.Ranges {
			p.tokens = append(p.tokens, r.Start, r.End)
		}
	}
	slices.Sort(p.tokens)
	p.tokens = slices.Compact(p.tokens)
	return p
}

// pack writes names, lists, tokens and segments, one after the other. What is
// met while the segments are written stands before them.
func (p *packer) pack(segments []Segment) []byte {
	body := p.body(segments)
	b := binary.AppendUvarint([]byte{packedForm}, uint64(len(p.names.all)))
	for _, n := range p.names.all {
		b = binary.AppendUvarint(b, uint64(len(n)))
		b = append(b, n...)
	}
	b = binary.AppendUvarint(b, uint64(len(p.lists.all)))
	for _, l := range p.lists.all {
		b = append(b, l...)
	}
	b = append(b, p.distances()...)
	return append(b, body...)
}

// distances are the tokens, each as its distance from the one before, all as wide
// as the greatest of them.
func (p *packer) distances() []byte {
	last, most := int64(math.MinInt64), uint64(0)
	for _, t := range p.tokens {
		last, most = t, max(most, uint64(t)-uint64(last))
	}
	width := (bits.Len64(most) + 7) / 8
	b := binary.AppendUvarint(nil, uint64(len(p.tokens)))
	b = append(b, byte(width))
	last = math.MinInt64
	for _, t := range p.tokens {
		d := binary.BigEndian.AppendUint64(nil, uint64(t)-uint64(last))
		b, last = append(b, d[8-width:]...), t
	}
	return b
}

// body is the segments. Ranges mostly follow one another, so each is written as
// its distance from the end of the one before.
func (p *packer) body(segments []Segment) []byte {
	b := binary.AppendUvarint(nil, uint64(len(segments)))
	var before standing
	end := 0
	for _, s := range segments {
		at := standing{p.names.place(s.Keyspace), list(p, s.Tables), list(p, s.Hosts)}
		flags, ranges := byte(0), p.ranges(s.Ranges, end)
		if at.keyspace == before.keyspace && at.tables == before.tables {
			flags |= sameTables
		}
		if at.hosts == before.hosts {
			flags |= sameHosts
		}
		if slices.Equal(ranges, []int64{0, 1}) {
			flags |= nextRange
		}
		b = append(b, flags)
		if flags&sameTables == 0 {
			b = binary.AppendUvarint(b, uint64(at.keyspace))
			b = binary.AppendUvarint(b, uint64(at.tables))
		}
		if flags&sameHosts == 0 {
			b = binary.AppendUvarint(b, uint64(at.hosts))
		}
		if flags&nextRange == 0 {
			b = binary.AppendUvarint(b, uint64(len(s.Ranges)))
			for _, d := range ranges {
				b = binary.AppendVarint(b, d)
			}
		}
		if n := len(s.Ranges); n > 0 {
			end, _ = slices.BinarySearch(p.tokens, s.Ranges[n-1].End)
		}
		before = at
	}
	return b
}

// standing is where the names of a segment stand.
type standing struct{ keyspace, tables, hosts int }

// ranges are the places of the tokens of some ranges, each as its distance from
// the one before, the first from end.
func (p *packer) ranges(ranges []cluster.TokenRange, end int) []int64 {
	var out []int64
	for _, r := range ranges {
		start, _ := slices.BinarySearch(p.tokens, r.Start)
		out = append(out, int64(start-end))
		end, _ = slices.BinarySearch(p.tokens, r.End)
		out = append(out, int64(end-start))
	}
	return out
}

// list is the place of a list of names.
func list[S ~string](p *packer, names []S) int {
	key := binary.AppendUvarint(nil, uint64(len(names)))
	for _, n := range names {
		key = binary.AppendUvarint(key, uint64(p.names.place(string(n))))
	}
	return p.lists.place(string(key))
}

func unpack(packed []byte) ([]Segment, error) {
	if len(packed) == 0 {
		return nil, errors.New("nothing is there")
	}
	if packed[0] != packedForm {
		return nil, fmt.Errorf("form %d is not one of this program", packed[0])
	}
	u := &unpacker{rest: packed[1:]}
	segments := u.segments()
	if u.err == nil && len(u.rest) > 0 {
		u.err = errors.New("something follows them")
	}
	if u.err != nil {
		return nil, u.err
	}
	return segments, nil
}

// unpacker reads a plan; the first error ends it, and what is read after it is
// zero.
type unpacker struct {
	rest []byte
	err  error
}

var errCut = errors.New("they are cut short, or are no segments")

func (u *unpacker) fail() {
	u.err, u.rest = cmp.Or(u.err, errCut), nil
}

// number reads a number that is at most most.
func (u *unpacker) number(most uint64) uint64 {
	n, size := binary.Uvarint(u.rest)
	if size <= 0 || n > most {
		u.fail()
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

// count reads how many follow; each takes a byte at least, so no more than those
// that are left.
func (u *unpacker) count() int { return int(u.number(uint64(len(u.rest)))) }

// among reads a place among n.
func (u *unpacker) among(n int) int {
	if n == 0 {
		u.fail()
		return 0
	}
	return int(u.number(uint64(n - 1)))
}

// from reads the distance of a place among n from another one.
func (u *unpacker) from(at, n int) int {
	d, size := binary.Varint(u.rest)
	to := int64(at) + d
	if size <= 0 || d > int64(n) || d < -int64(n) || to < 0 || to >= int64(n) {
		u.fail()
		return 0
	}
	u.rest = u.rest[size:]
	return int(to)
}

func (u *unpacker) names() []string {
	names := make([]string, u.count())
	for i := range names {
		size := u.count()
		names[i], u.rest = string(u.rest[:size]), u.rest[size:]
	}
	return names
}

func (u *unpacker) lists(names []string) [][]string {
	lists := make([][]string, u.count())
	for i := range lists {
		for range u.count() {
			at := u.among(len(names))
			if u.err != nil {
				return nil
			}
			lists[i] = append(lists[i], names[at])
		}
	}
	return lists
}

func (u *unpacker) tokens() []int64 {
	n, width := u.count(), int(u.number(8))
	if n*width > len(u.rest) || width == 0 && n > 1 {
		u.fail()
	}
	if u.err != nil {
		return nil
	}
	tokens := make([]int64, n)
	last := uint64(1 << 63)
	for i := range tokens {
		d := uint64(0)
		for _, b := range u.rest[:width] {
			d = d<<8 | uint64(b)
		}
		u.rest = u.rest[width:]
		last += d
		tokens[i] = int64(last)
	}
	return tokens
}

func (u *unpacker) segments() []Segment {
	names := u.names()
	lists := u.lists(names)
	hosts := make([][]cluster.Name, len(lists))
	for i, l := range lists {
		hosts[i] = hostsOf(l)
	}
	tokens := u.tokens()
	segments := make([]Segment, u.count())
	var at standing
	end := 0
	for i := range segments {
		flags := u.flags()
		if flags&sameTables == 0 {
			at.keyspace, at.tables = u.among(len(names)), u.among(len(lists))
		}
		if flags&sameHosts == 0 {
			at.hosts = u.among(len(lists))
		}
		if i == 0 && (len(names) == 0 || len(lists) == 0) {
			u.fail()
		}
		if u.err != nil {
			return nil
		}
		s := Segment{Keyspace: names[at.keyspace], Tables: lists[at.tables], Hosts: hosts[at.hosts]}
		s.Ranges, end = u.ranges(flags, end, tokens)
		segments[i] = s
	}
	return segments
}

func (u *unpacker) flags() byte {
	if len(u.rest) == 0 || u.rest[0] > sameTables|sameHosts|nextRange {
		u.fail()
		return 0
	}
	f := u.rest[0]
	u.rest = u.rest[1:]
	return f
}

// ranges are those of one segment, and the place of their last token.
func (u *unpacker) ranges(flags byte, end int, tokens []int64) ([]cluster.TokenRange, int) {
	if flags&nextRange != 0 {
		if end+1 >= len(tokens) {
			u.fail()
			return nil, 0
		}
		return []cluster.TokenRange{{Start: tokens[end], End: tokens[end+1]}}, end + 1
	}
	var out []cluster.TokenRange
	for range u.count() {
		start := u.from(end, len(tokens))
		end = u.from(start, len(tokens))
		if u.err != nil {
			return nil, 0
		}
		out = append(out, cluster.TokenRange{Start: tokens[start], End: tokens[end]})
	}
	return out, end
}

func hostsOf(names []string) []cluster.Name {
	var out []cluster.Name
	for _, n := range names {
		out = append(out, cluster.Name(n))
	}
	return out
}
