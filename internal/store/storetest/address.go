// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreeAddr is a loopback address that nobody listens on and that the kernel
// gives to nobody who connects: a port it chooses itself may be the near end of
// another connection by the time that a member wants to listen on it.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const first, ports, tries = 10000, 20000, 100 // below every usual range of near ends
	for range tries {
		addr := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(ports))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatalf("nothing is free on loopback among %d ports that were tried", tries)
	return ""
}
