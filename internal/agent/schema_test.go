// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
)

// catalog is the schema of the whole cluster, and whether it can be read. region.mu
// guards it.
type catalog struct {
	version string
	closed  bool
}

// catalogReader reads it.
type catalogReader struct {
	fakeReader
	c *catalog
}

func (q catalogReader) Schema(ctx context.Context, addresses []string, known map[string]cluster.Name) (cluster.Schema, error) {
	s, err := q.fakeReader.Schema(ctx, addresses, known)
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	if q.c.closed {
		return cluster.Schema{}, errors.Join(errors.New("n1: bad credentials"), errors.New("n2: bad credentials"))
	}
	s.Version = q.c.version
	return s, err
}

// catalogAdmin tells which one stands.
type catalogAdmin struct {
	Admin
	r *region
	c *catalog
}

func (q catalogAdmin) State(ctx context.Context) (cassandra.NodeState, error) {
	s, err := q.Admin.State(ctx)
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	s.Schema = q.c.version
	return s, err
}

// cataloged starts all agents anew, before such a cluster.
func (r *region) cataloged(c *catalog) {
	r.t.Helper()
	for _, n := range names {
		r.halt(n, true)
		r.start(n, func(o *Options) {
			o.Reader, o.Admin = catalogReader{o.Reader.(fakeReader), c}, catalogAdmin{o.Admin, r, c}
			o.Observer = stale{o.Observer}
		})
	}
}

// stale is an observer that has not read the admin interface: its agent asks itself.
type stale struct{ Observer }

func (stale) State() (cassandra.NodeState, time.Duration, bool) {
	return cassandra.NodeState{}, 0, false
}

func TestARingThatCannotBeReadIsTold(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		c := &catalog{version: "v1", closed: true}
		r.cataloged(c)
		r.wait("a line of the log", 20*time.Second, func() bool { return r.host("n2").logged("bad credentials") })
		r.host("n2").announces("SCHEMA_UNREAD")
		r.wait("the finding at the leader, of all", 20*time.Second, func() bool {
			told := 0
			for _, f := range r.leader().snapshot().Findings {
				if f.Code == "SCHEMA_UNREAD" && strings.HasSuffix(f.Sentence, "n1: bad credentials; n2: bad credentials") {
					told++
				}
			}
			return told == len(names)
		})
		r.crash("n3")
		time.Sleep(5 * time.Minute)
		if r.count("n3 start") != 0 {
			t.Errorf("a return began without ring and schema: %v", r.story)
		}
		r.change(func() { c.closed = false })
		r.awaitClosed(1, 5*time.Minute)
		r.wait("the finding gone", 30*time.Second, func() bool { return !r.leader().finds("SCHEMA_UNREAD") })
	})
}

// A reading that is not followed by others is of a schema that may be gone.
func TestAReturnWaitsForTheSchemaThatStands(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		c := &catalog{version: "v1"}
		r.cataloged(c)
		r.wait("settled", time.Minute, r.settled)
		r.change(func() { c.closed = true })
		time.Sleep(time.Minute)
		r.change(func() { c.version = "v2" })
		time.Sleep(10 * time.Second)
		r.crash("n3")
		time.Sleep(5 * time.Minute)
		if rec, open := r.open(); !open || rec.Waits != incident.RulePreflight || r.count("n3 start") != 0 {
			t.Errorf("by a reading of v1: open %v, waits for %s, %v", open, rec.Waits, r.story)
		}
		r.change(func() { c.closed = false })
		r.awaitClosed(1, 5*time.Minute)
	})
}

// A change of the schema while everybody can read costs one reading.
func TestASchemaThatChangesDuringAnIncidentHoldsItUpOnce(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		c := &catalog{version: "v1"}
		r.cataloged(c)
		r.wait("settled", time.Minute, r.settled)
		r.crash("n3")
		r.change(func() { c.version = "v2" })
		r.wait("the start", 30*time.Second, func() bool { return r.count("n3 start") == 1 })
		r.awaitClosed(1, 5*time.Minute)
	})
}
