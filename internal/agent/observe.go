// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/lead"
	"supervisor/internal/trace"
	"supervisor/membership"
)

const (
	digestEvery = time.Second
	// repeatAfter spaces the two repeats of a digest that changed: one lost
	// datagram must not cost a second.
	repeatAfter = 50 * time.Millisecond
	// lookAgain is how soon the same node may be asked about again.
	lookAgain = 200 * time.Millisecond
)

// tick passes time: lateness, digests that are due, verdicts that are due.
func (d *desk) tick(ctx context.Context) {
	now := d.a.o.Clock.Now()
	d.a.o.Counters.Lag(max(0, now.Sub(d.due)).Seconds())
	if d.state.Late(d.due, now) {
		d.log.Warn("this agent stalled: it abstains", zap.Duration("late", now.Sub(d.due)), zap.Duration("for", lead.StallFor))
		d.giveUpTerm()
	}
	d.lastTick = now
	for len(d.resend) > 0 && d.resend[0] <= now {
		d.resend = d.resend[1:]
		d.sendDigest(now)
	}
	if now.Sub(d.lastSent) >= digestEvery {
		d.refreshLooks()
		d.sendDigest(now)
	}
	if d.a.control() {
		d.judge(nil, now)
		if heard, of := d.state.View().Hearing(); d.state.Deaf(now) {
			d.log.Warn("hears fewer than half of the observers: resigns", zap.Int("heard", heard), zap.Int("of", of))
			d.giveUpTerm()
		}
	}
	d.turn(ctx, lead.Ticked{})
	if now.Sub(d.passed) >= passEvery {
		d.mendDisk(now)
		if d.blind != "" {
			d.reroster(ctx)
		}
		d.pass(ctx, now)
	}
	d.announce()
}

func (d *desk) giveUpTerm() {
	if d.state.Leading() {
		wake(d.a.resigns)
	}
}

// unwell tells whether this agent abstains.
func (d *desk) unwell(now cluster.Moment) bool {
	return d.state.Stalled(now) || d.closed() != "" || d.a.o.Courier.Unwell() || d.a.o.Observer.Unwell()
}

// observed takes this node's own looks in; a changed outcome is told at once
// and twice more.
func (d *desk) observed(ctx context.Context) {
	if !d.refreshLooks() {
		return
	}
	now := d.a.o.Clock.Now()
	d.sendDigest(now)
	wake(d.a.beats)
	d.resend = []cluster.Moment{now.Add(repeatAfter), now.Add(2 * repeatAfter)}
	d.turn(ctx, lead.Ticked{})
}

// refreshLooks reads the observer and tells whether an outcome changed.
func (d *desk) refreshLooks() bool {
	before, process := d.looks, d.process
	d.looks = d.a.o.Observer.Looks()
	d.runs(d.a.o.Observer.Process())
	if d.stopHolds() {
		d.sayLeaving()
	}
	d.sayInside()
	return process != d.process || !slices.EqualFunc(before, d.looks, func(x, y membership.Look) bool {
		return x.Subject == y.Subject && x.Path == y.Path && x.Outcome == y.Outcome && min(x.Misses, 3) == min(y.Misses, 3)
	})
}

// runs notes which process runs, from the same observer as the looks: a
// process that was replaced between two readings must not pass for the one
// before. The last one keeps its name while none runs.
func (d *desk) runs(boot cluster.Boot) {
	if boot == "" || boot == d.process {
		return
	}
	d.process = boot
	d.drained, d.served = false, time.Time{} // another process: what the last one announced is over
}

// sayLeaving replaces the word about the own process by the announcement of a
// planned stop: Cassandra was drained before it went. It is as old as the stop,
// not as the process: the judge believes it for a time.
func (d *desk) sayLeaving() {
	for i, l := range d.looks {
		if l.Subject == d.a.o.Self && l.Path == membership.Process {
			d.looks[i].Outcome = membership.Leaving
			d.looks[i].Held = max(0, d.a.o.Clock.Wall().Sub(d.left))
		}
	}
}

// sendDigest signs everything this agent sees and sends it to the control
// agents, to itself by the short way.
func (d *desk) sendDigest(now cluster.Moment) {
	d.lastSent = now
	d.seq++
	dg := membership.Digest{Cluster: d.a.o.Cluster, Observer: d.a.o.Self, Boot: d.a.o.Boot, Seq: d.seq,
		Unwell: d.unwell(now), Process: d.process, Looks: d.looks}
	if d.a.control() {
		d.receive(dg.Rounded(), now)
	}
	packets, err := d.packets(dg)
	if err != nil && !d.mute {
		d.log.Error("what this agent sees cannot be sent", zap.Error(err))
	}
	d.mute = err != nil
	others := slices.DeleteFunc(slices.Clone(d.a.o.Control), func(n cluster.Name) bool { return n == d.a.o.Self })
	// Best effort: who is not there misses this one and hears the next.
	for _, b := range packets {
		_ = d.a.o.Courier.SendDigest(others, b)
	}
}

// packets encodes a digest, in parts when it is too large for one datagram. A
// part that overtakes another one makes it late, and late ones are not taken;
// the next second brings it again.
func (d *desk) packets(dg membership.Digest) ([][]byte, error) {
	b, err := dg.Encode(func(msg []byte) []byte { return ed25519.Sign(d.a.o.Key, msg) })
	if err == nil {
		return [][]byte{b}, nil
	}
	first, second, parts := dg.Split()
	if !errors.Is(err, membership.ErrDigestSize) || !parts {
		return nil, err
	}
	sent, err := d.packets(first)
	d.seq++
	second.Seq = d.seq
	rest, err2 := d.packets(second)
	return append(sent, rest...), errors.Join(err, err2)
}

// mail takes what other agents sent.
func (d *desk) mail(ctx context.Context) {
	digests, lookNow := d.a.o.Courier.Take()
	for _, n := range lookNow {
		d.a.o.Observer.LookNow(n)
	}
	if !d.a.control() {
		return
	}
	now := d.a.o.Clock.Now()
	for _, b := range digests {
		dg, err := membership.Decode(b, d.publicKey)
		if err != nil {
			d.log.Debug("digest not believed", zap.Error(err))
			d.untaken.note(digestRefused(err, dg.Observer), now)
			continue
		}
		d.receive(dg, now)
	}
	d.turn(ctx, lead.Ticked{})
}

// publicKey is the key of a host on the roster.
func (d *desk) publicKey(n cluster.Name) (ed25519.PublicKey, bool) {
	h, ok := d.state.Picture.Hosts[n]
	if !ok {
		return nil, false
	}
	key, err := base64.StdEncoding.DecodeString(h.PublicKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, false
	}
	return key, true
}

// receive turns a digest into reports, judges, and asks the others to look
// where somebody missed an answer.
func (d *desk) receive(dg membership.Digest, now cluster.Moment) {
	reports, err := d.inbox.Take(dg, now)
	if err != nil {
		d.log.Debug("digest not taken", zap.Error(err))
		d.untaken.note(digestRefused(err, dg.Observer), now)
		return
	}
	before := d.state.View()
	for _, r := range reports {
		if bad(r.Outcome) && (r.Path == membership.CQL || r.Path == membership.Process) {
			d.askAround(r.Subject, now)
		}
	}
	d.judge(reports, now)
	d.untaken.ignored(before, d.state.View(), dg.Observer, now)
}

func bad(o membership.Outcome) bool {
	return o == membership.Exited || o == membership.Refused || o == membership.Silent || o == membership.Wrong
}

// askAround has everybody look at a node now, unless the judge knows already.
func (d *desk) askAround(n cluster.Name, now cluster.Moment) {
	if d.state.View().Verdicts[n].Answer == membership.Gone || now.Sub(d.asked[n]) < lookAgain && d.asked[n] != 0 {
		return
	}
	d.asked[n] = now
	d.a.o.Observer.LookNow(n)
	others := slices.DeleteFunc(slices.Clone(d.state.Topology().Watch[n]), func(o cluster.Name) bool { return o == d.a.o.Self })
	_ = d.a.o.Courier.LookNow(others, n)
}

// judge lets the pure judge go on with what came in.
func (d *desk) judge(reports []membership.Report, now cluster.Moment) {
	before := d.state.View()
	if wake, due := before.Wake(); len(reports) == 0 && before.Began != 0 && (!due || wake > now) && now.Sub(before.At) < digestEvery {
		return
	}
	t := trace.Turn{Now: now, Fresh: [][]membership.Report{reports}, Topology: d.state.Topology(), Rules: d.rules()}
	view := membership.Judge(before, t.Fresh, t.Topology, t.Rules.Bars, now)
	t.Changes = trace.Changes(before, view)
	d.tellVerdicts(before, t.Changes)
	d.recorder.Turn(before, t)
	d.state.Look(view)
}

// tellVerdicts logs every answer or cause that changed.
func (d *desk) tellVerdicts(before membership.View, changes []trace.Change) {
	for _, v := range changes {
		old := before.Verdicts[v.Node]
		if old.Answer != v.Answer || old.Cause != v.Cause {
			d.log.Info("verdict", zap.String("node", string(v.Node)), zap.Stringer("answer", v.Answer), zap.Stringer("cause", v.Cause),
				zap.Int("for", v.For), zap.Int("heard", v.For+v.Against), zap.Int("of", v.Of), zap.Bool("drain", v.Drain))
		}
	}
}

// reroster tells observer and courier who is on the roster, when that changed.
// An observer that does not take it goes on with the one before, which on a
// fresh agent is nobody, so it is told again until it does.
func (d *desk) reroster(context.Context) {
	b, err := json.Marshal(d.state.Picture.Hosts)
	if err != nil || string(b) == d.roster || len(d.state.Picture.Hosts) == 0 {
		return
	}
	t := d.state.Topology()
	var peers, hosts []cluster.Host
	for _, n := range t.Watched(d.a.o.Self) {
		if n != d.a.o.Self {
			peers = append(peers, d.state.Picture.Hosts[n])
		}
	}
	for _, h := range d.state.Picture.Hosts {
		if h.Name != d.a.o.Self {
			hosts = append(hosts, h)
		}
	}
	d.a.o.Courier.Join(hosts)
	if err := d.a.o.Observer.Watch(peers); err != nil {
		if d.blind != err.Error() {
			d.blind = err.Error()
			d.log.Error("the roster is not watched as assigned, trying again", zap.Int("peers", len(peers)), zap.Error(err))
		}
		return
	}
	d.roster, d.blind = string(b), ""
}
