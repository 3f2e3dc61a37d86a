// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// Members whose keys stop to fit each other, as in a change of keys that went
// wrong, send packets; who never met opens a stream.
func TestAPacketThatCannotBeReadNamesItsSender(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, NewKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.ListenPacket("udp", "127.0.79.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	o := DefaultOptions("n1", "orders", "eu", netip.MustParseAddrPort(free.LocalAddr().String()), path, netip.MustParsePrefix("127.0.79.0/24"))
	g, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for i, row := range []struct {
		first byte // the encryption's version
		why   string
	}{
		{1, "its gossip key differs"},
		{77, "its packets are not encrypted as an agent's are"},
	} {
		from, err := net.ListenPacket("udp", fmt.Sprintf("127.0.79.%d:0", i+2))
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		packet := make([]byte, 100)
		packet[0] = row.first
		packet, err = memberlist.AddLabelHeaderToPacket(packet, o.label())
		if err != nil {
			t.Fatal(err)
		}
		want := Stranger{netip.MustParseAddrPort(from.LocalAddr().String()).Addr(), row.why}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if _, err := from.WriteTo(packet, net.UDPAddrFromAddrPort(o.Bind)); err != nil {
				t.Fatal(err)
			}
			if all := g.Strangers(); len(all) == i+1 && all[i] == want {
				break
			} else if time.Now().After(end) {
				t.Fatalf("told of %v, want %v among them", all, want)
			}
		}
	}
}

func TestStrangersAreForgottenAndBounded(t *testing.T) {
	began := time.Now()
	line := func(n int) string {
		return fmt.Sprintf("[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=10.0.%d.%d:7946", n/256, n%256)
	}
	var s strangers
	for n := range 1000 {
		s.note(line(n), began)
	}
	if n := len(s.list(began)); n != strangersMax {
		t.Errorf("%d are remembered, want %d", n, strangersMax)
	}
	s.note(line(3), began.Add(time.Second))
	if all := s.list(began.Add(strangerFor)); len(all) != 1 || all[0].At != netip.MustParseAddr("10.0.0.3") {
		t.Errorf("after a minute told of %v, want only who was heard since", all)
	}
	if s.note("[ERR] memberlist: failed to receive: EOF from=10.0.0.9:7946", began) || s.note("[ERR] memberlist: Push/Pull with n2 failed: no", began) {
		t.Error("a stream that broke off is taken for a stranger's")
	}
}
