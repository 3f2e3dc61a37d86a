// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boot is how long this host has run, sleep included. A container that is frozen
// does not stop it; a virtual machine that is paused may, if its hypervisor stops
// the guest's clock with it: then neither this clock nor the kernel's own timers
// tell that anything happened.
func Boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// No kernel that has nf_tables lacks this clock.
		panic("read the boot clock: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
