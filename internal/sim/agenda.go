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
		if !x.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = x
	*a = h
}

func (a *agenda) pop() action {
	h := *a
	next, last := h[0], len(h)-1
	sinks := h[last]
	h[last] = action{}
	h = h[:last]
	*a = h
	if last == 0 {
		return next
	}
	i := 0
	for {
		down := 2*i + 1
		if down+1 < last && h[down+1].before(&h[down]) {
			down++
		}
		if down >= last || sinks.before(&h[down]) {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = sinks
	return next
}
