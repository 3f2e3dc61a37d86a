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

// believes tells whether a piece of the store may be taken in. While there is
// doubt nothing is: what was known before stands, as when the store is lost.
// A later whole reading may end it.
func (d *desk) believes(b store.Batch) bool {
	id, _ := d.a.o.Seen()
	why := lead.Doubt(b, id, max(d.a.o.Horizon.Era, d.state.Picture.Era.Value.Era))
	switch {
	case why != "" && d.doubt == "":
		d.log.Error("the store is not believed, only observing goes on; see docs/hosts.md", zap.String("finding", "STORE_NO_QUORUM"), zap.String("why", why))
		fallthrough
	case why != "":
		d.doubt, d.state.Store.Lost = why, why
	case b.Whole:
		d.doubt = "" // the next word about the store clears the finding
	}
	return d.doubt == ""
}

// mayLead waits while the store is in doubt or the desk does not answer: who
// cannot read or cannot work must not stand in the way of those who can. It is
// false when ctx is over.
func (a *Agent) mayLead(ctx context.Context) bool {
	for ctx.Err() == nil {
		cctx, cancel := context.WithTimeout(ctx, deskMax)
		doubt, err := ask(cctx, a, func(d *desk) string { return d.doubt })
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
