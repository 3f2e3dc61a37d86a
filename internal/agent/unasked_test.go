// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

func TestAStartThatNobodyWasAskedForIsRemembered(t *testing.T) {
	rows := []struct {
		why    string
		start  isolate.Start
		served bool
		want   bool
	}{
		{"it had served here, and was started plainly", isolate.Normal, true, true},
		{"its first start lacks nothing", isolate.Normal, false, false},
		{"it hibernates, until somebody joins it", isolate.Hibernate, true, true},
		{"it was not started", isolate.Refuse, true, false},
	}
	for _, r := range rows {
		disk, err := NewDisk(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		ans := isolate.Unasked(r.start)
		ans.Start = r.start
		if err := disk.NoteAlone(ans, isolate.Local{EverServed: r.served}); err != nil || disk.Unrepaired() != r.want {
			t.Errorf("%s: unrepaired %v (%v)", r.why, disk.Unrepaired(), err)
		}
	}
}

func TestOnlyTheFenceOfAReturnMakesItGood(t *testing.T) {
	rows := []struct {
		why, fence string
		made       bool
	}{
		{"it is kept from readers", `{"node":"n3","levels":["clients","reads"],"start":"hibernate","incident":"inc-dc1-1"}`, true},
		{"the whole ring is started plainly", `{"node":"n3","levels":[],"start":"normal","incident":"inc-dc1-1"}`, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			d := desktop(t)
			if err := d.a.o.Disk.NoteAlone(isolate.Unasked(isolate.Normal), isolate.Local{EverServed: true}); err != nil {
				t.Fatal(err)
			}
			d.keepAlive()
			d.state.Picture.Apply(store.Batch{Rev: 9, Whole: true, KVs: []store.KV{
				{Key: store.Host("n3"), Value: []byte(`{"name":"n3","datacenter":"dc1"}`), Mod: 2},
				{Key: store.Fence("n3"), Value: []byte(r.fence), Mod: 3}}})
			d.whole = true
			d.passWanted()
			d.keepAlive()
			if d.unrepaired == r.made || d.self().Unrepaired == r.made {
				t.Errorf("unrepaired %v", d.unrepaired)
			}
		})
	}
}

// Who leads later may not have seen it.
func TestASilenceThatNobodyWroteDownIsTold(t *testing.T) {
	d := desktop(t)
	looks := func(at time.Duration, v membership.Verdict) {
		v.Node, v.Since = "n2", cluster.Moment(at)
		d.state.Look(membership.View{Began: 1, At: v.Since, Verdicts: map[cluster.Name]membership.Verdict{"n2": v}})
	}
	looks(time.Minute, membership.Verdict{Answer: membership.Gone, Cause: membership.HostGone, Drain: true, For: 2})
	looks(time.Hour, membership.Verdict{Answer: membership.Alive})
	if told := d.self().Missed; len(told) != 1 || told[0].Node != "n2" || told[0].Cause != membership.HostGone {
		t.Errorf("told %+v", told)
	}
}
