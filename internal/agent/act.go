// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/internal/obey"
	"supervisor/isolate"
	"supervisor/repair"
)

// act does what an order says. Every verb may be done again after a crash: it
// first looks whether its effect is already there.
func (a *Agent) act(ctx context.Context, e errand) (incident.Result, error) {
	switch o := e.order.Once; o.Verb {
	case incident.VerbStart:
		return a.start(ctx, e)
	case incident.VerbKill:
		return incident.Result{}, a.kill(ctx, e)
	case incident.VerbJoinRing:
		if err := a.inTime(e); err != nil {
			return incident.Result{}, err
		}
		return incident.Result{}, a.joinRing(ctx, o.Process)
	case incident.VerbRepair:
		return a.repair(ctx, e)
	case incident.VerbPreview:
		return a.preview(ctx, e)
	case incident.VerbReadRows:
		return a.readRows(ctx, e)
	case incident.VerbPowerOff:
		return incident.Result{}, a.powerOff(ctx, e)
	case incident.VerbPowerStatus:
		return incident.Result{}, a.isOff(ctx, o.Target)
	case incident.VerbUnknown:
	}
	return incident.Result{}, refusal{incident.IntentFirst, fmt.Sprintf("verb %s is not done here", e.order.Once.Verb)}
}

const (
	// severityEvery is how often Severity is tried while a node starts: it is
	// accepted about 0.1 s after gossip begins, and until then peers might read
	// from it.
	severityEvery = 20 * time.Millisecond
	lookEvery     = 200 * time.Millisecond
)

// start starts Cassandra through the gate and returns when it hibernates with
// Severity raised, or, in a cold start, when it serves.
func (a *Agent) start(ctx context.Context, e errand) (incident.Result, error) {
	f, err := a.ownFence(ctx, e.order.Incident)
	if err != nil {
		return incident.Result{}, err
	}
	hibernate := f.Start == isolate.Hibernate
	if err := a.keeps(ctx, f, isolate.Local.Starting); err != nil {
		return incident.Result{}, refusal{incident.IntentFirst, err.Error()}
	}
	p, running, err := a.o.Unit.Running(ctx)
	if err != nil {
		return incident.Result{}, fmt.Errorf("find the process: %w", err)
	}
	if !running {
		if err := a.o.Unit.Start(ctx); err != nil {
			return incident.Result{}, fmt.Errorf("start: %w", err)
		}
		if p, running, err = a.o.Unit.Running(ctx); err != nil || !running {
			return incident.Result{}, fmt.Errorf("it ended at once: %w", errors.Join(err, errNotRunning))
		}
	}
	if hibernate {
		if err := a.raiseEarly(ctx, p); err != nil {
			return incident.Result{}, err
		}
	}
	return a.awaitStarted(ctx, p, hibernate)
}

var errNotRunning = errors.New("no process runs")

// ownFence is the fence that stands on this node, which says how it starts.
func (a *Agent) ownFence(ctx context.Context, id string) (isolate.Fence, error) {
	found, err := ask(ctx, a, func(d *desk) *isolate.Fence {
		f, stands := d.state.Picture.FenceOf(d.a.o.Self, id)
		if !stands {
			return nil
		}
		return &f
	})
	if err != nil {
		return isolate.Fence{}, err
	}
	if found == nil {
		return isolate.Fence{}, refusal{incident.IntentFirst, "no fence of this incident stands here"}
	}
	return *found, nil
}

// keeps has the gate know of a fence, on its disk, before anything is done by it.
func (a *Agent) keeps(ctx context.Context, f isolate.Fence, as func(isolate.Local, isolate.Fence) isolate.Local) error {
	err, asked := ask(ctx, a, func(d *desk) error { return d.saveLocal(as(d.local, f)) })
	return errors.Join(asked, err)
}

// raiseEarly sets Severity as soon as the starting node takes it.
func (a *Agent) raiseEarly(ctx context.Context, p Process) error {
	for {
		if err := a.o.Admin.SetSeverity(ctx, isolate.SeverityFenced); err == nil {
			return nil
		}
		if err := a.still(ctx, p); err != nil {
			return err
		}
		pause(ctx, severityEvery)
	}
}

// still tells whether the process runs on.
func (a *Agent) still(ctx context.Context, p Process) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	now, running, err := a.o.Unit.Running(ctx)
	if err == nil && (!running || now.Boot != p.Boot) {
		return fmt.Errorf("process %d ended while it started: %w", p.PID, errNotRunning)
	}
	return nil
}

// awaitStarted waits until the node is what it was started to be.
func (a *Agent) awaitStarted(ctx context.Context, p Process, hibernate bool) (incident.Result, error) {
	for {
		s, err := a.o.Admin.State(ctx)
		if err == nil && s.Self.Generation != 0 {
			asleep := s.Self.Status == cassandra.StatusHibernate && s.Severity >= isolate.SeverityFenced
			awake := s.OperationMode == "NORMAL" && s.CQL
			if hibernate && asleep || !hibernate && awake {
				return incident.Result{Process: p.Boot, Generation: s.Self.Generation}, nil
			}
			if hibernate && s.OperationMode == "NORMAL" {
				return incident.Result{}, errors.New("it runs in the ring, not hibernated: somebody else started it")
			}
		}
		if err := a.still(ctx, p); err != nil {
			return incident.Result{}, err
		}
		pause(ctx, lookEvery)
	}
}

// kill ends exactly the process that is meant.
func (a *Agent) kill(ctx context.Context, e errand) error {
	p, running, err := a.o.Unit.Running(ctx)
	if err != nil {
		return fmt.Errorf("find the process: %w", err)
	}
	if !running || p.Boot != e.order.Once.Process {
		return nil // the one that is meant is gone
	}
	if e.order.Once.Silent {
		if err := a.fences(ctx, e.order.Incident); err != nil {
			return err
		}
	}
	if err := a.o.Unit.Kill(ctx, p); err != nil {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	// Behind a fence the gate lets none start. One that is there all the same is said:
	// the next look sees it too, and not that it was to be kept down.
	if now, runs, err := a.o.Unit.Running(ctx); e.order.Once.Silent && err == nil && runs {
		return fmt.Errorf("process %d was ended, and process %d runs already: whatever started it went past the gate", p.PID, now.PID)
	}
	return nil
}

// joinRing lets exactly the process that was repaired into the ring: another
// one, started meanwhile, was not.
func (a *Agent) joinRing(ctx context.Context, boot cluster.Boot) error {
	for {
		p, running, err := a.o.Unit.Running(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("find the process: %w", err)
		case !running || p.Boot != boot:
			return refusal{incident.IntentFirst, "the process that was to join the ring is gone"}
		}
		s, err := a.o.Admin.State(ctx)
		if err != nil {
			return fmt.Errorf("look before joining: %w", err)
		}
		if s.OperationMode == "NORMAL" {
			return nil
		}
		if err := a.o.Admin.JoinRing(ctx); err != nil {
			return fmt.Errorf("join the ring: %w", err)
		}
		pause(ctx, lookEvery)
		if ctx.Err() != nil {
			return fmt.Errorf("join the ring: %w", ctx.Err())
		}
	}
}

// repair repairs a batch of segments, one after the other, and tells which
// were done, also when a later one fails.
func (a *Agent) repair(ctx context.Context, e errand) (incident.Result, error) {
	var res incident.Result
	settings, err := a.o.Admin.Settings(ctx)
	if err != nil {
		return res, fmt.Errorf("look before repairing: %w", err)
	}
	if err := a.same(ctx, e.order.Once.Process); err != nil {
		return res, err // and what is noted of another process stays
	}
	on, err := a.awaitRepairs(ctx, e.order.Once.Process)
	if err != nil {
		return res, err
	}
	for i, s := range e.order.Once.Segments {
		o, err := e.options(s, false)
		if err != nil {
			return res, err
		}
		if err := a.same(ctx, e.order.Once.Process); err != nil {
			return res, err
		}
		if err := a.inTime(e); err != nil {
			return res, err
		}
		o.PaxosRepair, o.Begun = settings.PaxosV2, func(cmd int) error { return a.o.Disk.SaveRepairsOn(on.Begun(cmd)) }
		if _, err := a.o.Admin.Repair(ctx, s.Keyspace, o); err != nil {
			return res, fmt.Errorf("repair segment %d of %s: %w", e.order.Once.First+i, s.Keyspace, err)
		}
		res.Done = append(res.Done, e.order.Once.First+i)
	}
	return res, nil
}

// inTime refuses what would bring back what the others have deleted and forgotten.
func (a *Agent) inTime(e errand) error {
	if obey.Expired(e.order.Once.Verb, e.deadline, a.o.Clock.Wall()) {
		return refusal{incident.RuleGCGrace, "the deadline of its data passed at " + e.deadline.UTC().Format(time.RFC3339)}
	}
	return nil
}

// same wants the process that an order is about: of another one, started
// meanwhile, nobody has seen yet that its peers keep away from it.
func (a *Agent) same(ctx context.Context, boot cluster.Boot) error {
	p, running, err := a.o.Unit.Running(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("find the process: %w", err)
	case !running || p.Boot != boot:
		return errors.New("the process that was to be repaired is gone")
	}
	return nil
}

// preview compares without streaming, one segment after the other, and names
// the tables that differ. It tells which segments were done, also when a later
// one fails.
func (a *Agent) preview(ctx context.Context, e errand) (incident.Result, error) {
	var res incident.Result
	for i, s := range e.order.Once.Segments {
		o, err := e.options(s, true)
		if err != nil {
			return res, err
		}
		out, err := a.o.Admin.Repair(ctx, s.Keyspace, o)
		if err != nil {
			return res, fmt.Errorf("preview %s: %w", s.Keyspace, err)
		}
		for _, d := range out.Differences {
			if name := d.Keyspace + "." + d.Table; !slices.Contains(res.Differs, name) {
				res.Differs = append(res.Differs, name)
			}
		}
		slices.Sort(res.Differs)
		res.Done = append(res.Done, e.order.Once.First+i)
	}
	return res, nil
}

// options turns a segment into what Cassandra is told. Residency is asked
// again here: the plan may be older than the policy.
func (e errand) options(s repair.Segment, preview bool) (cassandra.RepairOptions, error) {
	if e.policy == nil {
		return cassandra.RepairOptions{}, refusal{incident.NoBorderCrossing, "no policy is known here"}
	}
	o := cassandra.RepairOptions{Ranges: s.Ranges, Tables: s.Tables, Preview: preview}
	for _, n := range s.Hosts {
		h, listed := e.hosts[n]
		if !listed {
			return o, refusal{incident.NoBorderCrossing, string(n) + " is not on the roster"}
		}
		region, mapped := e.policy.RegionOf(h.Datacenter)
		if !mapped {
			return o, refusal{incident.NoBorderCrossing, "no region is mapped to " + string(h.Datacenter)}
		}
		if err := e.policy.Residency.Admit([]string{s.Keyspace}, region); err != nil {
			return o, refusal{incident.NoBorderCrossing, err.Error()}
		}
		o.Hosts = append(o.Hosts, h.Storage)
	}
	return o, nil
}

// readRows reads known rows at QUORUM through this host's Cassandra and then
// at ONE through the node that came back. It names the tables of which no row
// could be compared: that proves nothing.
func (a *Agent) readRows(ctx context.Context, e errand) (incident.Result, error) {
	var res incident.Result
	target, listed := e.hosts[e.order.Once.Target]
	if !listed {
		return res, refusal{incident.IntentFirst, string(e.order.Once.Target) + " is not on the roster"}
	}
	for _, k := range e.order.Once.Rows {
		c, err := a.o.Reader.Compare(ctx, e.hosts[a.o.Self].CQL, target.CQL, k.Keyspace, k.Table, k.Max)
		if err != nil && !errors.Is(err, cassandra.ErrNotComparable) {
			return res, fmt.Errorf("read known rows of %s.%s: %w", k.Keyspace, k.Table, err)
		}
		if c.Read == 0 {
			res.Unread = append(res.Unread, k.Keyspace+"."+k.Table)
		}
		res.Read, res.Old, res.Missing = res.Read+c.Read, res.Old+c.Old, res.Missing+c.Missing
	}
	return res, nil
}
