// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

// Space is the room on a disk, in bytes.
type Space struct {
	Used int64
	Free int64 // what Cassandra's user may still take
}

func (s Space) total() int64 { return s.Used + s.Free }

const (
	vitalsEvery = 30 * time.Second
	// tablesEvery is after how many readings the tables are looked at: there may be
	// thousands.
	tablesEvery = 10
	// spaceMax is how long a disk may take to tell its room; a failing one does not.
	spaceMax = 5 * time.Second
)

// vitals is one reading of all that may end in failure. Nil and zero: not known.
type vitals struct {
	at      cluster.Moment
	wall    time.Time
	process cluster.Boot // whose word said is
	space   *Space
	said    *cassandra.Vitals
	clocks  []membership.Clock // of the other hosts on the roster
	window  time.Duration      // how long this Cassandra keeps hints
	names   map[cluster.HostID]cluster.Name
}

// watchVitals reads at its slow pace what may end in failure, and tells the desk
// what does.
func (a *Agent) watchVitals(ctx context.Context) {
	f := newForecast()
	var within inside
	disk := spaceReader{read: a.o.Space}
	for n := 0; ctx.Err() == nil; n++ {
		v, err := ask(ctx, a, (*desk).vitals)
		if err != nil {
			return
		}
		v.space = disk.space(ctx)
		a.askVitals(ctx, &v, n%tablesEvery == 0)
		v.at, v.wall = a.o.Clock.Now(), a.o.Clock.Wall()
		troubles := f.take(v)
		stands := within.take(v)
		_, _ = ask(ctx, a, func(d *desk) struct{} {
			d.forecast(troubles)
			d.inside = stands
			d.weigh(v.said)
			return struct{}{}
		})
		pause(ctx, vitalsEvery)
	}
}

// askVitals asks the process that runs. One that was replaced meanwhile has said
// nothing.
func (a *Agent) askVitals(ctx context.Context, v *vitals, tables bool) {
	v.process = a.o.Observer.Process()
	if v.process == "" {
		return
	}
	said, err := a.o.Admin.Vitals(ctx, tables)
	if err == nil && a.o.Observer.Process() == v.process {
		v.said = &said
	}
}

// vitals is what only the desk knows.
func (d *desk) vitals() vitals {
	v := vitals{names: map[cluster.HostID]cluster.Name{}}
	if d.cassandra != nil {
		v.window = d.cassandra.HintWindow
	}
	clocks := d.a.o.Courier.Clocks()
	for _, n := range sortedKeys(d.state.Picture.Hosts) {
		v.names[d.state.Picture.Hosts[n].HostID] = n
		if c, seen := clocks[n]; seen && n != d.a.o.Self {
			v.clocks = append(v.clocks, c)
		}
	}
	return v
}

// forecast notes what the readings lead to.
func (d *desk) forecast(troubles map[string]incident.Trouble) {
	for _, code := range forecasts {
		if t, leads := troubles[code]; leads {
			d.note(t)
		} else {
			d.clear(code)
		}
	}
}

// spaceReader asks a disk for its room on a goroutine of its own: one that hangs
// holds nothing else, and while it does no other is started.
type spaceReader struct {
	read func() (Space, error)
	busy chan *Space // of the question that is on its way
}

func (r *spaceReader) space(ctx context.Context) *Space {
	if r.read == nil {
		return nil
	}
	if r.busy == nil {
		done := make(chan *Space, 1)
		r.busy = done
		go func() {
			s, err := r.read()
			if err != nil || s.total() <= 0 {
				done <- nil
				return
			}
			done <- &s
		}()
	}
	t := time.NewTimer(spaceMax)
	defer t.Stop()
	select {
	case s := <-r.busy:
		r.busy = nil
		return s
	case <-t.C:
	case <-ctx.Done():
	}
	return nil
}
