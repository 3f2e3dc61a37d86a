// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	"supervisor/internal/cassandra"
	"supervisor/residency"
)

// holdings asks this host's own Cassandra for an audit, by its admin interface and
// over CQL. What one of them does not tell is left out.
type holdings struct {
	admin   *cassandra.Admin
	cql     string // address of its native protocol
	options cassandra.SessionOptions
}

// hereMax bounds the keyspaces that are looked for one by one: each is three readings
// of all its tables.
const hereMax = 64

// Told asks for what q looks for.
func (h holdings) Told(ctx context.Context, q residency.Question) residency.Told {
	t := residency.Told{Version: q.Version, Read: []residency.Part{}}
	h.ofAdmin(ctx, q, &t)
	h.ofCQL(ctx, q, &t)
	return t
}

func (h holdings) ofAdmin(ctx context.Context, q residency.Question, t *residency.Told) {
	here, whole := q.Here, len(q.Here) <= hereMax
	if !whole {
		here = nil // some of them would pass for all
	}
	got, err := h.admin.Holdings(ctx, here)
	if err != nil {
		return
	}
	read := func(p residency.Part, known bool) bool {
		if known {
			t.Read = append(t.Read, p)
		}
		return known
	}
	if read(residency.PartStored, whole && got.Stored != nil) {
		t.Stored = map[string]int64{}
		for ks, bytes := range got.Stored { // order: into a map
			t.Stored[ks] = residency.RoundUp(bytes)
		}
	}
	if read(residency.PartWrites, whole && got.Written != nil) {
		t.Written = got.Written
	}
	if read(residency.PartSnapshots, whole && got.Snapshots != nil) {
		t.Snapshots = got.Snapshots
	}
	if read(residency.PartHints, got.HintsFor != nil) {
		t.HintsFor = got.HintsFor
	}
	if read(residency.PartTraces, got.Traced != nil) {
		t.Traces = *got.Traced
	}
	if read(residency.PartBatches, got.Batched != nil) {
		t.Batches = *got.Batched
	}
}

func (h holdings) ofCQL(ctx context.Context, q residency.Question, t *residency.Told) {
	o := h.options
	o.Consistency = cassandra.One
	s, err := cassandra.OpenSession(ctx, h.cql, o)
	if err != nil {
		return
	}
	defer s.Close()
	if connected, err := s.ConnectedTo(ctx); err == nil {
		t.Read = append(t.Read, residency.PartClients)
		t.Clients = slices.DeleteFunc(connected, func(ks string) bool { return !slices.Contains(q.Here, ks) })
	}
	if tables, err := s.CDCTables(ctx); err == nil {
		t.Read = append(t.Read, residency.PartCDC)
		t.CDC = slices.DeleteFunc(tables, func(table string) bool {
			ks, _, _ := strings.Cut(table, ".")
			return !slices.Contains(q.Restricted, ks)
		})
	}
}
