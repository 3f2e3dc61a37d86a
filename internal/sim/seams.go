// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"slices"

	"supervisor/incident"
	"supervisor/internal/store"
)

// The guards that scenarios take away and that no bug of the table breaks: each
// is planted where w.bug names it.
const (
	impatient   = "impatient"
	leaseIsLife = "lease-is-life"
	lenient     = "lenient"
	oldWriter   = "old-writer"
	// believeRestored is planted in world.comesBack.
	believeRestored = "believe-restored"
	lostIsNot       = "lost-is-not-written" // in explorations only
	credulous       = "credulous"
)

// The bugs of the simulator itself, which the full pass of the checks sees.
const (
	numb   = "numb"
	untold = "untold"
)

func seams() []Bug {
	return []Bug{
		{Name: impatient, Does: "probes take a late answer for none"},
		{Name: leaseIsLife, Does: "observers take a host whose agent has no lease for dead"},
		{Name: lenient, Does: "a policy is read as far as it is understood"},
		{Name: lostIsNot, Does: "leaders take a lost answer for one that was not written"},
		{Name: oldWriter, Does: "who lost the store goes on writing pools"},
		{Name: believeRestored, Does: "a store that was brought back is taken for the one that was lost"},
		{Name: credulous, Does: "agents believe whatever store answers"},
		{Name: numb, Does: "the checks are not told when the truth changes"},
		{Name: untold, Does: "the checks are not told of what is written"},
	}
}

// leaseless tells whether the store, as this agent last read it, has no word of
// the host's agent.
func (a *agent) leaseless(t *node) bool {
	_, there := a.state.Picture.Agents[t.name]
	return a.whole && a.w.storm && !there
}

// lenient is a bug: of a policy it leaves out what this program does not know,
// and the rest is believed. Another one forgets what people asked to leave alone.
func (w *world) lenient(kvs []store.KV) []store.KV {
	if !w.bug(lenient) && !w.bug(forgetfulPause) {
		return kvs
	}
	kvs = slices.Clone(kvs)
	for i, kv := range kvs {
		if w.bug(forgetfulPause) {
			if kv.Key == store.Holds {
				kvs[i].Value = []byte("{}")
			}
			continue
		}
		var p incident.Policy
		if kv.Key == store.Policy && json.Unmarshal(kv.Value, &p) == nil {
			kvs[i].Value, _ = json.Marshal(p)
		}
	}
	return kvs
}
