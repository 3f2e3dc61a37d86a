// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"supervisor/cluster"
	"supervisor/internal/lead"
	"supervisor/membership"
	"supervisor/membership/gossip"
)

// The pace of internal/agent's desk.
const (
	restMax     = 500 * time.Millisecond
	digestEvery = time.Second
	repeatAfter = 50 * time.Millisecond
	lookAgain   = 200 * time.Millisecond
)

// agent is one start of an agent: the looks, the digests and the judging of the
// desk, without its store, its acts and its orders.
type agent struct {
	w      *world
	self   int
	boot   cluster.Boot
	g      *gossip.Gossip
	port   *port
	cancel context.CancelFunc
	done   sync.WaitGroup
	dice   *rand.Rand

	pokes chan int // nodes whose connection ended

	looks    []*look
	seq      uint64
	sent     time.Time
	resend   []time.Time
	due      time.Time
	stalled  time.Time // until then it abstains
	selfLook time.Time // of the loop that looks whether it is late itself
	lagged   time.Time
	abstains atomic.Bool   // as its last digest said
	leap     time.Duration // of its boot clock, as far as this goroutine has seen it
	leapt    time.Time

	judge bool
	view  membership.View
	inbox membership.Inbox
	asked map[cluster.Name]time.Time
}

func (a *agent) name() cluster.Name { return a.w.nodes[a.self].name }

// start runs an agent on a host.
func (w *world) start(host int, boot string) {
	n := w.nodes[host]
	a := &agent{w: w, self: host, boot: cluster.Boot(fmt.Sprintf("%s-%s", n.name, boot)), port: w.listen(host),
		dice: dice(mix(w.seed) ^ uint64(host)), pokes: make(chan int, len(w.nodes)), judge: slices.Contains(w.control, n.name),
		inbox: membership.Inbox{Cluster: "c"}, asked: map[cluster.Name]time.Time{}}
	at := netip.MustParseAddrPort(w.network.hosts[host].addr)
	o := gossip.DefaultOptions(n.name, "c", "r", at, w.keyFile, netip.MustParsePrefix("10.0.0.0/8"))
	o.LeaveMax = 100 * time.Millisecond
	g, err := gossip.StartOver(o, a.port)
	if err != nil {
		panic(err)
	}
	a.g = g
	g.Join(w.hosts)
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	w.locked(func() { n.agent = a })
	a.done.Go(func() { a.run(ctx) })
}

// stop ends an agent, with a farewell or as a kill does, and does not wait for
// what it leaves behind.
func (w *world) stop(host int, farewell bool) {
	var a *agent
	w.locked(func() {
		a = w.nodes[host].agent
		w.nodes[host].agent = nil
		w.count.forget(host)
	})
	if a == nil {
		return
	}
	if !farewell {
		a.port.unplug()
	}
	a.cancel()
	w.all.Go(func() {
		a.done.Wait()
		_ = a.g.Close() // it had nobody to take leave of, perhaps
	})
}

// poke tells that the connection to a node ended. The mutex is held.
func (a *agent) poke(n int) {
	select {
	case a.pokes <- n:
	default:
	}
}

func (a *agent) run(ctx context.Context) {
	now := time.Now()
	a.due, a.selfLook = now, now
	a.newLooks(now)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var poked []int
		mail := false
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case n := <-a.pokes:
			poked = append(poked, n)
		case <-a.g.Ready():
			mail = true
		}
		a.waitForCPU()
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		a.w.locked(func() {
			a.leap, a.leapt = a.w.nodes[a.self].leap, a.w.nodes[a.self].leapt
			for _, n := range poked {
				a.connectionEnded(n, now)
			}
		})
		a.lookAtSelf(now)
		news := a.look(now)
		if mail {
			a.mail(now)
			news = a.look(now) || news
		}
		if news {
			a.send(now)
			a.resend = []time.Time{now.Add(repeatAfter), now.Add(2 * repeatAfter)}
		}
		if !a.due.After(now) {
			a.tick(now)
			a.due = now.Add(restMax)
		}
		if next := a.next(now); next.Before(a.due) {
			timer.Reset(next.Sub(now))
			a.due = minTime(a.due, a.nextTick(now))
		} else {
			timer.Reset(a.due.Sub(now))
		}
	}
}

// waitForCPU is what a process does that is stopped, or starved.
func (a *agent) waitForCPU() {
	for {
		var wait time.Duration
		a.w.locked(func() {
			now := time.Now()
			wait = a.w.network.hosts[a.self].awake(now).Sub(now)
		})
		if wait <= 0 {
			return
		}
		time.Sleep(wait)
	}
}

// connectionEnded has the node looked at anew; the own process's end is seen
// without a look. The mutex is held.
func (a *agent) connectionEnded(n int, now time.Time) {
	for _, l := range a.looks {
		if l.subject != n {
			continue
		}
		if l.path == membership.CQL {
			l.kept = false
		}
		if l.path == membership.Process {
			l.next = now
		}
	}
	a.hurry(n, now)
}

// lookAtSelf notes when this agent's loops run late.
func (a *agent) lookAtSelf(now time.Time) {
	const every = lagMax / 2
	if now.Sub(a.selfLook) < every {
		return
	}
	if a.since(a.selfLook, now)-every > lagMax {
		a.lagged = now
	}
	a.selfLook = now
}

// tick is the desk's: lateness, digests and verdicts that are due.
func (a *agent) tick(now time.Time) {
	if a.since(a.due, now) > lead.StallAfter {
		a.stalled = now.Add(lead.StallFor)
	}
	for len(a.resend) > 0 && !a.resend[0].After(now) {
		a.resend = a.resend[1:]
		a.send(now)
	}
	if now.Sub(a.sent) >= digestEvery {
		a.send(now)
	}
	if a.judge {
		a.decide(nil, now)
	}
}

// nextTick is when the desk must tick.
func (a *agent) nextTick(now time.Time) time.Time {
	at := now.Add(restMax)
	if len(a.resend) > 0 {
		at = minTime(at, a.resend[0])
	}
	if wake, due := a.view.Wake(); due && a.judge {
		at = minTime(at, now.Add(max(wake.Sub(a.moment(now)), time.Millisecond)))
	}
	return at
}

// next is when there is something to do: a tick, a look, the end of one.
func (a *agent) next(now time.Time) time.Time {
	at := minTime(minTime(a.due, a.nextTick(now)), a.selfLook.Add(lagMax/2))
	for _, l := range a.looks {
		if l.busy {
			at = minTime(at, l.ends)
		} else {
			at = minTime(at, l.next)
		}
	}
	return maxTime(at, now.Add(time.Millisecond))
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// moment is now on this agent's boot clock.
func (a *agent) moment(now time.Time) cluster.Moment {
	m := a.w.moment(now)
	if !a.leapt.IsZero() {
		m = m.Add(a.leap)
	}
	return m
}

func (a *agent) unwell(now time.Time) bool {
	return now.Before(a.stalled) || a.g.Unwell() || !a.lagged.IsZero() && now.Sub(a.lagged) < unwellFor
}

// send signs everything this agent sees and sends it to those that judge.
func (a *agent) send(now time.Time) {
	a.sent = now
	a.seq++
	n := a.w.nodes[a.self]
	d := membership.Digest{Cluster: "c", Observer: n.name, Boot: a.boot, Seq: a.seq, Unwell: a.unwell(now), Process: n.process, Looks: a.told(now)}
	if a.judge {
		a.receive(d.Rounded(), now)
	}
	a.abstains.Store(d.Unwell)
	b, err := d.Encode(func(msg []byte) []byte { return ed25519.Sign(n.key, msg) })
	if err != nil {
		panic(err)
	}
	to := a.others(a.w.control)
	a.w.locked(func() { a.w.spent.digests += uint64(len(b) * len(to)) })
	_ = a.g.SendDigest(to, b) // who is not there hears the next
}

func (a *agent) others(names []cluster.Name) []cluster.Name {
	return slices.DeleteFunc(slices.Clone(names), func(n cluster.Name) bool { return n == a.name() })
}

// mail takes what other agents sent.
func (a *agent) mail(now time.Time) {
	digests, lookNow := a.g.Take()
	a.w.locked(func() {
		for _, n := range lookNow {
			a.hurry(a.w.names[n], now)
		}
	})
	if !a.judge {
		return
	}
	for _, b := range digests {
		if d, err := membership.Decode(b, a.publicKey); err == nil {
			a.receive(d, now)
		}
	}
}

func (a *agent) publicKey(n cluster.Name) (ed25519.PublicKey, bool) {
	i, known := a.w.names[n]
	if !known {
		return nil, false
	}
	return a.w.nodes[i].key.Public().(ed25519.PublicKey), true
}

// receive judges by a digest and has others look where somebody missed an answer.
func (a *agent) receive(d membership.Digest, now time.Time) {
	reports, err := a.inbox.Take(d, a.moment(now))
	if err != nil || len(reports) == 0 {
		return
	}
	for _, r := range reports {
		if (r.Outcome.Unanswered() || r.Outcome == membership.Exited) && (r.Path == membership.CQL || r.Path == membership.Process) {
			a.askAround(r.Subject, now)
		}
	}
	a.decide(reports, now)
}

func (a *agent) askAround(n cluster.Name, now time.Time) {
	if last, ever := a.asked[n]; a.view.Verdicts[n].Answer == membership.Gone || ever && now.Sub(last) < lookAgain {
		return
	}
	a.asked[n] = now
	a.w.locked(func() { a.hurry(a.w.names[n], now) })
	_ = a.g.LookNow(a.others(a.w.topology.Watch[n]), n)
}

// decide lets the real judge go on, and the checker see what it says.
func (a *agent) decide(fresh []membership.Report, now time.Time) {
	m := a.moment(now)
	if wake, due := a.view.Wake(); len(fresh) == 0 && a.view.Began != 0 && (!due || wake > m) && m.Sub(a.view.At) < digestEvery {
		return
	}
	began := cpu()
	a.view = membership.Judge(a.view, [][]membership.Report{fresh}, a.w.topology, a.w.bars, m)
	took := cpu() - began
	a.w.locked(func() {
		a.w.spent.decisions++
		a.w.spent.judging += took
		a.w.count.judged(a.w, a.self, a.view, m, now)
	})
}
