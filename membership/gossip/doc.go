// SPDX-License-Identifier: Apache-2.0

// Package gossip is membership and transport between the agents of one region:
// who is there, and a way to send each of them a small packet. It is a thin
// adapter over memberlist, whose own word that a member is dead is the word of
// one observer and is used for nothing but addresses. The answers to its pings
// tell how the wall clocks of members differ.
//
// Nothing of ours rides on memberlist's broadcasts. The property everybody
// relies on: no callback ever waits, so a full mailbox loses the oldest packet
// and never stops the failure detector.
package gossip
