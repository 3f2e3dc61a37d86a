// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"supervisor/cluster"
	"supervisor/membership"
)

// writer puts values behind each other. A word stands in full where it comes
// first, and is a number from then on. A moment is an offset from base.
type writer struct {
	b     []byte
	base  cluster.Moment
	words map[string]uint64
}

func newWriter(base cluster.Moment) *writer { return &writer{base: base, words: map[string]uint64{}} }

func (w *writer) octet(b byte)            { w.b = append(w.b, b) }
func (w *writer) number(n uint64)         { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) signed(n int64)          { w.b = binary.AppendVarint(w.b, n) }
func (w *writer) moment(m cluster.Moment) { w.signed(int64(m - w.base)) }

func (w *writer) word(s string) {
	if n, known := w.words[s]; known {
		w.number(n)
		return
	}
	w.words[s] = uint64(len(w.words)) + 1
	w.number(0)
	w.number(uint64(len(s)))
	w.b = append(w.b, s...)
}

var (
	momentType  = reflect.TypeFor[cluster.Moment]()
	reportsType = reflect.TypeFor[[]membership.Report]()
)

// value puts whatever a view is made of, field by field, so that a field added
// to one is kept without anybody thinking of it. What is not exported is made
// of the rest by its own package.
func (w *writer) value(v reflect.Value) {
	switch t := v.Type(); {
	case t == momentType:
		w.moment(cluster.Moment(v.Int()))
		return
	case t == reportsType:
		w.reports(v.Interface().([]membership.Report))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		w.octet(boolOctet(v.Bool()))
	case reflect.Int, reflect.Int64:
		w.signed(v.Int())
	case reflect.Uint8:
		w.octet(byte(v.Uint()))
	case reflect.Float64:
		w.number(math.Float64bits(v.Float()))
	case reflect.String:
		w.word(v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				w.value(v.Field(i))
			}
		}
	case reflect.Slice:
		w.length(v)
		for i := range v.Len() {
			w.value(v.Index(i))
		}
	case reflect.Map:
		w.length(v)
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			w.word(k.String())
			w.value(v.MapIndex(k))
		}
	default:
		panic("trace: no form for " + v.Type().String()) // found by TestAViewIsReadBackWhole
	}
}

// length tells nil from empty: a view without verdicts is that of a judge that
// has not begun.
func (w *writer) length(v reflect.Value) {
	if v.IsNil() {
		w.number(0)
		return
	}
	w.number(uint64(v.Len()) + 1)
}

func boolOctet(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// reader takes what a writer put. Once something was missing or out of bounds,
// failed stays true and everything reads as zero.
type reader struct {
	rest   []byte
	base   cluster.Moment
	words  []string
	failed bool
}

func (r *reader) octet() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) fail() { r.rest, r.failed = nil, true }

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) signed() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) moment() cluster.Moment { return r.base + cluster.Moment(r.signed()) }

func (r *reader) word() string {
	switch n := r.number(); {
	case n > 0 && n <= uint64(len(r.words)):
		return r.words[n-1]
	case n > 0:
		r.fail()
		return ""
	}
	n := r.count()
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	if strings.ContainsFunc(s, unicode.IsControl) {
		r.fail() // no name has one, and words end up on somebody's terminal
		return ""
	}
	r.words = append(r.words, s)
	return s
}

// count reads how many follow. Each takes a byte at least, so that a number out
// of nothing makes nobody allocate.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) value(v reflect.Value) {
	switch t := v.Type(); {
	case t == momentType:
		v.SetInt(int64(r.moment()))
		return
	case t == reportsType:
		v.Set(reflect.ValueOf(r.reports()))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.octet() == 1)
	case reflect.Int, reflect.Int64:
		v.SetInt(r.signed())
	case reflect.Uint8:
		v.SetUint(uint64(r.octet()))
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(r.number()))
	case reflect.String:
		v.SetString(r.word())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				r.value(v.Field(i))
			}
		}
	case reflect.Slice:
		r.slice(v)
	case reflect.Map:
		r.mapping(v)
	default:
		r.fail()
	}
}

func (r *reader) slice(v reflect.Value) {
	n := r.count()
	if n == 0 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for range n - 1 {
		if r.failed {
			return
		}
		item := reflect.New(v.Type().Elem()).Elem()
		r.value(item)
		v.Set(reflect.Append(v, item))
	}
}

func (r *reader) mapping(v reflect.Value) {
	n := r.count()
	if n == 0 {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for range n - 1 {
		if r.failed {
			return
		}
		k := reflect.New(v.Type().Key()).Elem()
		k.SetString(r.word())
		item := reflect.New(v.Type().Elem()).Elem()
		r.value(item)
		v.SetMapIndex(k, item)
	}
}
