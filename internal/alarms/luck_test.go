// SPDX-License-Identifier: Apache-2.0

package alarms

import "math/rand/v2"

// luck is a number from 0 to below 1 for a tuple. What one link loses does not
// depend on how often another one was used, whatever order goroutines run in.
func luck(seed uint64, of ...uint64) float64 {
	x := mix(seed)
	for _, n := range of {
		x = mix(x ^ n)
	}
	return float64(x>>11) / (1 << 53)
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// dice are for what one goroutine decides in order.
func dice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, mix(seed))) }
