// SPDX-License-Identifier: Apache-2.0

package isolate

import "supervisor/cluster"

// AllCut tells whether every peer has cut the node off behind the fence with
// this token, or a later one; rest names those that have not said so.
func AllCut(seen map[cluster.Name]Seen, peers []cluster.Name, token cluster.Token) (ok bool, rest []cluster.Name) {
	for _, p := range peers {
		if s, told := seen[p]; !told || !s.Cut || s.Token.Compare(token) < 0 {
			rest = append(rest, p)
		}
	}
	return len(rest) == 0 && len(peers) > 0, rest
}

// StillCut lists the peers that may still cut off a node whose fence does so no
// more: they say so, or have said nothing since that fence was written.
func StillCut(seen map[cluster.Name]Seen, peers []cluster.Name, token cluster.Token) []cluster.Name {
	var rest []cluster.Name
	for _, p := range peers {
		if s, told := seen[p]; !told || s.Cut || s.Uncut != "" || s.Token.Compare(token) < 0 {
			rest = append(rest, p)
		}
	}
	return rest
}
