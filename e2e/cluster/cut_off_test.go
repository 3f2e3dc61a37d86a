// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"strings"
	"testing"
	"time"

	"supervisor/e2e/cluster"
)

// cutFromRing freezes a host for longer than its peers wait for it: they cut it off from
// the ring, and whoever wakes up on it is ended before it is let in again.
func cutFromRing(t *testing.T, c *cluster.Cluster) {
	n1, n2, n3 := c.Host("n1"), c.Host("n2"), c.Host("n3")
	known, before, rows, began := freezes(t, c)
	in, err := n1.AwaitIncident(t.Context(), "n3", known, time.Minute, "the cut is proven", func(i cluster.Incident) bool { return strings.Contains(i.Held, "is cut off from the ring") })
	must(t, err)
	t.Logf("cut off after %.1f s: %s, %s", time.Since(began).Seconds(), in.Phase, in.Held)
	for _, h := range []*cluster.Host{n1, n2} {
		out, err := h.Supervisor(t.Context(), "port-guard", "show")
		must(t, err)
		if !strings.Contains(out, n3.Address.String()) {
			t.Errorf("%s does not keep %s out: %s", h.Name, n3.Address, out)
		}
	}
	must(t, rows.Rewrite(t.Context(), n3))
	woke := time.Now()
	must(t, n3.Thaw(t.Context()))
	_, story := closed(t, n1, n3, known, 5*time.Minute)
	for _, want := range []string{"cut n3 off", "n3 is cut off", "is heard again behind its cut", "nothing runs on n3", "start n3, hibernate"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q", want)
		}
	}
	if after := pid(t, n3); after == before {
		t.Errorf("process %s goes on, which stood still behind its cut", after)
	}
	clean(t, c, rows, woke)
	for _, h := range c.Hosts {
		out, err := h.Supervisor(t.Context(), "port-guard", "show")
		must(t, err)
		if !strings.Contains(out, "nothing") {
			t.Errorf("%s keeps something closed: %s", h.Name, out)
		}
	}
}
