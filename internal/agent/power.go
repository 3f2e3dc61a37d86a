// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

const (
	// powerEvery is how often the power hook is asked about each host, and
	// powerAgain how soon after it failed about one, or after the first time.
	powerEvery = 5 * time.Minute
	powerAgain = time.Minute
	// powerWhyMax bounds what is told of one host in this agent's key.
	powerWhyMax = 200
)

// keepPower asks the site's hook about the power of each host that it knows, so
// that the leader knows who can turn which one off before that is needed.
func (a *Agent) keepPower(ctx context.Context) {
	doubts := map[cluster.Name]int{}
	for first := true; ctx.Err() == nil; first = false { // nobody's answers are heard in the first yet
		said := a.askPower(ctx, doubts)
		if _, err := ask(ctx, a, func(d *desk) struct{} { d.power = said; return struct{}{} }); err != nil {
			return
		}
		if first || len(said.Cannot)+len(doubts) > 0 {
			pause(ctx, powerAgain)
			continue
		}
		pause(ctx, powerEvery)
	}
}

// doubtsMax is how often a hook may say off of a host that answers: one that has
// just been turned off is judged to answer for some seconds more.
const doubtsMax = 1

// askPower asks about each host. doubts counts how often a host was said to be off
// and answered; it stands until the hook says on, for whoever turns silent afterwards
// is no more off than before.
func (a *Agent) askPower(ctx context.Context, doubts map[cluster.Name]int) *incident.Powers {
	said := &incident.Powers{}
	for _, n := range a.o.Power.Hosts() {
		if n == a.o.Self || ctx.Err() != nil { // nobody turns himself off
			continue
		}
		end := a.rounds.begin(powerRound, a.o.Clock.Now())
		off, err := a.o.Power.Status(ctx, n)
		end()
		switch {
		case err != nil:
		case !off:
			delete(doubts, n)
		case a.heardOf(ctx, n):
			doubts[n]++
		}
		if err == nil && doubts[n] > doubtsMax {
			err = errNotOff
		}
		if err == nil {
			said.Can = append(said.Can, n)
			continue
		}
		if said.Cannot == nil {
			said.Cannot = map[cluster.Name]string{}
		}
		said.Cannot[n] = bounded(err.Error(), powerWhyMax)
	}
	return said
}

// errNotOff is of a hook that would prove what is not so: 2 is also what a shell and
// other interpreters end with when they cannot run a program.
var errNotOff = errors.New("it says off of a host that answers: the plug is another host's, or the program fails with 2")

// heardOf tells whether somebody has an answer of a host's Cassandra, by this
// agent's own judgement.
func (a *Agent) heardOf(ctx context.Context, n cluster.Name) bool {
	yes, err := ask(ctx, a, func(d *desk) bool { return len(membership.Answering(d.state.View().Verdicts[n])) > 0 })
	return err == nil && yes
}

func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// powerTrouble notes the hosts that the hook cannot turn off, and those that it
// knows and the roster does not.
func (d *desk) powerTrouble() {
	if d.power == nil {
		return
	}
	why := map[cluster.Name]string{}
	maps.Copy(why, d.power.Cannot)
	for _, n := range d.power.Can {
		if _, listed := d.state.Picture.Hosts[n]; d.whole && !listed {
			why[n] = "no host of this name is on the roster; mend power.plugs"
		}
	}
	hosts := sortedKeys(why)
	if len(hosts) == 0 {
		d.clear("POWER_HOOK_FAILS")
		return
	}
	var named []string
	for _, n := range hosts[:min(unreadMax, len(hosts))] {
		named = append(named, string(n))
	}
	if more := len(hosts) - unreadMax; more > 0 {
		named = append(named, fmt.Sprintf("%d more", more))
	}
	d.trouble("POWER_HOOK_FAILS", "hosts", strings.Join(named, ", "), "detail", why[hosts[0]])
}

// powerOff has the host of an order's target turned off, unless it is off already.
// It is done when the hook says that it is off.
func (a *Agent) powerOff(ctx context.Context, e errand) error {
	n := e.order.Once.Target
	off, err := a.powerStatus(ctx, n)
	switch {
	case err != nil:
		return fmt.Errorf("nothing was turned off, for its end could not be seen: %w", err)
	case off:
		return nil
	}
	if err := a.mayTurnOff(ctx, e); err != nil { // the hook may have taken a minute
		return err
	}
	if err := a.o.Power.Off(ctx, n); err != nil {
		return ofHook(err)
	}
	if err := a.isOff(ctx, n); err != nil {
		return fmt.Errorf("it was turned off: %w", err)
	}
	return nil
}

// isOff is an error unless the hook says that a host is off.
func (a *Agent) isOff(ctx context.Context, n cluster.Name) error {
	off, err := a.powerStatus(ctx, n)
	if err == nil && !off {
		return fmt.Errorf("the power hook says that %s is on", n)
	}
	return err
}

func (a *Agent) powerStatus(ctx context.Context, n cluster.Name) (off bool, err error) {
	switch {
	case a.o.Power == nil:
		return false, refusal{incident.RuleFencing, "no power hook is named in this agent's file"}
	case n == a.o.Self:
		return false, refusal{incident.RuleFencing, "it is this very host, and nobody turns himself off"}
	}
	off, err = a.o.Power.Status(ctx, n)
	return off, ofHook(err)
}

// ofHook is what a hook says as the word of an executor: one that was not run has
// done nothing.
func ofHook(err error) error {
	if errors.Is(err, ErrNotRun) {
		return refusal{incident.RuleFencing, err.Error()}
	}
	return err
}

// mayTurnOff holds the end of a host's power, right before it, against what the
// leader knew: the fence stands by the store's last word, the incident waits for
// this order still, and by this agent's own judgement nobody has an answer.
func (a *Agent) mayTurnOff(ctx context.Context, e errand) error {
	n := e.order.Once.Target
	type known struct {
		why  string
		revs map[string]int64
	}
	here, err := ask(ctx, a, func(d *desk) known {
		p := d.state.Picture
		f, stands := p.FenceOf(n, e.order.Incident)
		v, judged := d.state.View().Verdicts[n]
		switch {
		case !stands || !f.Levels.Has(isolate.Power):
			return known{why: "no fence of this incident stands that turns its host off"}
		case !p.Awaits(e.order):
			return known{why: "no incident waits for it any more"}
		case !judged || v.Answer != membership.Gone || len(membership.Answering(v)) > 0:
			return known{why: fmt.Sprintf("by what this agent knows %s is not gone: a fresh answer is worth more than any evidence", n)}
		}
		return known{revs: p.FenceRevs()}
	})
	if err != nil {
		return err
	}
	if here.why != "" {
		return refusal{incident.UnknownDestroysNothing, here.why}
	}
	now, err := a.written(ctx, store.Fences)
	switch {
	case err != nil:
		return refusal{incident.IntentFirst, fmt.Sprintf("the store does not say whether the fence still stands: %v", err)}
	case !maps.Equal(now, here.revs):
		return refusal{incident.IntentFirst, "the fences are others by now than those that are known here"}
	}
	return a.stillAwaited(ctx, e.order)
}

// stillAwaited asks the store, past what this agent has read, whether the incident
// waits for an order. Its fence stays as it is when the host is heard again and the
// order is taken back.
func (a *Agent) stillAwaited(ctx context.Context, o incident.Order) error {
	key := store.Record(o.Incident)
	kvs, _, err := a.o.Journal.List(ctx, key)
	if err != nil {
		return refusal{incident.IntentFirst, fmt.Sprintf("the store does not say whether the order is awaited: %v", err)}
	}
	for _, kv := range kvs {
		var r incident.Record
		if kv.Key == key && store.Strict(kv.Value, &r) == nil && r.Awaits(o.ID) {
			return nil
		}
	}
	return refusal{incident.IntentFirst, "by the store's last word no incident waits for it any more"}
}
