// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"supervisor/cluster"
)

// Gossip is this agent in the pool of its region. Its methods may be called
// by several goroutines.
type Gossip struct {
	o      Options
	list   *memberlist.Memberlist
	roll   *roll
	inbox  *inbox
	clocks *clocks

	strangers strangers

	mu     sync.Mutex
	seeds  map[cluster.Name]netip.AddrPort
	wake   chan struct{} // capacity 1: the seeds changed
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	closed error // of Close
}

// Start listens and is a pool of one; Join makes it more. Close it.
func Start(o Options) (*Gossip, error) { return StartOver(o, nil) }

// StartOver is Start over another network than the host's, for those who measure
// agents on one that loses and delays; nil is the host's.
func StartOver(o Options, network memberlist.Transport) (*Gossip, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("gossip options: %w", err)
	}
	g := &Gossip{o: o, roll: newRoll(o), inbox: newInbox(o.InboxMax), clocks: newClocks(), wake: make(chan struct{}, 1)}
	cfg, err := g.config()
	if err != nil {
		return nil, err
	}
	if network != nil {
		cfg.Transport = network
	}
	if g.list, err = memberlist.Create(cfg); err != nil {
		return nil, fmt.Errorf("gossip at %v: %w", o.Bind, err)
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.wg.Go(g.keepJoined)
	return g, nil
}

// config is memberlist's preset for a LAN with what must differ.
func (g *Gossip) config() (*memberlist.Config, error) {
	keys, err := ReadKeys(g.o.KeyFile)
	if err != nil {
		return nil, err
	}
	self, err := g.o.meta()
	if err != nil || len(self) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("cluster and region: %d bytes, at most %d: %w", len(self), memberlist.MetaMaxSize, err)
	}
	ring, err := memberlist.NewKeyring(keys, keys[0])
	if err != nil {
		return nil, fmt.Errorf("gossip key %s: %w", g.o.KeyFile, err)
	}
	c := memberlist.DefaultLANConfig()
	c.Name = string(g.o.Name)
	c.BindAddr, c.BindPort = g.o.Bind.Addr().String(), int(g.o.Bind.Port())
	c.AdvertiseAddr, c.AdvertisePort = c.BindAddr, c.BindPort
	c.Label, c.Keyring = g.o.label(), ring
	c.GossipVerifyIncoming, c.GossipVerifyOutgoing = true, true
	c.CIDRsAllowed = networks(g.o.Allowed)
	c.DeadNodeReclaimTime = g.o.ReclaimAfter
	c.RequireNodeNames = true
	// A round of gossip carries news of members only, and each one wakes a quiet
	// process. Ours travel by SendBestEffort and wait for no round.
	c.GossipInterval = 400 * time.Millisecond
	// The full exchange is what brings a name back that a peer once refused:
	// its owner sees all of us as members and does not join again. In a pool of a
	// thousand it is most of what an agent writes (docs/alarms.md).
	c.PushPullInterval = 15 * time.Second
	// Who is asked to look at a member that does not answer says after another such
	// time that it has none either. With the preset of half an interval that word comes a
	// moment after the probe ended, and who asked takes himself for unwell: a lost host
	// would silence those who look at it, on three nodes both.
	c.ProbeTimeout = 2 * c.ProbeInterval / 5
	// One dead seed must not hold the others up for the 10 s of the preset.
	c.TCPTimeout = 2 * time.Second
	// What we send is small, and compressing it costs more than it saves.
	c.EnableCompression = false
	c.Delegate = delegate{g.inbox, self}
	c.Ping = g.clocks
	c.Events, c.Alive, c.Merge, c.Conflict = g.roll, g.roll, g.roll, g.roll
	c.Logger = log.New(levels{g.o.Logger.Named("gossip"), &g.strangers}, "", 0)
	return c, nil
}

func networks(prefixes []netip.Prefix) []net.IPNet {
	var all []net.IPNet
	for _, p := range prefixes {
		p = p.Masked()
		all = append(all, net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
	}
	return all
}

// Join names the hosts this agent wants to be with, usually the roster; it
// replaces what was named before and never waits. In the background they are
// tried again for as long as one is missing. A host without a usable gossip
// address is not reached for; it may still come by itself.
func (g *Gossip) Join(hosts []cluster.Host) {
	seeds := make(map[cluster.Name]netip.AddrPort, len(hosts))
	for _, h := range hosts {
		if at, err := netip.ParseAddrPort(h.Gossip); err == nil && h.Name != g.o.Name {
			seeds[h.Name] = at
		}
	}
	g.mu.Lock()
	same := maps.Equal(g.seeds, seeds)
	g.seeds = seeds
	g.mu.Unlock()
	if same {
		return // naming them again is no reason to hurry
	}
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// keepJoined reaches for missing seeds, one at a time.
func (g *Gossip) keepJoined() {
	for {
		for _, name := range g.missing() {
			if g.ctx.Err() != nil {
				return
			}
			// Each one is an exchange of all that both know, and the first that is
			// reached brings the others mostly.
			if seed, still := g.seed(name); still {
				// Its error is not of interest: who is not reached stays missing.
				_, _ = g.list.Join([]string{seed})
			}
		}
		// Up to half the pause is chance, so that a whole pool that starts at
		// once does not join in step.
		t := time.NewTimer(g.o.RejoinEvery - rand.N(g.o.RejoinEvery/2))
		select {
		case <-t.C:
		case <-g.wake:
		case <-g.ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// missing lists the seeds who are no members.
func (g *Gossip) missing() []cluster.Name {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []cluster.Name
	for _, name := range slices.Sorted(maps.Keys(g.seeds)) {
		if _, here := g.roll.find(name); !here {
			all = append(all, name)
		}
	}
	return all
}

// seed is a seed as memberlist wants it named; false: it is none any more, or a
// member by now.
func (g *Gossip) seed(name cluster.Name) (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, named := g.seeds[name]
	_, here := g.roll.find(name)
	return string(name) + "/" + at.String(), named && !here
}

// SendDigest sends a signed digest to each named host, once, by UDP. It may
// be lost on the way without a sign. A host that is no member is sent to where the
// roster has it: an agent that hears nobody takes all others for dead, and its own
// word still reaches them. Who is not known at all is in the error; the others got theirs.
func (g *Gossip) SendDigest(to []cluster.Name, digest []byte) error {
	if len(digest) == 0 || len(digest) > DigestMax {
		return fmt.Errorf("send digest of %d bytes: 1 to %d", len(digest), DigestMax)
	}
	return g.send(to, encode(kindDigest, digest))
}

// LookNow asks each named member to look at subject without waiting for its
// next round. It is a hint: anybody in the pool may give it, it may be lost,
// and it changes nothing but the moment of a look.
func (g *Gossip) LookNow(to []cluster.Name, subject cluster.Name) error {
	if subject == "" || len(subject) > nameMax {
		return fmt.Errorf("ask for a look at %q: a name of 1 to %d bytes", subject, nameMax)
	}
	return g.send(to, encode(kindLookNow, []byte(subject)))
}

// address is where a host is sent to.
func (g *Gossip) address(name cluster.Name) (memberlist.Node, bool) {
	if node, here := g.roll.find(name); here {
		return node, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	at, named := g.seeds[name]
	return memberlist.Node{Name: string(name), Addr: at.Addr().AsSlice(), Port: at.Port()}, named
}

func (g *Gossip) send(to []cluster.Name, packet []byte) error {
	var faults []error
	for _, name := range to {
		node, known := g.address(name)
		if !known {
			faults = append(faults, fmt.Errorf("send to %s: no member", name))
			continue
		}
		if name == g.o.Name {
			g.inbox.put(packet) // not through the network: it may be what is down
			continue
		}
		if err := g.list.SendBestEffort(&node, packet); err != nil {
			faults = append(faults, fmt.Errorf("send to %s: %w", name, err))
		}
	}
	return errors.Join(faults...)
}

// Ready is ready when there is mail to Take.
func (g *Gossip) Ready() <-chan struct{} { return g.inbox.ready }

// Take empties the mailbox: digests, oldest first (who sent them is in their
// signature), and the nodes somebody asks to be looked at now, each once.
func (g *Gossip) Take() (digests [][]byte, lookNow []cluster.Name) { return g.inbox.take() }

// Dropped counts what did not get into the mailbox or was pushed out of it.
func (g *Gossip) Dropped() Dropped { return g.inbox.counts() }

// Members is who is there by memberlist's belief, sorted by name.
func (g *Gossip) Members() []Member { return g.roll.list() }

// Conflicts are the names that two agents use, sorted.
func (g *Gossip) Conflicts() []Conflict { return g.roll.conflicts() }

// Health is 0 when this agent answers in time by its own measure; above 0 it
// is unwell and abstains. It only ever says something about this agent.
func (g *Gossip) Health() int { return g.list.GetHealthScore() }

// Unwell is true while Health is above 0.
func (g *Gossip) Unwell() bool { return g.Health() > 0 }

// Close says farewell, so that the others do not suspect a failure, and ends
// everything. It is bounded by LeaveMax and a dial in progress (2 s). A second
// call returns what the first did.
func (g *Gossip) Close() error {
	g.once.Do(func() { g.closed = g.close() })
	return g.closed
}

func (g *Gossip) close() error {
	g.cancel()
	g.wg.Wait()
	err := g.list.Leave(g.o.LeaveMax)
	if err != nil {
		err = fmt.Errorf("leave the pool: %w", err)
	}
	if shut := g.list.Shutdown(); shut != nil {
		err = errors.Join(err, fmt.Errorf("stop gossip: %w", shut))
	}
	return err
}
