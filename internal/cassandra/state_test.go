// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"errors"
	"testing"
)

func stateFrom(t *testing.T, name string) NodeState {
	t.Helper()
	s, err := recorded(t, name).State(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStateOfAHealthyNode(t *testing.T) {
	s := stateFrom(t, "normal.json")
	if s.OperationMode != "NORMAL" || s.ClusterName != "roomcass" || s.Release != "5.0.9" || s.Tokens != 4 ||
		!s.Gossip || !s.CQL || !s.DynamicSnitch || s.Drained || len(s.Moving) != 0 {
		t.Errorf("itself: %+v", s)
	}
	if s.Address != "127.0.8.1:7000" || s.Self.HostID != s.HostID || s.Self.Generation == 0 {
		t.Errorf("its own gossip: %q %+v", s.Address, s.Self)
	}
	if len(s.Seeds) != 2 || s.Seeds[0] != "127.0.8.2:7000" {
		t.Errorf("seeds: %v", s.Seeds)
	}
	p := s.Peers["127.0.8.3:7000"]
	if len(s.Peers) != 2 || !p.Up || p.Status != StatusNormal || !p.PhiSeen || p.Phi <= 0 || p.Phi > 2 || p.SeveritySeen ||
		!p.RPCReady || p.Datacenter != "dc1" || p.Rack != "rack3" || p.Release != "5.0.9" || p.HostID == "" || p.Schema == "" {
		t.Errorf("peer: %+v of %d", p, len(s.Peers))
	}
}

func TestAHibernatingPeerIsDownThoughItsPhiIsLow(t *testing.T) {
	s := stateFrom(t, "peer-hibernates.json")
	p := s.Peers["127.0.8.3:7000"]
	if p.Up || p.Status != StatusHibernate || !p.PhiSeen || p.Phi > 2 || p.RPCReady {
		t.Errorf("got %+v", p)
	}
	if other := s.Peers["127.0.8.2:7000"]; !other.SeveritySeen || other.Severity != 50 {
		t.Errorf("severity of the other peer: %+v", other)
	}
}

func TestAHibernatingNodeCallsItselfStarting(t *testing.T) {
	s := stateFrom(t, "hibernating.json")
	if s.OperationMode != "STARTING" || s.CQL || !s.Gossip || s.Self.Status != StatusHibernate || len(s.Peers) != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestAKilledPeersPhiGoesOnRising(t *testing.T) {
	p := stateFrom(t, "peer-killed.json").Peers["127.0.8.3:7000"]
	if p.Up || p.Phi < 8 || p.Status != StatusNormal {
		t.Errorf("got %+v", p)
	}
}

func TestANodeThatOnlyRemembersItsPeers(t *testing.T) {
	s := stateFrom(t, "before-gossip.json")
	if s.Gossip || s.Address != "" || len(s.Peers) != 2 {
		t.Fatalf("got %+v", s)
	}
	for address, p := range s.Peers {
		if p.Up || p.Generation != 0 || p.Status != "" || p.PhiSeen {
			t.Errorf("%s: %+v, want a peer never heard", address, p)
		}
	}
}

func TestAProcessThatHasOnlyBegunToStartIsAbsent(t *testing.T) {
	if _, err := recorded(t, "before-beans.json").State(context.Background()); !Absent(err) {
		t.Fatalf("got %v", err)
	}
}

func TestANodeWithoutADynamicSnitchStillHasAState(t *testing.T) {
	rows := recorded(t, "normal.json")
	got, err := rows.bulk(context.Background(), rows.o.ReadMax, make([]request, 4)...)
	if err != nil {
		t.Fatal(err)
	}
	got[2] = answer{Status: 404, ErrorType: "javax.management.InstanceNotFoundException"}
	if s, err := stateOf(got); err != nil || s.DynamicSnitch || s.OperationMode != "NORMAL" {
		t.Errorf("got %+v, %v", s, err)
	}
	got[0].Value = []byte(`{"OperationMode":"ERROR: java.lang.NullPointerException","Tokens":"ERROR: x","GossipRunning":true}`)
	if s, err := stateOf(got); err != nil || s.OperationMode != "" || s.Tokens != 0 || !s.Gossip {
		t.Errorf("an attribute that threw must read as not known: %+v, %v", s, err)
	}
}

func TestParseGossip(t *testing.T) {
	rows := []struct {
		why, text string
		want      map[string]PeerState // nil: nonsense
	}{
		{"nobody was heard yet", "", map[string]PeerState{}},
		{"a status with colons and commas keeps its first word",
			"/[2001:db8::1]:7000\n  generation:7\n  STATUS_WITH_PORT:27:BOOT_REPLACE,127.0.0.9:7000\n",
			map[string]PeerState{"[2001:db8::1]:7000": {Generation: 7, Status: "BOOT_REPLACE"}}},
		{"the new form of the status wins whichever comes first",
			"a/127.0.0.1:7000\n  STATUS:1:NORMAL,1\n  STATUS_WITH_PORT:2:hibernate,true\n",
			map[string]PeerState{"127.0.0.1:7000": {Status: StatusHibernate}}},
		{"and the old one is used where it stands alone",
			"/127.0.0.1:7000\n  STATUS:1:shutdown,true\n  TOKENS: not present\n  NEW_STATE:3:x\n",
			map[string]PeerState{"127.0.0.1:7000": {Status: StatusShutdown}}},
		{"a state before any address", "  generation:7\n", nil},
		{"an address that is none", "/somewhere\n", nil},
		{"a generation that is no number", "/127.0.0.1:7000\n  generation:x\n", nil},
		{"a severity that is no number", "/127.0.0.1:7000\n  SEVERITY:4:high\n", nil},
		{"a line without a colon", "/127.0.0.1:7000\n  hello\n", nil},
	}
	for _, row := range rows {
		got, err := ParseGossip(row.text)
		if (err != nil) != (row.want == nil) || err != nil && !errors.Is(err, ErrNonsense) {
			t.Errorf("%s: %v", row.why, err)
			continue
		}
		for address, want := range row.want {
			if got[address] != want || len(got) != len(row.want) {
				t.Errorf("%s: got %+v", row.why, got)
			}
		}
	}
}

func FuzzParseGossip(f *testing.F) {
	f.Add("/127.0.8.1:7000\n  generation:1795329490\n  STATUS_WITH_PORT:27:NORMAL,-46\n  TOKENS:26:<hidden>\n")
	f.Fuzz(func(t *testing.T, text string) {
		if peers, err := ParseGossip(text); err != nil && (peers != nil || !errors.Is(err, ErrNonsense)) {
			t.Fatalf("%v, %v", peers, err)
		}
	})
}
