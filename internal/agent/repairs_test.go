// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
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

// runs is a unit of which one process runs.
type runs struct {
	Unit
	boot cluster.Boot
}

func (r runs) Running(context.Context) (Process, bool, error) {
	return Process{Boot: r.boot}, true, nil
}

func (*asked) Settings(context.Context) (cassandra.Settings, error) {
	return cassandra.Settings{}, nil
}

// What goes on in the process that runs stays noted.
func TestALateOrderAboutAnotherProcessForgetsNoRepair(t *testing.T) {
	disk, err := NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	noted := obey.Repairs{Process: "p", On: []int{7}}
	if err := disk.SaveRepairsOn(noted); err != nil {
		t.Fatal(err)
	}
	a := &Agent{o: Options{Disk: disk, Admin: &asked{}, Unit: runs{boot: "p"}}}
	late := errand{order: incident.Order{Effect: incident.Effect{Once: &incident.Once{Verb: incident.VerbRepair, Process: "before"}}}}
	if _, err := a.repair(t.Context(), late); err == nil {
		t.Error("it was followed")
	}
	if got, err := disk.RepairsOn(); err != nil || !reflect.DeepEqual(got, noted) {
		t.Errorf("noted is %+v, was %+v: %v", got, noted, err)
	}
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
	if on, err := awaits(t, 9, cassandra.ErrSilent, 50*time.Millisecond); !errors.Is(err, cassandra.ErrSilent) || !errors.Is(err, context.DeadlineExceeded) || len(on.On) != 1 {
		t.Errorf("nobody said whether it ended, and it was not waited for: %+v, %v", on, err)
	}
	if on, err := awaits(t, 9, cassandra.ErrNonsense, time.Minute); !errors.Is(err, cassandra.ErrNonsense) || len(on.On) != 1 {
		t.Errorf("the answer means nothing: %+v, %v", on, err)
	}
}
