// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"supervisor/cluster"
)

func TestOnlyAgentsOfThisClusterAndRegionAreAdmitted(t *testing.T) {
	t.Parallel()
	r := newRoll(Options{Cluster: "orders", Region: "eu"})
	for _, c := range []struct {
		why, meta string
		admitted  bool
	}{
		{"one of ours", `{"wire":1,"cluster":"orders","region":"eu"}`, true},
		{"one of ours that speaks a later wire", `{"wire":2,"cluster":"orders","region":"eu","more":1}`, true},
		{"the same region of another cluster", `{"wire":1,"cluster":"audit","region":"eu"}`, false},
		{"another region of our cluster", `{"wire":1,"cluster":"orders","region":"us"}`, false},
		{"an application that says nothing", ``, false},
		{"an application that says something else", `hello`, false},
	} {
		n := &memberlist.Node{Name: "n9", Meta: []byte(c.meta)}
		if err := r.NotifyAlive(n); (err == nil) != c.admitted {
			t.Errorf("%s: %v", c.why, err)
		}
		if err := r.NotifyMerge([]*memberlist.Node{{Name: "n1", Meta: []byte(`{"cluster":"orders","region":"eu"}`)}, n}); (err == nil) != c.admitted {
			t.Errorf("%s, in a pool that wants to merge: %v", c.why, err)
		}
	}
}

func TestTheRollKeepsCopies(t *testing.T) {
	t.Parallel()
	r := newRoll(Options{})
	n := &memberlist.Node{Name: "n1", Addr: []byte{127, 0, 0, 1}, Port: 7}
	r.NotifyJoin(n)
	n.Addr[3], n.Port = 9, 9 // memberlist moves the node under its own lock
	if got := r.list(); len(got) != 1 || got[0].Addr != netip.MustParseAddrPort("127.0.0.1:7") {
		t.Errorf("members are %v, want what was announced", got)
	}
}

// TestADeadHostIsReplacedAtAnotherAddress lets a host die without a farewell;
// its name is not free before it is known dead and ReclaimAfter is over.
func TestADeadHostIsReplacedAtAnotherAddress(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "gossip.key")
	if err := os.WriteFile(key, NewKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	begin := func(name cluster.Name, at string) *Gossip {
		o := DefaultOptions(name, "orders", "eu", netip.MustParseAddrPort(at), key, netip.MustParsePrefix("127.0.77.0/24"))
		o.RejoinEvery, o.ReclaimAfter = 100*time.Millisecond, 500*time.Millisecond
		g, err := Start(o)
		if err != nil {
			t.Fatalf("start: %v", err)
		}
		t.Cleanup(func() { g.Close() })
		return g
	}
	at := func(g *Gossip, name cluster.Name, addr string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if n, ok := g.roll.find(name); ok && addrOf(&n) == netip.MustParseAddrPort(addr) {
				return
			}
		}
		t.Fatalf("%s never stood at %s: members %v, conflicts %v", name, addr, g.Members(), g.Conflicts())
	}
	host := begin("n1", "127.0.77.61:7961")
	dead := begin("n2", "127.0.77.62:7962")
	dead.Join([]cluster.Host{{Name: "n1", Gossip: host.o.Bind.String()}})
	at(host, "n2", "127.0.77.62:7962")
	dead.once.Do(func() { // dies: no farewell
		dead.cancel()
		dead.wg.Wait()
		dead.closed = dead.list.Shutdown()
	})
	next := begin("n2", "127.0.77.63:7963")
	next.Join([]cluster.Host{{Name: "n1", Gossip: host.o.Bind.String()}, {Name: "n8", Gossip: "nowhere"}})
	at(host, "n2", "127.0.77.63:7963")
	if c := host.Conflicts(); len(c) != 0 {
		t.Errorf("conflicts %v are left after the name was taken over", c)
	}
}
