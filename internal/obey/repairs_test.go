// SPDX-License-Identifier: Apache-2.0

package obey

import (
	"errors"
	"reflect"
	"testing"
)

func TestRepairsThatRunAreKept(t *testing.T) {
	r := Repairs{}.Of("p").Begun(3).Begun(5)
	got, err := r.Look(func(cmd int) (bool, error) { return cmd == 5, nil })
	if want := (Repairs{"p", []int{5}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err = got.Look(func(int) (bool, error) { return false, nil }); err != nil || len(got.On) != 0 {
		t.Errorf("all are over: %+v, %v", got, err)
	}
}

func TestRepairsAreOfOneProcess(t *testing.T) {
	r := Repairs{}.Of("p").Begun(3)
	if got := r.Of("p"); !reflect.DeepEqual(got, r) {
		t.Errorf("of the same: %+v", got)
	}
	if got := r.Of("q"); len(got.On) != 0 || got.Process != "q" {
		t.Errorf("of the next: %+v", got)
	}
}

// Silence is no end: who cannot ask begins nothing.
func TestRepairsGoOnWhileNobodyAnswers(t *testing.T) {
	silent, r := errors.New("silent"), Repairs{"p", []int{4, 5}}
	got, err := r.Look(func(cmd int) (bool, error) {
		if cmd == 5 {
			return false, silent
		}
		return false, nil
	})
	if !errors.Is(err, silent) || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, %v", got, err)
	}
}
