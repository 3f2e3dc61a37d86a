// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"time"

	"supervisor/incident"
)

// burstWindow is how close together incidents must begin to be one burst.
const burstWindow = 5 * time.Second

// burst is the ID shared by incidents that began together.
func (s *State) burst(r incident.Record) string {
	for _, other := range s.Picture.OpenRecords() {
		if other.Datacenter == r.Datacenter && r.Began.Sub(other.Began).Abs() < burstWindow {
			if other.Burst != "" {
				return other.Burst
			}
			return other.ID
		}
	}
	return ""
}
