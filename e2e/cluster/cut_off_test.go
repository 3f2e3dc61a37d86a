// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/e2e/cluster"
)

// cutFromRing freezes a host for longer than its peers wait for it: they cut it off from
// the ring, and whoever wakes up on it is ended before it is let in again.
func cutFromRing(leads bool) func(*testing.T, *cluster.Cluster) {
	return func(t *testing.T, c *cluster.Cluster) {
		f := freezes(t, c, leads)
		cutProven(t, c, f.host, f.began, f.known)
		must(t, f.rows.Rewrite(t.Context(), f.host))
		must(t, f.host.Thaw(t.Context()))
		letIn(t, f.at, f.host, f.known, f.before)
		clean(t, c, f.rows, time.Time{}) // it refused its clients from its first moment on
		nothingClosed(t, c)
	}
}

// cutProven waits until its peers cut a host off, and looks into their kernels.
func cutProven(t *testing.T, c *cluster.Cluster, about *cluster.Host, began time.Time, known map[string]bool) {
	t.Helper()
	peers := slices.DeleteFunc(slices.Clone(c.Hosts), func(h *cluster.Host) bool { return h == about })
	in, err := peers[0].AwaitIncident(t.Context(), about.Name, known, time.Minute, "the cut is proven", func(i cluster.Incident) bool { return strings.Contains(i.Held, "is cut off from the ring") })
	must(t, err)
	t.Logf("cut off after %.1f s: %s, %s", time.Since(began).Seconds(), in.Phase, in.Held)
	for _, h := range peers {
		out, err := h.Supervisor(t.Context(), "port-guard", "show")
		must(t, err)
		if !strings.Contains(out, about.Address.String()) {
			t.Errorf("%s does not keep %s out: %s", h.Name, about.Address, out)
		}
	}
}

// letIn waits until a host that was cut off serves again, by another process than before.
func letIn(t *testing.T, at, about *cluster.Host, known map[string]bool, before string) {
	t.Helper()
	_, story := closed(t, at, about, known, 5*time.Minute)
	n := string(about.Name)
	for _, want := range []string{"cut " + n + " off", n + " is cut off", "is heard again behind its cut", "nothing runs on " + n, "start " + n + ", hibernate"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q", want)
		}
	}
	if after := pid(t, about); after == before {
		t.Errorf("process %s goes on, which was cut off", after)
	}
}

// nothingClosed wants no host to keep anybody out.
func nothingClosed(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for _, h := range c.Hosts {
		out, err := h.Supervisor(t.Context(), "port-guard", "show")
		must(t, err)
		if !strings.Contains(out, "nothing") {
			t.Errorf("%s keeps something closed: %s", h.Name, out)
		}
	}
}
