// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// Gate answers this host's gate; the gate of another host is turned away.
func (a *Agent) Gate(ctx context.Context, q api.GateQuestion) (isolate.Answer, error) {
	if q.Node != a.o.Self {
		return isolate.Answer{}, fmt.Errorf("answer the gate of %s: this is the agent of %s", q.Node, a.o.Self)
	}
	return ask(ctx, a, func(d *desk) isolate.Answer { return d.gate(q.Waited) })
}

func (d *desk) gate(waited time.Duration) isolate.Answer {
	if !d.localRead {
		// Nothing known of this host is not the same as nothing there: an empty
		// copy would pass for a node that never served.
		return isolate.Answer{Start: isolate.Wait, Rule: "state-unread", Why: errUnread.Error()}
	}
	cuts := d.cutsNow()
	q := d.state.Asked(lead.Gate{Local: d.local, Looks: d.looks, Whole: d.whole, Answers: d.storeAnswers(), Waited: waited, Guard: d.a.o.Ports != nil, Cuts: cuts, At: d.a.o.Clock.Now()})
	if stands, err := d.a.o.Disk.Local(); err != nil || usedUp(q.Local, stands) {
		q.Clean = false // a gate that nobody answered used it up
	}
	ans := isolate.Ask(q, d.a.o.Clock.Wall())
	if ans.Start == isolate.Normal && d.local.Clean {
		d.keepLocal(func() { d.local.Clean = false })
	}
	if ans.Start == isolate.Wait && ans == d.gateSaid {
		return ans // asked four times a second
	}
	d.gateSaid = ans
	d.log.Info(incident.Sentence("gate_said", map[string]string{"node": string(d.a.o.Self), "start": ans.Start.String(), "why": ans.Why}),
		zap.String("rule", ans.Rule))
	return ans
}

// storeAnswers tells whether the store answered when it was asked last, and that
// was not long ago: an agent that stood still has not asked since.
func (d *desk) storeAnswers() bool {
	return d.state.Store.Lost == "" && d.a.o.Clock.Now().Sub(d.storeOK) <= pulseEvery+requestMax
}

// Snapshot is a copy of everything the API shows.
func (a *Agent) Snapshot(ctx context.Context) (api.Snapshot, error) {
	return ask(ctx, a, (*desk).snapshot)
}

func (d *desk) snapshot() api.Snapshot {
	p := d.state.Picture
	now, wall := d.a.o.Clock.Now(), d.a.o.Clock.Wall()
	d.facts(now)
	dc := p.Hosts[d.a.o.Self].Datacenter
	w := d.copyWorld(d.state.World(dc, now, wall))
	w.Store.Lost = lost(w.Store, d.whole)
	s := api.Snapshot{At: wall, Revision: p.Rev, Cluster: d.a.o.Cluster, Region: d.a.o.Region, Self: d.a.o.Self, Leader: p.Leader,
		Ledgers: map[cluster.Datacenter]incident.Ledger{}, StoreCommit: d.commitTook, World: w, Findings: incident.Diagnose(w), Open: w.Open, Version: d.a.o.Version, StoreLost: w.Store.Lost}
	for _, dc := range sortedKeys(p.Ledgers) {
		s.Ledgers[dc] = p.Ledgers[dc].Value
	}
	for _, id := range sortedKeys(p.Archive) {
		s.Closed = append(s.Closed, p.Archive[id])
	}
	for _, dc := range sortedKeys(p.Log) {
		s.Log = append(s.Log, p.Log[dc]...)
	}
	if !d.a.control() {
		s.Missing = append(s.Missing, "view: this agent does not judge, ask a control agent")
	}
	switch {
	case !d.whole:
		s.Missing = append(s.Missing, "store: "+unread)
	case s.StoreLost != "":
		s.Missing = append(s.Missing, "store: what stands there is told as it was last read")
	}
	return s
}

// copyWorld copies the maps that the desk goes on changing.
func (d *desk) copyWorld(w incident.World) incident.World {
	w.Hosts = maps.Clone(w.Hosts)
	w.Agents = maps.Clone(w.Agents)
	w.Agents[d.a.o.Self] = d.self() // what it knows of itself needs no store
	w.Seen = cloneTwice(w.Seen)
	w.PoolSeen = cloneTwice(w.PoolSeen)
	w.Store.Broken, w.Store.Chain = slices.Clone(w.Store.Broken), maps.Clone(w.Store.Chain)
	return w
}

func cloneTwice[K1, K2 comparable, V any](m map[K1]map[K2]V) map[K1]map[K2]V {
	out := make(map[K1]map[K2]V, len(m))
	for k, v := range m {
		out[k] = maps.Clone(v)
	}
	return out
}

// Submit lays an operator's word into the inbox; the leader folds it in. A word
// whose answer is lost may stand there, or come to stand: it is not laid again,
// since it may have been folded in meanwhile, and would be followed twice.
func (a *Agent) Submit(ctx context.Context, w lead.Word) (string, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return "", fmt.Errorf("encode the order: %w", err)
	}
	id := fmt.Sprintf("%020d-%s", a.o.Clock.Wall().UnixNano(), a.o.Self)
	res, err := a.o.Journal.Commit(ctx, store.Txn{
		Compare: []store.Compare{{Key: store.Word(id), On: store.Create, Rev: 0}},
		Put:     []store.Put{{Key: store.Word(id), Value: b}}})
	switch {
	case errors.Is(err, store.ErrNotWritten):
		return "", fmt.Errorf("lay the order into the inbox: %w: %w", api.ErrNoStore, err)
	case err != nil:
		return id, fmt.Errorf("lay the order into the inbox: %w", err)
	}
	if !res.OK {
		return "", fmt.Errorf("lay the order into the inbox: %s is taken", id)
	}
	return id, nil
}
