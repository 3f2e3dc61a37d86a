// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// Every agent reads the stores of the other regions and writes to its own alone. No
// part of it waits for another region: what comes from there goes through a queue of
// its own, and what does not come is a finding.

// unheardAfter is how long an agent may take to read another region's store before
// that is a finding.
const unheardAfter = 15 * time.Second

// watchAbroad brings what changes in another region's store to the desk.
func (a *Agent) watchAbroad(ctx context.Context, r cluster.Region, s RegionStore) {
	for ctx.Err() == nil {
		for b := range s.Watch(ctx, store.ReadAbroad(a.control())) {
			select {
			case a.abroad <- lead.Abroad{Region: r, Batch: b, EtcdCluster: s.Seen()}:
			case <-ctx.Done():
			}
		}
		pause(ctx, retryEvery)
	}
}

// checkAbroad learns why another region's store does not answer.
func (a *Agent) checkAbroad(ctx context.Context, r cluster.Region, s RegionStore) {
	for ctx.Err() == nil {
		cctx, cancel := context.WithTimeout(ctx, requestMax)
		err := s.Check(cctx, func(sight store.Sight) bool {
			follow, _ := ask(cctx, a, func(d *desk) bool { return d.followAbroad(r, s.Seen(), sight) })
			return follow
		})
		cancel()
		_, _ = ask(ctx, a, func(d *desk) struct{} { d.abroadWord(r, err); return struct{}{} })
		pause(ctx, pulseEvery)
	}
}

// followAbroad tells whether another region's store is to be gone over to, and
// forgets the one before.
func (d *desk) followAbroad(r cluster.Region, etcdCluster string, sight store.Sight) bool {
	follow, why := lead.Follow(d.state.KnownAbroad(r, etcdCluster), sight)
	if !follow {
		d.log.Debug("the store of another region is not followed", zap.String("region", string(r)), zap.String("why", why))
		return false
	}
	d.state.ForgetAbroad(r)
	return true
}

// unheard is what is known of a region that is not read.
type unheard struct {
	from   cluster.Moment // when it was read last; 0: it is read
	why    string         // with what that began
	silent string         // why the last question was not answered
}

// abroadWord notes why another region's store does not answer.
func (d *desk) abroadWord(r cluster.Region, err error) {
	u := d.unheard[r]
	if u.silent = ""; err != nil {
		u.silent = oneLine(err)
	}
	d.unheard[r] = u
}

// unheardRegions notes regions whose stores are not read. Nothing follows from it
// but that their words do not count.
func (d *desk) unheardRegions() {
	now, wall := d.a.o.Clock.Now(), d.a.o.Clock.Wall()
	var regions, since, details []string
	for _, r := range d.state.Elsewhere() {
		u := d.unheard[r].goesOn(d.state.UnreadAbroad(r, now))
		if u.from != 0 {
			u.from = max(u.from, d.began)
		}
		if d.unheard[r] = u; u.from != 0 && now.Sub(u.from) >= unheardAfter {
			regions, details = append(regions, string(r)), append(details, strings.TrimSuffix(u.why+": "+u.silent, ": "))
			since = append(since, wall.Add(-now.Sub(u.from)).UTC().Format(time.RFC3339))
		}
	}
	if len(regions) == 0 {
		d.clear("REGION_UNREAD")
		return
	}
	if t, told := d.troubles["REGION_UNREAD"]; told && t.Args["region"] == strings.Join(regions, ", ") {
		return // the clock may be set and the answers change: the agent's key rests
	}
	d.trouble("REGION_UNREAD", "region", strings.Join(regions, ", "), "since", strings.Join(since, ", "), "detail", strings.Join(details, "; "))
}

// goesOn is what is known when a region is not read because of why; empty: it is.
func (u unheard) goesOn(why string, last cluster.Moment) unheard {
	switch {
	case why == "":
		u.from, u.why = 0, ""
	case u.from == 0:
		u.from, u.why = max(last, 1), why
	}
	return u
}

// addAbroad adds the fences of other regions to the work of the fence keeper.
func (d *desk) addAbroad(w *fenceWork) {
	if len(d.a.o.Regions) == 0 {
		return
	}
	now := d.a.o.Clock.Now()
	w.ours = map[netip.Addr]bool{}
	for _, h := range d.state.Picture.Hosts { // order: into a map
		if a, placed := isolate.AddressOf(h.Storage); placed {
			w.ours[a] = true
		}
	}
	for _, r := range d.state.Elsewhere() {
		told := d.state.FencesAbroad(r, now)
		far := fencesAbroad{region: r, at: told.At, fences: map[cluster.Name]standing{}, revs: told.Revs}
		for _, f := range told.Fences {
			s := standing{fence: f.Fence, token: f.Token, storage: f.Storage}
			if f.Said != nil {
				s.said, _ = json.Marshal(f.Said)
			}
			far.fences[f.Node] = s
		}
		w.abroad = append(w.abroad, far)
	}
}

// seesAbroad notes what this host's Cassandra says of the ring members that are not
// on the roster.
func (d *desk) seesAbroad(p pulse) {
	d.sights = nil
	if len(d.a.o.Regions) == 0 || p.unitErr != nil || p.running && p.err != nil {
		return
	}
	ours := map[string]bool{}
	for _, h := range d.state.Picture.Hosts { // order: into a map
		ours[host(h.Storage)] = true
	}
	d.sights = &incident.Sights{Runs: p.running}
	for _, address := range sortedKeys(p.state.Peers) {
		if at := host(address); !ours[at] && !p.state.Peers[address].Up {
			d.sights.Down = append(d.sights.Down, at)
		}
	}
}
