// SPDX-License-Identifier: Apache-2.0

package obey

import (
	"time"

	"supervisor/incident"
)

// Expired tells whether an act comes too late that lets a node's data to others.
// Its leader has asked that before; since then the order may have waited, or it
// has many segments. deadline is that of the node's incident, zero when there is
// none; it is wall time, and only forbids.
func Expired(v incident.Verb, deadline, wall time.Time) bool {
	lets := v == incident.VerbRepair || v == incident.VerbJoinRing
	return lets && !deadline.IsZero() && !wall.Before(deadline)
}
