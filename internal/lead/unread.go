// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"supervisor/internal/store"
)

// What stands in the store and this program cannot read, of a later program
// perhaps. It is never taken for what is not there.

// unreadable tells whether one of the keys stands and cannot be read.
func (p *Picture) unreadable(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { _, strange := p.Strange[key]; return strange })
}

// Unread lists the keys that cannot be read, by name. What tells only of what was
// is not among them, nor reports: nothing waits for the former, and the latter are
// written again.
func (p *Picture) Unread() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.Strange)), func(key string) bool {
		return strings.HasPrefix(key, store.Logs) || strings.HasPrefix(key, store.Archive) || strings.HasPrefix(key, store.Seens) || strings.HasPrefix(key, store.Abroads)
	})
}

// FenceRevs are the revisions of all fences that are written, by key, also of those
// that nobody obeys or that this program cannot read.
func (p *Picture) FenceRevs() map[string]int64 {
	revs := map[string]int64{}
	for n, at := range p.Fences { // order: into a map
		revs[store.Fence(n)] = at.Mod
	}
	for key := range p.Strange { // order: into a map
		if strings.HasPrefix(key, store.Fences) {
			revs[key] = p.mods[key]
		}
	}
	return revs
}

// policyVersion is the version that the next policy counts on from; 0: there was
// none.
func (p *Picture) policyVersion() int64 {
	if unread := p.policyUnread(); unread != nil {
		return *unread
	}
	if p.Policy.Value == nil {
		return 0
	}
	return p.Policy.Value.Version
}

// policyUnread is the version of a policy that stands and cannot be read; nil:
// there is no such. Each version is kept under a key of its own in the transaction
// that writes it, so the keys tell.
func (p *Picture) policyUnread() *int64 {
	if !p.unreadable(store.Policy) {
		return nil
	}
	version := int64(0)
	for key := range p.mods { // order: the greatest is the same in any
		if n, kept := strings.CutPrefix(key, store.Policies); kept {
			v, _ := strconv.ParseInt(n, 10, 64) // what is no number is no version
			version = max(version, v)
		}
	}
	return &version
}

// asItStands compares policy and holds by their revisions also where they cannot
// be read. Only a policy of a person is written so: it rests on neither, and it is
// the way out of one that nobody can read.
func (t *txn) asItStands() {
	for i, c := range t.t.Compare {
		if (c.Key == store.Policy || c.Key == store.Holds) && t.s.Picture.unreadable(c.Key) {
			t.t.Compare[i].Rev = t.s.Picture.mods[c.Key]
		}
	}
}
