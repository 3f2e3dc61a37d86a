// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"testing"
	"time"
)

func TestDrifts(t *testing.T) {
	s := func(ahead, off int) Clock {
		return Clock{time.Duration(ahead) * time.Millisecond, time.Duration(off) * time.Millisecond}
	}
	for _, row := range []struct {
		why    string
		others []Clock
		want   Drift
		apart  bool
	}{
		{"nobody was seen", nil, Drift{}, false},
		{"of two clocks nobody knows which is wrong", []Clock{s(9000, 1)}, Drift{}, false},
		{"all agree", []Clock{s(3, 1), s(-2, 1), s(0, 40)}, Drift{}, false},
		{"all others are ahead: this one is behind", []Clock{s(2000, 1), s(2010, 5), s(1990, 1)}, Drift{Ahead: -2 * time.Second, Error: 5 * time.Millisecond, Count: 3, Of: 3}, true},
		{"all others are behind: this one is ahead", []Clock{s(-900, 1), s(-910, 1)}, Drift{Ahead: 900 * time.Millisecond, Error: time.Millisecond, Count: 2, Of: 2}, true},
		{"one host that is wrong is its own finding", []Clock{s(2000, 1), s(1, 1)}, Drift{}, false},
		{"two that are wrong in two directions say nothing of this one", []Clock{s(2000, 1), s(-2000, 1)}, Drift{}, false},
		{"at the bound it is none yet", []Clock{s(501, 1), s(501, 1)}, Drift{}, false},
		{"what may be the way of the packet is none", []Clock{s(2000, 1600), s(2000, 1600), s(1, 1)}, Drift{}, false},
		{"most is enough", []Clock{s(2000, 1), s(1000, 20), s(0, 1)}, Drift{Ahead: -1 * time.Second, Error: 20 * time.Millisecond, Count: 2, Of: 3}, true},
	} {
		if got, apart := Drifts(row.others, 500*time.Millisecond); got != row.want || apart != row.apart {
			t.Errorf("%s: %+v, %v; want %+v, %v", row.why, got, apart, row.want, row.apart)
		}
	}
}
