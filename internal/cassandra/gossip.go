// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"supervisor/cluster"
)

// What gossip says of a node's way of being in the ring, in Cassandra's own
// spelling. A node whose status is empty has started to gossip and has not
// said yet what it is: a peer that hears it then may take it for alive.
const (
	StatusNormal    = "NORMAL"
	StatusHibernate = "hibernate"
	StatusShutdown  = "shutdown" // it said so before it went
)

// PeerState is what one node believes of another one, from its gossip and its
// failure detector.
type PeerState struct {
	Up           bool    // the failure detector's word; a hibernating node is not up
	Phi          float64 // on the threshold's own scale: 0.434 x silence / mean interval
	PhiSeen      bool    // Phi is known; a node never heard has none
	Generation   int64   // start of the process in seconds since 1970; 0: only remembered, never heard
	Status       string  // NORMAL, hibernate, shutdown, BOOT, LEAVING, LEFT …
	Severity     float64
	SeveritySeen bool // the node has ever gossiped a Severity
	RPCReady     bool // it says that its CQL port is open; absent until it was first opened
	Schema       string
	HostID       cluster.HostID
	Datacenter   cluster.Datacenter
	Rack         cluster.Rack
	Release      string
}

// ParseGossip reads the text of the failure detector's
// AllEndpointStatesWithPort: an address line at the margin, then one indented
// line per state, NAME:VERSION:VALUE. The keys of the result are address:port.
// States nobody taught us are left out; a line that fits neither form is
// ErrNonsense.
func ParseGossip(text string) (map[string]PeerState, error) {
	peers := map[string]PeerState{}
	var at string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "":
		case line[0] != ' ':
			address, err := endpoint(line)
			if err != nil {
				return nil, err
			}
			at = address
			peers[at] = PeerState{}
		case at == "":
			return nil, fmt.Errorf("%w: gossip state %q before any address", ErrNonsense, line)
		default:
			p := peers[at]
			if err := p.learn(strings.TrimSpace(line)); err != nil {
				return nil, fmt.Errorf("gossip state of %s: %w", at, err)
			}
			peers[at] = p
		}
	}
	return peers, nil
}

// learn takes in one line of gossip.
func (p *PeerState) learn(line string) error {
	name, rest, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("%w: %q", ErrNonsense, line)
	}
	if name == "generation" {
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %q", ErrNonsense, line)
		}
		p.Generation = n
		return nil
	}
	_, value, _ := strings.Cut(rest, ":") // heartbeat has no version and is not kept
	switch name {
	case "STATUS_WITH_PORT":
		p.Status = firstPart(value)
	case "STATUS": // the old form, still sent beside the new one
		if p.Status == "" {
			p.Status = firstPart(value)
		}
	case "SEVERITY":
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("%w: %q", ErrNonsense, line)
		}
		p.Severity, p.SeveritySeen = v, true
	case "RPC_READY":
		p.RPCReady = value == "true"
	case "SCHEMA":
		p.Schema = value
	case "HOST_ID":
		p.HostID = cluster.HostID(value)
	case "DC":
		p.Datacenter = cluster.Datacenter(value)
	case "RACK":
		p.Rack = cluster.Rack(value)
	case "RELEASE_VERSION":
		p.Release = value
	}
	return nil
}

func firstPart(value string) string {
	word, _, _ := strings.Cut(value, ",")
	return word
}

// endpoint brings "/127.0.0.1:7000" and "host/127.0.0.1:7000" to the one form
// used in this house, address:port.
func endpoint(text string) (string, error) {
	text = text[strings.LastIndexByte(text, '/')+1:]
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return "", fmt.Errorf("%w: endpoint %q", ErrNonsense, text)
	}
	return at.String(), nil
}
