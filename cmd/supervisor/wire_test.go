// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"testing"

	"supervisor/isolate/nft"
)

// What a person had a guard close in another way keeps nobody out as a fence means
// it, and is no proof of one.
func TestClosedIsWhatTheAgentWouldClose(t *testing.T) {
	p := ports{cql: 9042, storage: 7000}
	peer := []netip.Addr{netip.MustParseAddr("10.0.3.13")}
	for why, row := range map[string]struct {
		stands  nft.State
		clients bool
		cut     int
	}{
		"as it would be closed":     {nft.State{Clients: &nft.Clients{Ports: []uint16{9042}}, Ring: &nft.Ring{Ports: []uint16{7000}, Peers: peer}}, true, 1},
		"other ports":               {nft.State{Clients: &nft.Clients{Ports: []uint16{9142}}, Ring: &nft.Ring{Ports: []uint16{7001}, Peers: peer}}, false, 0},
		"an exception":              {nft.State{Clients: &nft.Clients{Ports: []uint16{9042}, Allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}, false, 0},
		"only one of its addresses": {nft.State{Clients: &nft.Clients{Ports: []uint16{9042}, Addresses: peer}}, false, 0},
		"nothing":                   {},
	} {
		if g := p.guarded(nft.Report{Standing: row.stands}); g.Clients != row.clients || len(g.Cut) != row.cut {
			t.Errorf("%s: %+v", why, g)
		}
	}
	if g := p.guarded(nft.Report{StoodStill: true, Standstill: &nft.Standstill{Number: 4}}); g.Standstill != 4 {
		t.Errorf("a standstill: %+v", g)
	}
}
