// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// key is one path to one node.
type key struct {
	subject cluster.Name
	path    membership.Path
}

// entry is the newest look on one path.
type entry struct {
	outcome membership.Outcome
	misses  int
	since   cluster.Moment // the outcome has stood from here, or one like it before it
	at      cluster.Moment // of the look
	live    bool           // the look never ends: it is as old as the asking
	trouble error
	unmade  bool // the newest look could not be made
}

// Trouble is what stood behind a look that did not go well.
type Trouble struct {
	Subject cluster.Name
	Path    membership.Path
	Err     error
	Unmade  bool // our own trouble: the look could not be made and is no word about the node
}

// table keeps the newest look on each path. Nobody waits on it: a reader that
// comes late finds the newest word, not a queue.
type table struct {
	mu      sync.Mutex
	entries map[key]entry
	paces   map[cluster.Name]*pace // of the answers by CQL
	changed chan struct{}          // capacity 1
	looked  func(membership.Path, membership.Outcome)
}

// missesTold is the last miss in a row that is news; looks in a row are
// counted up to missesMax.
const (
	missesTold = 3
	missesMax  = 1000
)

func newTable(looked func(membership.Path, membership.Outcome)) *table {
	return &table{entries: map[key]entry{}, paces: map[cluster.Name]*pace{}, changed: make(chan struct{}, 1), looked: looked}
}

// note keeps one look. NoWord keeps the last look as it is, growing old, and
// only remembers the trouble.
func (t *table) note(k key, outcome membership.Outcome, at cluster.Moment, live bool, trouble error) {
	t.mu.Lock()
	e, known := t.entries[k]
	e.trouble, e.unmade = trouble, outcome == membership.NoWord
	news := false
	switch {
	case outcome == membership.NoWord:
		if e.live {
			e.live, e.at = false, at
		}
	case !known || e.outcome != outcome:
		since := at
		if known && outcome.Prolongs(e.outcome) {
			since = e.since
		}
		e = entry{outcome: outcome, since: since, at: at, live: live, trouble: trouble}
		news = true
	default:
		e.at, e.live = at, live
	}
	if outcome != membership.NoWord && bad(outcome) {
		e.misses = min(e.misses+1, missesMax)
		news = news || e.misses <= missesTold
	}
	t.entries[k] = e
	t.mu.Unlock()
	t.looked(k.path, outcome)
	if news {
		t.tell()
	}
}

// time keeps what a look by CQL took.
func (t *table) time(subject cluster.Name, o membership.Outcome, took time.Duration, at cluster.Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paces[subject] == nil {
		t.paces[subject] = &pace{}
	}
	t.paces[subject].note(o, took, at)
}

func bad(o membership.Outcome) bool { return o != membership.Good && o != membership.Late }

// tell says that something is new.
func (t *table) tell() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func (t *table) looks(now cluster.Moment) []membership.Look {
	t.mu.Lock()
	out := make([]membership.Look, 0, len(t.entries))
	for k, e := range t.entries {
		if e.outcome == membership.NoWord {
			continue
		}
		l := membership.Look{Subject: k.subject, Path: k.path, Outcome: e.outcome, Misses: e.misses,
			Held: max(0, now.Sub(e.since)), Age: max(0, now.Sub(e.at))}
		if e.live {
			l.Age = 0
		}
		if p := t.paces[k.subject]; p != nil && k.path == membership.CQL && !bad(e.outcome) {
			l.Took = p.typical(now)
		}
		out = append(out, l)
	}
	t.mu.Unlock()
	slices.SortFunc(out, func(a, b membership.Look) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Path, b.Path))
	})
	return out
}

func (t *table) troubles() []Trouble {
	t.mu.Lock()
	var out []Trouble
	for k, e := range t.entries {
		if e.trouble != nil {
			out = append(out, Trouble{Subject: k.subject, Path: k.path, Err: e.trouble, Unmade: e.unmade})
		}
	}
	t.mu.Unlock()
	slices.SortFunc(out, func(a, b Trouble) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Path, b.Path))
	})
	return out
}
