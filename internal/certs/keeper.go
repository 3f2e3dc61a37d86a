// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"errors"
	"strings"
	"sync"
	"time"
)

// Keeper hands out what stands in the files, read anew whenever it is asked: a
// file that is replaced counts from the next handshake on. Files that are not
// in order, one half-written perhaps, are not taken, and those before them go on.
// Its methods may be called by several goroutines.
type Keeper struct {
	files Files
	owner Owner
	now   func() time.Time

	mu     sync.Mutex
	used   *Set
	faults []Fault // of the files as they stand
	old    bool    // used is not what stands in the files
}

// NewKeeper reads nothing yet: whether the files are in order is told when they
// are asked for.
func NewKeeper(f Files, o Owner, now func() time.Time) *Keeper {
	return &Keeper{files: f, owner: o, now: now}
}

// Files are those it reads.
func (k *Keeper) Files() Files { return k.files }

// Owner is whose they must be.
func (k *Keeper) Owner() Owner { return k.owner }

// Current is what is to be shown and believed now. An error: the files never
// were in order since this keeper was made. What only time makes wrong is handed
// out where there is nothing better, for the other side to judge: its clock may
// be the right one.
func (k *Keeper) Current() (*Set, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
	if k.used == nil {
		return nil, Faults(k.faults)
	}
	return k.used, nil
}

// State is how the files do.
type State struct {
	Faults []Fault   // of the files as they stand
	Old    bool      // those before them are used in their stead
	Until  time.Time // when what is used ends; zero: nothing is
	Of     string    // the file that ends then
	At     time.Time // the moment of the look
}

// State looks at the files.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.look()
	st := State{Faults: k.faults, Old: k.old, At: at}
	if k.used != nil {
		st.Until, st.Of = k.files.until(k.used, at)
	}
	return st
}

func (k *Keeper) look() time.Time {
	at := k.now()
	s, lasting := k.files.load()
	if s != nil {
		lasting = k.files.strange(s, k.owner)
	}
	if len(lasting) > 0 {
		k.faults, k.old = lasting, k.used != nil
		return at
	}
	k.faults, k.old = k.files.passing(s, k.owner, at), false
	if len(k.faults) > 0 && k.used != nil && len(k.files.passing(k.used, k.owner, at)) == 0 {
		k.old = true
		return at
	}
	k.used = s
	return at
}

// Faults is one error of several; nil without any.
func Faults(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	var all []string
	for _, f := range faults {
		all = append(all, f.Error())
	}
	return errors.New(strings.Join(all, "; also "))
}

// Lasting are the faults that no time mends.
func Lasting(faults []Fault) (lasting []Fault) {
	for _, f := range faults {
		if !f.Passes {
			lasting = append(lasting, f)
		}
	}
	return lasting
}
