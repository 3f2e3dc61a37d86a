// SPDX-License-Identifier: Apache-2.0

//go:build cassandra

package cassandra

import (
	"fmt"
	"testing"
	"time"
)

// Every name that Load rests on is one of this release, and what a repair does
// there is seen: its session while it runs, what moved after it.
func TestRealLoad(t *testing.T) {
	nodes := realNodes(t)
	a := adminOf(t, nodes[0])
	before, err := a.Load(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if before.Sessions < 0 {
		t.Error("the release does not tell its repair sessions")
	}
	for i, name := range []string{"CurrentStreams", "Compactions", "TotalIncomingBytes", "TotalOutgoingBytes", "99thPercentile"} {
		asks := []request{
			{Type: "read", MBean: streamManager, Attribute: name},
			{Type: "read", MBean: compactionManager, Attribute: name},
			{Type: "read", MBean: metrics + "type=Streaming,name=" + name, Attribute: "Count"},
			{Type: "read", MBean: metrics + "type=Streaming,name=" + name, Attribute: "Count"},
			{Type: "read", MBean: metrics + "type=ClientRequest,scope=Read,name=Latency", Attribute: name},
		}
		got, err := a.bulk(within(t, 5*time.Second), a.o.ReadMax, asks[i])
		if err != nil || got[0].fault() != nil {
			t.Errorf("%s: %v, %v", name, err, got)
		}
	}
	cmd, err := a.StartRepair(within(t, 10*time.Second), "system_auth", RepairOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	eventually(t, 2*time.Minute, func() error {
		l, err := a.Load(within(t, 5*time.Second))
		seen = seen || l.Sessions > before.Sessions
		if err != nil {
			return err
		}
		s, err := a.RepairStatus(within(t, 5*time.Second), cmd)
		if err != nil || s.Phase != Completed && s.Phase != Failed {
			return fmt.Errorf("the repair goes on: %v, %w", s.Phase, err)
		}
		return nil
	})
	after, err := a.Load(within(t, 10*time.Second))
	if err != nil || after.Moved == before.Moved {
		t.Errorf("nothing moved in a repair: %+v, then %+v, %v", before, after, err)
	}
	if !seen {
		t.Error("the session of a repair was not seen while it ran")
	}
}
