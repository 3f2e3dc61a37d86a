// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"slices"
	"sync"
	"time"
)

// kernel stands for the real one: it keeps a table as a value.
type kernel struct {
	mu     sync.Mutex
	there  bool
	table  Table
	broken error
	writes int
	before func() // called before anything is written

	clock time.Duration // of the boot clock
	until time.Duration // the lease's element is there before this moment
	holds int
}

func (k *kernel) Standing() (Standing, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.standing(), k.broken
}

func (k *kernel) standing() Standing {
	if !k.there {
		return Standing{}
	}
	s, l, differs := Read(k.table)
	return Standing{State: s, Lease: l, Held: k.held(), Differs: differs, Foreign: k.table.Mark == "", there: true, table: k.table}
}

func (k *kernel) held() bool { return k.table.LeaseFor != 0 && k.clock < k.until }

func (k *kernel) boot() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.clock
}

// Hold is as the real one.
func (k *kernel) Hold(h Hold) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holds++
	switch {
	case k.broken != nil:
		return k.broken
	case !k.there || k.table.LeaseFor == 0:
		return ErrNoLease
	case h == Kept && !k.held():
		return ErrEnded
	}
	k.until = k.clock
	if h != Ended {
		k.until += k.table.LeaseFor
	}
	return nil
}

func (k *kernel) Release(alsoEnded bool) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.broken != nil:
		return false, k.broken
	case !k.there:
		return true, nil
	case k.table.Mark == "":
		return false, ErrForeign
	case !alsoEnded && k.table.LeaseFor != 0 && !k.held():
		return false, nil
	}
	if s, _, _ := Read(k.table); s.Empty() {
		k.there = false
	}
	k.table.LeaseFor = 0
	for chain, rules := range k.table.Rules {
		k.table.Rules[chain] = slices.DeleteFunc(rules, func(r Rule) bool { return r.Why == whyLease })
	}
	return true, nil
}

func (k *kernel) Apply(s State, l Lease, h Hold) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return nil, k.broken
	}
	was := k.standing()
	found := was.From(s, l)
	switch {
	case was.Foreign:
		return found, ErrForeign
	case h == Kept && found != nil && k.table.LeaseFor != 0 && k.there && !l.Off() && !k.held():
		return found, ErrEnded
	case h == Begun && !l.Off():
		k.until = k.clock + l.For
	}
	switch {
	case found == nil:
		return nil, nil
	}
	if k.before != nil {
		k.before()
	}
	k.writes++
	k.there, k.table = !s.Empty() || !l.Off(), Compile(s, l)
	if k.until = k.clock; h != Ended {
		k.until += l.For
	}
	return found, nil
}

// change is what a hand does.
func (k *kernel) change(f func(k *kernel)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k)
}
