// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
)

// Options are complete: nothing is defaulted later. DefaultOptions fills in
// what has a good default.
type Options struct {
	Name    cluster.Name   // of this host
	Cluster string         // with Region it is the label: agents of another pool are not even heard
	Region  cluster.Region //
	Bind    netip.AddrPort // where this agent listens and is reached, UDP and TCP
	// Allowed are the networks members may stand in, at least one.
	Allowed []netip.Prefix
	// KeyFile holds AES-256 keys, see ReadKeys. There is no way to run without.
	KeyFile string
	// InboxMax bounds the digests that wait to be taken; the oldest go first.
	InboxMax int
	// RejoinEvery is the pause between two tries to reach missing seeds. A cut
	// that outlasts memberlist's memory of the dead heals only this way.
	RejoinEvery time.Duration
	// ReclaimAfter is how long a name must be dead before it is accepted with
	// a new address; a host that left is replaced at once.
	ReclaimAfter time.Duration
	LeaveMax     time.Duration // Close waits so long for its farewell to go out
	Logger       *zap.Logger   // memberlist's warnings and errors go here
}

// DefaultOptions are those of host name at bind, whose members stand in the
// allowed networks.
func DefaultOptions(name cluster.Name, clusterName string, region cluster.Region, bind netip.AddrPort, keyFile string, allowed ...netip.Prefix) Options {
	return Options{
		Name: name, Cluster: clusterName, Region: region, Bind: bind, Allowed: allowed, KeyFile: keyFile,
		InboxMax: 1024, RejoinEvery: 2 * time.Second, ReclaimAfter: 30 * time.Second, LeaveMax: 5 * time.Second,
		Logger: zap.NewNop(),
	}
}

// labelMax is memberlist's bound of a label, in bytes.
const labelMax = 255

// check reports every fault at once.
func (o Options) check() error {
	var faults []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	must(o.Name != "", "name: empty")
	must(o.Cluster != "" && !strings.Contains(o.Cluster, "/"), "cluster %q: not empty, without slash", o.Cluster)
	must(o.Region != "" && !strings.Contains(string(o.Region), "/"), "region %q: not empty, without slash", o.Region)
	must(len(o.label()) <= labelMax, "cluster and region: together %d bytes, at most %d", len(o.label()), labelMax)
	must(o.Bind.IsValid() && o.Bind.Port() != 0, "bind %v: an address with a port", o.Bind)
	must(!o.Bind.Addr().IsUnspecified(), "bind %v: one address, the others are told it", o.Bind)
	must(len(o.Allowed) > 0, "allowed networks: at least one")
	inside := false
	for _, p := range o.Allowed {
		must(p.IsValid(), "allowed networks: %v", p)
		inside = inside || p.Contains(o.Bind.Addr())
	}
	must(inside, "allowed networks: %v does not stand in any", o.Bind.Addr())
	must(o.KeyFile != "", "key file: missing; gossip is always encrypted")
	must(o.InboxMax >= 16 && o.InboxMax <= 1<<16, "inbox %d: 16 to 65536", o.InboxMax)
	must(o.RejoinEvery >= 100*time.Millisecond, "rejoin every %v: at least 100 ms", o.RejoinEvery)
	must(o.ReclaimAfter > 0, "reclaim after %v: above 0", o.ReclaimAfter)
	must(o.LeaveMax > 0 && o.LeaveMax <= time.Minute, "longest leave %v: above 0, at most 1 min", o.LeaveMax)
	must(o.Logger != nil, "logger: missing")
	return errors.Join(faults...)
}

// label keeps pools of different clusters and regions apart, also when they
// share a key and a network. It is authenticated by the encryption.
func (o Options) label() string { return "supervisor/" + o.Cluster + "/" + string(o.Region) }
