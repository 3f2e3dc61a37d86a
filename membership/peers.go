// SPDX-License-Identifier: Apache-2.0

package membership

import "supervisor/cluster"

// PeersAnswering counts, by an agent's own looks, the nodes it watches that answer, of
// how many. While one of them has not had the time to be silent nobody can say
// that no other node answers, and it is none of none: an agent that has just begun
// must not take its own blindness for a cluster that lost its power.
func PeersAnswering(self cluster.Name, looks []Look, watched []cluster.Name, missesMax int) (answering, peers int) {
	sure := make(map[cluster.Name]bool, len(watched))
	for _, l := range looks {
		if l.Subject == self || l.Path != CQL {
			continue
		}
		good := l.Outcome == Good || l.Outcome == Late
		if good {
			answering++
		}
		sure[l.Subject] = good || l.Outcome != Silent || l.Misses >= missesMax
	}
	for _, n := range watched {
		if n == self {
			continue
		}
		peers++
		if !sure[n] && answering == 0 {
			return 0, 0
		}
	}
	return answering, peers
}
