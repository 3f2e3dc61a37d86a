// SPDX-License-Identifier: Apache-2.0

package kills

import "syscall"

// Deed is what is done at a point: how the leader's agent goes, where the
// store's own leader is then, and when the agent is there again.
type Deed struct {
	Signal syscall.Signal // SIGKILL or SIGSTOP
	Seat   Seat
	Back   Back
}

// Seat is where the store's own leader is when the leader's agent goes.
type Seat uint8

// The three places, of which a list of points is played at each in turn.
const (
	With  Seat = iota // the leader's agent carries it: it goes with it
	Apart             // another agent carries it, and stays
	Both              // another agent carries it, and goes in the same moment: the store has one member of three
)

// Back is when the leader's agent is there again.
type Back uint8

// One that was killed is started again at once, as by its unit. One that was
// stopped wakes up in the heir's first moment, in the middle of its work or
// when that is done, and believes that it leads.
const (
	AtOnce   Back = iota // another one leads
	Midway               // another one has brought the record on
	Finished             // the incident is over
)

// DeedAt is the deed of point n: nine points in a row of stops meet every
// Seat with every Back.
func DeedAt(n int, stop bool) Deed {
	d := Deed{Signal: syscall.SIGKILL, Seat: Seat((n - 1) % 3)}
	if stop {
		d.Signal, d.Back = syscall.SIGSTOP, Back((n-1+(n-1)/3)%3)
	}
	return d
}

// Stops tells whether the agent lives on and wakes up.
func (d Deed) Stops() bool { return d.Signal == syscall.SIGSTOP }

// done is the deed in one word.
func (d Deed) done() string {
	if d.Stops() {
		return "stopped"
	}
	return "killed"
}
