// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"net"
	"strings"
)

// First ports that are tried; the third number of the network is added, so
// that demos on different networks do not meet between look and use. All are
// below the kernel's range for outgoing connections.
const (
	firstJMXPort  = 17200
	firstFrontend = 19042
	portsTried    = 200
)

// Taken names the addresses that something else listens on.
type Taken struct {
	Addresses []string
}

// Error names them all.
func (t Taken) Error() string {
	if len(t.Addresses) == 1 {
		return t.Addresses[0] + " is taken, and the demo needs it"
	}
	return strings.Join(t.Addresses, ", ") + " are taken, and the demo needs them"
}

// ports collects what is taken, so that all of it is reported at once.
type ports struct {
	given map[string]bool
	taken []string
}

func newPorts() *ports { return &ports{given: make(map[string]bool)} }

// need notes those addresses that are not free.
func (p *ports) need(addresses ...string) {
	for _, a := range addresses {
		if !isFree(a) {
			p.taken = append(p.taken, a)
		}
	}
}

// free returns the first free port from first on that was not given before.
func (p *ports) free(host string, first int) int {
	for port := first; port < first+portsTried; port++ {
		a := fmt.Sprintf("%s:%d", host, port)
		if !p.given[a] && isFree(a) {
			p.given[a] = true
			return port
		}
	}
	p.taken = append(p.taken, fmt.Sprintf("%s:%d to %d", host, first, first+portsTried-1))
	return 0
}

func (p *ports) err() error {
	if len(p.taken) == 0 {
		return nil
	}
	return Taken{Addresses: p.taken}
}

func isFree(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
