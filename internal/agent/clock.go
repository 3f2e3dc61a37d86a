// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"time"

	"golang.org/x/sys/unix"

	"supervisor/cluster"
)

// BootClock reads the host's boot clock, which goes on while the host sleeps.
type BootClock struct{}

// Now is the boot clock.
func (BootClock) Now() cluster.Moment {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// The clock exists on every kernel since 2.6.39; without it nothing
		// this agent says about ages would be true.
		panic("no boot clock: " + err.Error())
	}
	return cluster.Moment(ts.Nano())
}

// Wall is the wall clock, for people and upper bounds.
func (BootClock) Wall() time.Time { return time.Now() }
