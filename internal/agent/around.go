// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"slices"

	"supervisor/incident"
)

// checkAround asks what is wrong around the agent, not on the desk: files are
// read for it.
func (a *Agent) checkAround(ctx context.Context) {
	found := a.o.Around()
	_, _ = ask(ctx, a, func(d *desk) struct{} { d.foundAround(found); return struct{}{} })
}

// foundAround notes it, and that what is not told any more is over.
func (d *desk) foundAround(found []incident.Trouble) {
	for _, t := range d.around {
		if !slices.ContainsFunc(found, func(f incident.Trouble) bool { return f.Code == t.Code }) {
			d.clear(t.Code)
		}
	}
	for _, t := range found {
		d.note(t)
	}
	d.around = found
}
