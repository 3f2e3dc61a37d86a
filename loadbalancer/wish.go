// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import (
	"fmt"

	"supervisor/cluster"
)

// Want is what a proxy should do with a server. Unknown is the zero value and
// orders nothing.
type Want uint8

// Ready receives clients, Drain receives no new ones and keeps the proxy's
// own check running, Maint receives none and is not checked either.
const (
	Unknown Want = iota
	Ready
	Drain
	Maint
)

var wants = cluster.Words{"unknown", "ready", "drain", "maint"}

// String returns the wire word.
func (w Want) String() string { return wants.Word(uint8(w)) }

// MarshalText spells a Want on the wire; a value without a word is an error.
func (w Want) MarshalText() ([]byte, error) {
	if int(w) >= len(wants) {
		return nil, fmt.Errorf("spell want %d: it has no word", w)
	}
	return []byte(wants[w]), nil
}

// UnmarshalText reads the wire word; the error lists the words that exist.
func (w *Want) UnmarshalText(text []byte) error {
	v, err := wants.Value(string(text))
	if err != nil {
		return fmt.Errorf("read want: %w", err)
	}
	*w = Want(v)
	return nil
}

// Wish is the wanted state of one server.
type Wish struct {
	Want   Want `json:"want"`
	Weight int  `json:"weight,omitempty"` // percent of the server's normal weight, 1..100; 0 unless Ready
}

// Full is the wish of a member in normal service.
var Full = Wish{Want: Ready, Weight: 100}

// String renders a wish as people read it: "ready 10 %", "drain".
func (w Wish) String() string {
	if w.Want == Ready {
		return fmt.Sprintf("ready %d %%", w.Weight)
	}
	return w.Want.String()
}

// settled returns the one spelling of a wish, so that equal wishes are equal
// values: a weight says nothing outside of Ready and becomes 0 there.
func (w Wish) settled() (Wish, error) {
	switch {
	case w.Want == Unknown || int(w.Want) >= len(wants):
		return Wish{}, fmt.Errorf("wish %s orders nothing; want ready, drain or maint", w)
	case w.Want != Ready:
		return Wish{Want: w.Want}, nil
	case w.Weight < 1 || w.Weight > 100:
		return Wish{}, fmt.Errorf("weight %d %% is not in 1..100", w.Weight)
	}
	return w, nil
}

// ramp is the way back into service: a tenth of the clients finds what the
// checks did not, then all of them.
var ramp = [...]int{10, 100}

// Ramp returns the wish of one step of the way back, counted from 0, and
// false when there is no such step.
func Ramp(step int) (Wish, bool) {
	if step < 0 || step >= len(ramp) {
		return Wish{}, false
	}
	return Wish{Want: Ready, Weight: ramp[step]}, true
}
