// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// fault is something that is wrong, but with no Cassandra, or less than a fence
// asks for.
type fault struct {
	name string
	does string
	// drains is how many needless drains one run may have for each node, those that a
	// storm held back included, and why so many.
	drains float64
	why    string
	play   func(r *run) (what string)
}

// bound is how many needless drains a run may have.
func (f fault) bound(size int) int { return int(f.drains * float64(size)) }

const never = "a majority is heard and has answers"

// faults are all of them. Order is meaning: a seed names one by its place.
var faults = []fault{
	{"calm", "nothing", 0, never, func(r *run) string { time.Sleep(20 * time.Second); return "" }},
	{"agent_stopped", "up to half of the agents are stopped or killed for 20 s, one of the judges among them or not", 0,
		"who is not heard does not vote, and the others have answers", stopAgents},
	{"pause", "an agent is stopped for 1 to 8 s and goes on, three times", 0, "one observer is no majority", pauses},
	{"starved_1", "an agent gets its CPU 0.1 to 1.5 s late for 25 s, and reads answers after their deadline", 0, "one observer is no majority",
		func(r *run) string { return r.starve(1) }},
	{"starved_4", "four of them, or all", 5, starvedWhy, func(r *run) string { return r.starve(4) }},
	{"starved_16", "sixteen of them, or all", 7, starvedWhy, func(r *run) string { return r.starve(16) }},
	{"loss_host", "10 to 80 % of the packets from and to one host are lost for 25 s", 0.34,
		"with 30 % half of all looks fail at first and three in a row do in time; above that the node answers nobody at once, and is well again a look or two after the loss ended", lossOfHost},
	{"loss_all", "10 to 80 % of all packets are lost for 25 s", 1, "as with one host, for all of them", lossOfAll},
	{"cut_links", "2, 5, 10 or 20 % of all links pass no packet in one direction for 25 s", 1.5,
		"with 20 % more than a third of all pairs is parted, by chance most of the ten others that watch a node among them, and of those whose word arrives", cutLinks},
	{"cut_in", "nothing reaches one host for 25 s, what it sends arrives", 0, "it answers nobody: its drain is none that is counted", cutIn},
	{"cut_out", "nothing leaves one host for 25 s, what is sent to it arrives", 0, "it answers nobody: its drain is none that is counted", cutOut},
	{"cut_judges", "the judges hear nothing from a third of the hosts for 25 s", 0,
		"who is not heard does not vote; a look from a judge's host needs both directions, and there are ten others", cutJudges},
	{"flip_flop", "both directions of a link are cut and healed every 20 s, or every 1 to 3 s", 0, "one observer of each is no majority", flipFlop},
	{"clock_leap", "the boot clocks of up to half of the hosts leap ahead by 1 to 60 s, as after a suspended machine", 0,
		"an agent that leapt abstains, and a judge's own reports are all old at once: Unknown", leaps},
	{"mass_restart", "all agents are killed and started again within 5 s", 0, "a judge that begins starts at Unknown", restarts},
	{"long_gc", "a Cassandra answers nobody for 2 to 12 s, and its process lives", 0, "it answers nobody: its drain is none that is counted", longGC},
}

const starvedWhy = "where most observers of a node are late by less than the second that makes them abstain, their silences are believed"

const faultFor = 25 * time.Second

// some are k different hosts.
func (r *run) some(k int) []int { return r.dice.Perm(r.size)[:min(k, r.size)] }

// between is a time from the first to the second.
func between(d *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(d.Int64N(int64(to-from)+1))
}

func stopAgents(r *run) string {
	k := 1 + r.dice.IntN(max(1, r.size/2))
	judges, stopped := 0, 0
	farewell := r.dice.IntN(2) == 0
	var gone []int
	for _, n := range r.dice.Perm(r.size) {
		if n < len(r.w.control) {
			if judges == 1 { // one that judges is left, and another one
				continue
			}
			judges++
		}
		if stopped++; stopped > k {
			break
		}
		r.w.stop(n, farewell)
		gone = append(gone, n)
	}
	time.Sleep(20 * time.Second)
	for _, n := range gone {
		r.w.start(n, "again")
	}
	return fmt.Sprintf("%d farewell=%v judges=%d", len(gone), farewell, judges)
}

// stall takes the CPU from an agent.
func (r *run) stall(n int, spans ...span) {
	r.w.locked(func() { r.w.network.hosts[n].stalls = append(r.w.network.hosts[n].stalls, spans...) })
}

func pauses(r *run) string {
	n := r.dice.IntN(r.size)
	what := fmt.Sprintf("n%04d", n+1)
	for range 3 {
		d := between(r.dice, time.Second, 8*time.Second)
		now := time.Now()
		r.stall(n, span{now, now.Add(d)})
		what += fmt.Sprintf(" %.1fs", d.Seconds())
		time.Sleep(d + between(r.dice, time.Second, 4*time.Second))
	}
	return what
}

func (r *run) starve(k int) string {
	now := time.Now()
	least := []time.Duration{100 * time.Millisecond, 450 * time.Millisecond}[r.dice.IntN(2)]
	worst := []time.Duration{600 * time.Millisecond, 950 * time.Millisecond, 1500 * time.Millisecond}[r.dice.IntN(3)]
	r.w.locked(func() { r.w.unread = []float64{0.5, 0.95}[r.dice.IntN(2)] })
	for _, n := range r.some(k) {
		var spans []span
		for at := now; at.Sub(now) < faultFor; {
			to := at.Add(between(r.dice, least, worst))
			spans = append(spans, span{at, to})
			at = to.Add(between(r.dice, 5*time.Millisecond, 60*time.Millisecond))
		}
		r.stall(n, spans...)
	}
	time.Sleep(faultFor)
	return fmt.Sprintf("%v to %v, unread=%.2f", least, worst, r.w.unread)
}

// lose sets the loss of the links that are chosen.
func (r *run) lose(loss float64, chosen func(from, to int) bool) {
	r.each(chosen, func(l *link) { l.loss = loss })
	time.Sleep(faultFor)
	r.each(chosen, func(l *link) { l.loss = 0 })
}

// cut cuts them.
func (r *run) cut(d time.Duration, chosen func(from, to int) bool) {
	r.each(chosen, func(l *link) { l.cut = true })
	time.Sleep(d)
	r.each(chosen, func(l *link) { l.cut = false })
}

func (r *run) each(chosen func(from, to int) bool, do func(*link)) {
	r.w.locked(func() {
		for from := range r.size {
			for to := range r.size {
				if from != to && chosen(from, to) {
					do(r.w.link(from, to))
				}
			}
		}
	})
}

func lossOfHost(r *run) string {
	n, loss := r.dice.IntN(r.size), 0.1*float64(1+r.dice.IntN(8))
	r.lose(loss, func(from, to int) bool { return from == n || to == n })
	return fmt.Sprintf("n%04d loss=%.0f%%", n+1, 100*loss)
}

func lossOfAll(r *run) string {
	loss := 0.1 * float64(1+r.dice.IntN(8))
	r.lose(loss, func(int, int) bool { return true })
	return fmt.Sprintf("loss=%.0f%%", 100*loss)
}

func cutLinks(r *run) string {
	chance, share := r.dice.Uint64(), []float64{0.02, 0.05, 0.1, 0.2}[r.dice.IntN(4)]
	r.cut(faultFor, func(from, to int) bool { return luck(chance, uint64(from), uint64(to)) < share })
	return fmt.Sprintf("%.0f%% of links", 100*share)
}

func cutIn(r *run) string {
	n := r.dice.IntN(r.size)
	r.cut(faultFor, func(_, to int) bool { return to == n })
	return fmt.Sprintf("n%04d", n+1)
}

func cutOut(r *run) string {
	n := r.dice.IntN(r.size)
	r.cut(faultFor, func(from, _ int) bool { return from == n })
	return fmt.Sprintf("n%04d", n+1)
}

func cutJudges(r *run) string {
	deaf := map[int]bool{}
	for _, n := range r.some(max(1, r.size/3)) {
		deaf[n] = true
	}
	r.cut(faultFor, func(from, to int) bool { return deaf[from] && to < len(r.w.control) })
	return fmt.Sprintf("%d hosts", len(deaf))
}

func flipFlop(r *run) string {
	pair := r.some(2)
	chosen := func(from, to int) bool {
		return from == pair[0] && to == pair[1] || from == pair[1] && to == pair[0]
	}
	slow := r.dice.IntN(2) == 0
	for began := time.Now(); time.Since(began) < 80*time.Second; {
		d := 20 * time.Second
		if !slow {
			d = between(r.dice, time.Second, 3*time.Second)
		}
		r.cut(d, chosen)
		time.Sleep(d)
	}
	return fmt.Sprintf("n%04d-n%04d slow=%v", pair[0]+1, pair[1]+1, slow)
}

func leaps(r *run) string {
	leapt := r.some(1 + r.dice.IntN(max(1, r.size/2)))
	d := between(r.dice, time.Second, time.Minute)
	r.w.locked(func() {
		for _, n := range leapt {
			r.w.nodes[n].leap, r.w.nodes[n].leapt = d, time.Now()
		}
	})
	time.Sleep(20 * time.Second)
	return fmt.Sprintf("%d hosts by %.1fs", len(leapt), d.Seconds())
}

func restarts(r *run) string {
	for n := range r.size {
		r.w.stop(n, false)
	}
	order := r.dice.Perm(r.size)
	for _, n := range order {
		time.Sleep(between(r.dice, 0, 5*time.Second/time.Duration(r.size)))
		r.w.start(n, "again")
	}
	time.Sleep(10 * time.Second)
	return ""
}

func longGC(r *run) string {
	n, d := r.dice.IntN(r.size), between(r.dice, 2*time.Second, 12*time.Second)
	r.w.locked(func() { r.w.nodes[n].cassandra = stands })
	time.Sleep(d)
	r.w.locked(func() { r.w.nodes[n].cassandra = serves })
	return fmt.Sprintf("n%04d %.1fs", n+1, d.Seconds())
}
