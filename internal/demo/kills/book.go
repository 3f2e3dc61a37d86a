// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// Sight is a moment that a record was seen at.
type Sight struct {
	At       time.Time
	Incident string
	Node     cluster.Name
	Moment   Moment
	Rule     incident.Rule // that holds it; empty: it is not held
}

// Term is a leader, from when it was seen to lead.
type Term struct {
	At   time.Time
	Name cluster.Name
}

// Book is what a watcher of the store has seen since it began: the moments of
// records, who led, what became of orders, and when a leader wrote last.
type Book struct {
	mu      sync.Mutex
	records map[string]Sight // open ones, by ID
	seats   map[string]store.KV
	sights  []Sight
	terms   []Term
	orders  map[string]*Fate
	words   []word
	strays  []Stray
	reach   int64 // the revision it has read to
	armed   func(Sight)
}

// NewBook is an empty one.
func NewBook() *Book {
	return &Book{records: map[string]Sight{}, seats: map[string]store.KV{}, orders: map[string]*Fate{}}
}

// Follow takes every batch until the watch ends.
func (b *Book) Follow(batches <-chan store.Batch) {
	for batch := range batches {
		b.take(batch, time.Now())
	}
}

// Arm has f called with every moment from now on, in the watcher's own
// goroutine: what it does is done before the next batch is read. nil disarms.
func (b *Book) Arm(f func(Sight)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = f
}

func (b *Book) take(batch store.Batch, now time.Time) {
	b.mu.Lock()
	seen, before := len(b.sights), b.seated()
	if batch.Whole {
		batch.KVs = append(batch.KVs, b.gone(batch.KVs)...)
	}
	for _, kv := range batch.KVs { // in the order of revisions, if it is no whole one
		b.key(kv, now)
		if !batch.Whole && kv.Mod != 0 && strings.HasPrefix(kv.Key, store.Logs) {
			b.entry(kv, now, b.seated())
		}
	}
	if batch.Whole {
		b.missed(batch, now, before)
	}
	b.reach = max(b.reach, batch.Rev)
	b.lead(now)
	fresh, armed := slices.Clone(b.sights[seen:]), b.armed
	b.mu.Unlock()
	for _, s := range fresh {
		if armed != nil {
			armed(s)
		}
	}
}

// gone are the keys that stood and are not in a whole batch any more.
func (b *Book) gone(whole []store.KV) []store.KV {
	stands := map[string]bool{}
	for _, kv := range whole {
		stands[kv.Key] = true
	}
	var out []store.KV
	for id := range b.records {
		if !stands[store.Record(id)] {
			out = append(out, store.KV{Key: store.Record(id)})
		}
	}
	for key := range b.seats {
		if !stands[key] {
			out = append(out, store.KV{Key: key})
		}
	}
	return out
}

func (b *Book) key(kv store.KV, now time.Time) {
	if parts := store.Split(kv.Key, store.Incidents); len(parts) == 2 && parts[1] == "record" {
		b.record(parts[0], kv, now)
		return
	}
	if parts := store.Split(kv.Key, store.Orders); len(parts) == 2 && kv.Mod != 0 {
		b.order(kv)
		return
	}
	if store.Split(kv.Key, store.Leaders) != nil {
		if kv.Mod == 0 {
			delete(b.seats, kv.Key)
		} else {
			b.seats[kv.Key] = kv
		}
	}
}

// record notes where a record stands; one whose key is gone is archived.
func (b *Book) record(id string, kv store.KV, now time.Time) {
	last, open := b.records[id]
	if kv.Mod == 0 {
		if open {
			delete(b.records, id)
			b.sights = append(b.sights, Sight{At: now, Incident: id, Node: last.Node, Moment: Over})
		}
		return
	}
	var r incident.Record
	if json.Unmarshal(kv.Value, &r) != nil {
		return
	}
	s := Sight{now, id, r.Node, MomentOf(r), r.HeldRule}
	b.records[id] = s
	if !open || last.Moment != s.Moment {
		b.sights = append(b.sights, s)
	}
}

func (b *Book) order(kv store.KV) {
	var o incident.Order
	if json.Unmarshal(kv.Value, &o) != nil {
		return
	}
	f := b.orders[o.ID]
	if f == nil {
		f = &Fate{Effect: o.ID, Incident: o.Incident}
		b.orders[o.ID] = f
	}
	f.note(o)
}

// lead notes who leads: the oldest seat.
func (b *Book) lead(now time.Time) {
	name := b.seated()
	if len(b.terms) == 0 || b.terms[len(b.terms)-1].Name != name {
		b.terms = append(b.terms, Term{now, name})
	}
}

// Leader is who leads now; empty: nobody.
func (b *Book) Leader() cluster.Name {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.terms) == 0 {
		return ""
	}
	return b.terms[len(b.terms)-1].Name
}

// Sights are the moments of incidents about a node that began after a time.
func (b *Book) Sights(node cluster.Name, after time.Time) []Sight {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, out := "", []Sight(nil)
	for _, s := range b.sights {
		if s.Node != node || s.At.Before(after) || first != "" && s.Incident != first {
			continue
		}
		first = s.Incident
		out = append(out, s)
	}
	return out
}

// Heir is the first term of another one than dead after a time.
func (b *Book) Heir(dead cluster.Name, after time.Time) (Term, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.terms {
		if t.At.After(after) && t.Name != dead && t.Name != "" {
			return t, true
		}
	}
	return Term{}, false
}

// Word is the first entry of the journal by another one than dead after a time.
func (b *Book) Word(dead cluster.Name, after time.Time) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.words {
		if w.at.After(after) && w.by != dead {
			return w.at, true
		}
	}
	return time.Time{}, false
}

// Fates are those of an incident's orders.
func (b *Book) Fates(incident string) []Fate {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Fate
	for _, f := range b.orders {
		if f.Incident == incident {
			out = append(out, f.clone())
		}
	}
	slices.SortFunc(out, func(a, b Fate) int { return cmp.Compare(a.Effect, b.Effect) })
	return out
}
