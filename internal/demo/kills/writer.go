// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// word is a commit that only a leader makes: an entry of the journal.
type word struct {
	at time.Time
	by cluster.Name
}

// Stray is an entry of the journal by somebody who did not lead at the
// revision it was written at: nobody may ever see one.
type Stray struct {
	At    time.Time
	Entry string
	By    cluster.Name
	Led   cluster.Name
}

// String names the entry, its writer and who led.
func (s Stray) String() string {
	led := string(s.Led)
	if led == "" {
		led = "nobody"
	}
	return fmt.Sprintf("%s was written by %s while %s led", s.Entry, s.By, led)
}

// entry notes who wrote an entry, and who led at its revision.
func (b *Book) entry(kv store.KV, now time.Time, led cluster.Name) {
	e, by := written(kv)
	if by == "" {
		return
	}
	b.words = append(b.words, word{now, by})
	if by != led {
		b.strays = append(b.strays, Stray{now, fmt.Sprintf("%s (%s)", e.ID, e.Code), by, led})
	}
}

// written is an entry and the leader that wrote it; empty when it is told as
// a person's word, which whoever led wrote down.
func written(kv store.KV) (incident.Entry, cluster.Name) {
	var e incident.Entry
	if json.Unmarshal(kv.Value, &e) != nil || e.Actor.Kind != "leader" {
		return e, ""
	}
	return e, cluster.Name(e.Actor.Name)
}

// missed reads what was written between the last batch and a whole one: first
// by who led before it, and once who leads now wrote, by nobody else.
func (b *Book) missed(batch store.Batch, now time.Time, led cluster.Name) {
	if b.reach == 0 {
		return // all of it is older than the book
	}
	var fresh []store.KV
	for _, kv := range batch.KVs {
		if kv.Mod > b.reach && strings.HasPrefix(kv.Key, store.Logs) {
			fresh = append(fresh, kv)
		}
	}
	slices.SortFunc(fresh, func(a, b store.KV) int { return cmp.Compare(a.Mod, b.Mod) })
	leads := b.seated()
	for _, kv := range fresh {
		if _, by := written(kv); by == leads {
			led = leads
		}
		b.entry(kv, now, led)
	}
}

// seated is who has the oldest seat.
func (b *Book) seated() cluster.Name {
	var first store.KV
	for _, kv := range b.seats {
		if first.Create == 0 || kv.Create < first.Create {
			first = kv
		}
	}
	return cluster.Name(first.Value)
}

// Strays are the entries since a time that were written out of a term.
func (b *Book) Strays(after time.Time) []Stray {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Stray
	for _, s := range b.strays {
		if s.At.After(after) {
			out = append(out, s)
		}
	}
	return out
}

// Woken is what an agent that was stopped did when it woke up, by its own log:
// how many commits of its old term the store turned away, and whether it then
// knew that it leads no more. What comes after a new term is not about the old
// one.
func Woken(log string) (refused int, knows bool) {
	for line := range strings.Lines(log) {
		switch {
		case strings.Contains(line, `"leads the region"`):
			return refused, knows
		case strings.Contains(line, `"leads no more"`):
			knows = true
		case strings.Contains(line, `"commit not written, reading everything anew"`):
			refused++
		}
	}
	return refused, knows
}
