// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	"supervisor/internal/cassandra"
	"supervisor/internal/obey"
)

// asked answers of repairs as the node does: number 7 runs until it was asked so
// often.
type asked struct {
	Admin
	left int
	err  error
}

func (a *asked) RepairStatus(context.Context, int) (cassandra.RepairStatus, error) {
	if a.left--; a.left >= 0 {
		return cassandra.RepairStatus{Phase: cassandra.Running}, a.err
	}
	return cassandra.RepairStatus{Phase: cassandra.Completed}, a.err
}

func awaits(t *testing.T, left int, err error, limit time.Duration) (obey.Repairs, error) {
	t.Helper()
	disk, made := NewDisk(t.TempDir())
	if made != nil {
		t.Fatal(made)
	}
	if err := disk.SaveRepairsOn(obey.Repairs{Process: "p", On: []int{7}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err = (&Agent{o: Options{Disk: disk, Admin: &asked{left: left, err: err}}}).awaitRepairs(ctx, "p")
	on, read := disk.RepairsOn()
	if read != nil {
		t.Fatal(read)
	}
	return on, err
}

func TestARepairThatGoesOnIsWaitedFor(t *testing.T) {
	if on, err := awaits(t, 1, nil, time.Minute); err != nil || len(on.On) != 0 {
		t.Errorf("it ended: %+v, %v", on, err)
	}
	if on, err := awaits(t, 9, nil, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || len(on.On) != 1 {
		t.Errorf("it went on beyond the order's limit: %+v, %v", on, err)
	}
	if on, err := awaits(t, 9, cassandra.ErrSilent, time.Minute); !errors.Is(err, cassandra.ErrSilent) || len(on.On) != 1 {
		t.Errorf("nobody said whether it ended: %+v, %v", on, err)
	}
}
