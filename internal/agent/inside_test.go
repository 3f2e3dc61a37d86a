// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

func TestWhatStandsOutInside(t *testing.T) {
	const none = membership.Inside(0)
	quiet := func() *cassandra.Vitals {
		return &cassandra.Vitals{Collecting: time.Minute, Dropped: 7,
			Pools: []cassandra.ThreadPool{{Name: "ReadStage", Threads: 32, Pending: 3}, {Name: "Native-Transport-Requests", Threads: 128}}}
	}
	with := func(change func(*cassandra.Vitals)) *cassandra.Vitals {
		v := quiet()
		change(v)
		return v
	}
	reading := func(process cluster.Boot, n int, said *cassandra.Vitals) vitals {
		return vitals{process: process, at: cluster.Moment(n) * cluster.Moment(vitalsEvery), said: said}
	}
	for _, row := range []struct {
		why   string
		later vitals
		want  membership.Inside
	}{
		{"nothing", reading("one", 2, quiet()), none},
		{"nothing was read", reading("one", 2, nil), none},
		{"two tasks wait for each thread", reading("one", 2, with(func(v *cassandra.Vitals) { v.Pools[0].Pending = 64 })), none},
		{"more do", reading("one", 2, with(func(v *cassandra.Vitals) { v.Pools[0].Pending = 65 })), membership.ReadsWait},
		{"two queues", reading("one", 2, with(func(v *cassandra.Vitals) { v.Pools[0].Pending, v.Pools[1].Pending = 65, 300 })),
			membership.ReadsWait | membership.ClientsWait},
		{"a pool without threads is not known", reading("one", 2, with(func(v *cassandra.Vitals) { v.Pools[0].Pending, v.Pools[0].Threads = 65, 0 })), none},
		{"a tenth of the time is collected", reading("one", 2, with(func(v *cassandra.Vitals) { v.Collecting += 3 * time.Second })), none},
		{"more is", reading("one", 2, with(func(v *cassandra.Vitals) { v.Collecting += 3*time.Second + 1 })), membership.Collecting},
		{"requests were dropped", reading("one", 2, with(func(v *cassandra.Vitals) { v.Dropped = 8 })), membership.Dropped},
		{"a count that is not told any more", reading("one", 2, with(func(v *cassandra.Vitals) { v.Dropped, v.Collecting = -1, -1 })), none},
		{"another process counts anew", reading("two", 2, with(func(v *cassandra.Vitals) { v.Dropped, v.Collecting = 90, time.Hour })), none},
	} {
		t.Run(row.why, func(t *testing.T) {
			var i inside
			if got := i.take(reading("one", 1, quiet())); got != none {
				t.Errorf("at first %v", got)
			}
			if got := i.take(row.later); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}
