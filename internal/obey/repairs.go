// SPDX-License-Identifier: Apache-2.0

package obey

import (
	"slices"

	"supervisor/cluster"
)

// Repairs are those that executors of this host began and saw no end of. They go
// on in Cassandra when the boot that began them has ended, or its order's limit
// has passed, and the next must not overlap. Each number is on disk before it is
// followed. Not known are one whose agent died in between, one that Cassandra has
// gone on with for so long that it forgot it (a day), and what people began: their
// repairs may follow one another for ever. To overlap with those costs time, no data.
type Repairs struct {
	Process cluster.Boot `json:"process"` // the numbers are its own
	On      []int        `json:"on"`
}

// Of are those of one process: with another one they have ended.
func (r Repairs) Of(p cluster.Boot) Repairs {
	if r.Process != p {
		return Repairs{Process: p}
	}
	return r
}

// Begun adds one as soon as it has its number.
func (r Repairs) Begun(cmd int) Repairs {
	r.On = append(slices.Clone(r.On), cmd)
	return r
}

// Look asks about each and keeps those that run. One that nobody can ask about
// runs, for all that is known: then nothing is begun.
func (r Repairs) Look(runs func(cmd int) (bool, error)) (Repairs, error) {
	var on []int
	for _, cmd := range r.On {
		is, err := runs(cmd)
		if err != nil {
			return r, err
		}
		if is {
			on = append(on, cmd)
		}
	}
	r.On = on
	return r, nil
}
