// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"time"
)

// Stroke is one fault at one moment. A schedule is a list of them: what a seed
// draws, what a failure is shrunk to, and what a scenario writes down.
type Stroke struct {
	At    time.Duration `json:"at"` // since the storm began
	Fault string        `json:"fault"`
	Node  int           `json:"node"` // the victim, counted over all nodes
	Salt  int64         `json:"salt"` // of the fault's own chance
	// For is how long it stands, of a fault that ends by itself; 0: by its own
	// chance.
	For time.Duration `json:"for,omitempty"`
	// Wait is how long it waits for a moment at which it has a meaning; 0: it
	// does not.
	Wait time.Duration `json:"wait,omitempty"`
}

// Faults are the names of the catalogue, in its order.
func Faults() []string {
	var names []string
	for _, f := range catalogue() {
		names = append(names, f.name)
	}
	return names
}

// UnknownFault is a name that the catalogue does not have.
type UnknownFault struct{ Name string }

// Error lists the faults that exist.
func (e UnknownFault) Error() string {
	return fmt.Sprintf("no fault %q; there are: %s", e.Name, strings.Join(Faults(), ", "))
}

// pauseMin and pauseMax are between two strokes of a storm.
const (
	pauseMin = 500 * time.Millisecond
	pauseMax = 12 * time.Second
)

// draw makes the schedule of a seed. Of the catalogue about half is left out
// (swarm testing: faults that are always all on hide one another), and two
// faults that seldom meet by chance are drawn beside the rest.
func draw(rng *rand.Rand, storm time.Duration, only []string) ([]Stroke, error) {
	var on []fault
	for _, f := range catalogue() {
		switch {
		case len(only) > 0:
			if slices.Contains(only, f.name) {
				f.weight = max(1, f.weight)
				on = append(on, f)
			}
		case rng.Intn(2) == 0:
			on = append(on, f)
		}
	}
	for _, name := range only {
		if !slices.Contains(Faults(), name) {
			return nil, UnknownFault{name}
		}
	}
	total := 0
	for _, f := range on {
		total += f.weight
	}
	var strokes []Stroke
	for at := time.Duration(0); at < storm && total > 0; at += pauseMin + time.Duration(rng.Int63n(int64(pauseMax-pauseMin))) {
		dice := rng.Intn(total)
		for _, f := range on {
			if dice -= f.weight; dice < 0 {
				strokes = append(strokes, Stroke{At: at, Fault: f.name, Node: rng.Intn(1 << 16), Salt: rng.Int63()})
				break
			}
		}
	}
	if len(only) == 0 && storm > 0 {
		strokes = append(strokes, couple(rng, storm)...)
		slices.SortStableFunc(strokes, func(a, b Stroke) int { return cmp.Compare(a.At, b.At) })
	}
	return strokes, nil
}

// rare are the faults that mostly find no moment at which they have a meaning:
// too much is broken already, or nothing is yet. after is the fault that makes
// such a moment. Those without power for many are drawn here only: a storm full
// of them shows nothing else.
func rare() []struct{ name, after string } {
	return []struct{ name, after string }{
		{"power-loss", ""}, {"rack-power", ""}, {"datacenter-power", ""}, {"hang", ""}, {"oom", ""}, {"restart-loop", ""}, {"old-snapshot", ""},
		{"disk-error", ""}, {"disk-policy-stop", ""}, {"cql-off", ""}, {"gossip-off", ""}, {"digest-replayed", ""},
		{"mass-return", "kill"}, {"start-by-hand", "kill"}, {"join-by-hand", "kill"}, {"severity-by-hand", "kill"},
	}
}

// patience is how long a stroke of a couple waits for its moment.
const patience = 40 * time.Second

// couple draws two rare faults close together, each of which waits for its
// moment: by chance alone most pairs of them would never be seen.
func couple(rng *rand.Rand, storm time.Duration) []Stroke {
	rows := rare()
	var strokes []Stroke
	hit := func(at time.Duration, fault string) {
		strokes = append(strokes, Stroke{At: at, Fault: fault, Node: rng.Intn(1 << 16), Salt: rng.Int63(), Wait: patience})
	}
	at := time.Duration(rng.Int63n(int64(storm)/2 + 1))
	one, two := rows[rng.Intn(len(rows))], rows[rng.Intn(len(rows))]
	if first := max(one.after, two.after); first != "" {
		hit(at, first)
	}
	at += 5 * time.Second
	hit(at, one.name)
	hit(at+time.Duration(rng.Int63n(int64(20*time.Second))), two.name)
	return strokes
}

// known refuses a schedule with a fault that the catalogue does not have.
func known(strokes []Stroke) error {
	names := Faults()
	for _, s := range strokes {
		if !slices.Contains(names, s.Fault) {
			return UnknownFault{s.Fault}
		}
	}
	return nil
}

// plan puts a schedule on the agenda.
func (w *world) plan(strokes []Stroke) {
	rows := map[string]fault{}
	for _, f := range catalogue() {
		rows[f.name] = f
	}
	for _, s := range strokes {
		w.after(s.At, func() { w.strike(rows[s.Fault], s) })
	}
}

// strike begins one fault. In the calm nothing begins.
func (w *world) strike(f fault, s Stroke) {
	if !w.storm {
		return
	}
	b := &blow{w: w, n: w.nodes[s.Node%len(w.nodes)], rng: rand.New(rand.NewSource(s.Salt)), fault: f.name, stands: s.For}
	if !f.strike(b) { // it has no meaning here and now
		if s.Wait -= second; s.Wait >= 0 {
			w.after(second, func() { w.strike(f, s) })
		}
		return
	}
	w.note("stroke %s on %s", f.name, b.n.name)
	w.rep.Struck[f.name]++
	for _, r := range w.recent {
		if w.now.Sub(r.at) <= together {
			w.rep.Pairs[pair(r.fault, f.name)]++
		}
	}
	w.recent = append(w.recent, struck{w.now, f.name})
	if len(w.recent) > recentMax {
		w.recent = w.recent[1:]
	}
}

// together is how close two faults must begin to count as a pair.
const together = time.Minute

const recentMax = 64

type struck struct {
	at    moment
	fault string
}

// Pairs are all that a report can count, a fault with itself too.
func Pairs() []string {
	names := Faults()
	var pairs []string
	for i, a := range names {
		for _, b := range names[i:] {
			pairs = append(pairs, pair(a, b))
		}
	}
	return pairs
}

// pair names two faults without order.
func pair(a, b string) string {
	if b < a {
		a, b = b, a
	}
	return a + "+" + b
}

// blow is one fault at work.
type blow struct {
	w      *world
	n      *node
	rng    *rand.Rand
	fault  string
	stands time.Duration // 0: by chance
}

// span is a length by the fault's own chance.
func (b *blow) span(low, high time.Duration) time.Duration {
	return low + time.Duration(b.rng.Int63n(int64(high-low)))
}

// lasts ends the fault after a while, or when the calm begins.
func (b *blow) lasts(low, high time.Duration, undo func()) bool {
	w := b.w
	w.blows++
	id := w.blows
	name, victim := b.fault, b.n.name
	end := func() {
		if _, on := w.standing[id]; !on {
			return
		}
		delete(w.standing, id)
		w.note("%s on %s ends", name, victim)
		undo()
	}
	w.standing[id] = end
	span := b.span(low, high)
	if b.stands > 0 {
		span = b.stands
	}
	w.after(span, end)
	return true
}

// calm ends every fault that still stands, the oldest first.
func (w *world) calm() {
	w.note("calm")
	w.storm = false
	for id := 1; id <= w.blows; id++ {
		if end, on := w.standing[id]; on {
			end()
		}
	}
	for _, n := range w.nodes {
		n.settle()
	}
}
