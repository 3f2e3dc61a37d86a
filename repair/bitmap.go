// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Bitmap is one bit per segment, the lowest bit of the first byte first. One
// that is too short, or missing, has no bits beyond its end.
type Bitmap []byte

// Has says whether bit i is set.
func (b Bitmap) Has(i int) bool { return i >= 0 && i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0 }

func newBitmap(size int) Bitmap { return make(Bitmap, (size+7)/8) }

// with returns a copy that has bit i, of a map for size segments.
func (b Bitmap) with(i, size int) Bitmap {
	out := make(Bitmap, max(len(b), (size+7)/8))
	copy(out, b)
	out[i/8] |= 1 << (i % 8)
	return out
}

// bitsMax bounds what a text of runs may stand for.
const bitsMax = 8 << 20

// MarshalText writes base64 or, where that is shorter, how many bits are set and
// not set in turn, after a colon: ":213 21787". Segments end mostly in their
// order, so a map of 22,000 is a few characters.
func (b Bitmap) MarshalText() ([]byte, error) {
	most := base64.StdEncoding.EncodedLen(len(b))
	runs := []byte(":")
	for at, set := 0, true; at < 8*len(b) && len(runs) < most; set = !set {
		n := 0
		for at < 8*len(b) && b.Has(at) == set {
			at++
			n++
		}
		if len(runs) > 1 {
			runs = append(runs, ' ')
		}
		runs = strconv.AppendInt(runs, int64(n), 10)
	}
	if len(runs) < most {
		return runs, nil
	}
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads both.
func (b *Bitmap) UnmarshalText(text []byte) error {
	if runs, are := strings.CutPrefix(string(text), ":"); are {
		return b.runs(runs)
	}
	bits, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("bitmap: %w", err)
	}
	*b = bits
	return nil
}

func (b *Bitmap) runs(text string) error {
	var out Bitmap
	at, set := 0, true
	for word := range strings.SplitSeq(text, " ") {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil || at+int(n) > bitsMax {
			return fmt.Errorf("bitmap: run %q, want a number of bits, %d in all at most", word, bitsMax)
		}
		out = append(out, make(Bitmap, (at+int(n)+7)/8-len(out))...)
		for i := range int(n) {
			if set {
				out[(at+i)/8] |= 1 << ((at + i) % 8)
			}
		}
		at, set = at+int(n), !set
	}
	*b = out
	return nil
}
