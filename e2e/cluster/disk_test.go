// SPDX-License-Identifier: Apache-2.0

//go:build hosts

package cluster_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"supervisor/e2e/cluster"
)

// TestDisks tells of disks that are full, or turn read-only, and of a spare.
func TestDisks(t *testing.T) {
	c := tell(t, cluster.Options{HAProxy: true, Disk: 320 << 20, Spares: 1}, []story{
		{"a spare is empty, answers, and is no node", spare},
		{"a full disk takes its node out of the pool, and it is repaired when there is room again", diskFull},
	})
	if !t.Failed() {
		t.Run("a disk that turns read-only takes its node out, and its data never comes back by itself", func(t *testing.T) { diskReadOnly(t, c) })
	}
}

func spare(t *testing.T, c *cluster.Cluster) {
	s1 := c.Host("s1")
	var failed cluster.Failed
	if out, err := s1.Run(t.Context(), "systemctl", "is-active", "cassandra.service"); !errors.As(err, &failed) || strings.TrimSpace(out) != "inactive" {
		t.Errorf("its Cassandra is %q, %v", out, err)
	}
	if out, err := s1.Run(t.Context(), "sh", "-c", "ls -A /var/lib/cassandra/data /var/lib/cassandra/commitlog 2>/dev/null | grep -v '^$' | grep -v '^/' || true"); err != nil || strings.TrimSpace(out) != "" && strings.TrimSpace(out) != ".supervisor-disk-probe" {
		t.Errorf("it has data: %q, %v", out, err)
	}
	must(t, s1.AwaitStatus(t.Context(), time.Minute, "it knows the nodes", func(s cluster.Status) bool {
		return s.Store.Available && s.Nodes.Total == len(c.Hosts)
	}))
}

func diskFull(t *testing.T, c *cluster.Cluster) {
	n1, n2 := c.Host("n1"), c.Host("n2")
	before := known(t, n1)
	rows := write(t, c)
	must(t, n2.FillDisk(t.Context()))
	if err := n2.Flush(t.Context()); err == nil {
		t.Error("Cassandra flushed to a disk that is full")
	}
	drains(t, c, n1, n2, before)
	must(t, rows.Rewrite(t.Context(), n2))
	// What Cassandra does without room is Cassandra's affair: it ends, and does not
	// start however often it is tried, or it shuts its ports.
	in, err := n1.AwaitIncident(t.Context(), "n2", before, 3*time.Minute, "a person is asked", func(i cluster.Incident) bool {
		return i.Phase == "held" || i.Cause == "cql_dead" && i.Phase == "draining"
	})
	must(t, err)
	t.Logf("%s %s: %s", in.Cause, in.Phase, in.Held)
	must(t, n2.FreeDisk(t.Context()))
	out, err := n2.Run(t.Context(), "sh", "-c", dropEmptySegments)
	must(t, err)
	t.Logf("commit log segments without a word in them, removed: %q", out)
	if in.Phase == "held" {
		said, err := n1.Supervisor(t.Context(), "incident", "retry", in.ID, "--yes", "--reason", "there is room again")
		if err != nil {
			t.Fatal(said, err)
		}
	} else {
		must(t, n2.RestartCassandra(t.Context()))
	}
	if story := returns(t, c, n1, n2, before); !strings.Contains(story, "repaired") {
		t.Error("it was given back without a repair")
	}
	clean(t, c, rows, time.Time{})
}

// dropEmptySegments is what the operator does whose Cassandra says "Could not read commit
// log descriptor": a segment for whose beginning there was no room holds no write, and
// Cassandra does not start over it.
const dropEmptySegments = `cd /var/lib/cassandra/commitlog
for f in CommitLog-*.log; do
	if [ -z "$(head -c 16 "$f" | tr -d '\0')" ]; then echo "$f"; rm -- "$f"; fi
done`

func diskReadOnly(t *testing.T, c *cluster.Cluster) {
	n1, n3 := c.Host("n1"), c.Host("n3")
	before, process := known(t, n1), pid(t, n3)
	must(t, n3.DiskReadOnly(t.Context()))
	must(t, n1.AwaitStatus(t.Context(), time.Minute, "the disk is told of", func(s cluster.Status) bool { return s.Finds("DISK_WRITE_FAILED") }))
	// Cassandra goes on until it has to write a new file, and shuts its ports then.
	if err := n3.Flush(t.Context()); err == nil {
		t.Error("Cassandra flushed to a disk that is read-only")
	}
	in, err := n1.AwaitIncident(t.Context(), "n3", before, 2*time.Minute, "a person is asked", func(i cluster.Incident) bool { return i.Phase == "held" })
	must(t, err)
	t.Logf("%s held: %s", in.Cause, in.Held)
	if in.Cause != "disk_failed" {
		t.Errorf("the cause is %s", in.Cause)
	}
	must(t, c.AwaitProxy(t.Context(), "n3", "is drained", drained))
	must(t, n3.DiskWritable(t.Context()))
	lasts(t, 30*time.Second)
	states, err := c.ProxyStates(t.Context())
	must(t, err)
	if !drained(states["n3"]) || pid(t, n3) != process {
		t.Errorf("it came back by itself: %+v, process %s, was %s", states["n3"], pid(t, n3), process)
	}
	story, err := n1.Timeline(t.Context(), in.ID)
	must(t, err)
	t.Log(story)
}
