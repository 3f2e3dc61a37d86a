// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"supervisor/internal/lead"
	"supervisor/internal/store"
)

// Horizon is the store as this agent last knew it. It is kept on the agent's
// own disk: after a restart it alone tells that the store went back.
type Horizon struct {
	Schema      int    `json:"schema"`
	EtcdCluster string `json:"etcd_cluster_id"`
	Rev         int64  `json:"revision"`
	Era         uint32 `json:"era"`
}

const (
	horizonFile   = "horizon.json"
	horizonSchema = 1
	// horizonEvery is how often it is written at the most. A store that went
	// back by less than that is not noticed after a restart of every agent.
	horizonEvery = 10 * time.Second
)

// Horizon is what an earlier run of this agent knew; zero: nothing. An agent
// whose horizon cannot be read does not start: it would obey any store.
func (d Disk) Horizon() (Horizon, error) {
	var h Horizon
	if err := d.read(horizonFile, &h); err != nil {
		return Horizon{}, err
	}
	if h != (Horizon{}) && h.Schema != horizonSchema {
		return Horizon{}, fmt.Errorf("read %s: schema %d, this program knows %d", horizonFile, h.Schema, horizonSchema)
	}
	return h, nil
}

// HorizonIn is the horizon that an agent keeps in its directory.
func HorizonIn(dir string) (Horizon, error) { return Disk{dir}.Horizon() }

// SaveHorizon writes it.
func (d Disk) SaveHorizon(h Horizon) error { return d.save(horizonFile, h) }

// keepHorizon writes the horizon when it moved, beside the desk: a slow disk
// holds up nobody.
func (a *Agent) keepHorizon(ctx context.Context) {
	ticker := time.NewTicker(horizonEvery)
	defer ticker.Stop()
	last := a.o.Horizon
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if id, rev := a.o.Seen(); id == last.EtcdCluster && rev == last.Rev {
			continue // nothing was written to the store
		}
		now, err := ask(ctx, a, (*desk).horizon)
		if err != nil || now == last || now.Era == 0 {
			continue
		}
		if err := a.o.Disk.SaveHorizon(now); err != nil {
			a.o.Log.Warn("keep what is known of the store", zap.Error(err))
			continue
		}
		last = now
	}
}

// horizon is what is known of the store now; without an era it was never read
// and believed.
func (d *desk) horizon() Horizon {
	h := Horizon{Schema: horizonSchema, Era: d.state.Picture.Era.Value.Era}
	h.EtcdCluster, h.Rev = d.a.o.Seen()
	return h
}

// lastHorizon writes it once more when the agent stops.
func (d *desk) lastHorizon() {
	if h := d.horizon(); h.Era != 0 {
		if err := d.a.o.Disk.SaveHorizon(h); err != nil {
			d.log.Warn("keep what is known of the store", zap.Error(err))
		}
	}
}

// believes tells whether a piece of the store may be taken in.
func (d *desk) believes(b store.Batch) bool {
	before := d.belief
	now, relist := before.Read(b, d.known())
	d.belief = now // that it is over, the next word about the store says
	if now.Doubt != "" {
		if before.Doubt == "" {
			d.log.Error("the store is not believed, only observing goes on; see docs/hosts.md", zap.String("finding", doubtCode(now.Back)), zap.String("why", now.Doubt))
		}
		d.lost(now.Doubt, now.Back)
	}
	if relist {
		wake(d.a.relists)
	}
	return now.Doubt == ""
}

// doubtCode is the finding of a store that is not believed.
func doubtCode(back bool) string {
	if back {
		return "STORE_WENT_BACK"
	}
	return "STORE_NO_QUORUM"
}

// lost notes why the store is not used; empty: it is.
func (d *desk) lost(why string, back bool) {
	d.state.Store.Lost, d.state.Store.Back = why, ""
	if back {
		d.state.Store.Back = why
	}
}

// known is the store as this agent knows it.
func (d *desk) known() lead.Known {
	k := lead.Known{Era: max(d.a.o.Horizon.Era, d.state.Picture.Era.Value.Era, d.era)}
	k.EtcdCluster, k.Rev = d.a.o.Seen()
	return k
}

// another looks at a store that is not the one this agent knows, and goes over to
// it if it is of a higher era. The error says why it does not.
func (a *Agent) another(ctx context.Context, back error) error {
	cctx, cancel := context.WithTimeout(ctx, requestMax)
	sight, err := a.o.Pulse.Look(cctx)
	cancel()
	if err != nil {
		return back
	}
	why, err := ask(ctx, a, func(d *desk) string { return d.follow(sight) })
	switch {
	case err != nil:
		return back
	case why != "":
		return fmt.Errorf("%w: %s", store.ErrWentBack, why)
	}
	return nil
}

// follow goes over to another store, or says why not. It is on the disk before it
// is believed: after a restart, too, nothing of the one before is. All that was
// read is forgotten; what stands on this host and at its Cassandra stays.
func (d *desk) follow(sight store.Sight) (why string) {
	over, why := lead.Follow(d.known(), sight)
	if !over {
		return why
	}
	var doc lead.EraDoc
	if err := store.Strict(sight.Era, &doc); err != nil {
		return err.Error()
	}
	if err := d.a.o.Disk.SaveHorizon(Horizon{Schema: horizonSchema, EtcdCluster: sight.EtcdCluster, Rev: sight.Rev, Era: doc.Era}); err != nil {
		return "it is of a higher era, and that cannot be noted here: " + err.Error()
	}
	if err := d.a.o.Pulse.Follow(sight); err != nil {
		return err.Error()
	}
	d.log.Warn("goes over to a store of a higher era", zap.Uint32("era", doc.Era), zap.String("etcd_cluster", sight.EtcdCluster), zap.Int64("revision", sight.Rev))
	if d.state.Leading() {
		d.giveUpTerm()
	}
	d.era, d.whole, d.unsent = doc.Era, false, nil
	d.state.Forget(d.a.o.Clock.Now(), d.a.o.Clock.Wall())
	return ""
}

// orphaned notes that this node may lack writes when its disk speaks of an
// incident that the recovered store does not know: it says so until a return has
// taken the node.
func (d *desk) orphaned() {
	if !d.whole || d.unrepaired || !d.state.Picture.Orphaned(d.a.o.Self, d.local) {
		return
	}
	if err := d.a.o.Disk.NoteOrphan(d.local.Incident); err != nil {
		d.log.Warn("note that the node may lack writes", zap.Error(err))
		return
	}
	d.unrepaired = true
	d.log.Warn("the recovered store does not know the incident of this node: it may lack writes", zap.String("incident", d.local.Incident))
}

// mayLead waits while the store is in doubt or the desk does not answer: who
// cannot read or cannot work must not stand in the way of those who can. It is
// false when ctx is over.
func (a *Agent) mayLead(ctx context.Context) bool {
	for ctx.Err() == nil {
		cctx, cancel := context.WithTimeout(ctx, deskMax)
		doubt, err := ask(cctx, a, func(d *desk) string { return d.belief.Doubt })
		cancel()
		switch {
		case err != nil:
			pause(ctx, retryEvery)
		case doubt == "":
			return true
		default:
			pause(ctx, outAfter)
		}
	}
	return false
}
