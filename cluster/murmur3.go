// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The constants of MurmurHash3 x64 128, by Austin Appleby, public domain.
const (
	murmurC1 = 0x87c37b91114253d5
	murmurC2 = 0x4cf5ad432745937f
)

// Murmur3Token is the token that Cassandra's Murmur3Partitioner gives to a
// partition key in its serialized form: the bytes of a text, eight bytes
// big-endian of a bigint. A key of several columns must be composed before.
//
// It is the first half of MurmurHash3 x64 128 with seed 0, except that the
// bytes of the last, incomplete block are taken as signed, as Java does. The
// smallest token stands for the ring's beginning and belongs to the empty key
// alone, so a hash that equals it becomes the largest one.
func Murmur3Token(key []byte) int64 {
	if len(key) == 0 {
		return math.MinInt64
	}
	var h1, h2 uint64
	rest := key
	for len(rest) >= 16 {
		h1 ^= murmurK1(binary.LittleEndian.Uint64(rest))
		h1 = (bits.RotateLeft64(h1, 27)+h2)*5 + 0x52dce729
		h2 ^= murmurK2(binary.LittleEndian.Uint64(rest[8:]))
		h2 = (bits.RotateLeft64(h2, 31)+h1)*5 + 0x38495ab5
		rest = rest[16:]
	}
	if len(rest) > 8 {
		h2 ^= murmurK2(signedTail(rest[8:]))
	}
	h1 ^= murmurK1(signedTail(rest[:min(8, len(rest))]))
	h1 ^= uint64(len(key))
	h2 ^= uint64(len(key))
	h1 += h2
	h2 += h1
	token := int64(murmurMix(h1) + murmurMix(h2))
	if token == math.MinInt64 {
		return math.MaxInt64
	}
	return token
}

// signedTail combines up to eight bytes, each spread to 64 bits with its
// sign: the difference between Cassandra's hash and everybody else's.
func signedTail(tail []byte) uint64 {
	var k uint64
	for i, b := range tail {
		k ^= uint64(int64(int8(b))) << (8 * i)
	}
	return k
}

func murmurK1(k uint64) uint64 { return bits.RotateLeft64(k*murmurC1, 31) * murmurC2 }
func murmurK2(k uint64) uint64 { return bits.RotateLeft64(k*murmurC2, 33) * murmurC1 }

func murmurMix(k uint64) uint64 {
	k ^= k >> 33
	k *= 0xff51afd7ed558ccd
	k ^= k >> 33
	k *= 0xc4ceb9fe1a85ec53
	return k ^ k>>33
}
