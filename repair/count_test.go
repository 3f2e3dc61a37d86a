// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
	"testing"
)

func TestPartsOfAJob(t *testing.T) {
	job, _, err := Plan(input(four, "e1", "orders east=2", "system_auth east=4").with(func(in *PlanInput) {
		in.RangesPerSegment, in.Tables = 2, map[string][]string{"orders": {"items"}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(job.Mark(0).Mark(2).Parts())
	if want := "[{orders [items] 1 2 2 [e2 e4]} {system_auth [] 1 2 4 [e2 e3 e4]}]"; got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if parts := (Job{}).Parts(); len(parts) != 0 {
		t.Fatalf("a job of nothing has the parts %v", parts)
	}
}
