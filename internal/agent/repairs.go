// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/internal/obey"
)

const repairsEvery = time.Second

// awaitRepairs waits until no repair goes on in this process that an executor of
// this host began: an earlier boot, or this one for an order whose limit passed.
// It is not stopped: what stops one stops everybody's.
func (a *Agent) awaitRepairs(ctx context.Context, boot cluster.Boot) (obey.Repairs, error) {
	was, err := a.o.Disk.RepairsOn()
	if err != nil {
		return was, fmt.Errorf("look for repairs that go on: %w", err)
	}
	for {
		on, err := was.Of(boot).Look(func(cmd int) (bool, error) {
			s, err := a.o.Admin.RepairStatus(ctx, cmd)
			return s.Phase == cassandra.Running, err
		})
		if err != nil && !errors.Is(err, cassandra.ErrSilent) { // a silent one is asked again
			return on, fmt.Errorf("look for repairs that go on: %w", err)
		}
		if on.Process != was.Process || !slices.Equal(on.On, was.On) {
			if err := a.o.Disk.SaveRepairsOn(on); err != nil {
				return on, fmt.Errorf("note what goes on: %w", err)
			}
		}
		if was = on; len(on.On) == 0 {
			return on, nil
		}
		if pause(ctx, repairsEvery); ctx.Err() != nil {
			return on, fmt.Errorf("repairs %v, begun earlier, go on: %w", on.On, errors.Join(ctx.Err(), err))
		}
	}
}
