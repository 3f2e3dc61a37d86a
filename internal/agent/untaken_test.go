// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

func TestWhatIsRepeatedIsTold(t *testing.T) {
	for _, row := range []struct {
		why         string
		times       int
		every, wait time.Duration
		told        bool
	}{
		{"once", 1, 0, 0, false},
		{"a burst, as of a changed roster", 50, 10 * time.Millisecond, 0, false},
		{"every second", 11, time.Second, 0, true},
		{"every second, a minute ago", 11, time.Second, time.Minute, false},
		{"each hour", 50, time.Hour, 0, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			u, now := untaken{}, cluster.Moment(time.Hour)
			for i := range row.times {
				if i > 0 {
					now = now.Add(row.every)
				}
				u.told(now)
				u.note("it is malformed", now)
			}
			if got := u.told(now.Add(row.wait)); (got != "") != row.told {
				t.Errorf("told %q", got)
			}
		})
	}
	u := untaken{}
	for i := range 1000 {
		u.note(strings.Repeat("x", i), cluster.Moment(i))
	}
	if len(u) != untakenMax {
		t.Errorf("%d are remembered", len(u))
	}
}

// Somebody who holds the gossip key says that n3 is gone, in the names of hosts
// whose keys he has not, of one that is not on the roster, and by what he recorded.
func TestWhoIsNotWhoHeSaysIsToldOf(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		forged := func(by cluster.Name) []byte {
			dg := membership.Digest{Cluster: "demo", Observer: by, Boot: "forged", Seq: 1 << 40,
				Looks: []membership.Look{{Subject: "n3", Path: membership.CQL, Outcome: membership.Refused, Misses: 9, Held: time.Minute}}}
			b, err := dg.Encode(func(msg []byte) []byte { return ed25519.Sign(key, msg) })
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		before := r.touchedSoFar()
		for range 15 {
			for _, by := range []cluster.Name{"n1", "n2", "n9"} {
				_ = r.host("n2").mail.SendDigest([]cluster.Name{"n1"}, forged(by))
			}
			_ = r.host("n2").mail.SendDigest([]cluster.Name{"n1"}, []byte("no digest at all"))
			time.Sleep(time.Second)
		}
		r.host("n1").shows("DIGESTS_REFUSED")
		said := r.host("n1").snapshot().World.Agents["n1"]
		for _, tr := range said.Troubles {
			if tr.Code == "DIGESTS_REFUSED" && !strings.Contains(tr.Args["detail"], `it is malformed; it says it is of "n9", which is not on the roster with a key; it says it is of n1 and is not signed`) {
				t.Errorf("it says %q", tr.Args["detail"])
			}
		}
		if v := r.host("n1").snapshot().World.View.Verdicts["n3"]; v.Answer != membership.Alive {
			t.Errorf("n3 is %v", v.Answer)
		}
		if after := r.touchedSoFar(); after != before {
			t.Errorf("%d acts: %v", after-before, r.story)
		}
		r.wait("the finding ends", 2*time.Minute, func() bool { return !r.host("n1").finds("DIGESTS_REFUSED") })
	})
}
