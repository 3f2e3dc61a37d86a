// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/lead"
	"supervisor/isolate"
)

// lookAtPorts is how often a guard is asked what stands when nothing changed:
// whoever flushes all rules of a host undoes a fence.
const lookAtPorts = 2 * time.Second

// closedPorts is what was read back from this host's guard last. The fence keeper
// writes it; the desk and the gate read it.
type closedPorts struct {
	mu       sync.Mutex
	read     bool // the guard answered the last time
	standing isolate.Closed
	trouble  string // why not everything stands that is wanted
}

func (p *closedPorts) set(read bool, standing isolate.Closed, trouble string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read, p.standing, p.trouble = read, standing, trouble
}

// state is what stands, and why not all that is wanted does; ready is false
// while nobody knows what stands.
func (p *closedPorts) state() (standing isolate.Closed, ready bool, trouble string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing, p.read, p.trouble
}

// cuts tells whether a host with this storage address is cut off here, and why not
// where that is wanted; where it is not, why nobody knows.
func (p *closedPorts) cuts(storage string, wanted bool) (cut bool, why string) {
	standing, ready, trouble := p.state()
	a, placed := isolate.AddressOf(storage)
	switch {
	case placed && ready && slices.Contains(standing.Cut, a):
		return true, ""
	case ready && !wanted:
		return false, ""
	case !placed:
		return false, fmt.Sprintf("no address in %q", storage)
	case trouble == "":
		trouble = "not yet"
	}
	return false, trouble
}

// keepPorts has exactly that closed which the standing fences want closed. While
// the store is not known nothing is changed: what stands goes on standing, also what
// the guard closed because the host stood still.
func (k *fenceKeeper) keepPorts(ctx context.Context) {
	guard := k.a.o.Ports
	if guard == nil {
		return
	}
	want, unplaced := k.closes()
	now := k.a.o.Clock.Now()
	if k.portsAt != 0 && want.Equal(k.wanted) && now.Sub(k.portsAt) < lookAtPorts {
		return
	}
	k.portsAt, k.wanted = now, want
	cctx, cancel := context.WithTimeout(ctx, actMax)
	defer cancel()
	standing, err := guard.Closed(cctx)
	if len(k.work.revs) > len(k.work.fences) {
		// One of an era before the store was recovered, or that cannot be read: it is
		// not obeyed, and what stands by it is not undone.
		want = want.With(standing.Closed)
	}
	want = want.With(k.keptAbroad(standing.Closed, now))
	var old error
	change := err == nil && (!standing.Equal(want) || standing.Standstill != 0)
	switch known := k.work.whole && !k.work.closed; {
	case !change:
	case !known:
		old = errors.New("the store is not known here")
	case standing.Standstill != 0 || !want.Covers(standing.Closed): // something is to be opened
		old = k.lastWord(cctx)
	}
	if change && old == nil {
		k.a.o.Log.Info("closed ports", zap.Bool("clients", want.Clients), zap.Stringers("cut", want.Cut), zap.Uint64("standstill", standing.Standstill))
		standing, err = guard.Close(cctx, want, standing.Standstill, k.incidents())
	}
	trouble := ""
	switch {
	case err != nil:
		trouble = err.Error()
	case old != nil:
		trouble = old.Error()
	case len(unplaced) > 0:
		trouble = fmt.Sprintf("no storage address is known of %v", unplaced)
	}
	k.a.closedPorts.set(err == nil, standing.Closed, trouble)
}

// closes is what the standing fences of all regions want closed on this host.
func (k *fenceKeeper) closes() (want isolate.Closed, unplaced []cluster.Name) {
	want, unplaced = closedBy(k.a.o.Self, k.work.fences)
	for _, far := range k.work.abroad {
		cut, lost := closedBy("", far.fences) // a host of another region is never this one, whatever it is called
		// Nor has it the address of one of ours: an old line of their roster cuts nobody off here.
		cut.Cut = slices.DeleteFunc(cut.Cut, func(a netip.Addr) bool { return k.work.ours[a] })
		want, unplaced = want.With(cut), append(unplaced, lost...)
	}
	return want, unplaced
}

func closedBy(self cluster.Name, standing map[cluster.Name]standing) (isolate.Closed, []cluster.Name) {
	fences := make(map[cluster.Name]isolate.Fence, len(standing))
	for n, s := range standing { // order: into a map
		fences[n] = s.fence
	}
	return isolate.Closes(self, fences, func(n cluster.Name) string { return standing[n].storage })
}

// keptAbroad is what stays cut off of other regions' hosts: while a region has not
// told for a while which fences stand there, and where one is written that nobody
// obeys, whoever stands cut off and is no host of this region may be theirs. Nothing
// of this region waits for it.
func (k *fenceKeeper) keptAbroad(closed isolate.Closed, now cluster.Moment) (kept isolate.Closed) {
	sure := true
	for _, far := range k.work.abroad {
		sure = sure && far.at != 0 && now.Sub(far.at) <= lead.AbroadFresh && len(far.revs) == len(far.fences)
	}
	for _, a := range closed.Cut {
		if !sure && !k.work.ours[a] {
			kept.Cut = append(kept.Cut, a)
		}
	}
	return kept
}

// incidents names whom the guard's journal is to name.
func (k *fenceKeeper) incidents() string {
	var all []string
	for _, some := range append([]map[cluster.Name]standing{k.work.fences}, k.fencesAbroad()...) {
		for _, n := range sortedKeys(some) {
			all = append(all, fmt.Sprintf("%s of %s", some[n].fence.Incident, n))
		}
	}
	if len(all) == 0 {
		return "no fence stands"
	}
	return strings.Join(all, ", ")
}

// portsTrouble notes a guard that does not answer or does not do as it is told.
func (d *desk) portsTrouble() {
	if d.a.o.Ports == nil {
		return
	}
	_, ready, trouble := d.a.closedPorts.state()
	if ready || trouble == "" {
		d.clear("PORT_GUARD_SILENT")
		return
	}
	d.trouble("PORT_GUARD_SILENT", "detail", trouble)
}

// cutsNow lists the hosts that are cut off here.
func (d *desk) cutsNow() (cut []cluster.Name) {
	hosts := d.state.Roster()
	for _, n := range sortedKeys(hosts) {
		if is, _ := d.a.closedPorts.cuts(hosts[n].Storage, true); is {
			cut = append(cut, n)
		}
	}
	return cut
}
