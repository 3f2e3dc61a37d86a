// SPDX-License-Identifier: Apache-2.0

package membership

import "supervisor/cluster"

// Answering names who has an answer of the node's process, a peer over CQL or
// its own agent over CQL or the admin interface; nil: nobody. A process that
// hangs has none, and neither has one that ended, whatever else is known of it.
func Answering(x Verdict) (who []cluster.Name) {
	for i := range x.Ballots {
		t := &x.Ballots[i]
		if t.Duplicate {
			continue
		}
		if t.look(CQL).answered() || t.Own && t.look(Admin).answered() {
			who = append(who, t.Observer)
		}
	}
	return who
}

// RefusedTo names the neighbours to whom the kernel of the node's host says that
// nobody listens any more, neither for clients nor for the other nodes. A
// process that lives can close its port for clients; as long as it runs, also
// stopped, the storage port takes connections. What its own agent says is no
// part of it.
func RefusedTo(x Verdict) (who []cluster.Name) {
	for i := range x.Ballots {
		t := &x.Ballots[i]
		if t.Own || t.Duplicate || t.Unwell || t.Vote == Unheard {
			continue
		}
		if t.look(CQL).Outcome == Refused && t.look(Storage).Outcome == Refused {
			who = append(who, t.Observer)
		}
	}
	return who
}
