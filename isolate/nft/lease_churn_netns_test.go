// SPDX-License-Identifier: Apache-2.0

//go:build netns

package nft

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A transaction is one moment for whoever writes rules, and not for a packet that is
// judged on another processor meanwhile: it may go by the old rules and find the new
// elements. Connections of a healthy host live through all that a guard does.
func TestNoConnectionIsLostToAChangeOfRules(t *testing.T) {
	l := Lease{Ports: brief.Ports, For: time.Minute}
	i := 0
	for why, change := range map[string]func(node *host){
		"a renewal": func(node *host) {
			if err := node.hold(Kept); err != nil {
				t.Error(err)
			}
		},
		"another state": func(node *host) {
			i++
			node.leases([]State{{}, {Ring: &Ring{Ports: []uint16{storagePort}, Peers: addresses("10.99.0.1")}}}[i%2], l, Kept)
		},
		"the end of a guard, and the next": func(node *host) {
			node.in(func() {
				if released, err := (Kernel{}).Release(false); err != nil || !released {
					t.Errorf("%v, %v", released, err)
				}
			})
			node.leases(State{}, l, Kept)
		},
	} {
		t.Run(why, func(t *testing.T) {
			node, other := pair(t)
			node.listen(cqlPort)
			node.leases(State{}, l, Kept)
			var over atomic.Bool
			var said atomic.Int64
			var clients sync.WaitGroup
			for range 4 {
				c := other.connected(otherIP, nodeIP, cqlPort)
				clients.Go(func() {
					for ; !over.Load(); said.Add(1) {
						if err := echoed(c, answerMax); err != nil {
							t.Errorf("a connection that stands: %v", err)
							return
						}
					}
				})
			}
			changes := 0
			for began := time.Now(); time.Since(began) < 3*time.Second && !t.Failed(); changes++ {
				change(node)
			}
			over.Store(true)
			clients.Wait()
			t.Logf("%d words during %d changes", said.Load(), changes)
		})
	}
}
