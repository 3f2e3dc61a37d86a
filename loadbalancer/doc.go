// SPDX-License-Identifier: Apache-2.0

// Package loadbalancer says which nodes should receive clients, and how far a
// proxy is from that. It talks to no proxy: the adapters below it do.
//
// A Pool is the wanted state, written whole. Every change of one passes Take,
// and Take never leaves a pool below its floor by our doing: a pool with too
// few members serves everybody badly, which is worse than one bad member.
package loadbalancer
