// SPDX-License-Identifier: Apache-2.0

package sim

// action is something that happens at a moment; of two at one moment the one
// that was planned first is first.
type action struct {
	at  moment
	seq int
	do  func()
}

func (a *action) before(b *action) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// agenda is a heap of actions, the next one at its root. container/heap would
// put each of hundreds of millions into an interface.
type agenda []action

func (a *agenda) push(x action) {
	h := append(*a, x)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	*a = h
}

func (a *agenda) pop() action {
	h := *a
	next, last := h[0], len(h)-1
	h[0], h[last] = h[last], action{}
	h = h[:last]
	for i := 0; ; {
		least := i
		for _, down := range []int{2*i + 1, 2*i + 2} {
			if down < last && h[down].before(&h[least]) {
				least = down
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	*a = h
	return next
}
