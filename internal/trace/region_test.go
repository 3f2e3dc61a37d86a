// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"fmt"
	"math/rand/v2"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// region is hosts whose agents look as membership/probe does and tell a judge
// every second, with the little that timers and networks are off.
type region struct {
	rand     *rand.Rand
	topology membership.Topology
	watched  map[cluster.Name][]cluster.Name // by observer
	names    []cluster.Name
	now      cluster.Moment
	seq      uint64
	inbox    membership.Inbox
	down     map[cluster.Name]cluster.Moment // whose process ended, and when
	boots    map[cluster.Name]cluster.Boot
	phase    map[cluster.Name]time.Duration
}

const regionBegan = cluster.Moment(1_000_000 * time.Second)

func newRegion(nodes int) *region {
	r := &region{rand: rand.New(rand.NewPCG(1, 2)), now: regionBegan, inbox: membership.Inbox{Cluster: "c"}, watched: map[cluster.Name][]cluster.Name{},
		down: map[cluster.Name]cluster.Moment{}, boots: map[cluster.Name]cluster.Boot{}, phase: map[cluster.Name]time.Duration{}}
	var hosts []cluster.Host
	for i := range nodes {
		n := cluster.Name(fmt.Sprintf("cassandra-%04d.example", i))
		hosts = append(hosts, cluster.Host{Name: n, Region: "r", Datacenter: "dc1", Rack: cluster.Rack(fmt.Sprint("r", i%3))})
		r.names = append(r.names, n)
		r.boots[n] = cluster.Boot(fmt.Sprintf("5f0c7d0e-0000-4000-8000-%012d", i))
		r.phase[n] = time.Duration(r.rand.Int64N(int64(time.Second)))
	}
	r.topology = membership.NewTopology(hosts)
	for _, n := range r.names {
		r.watched[n] = r.topology.Watched(n)
	}
	return r
}

// off is what a timer and a datagram are late.
func (r *region) off() time.Duration {
	return time.Duration(r.rand.ExpFloat64() * float64(400*time.Microsecond))
}

// second gives all digests of one second, each at its moment.
func (r *region) second(take func(reports []membership.Report, now cluster.Moment)) {
	type sending struct {
		name cluster.Name
		at   cluster.Moment
	}
	var order []sending
	for _, n := range r.names {
		order = append(order, sending{n, r.now.Add(r.phase[n] + r.off())})
	}
	for i := range order { // by arrival: a second of a thousand is sorted enough by inserting
		for j := i; j > 0 && order[j].at < order[j-1].at; j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	for _, s := range order {
		r.seq++
		d := membership.Digest{Cluster: "c", Observer: s.name, Boot: r.boots[s.name], Seq: r.seq, Process: r.boots[s.name] + "p", Looks: r.looks(s.name, s.at)}
		at := s.at.Add(r.off())
		reports, err := r.inbox.Take(d.Rounded(), at)
		if err != nil {
			panic(err)
		}
		take(reports, at)
	}
	r.now = r.now.Add(time.Second)
}

func (r *region) looks(o cluster.Name, at cluster.Moment) (looks []membership.Look) {
	see := func(n cluster.Name, p membership.Path, every time.Duration, gone membership.Outcome) {
		began, outcome := regionBegan.Add(-100*time.Hour), membership.Good
		if down, is := r.down[n]; is && at >= down {
			began, outcome = down, gone
		}
		held := at.Sub(began)
		age := held%every + r.off()
		l := membership.Look{Subject: n, Path: p, Outcome: outcome, Held: held, Age: min(age, held)}
		if outcome != membership.Good {
			l.Misses = min(1000, int(held/every)+1)
		} else if p == membership.CQL {
			l.Took = (300*time.Microsecond + r.off()/4).Round(100 * time.Microsecond)
		}
		looks = append(looks, l)
	}
	for _, n := range r.watched[o] {
		if n == o {
			see(n, membership.Process, time.Second, membership.Exited)
			see(n, membership.CQL, 500*time.Millisecond, membership.Refused)
			see(n, membership.Admin, time.Second, membership.Refused)
			see(n, membership.Disk, 2*time.Second, membership.Good)
			continue
		}
		see(n, membership.CQL, 500*time.Millisecond, membership.Refused)
		see(n, membership.Storage, 2*time.Second, membership.Refused)
		see(n, membership.Phi, 2*time.Second, membership.Silent)
	}
	return looks
}
