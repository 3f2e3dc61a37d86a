// SPDX-License-Identifier: Apache-2.0

//go:build example

package cluster_test

import (
	"os"
	"testing"
	"time"

	"supervisor/e2e/cluster"
	"supervisor/incident"
)

// TestMine is the example of docs/suite.md.
func TestMine(t *testing.T) {
	stop, err := cluster.StartDaemon(t.Context(), "/var/tmp/suite")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	c := cluster.Start(t, cluster.Options{Package: os.Getenv("SUPERVISOR_DEB"), Mode: incident.Auto})

	n1, n3 := c.Host("n1"), c.Host("n3")
	known, err := n1.Known(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n3.KillCassandra(t.Context()); err != nil {
		t.Fatal(err)
	}
	in, err := n1.AwaitIncident(t.Context(), n3.Name, known, 5*time.Minute, "n3 is back", cluster.Incident.Closed)
	if err != nil {
		t.Fatal(err)
	}
	story, _ := n1.Timeline(t.Context(), in.ID)
	t.Log(story)
}
