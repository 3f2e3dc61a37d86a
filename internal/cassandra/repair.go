// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
)

// RepairOptions say what one repair compares. Repairs are always full: a
// limited incremental repair never marks data as repaired.
type RepairOptions struct {
	// Ranges to repair; none means all that the node replicates. Each must lie
	// within one range of the node.
	Ranges []cluster.TokenRange
	Tables []string // none means all tables of the keyspace, views included
	// Hosts are storage addresses that take part, with or without port, the
	// asked node among them; none means all replicas. Cassandra ignores a host
	// that replicates nothing of it without a word, so the caller must know
	// that enough of them do; a replica it believes down makes the repair fail.
	Hosts       []string
	PaxosRepair bool // wanted where paxos_variant is v2; never together with Preview
	Preview     bool // compare and stream nothing
	// Begun is told the number as soon as the node has begun, if it is not nil. The
	// repair goes on there whatever becomes of who asked for it.
	Begun func(cmd int) error
}

// arguments spells the options as the repair operation wants them: all texts.
func (o RepairOptions) arguments() (map[string]string, error) {
	m := map[string]string{"parallelism": "parallel", "incremental": "false", "trace": "false",
		"repairPaxos": strconv.FormatBool(o.PaxosRepair)}
	if o.Preview && o.PaxosRepair {
		return nil, errors.New("a preview cannot repair paxos")
	}
	if o.Preview {
		m["previewKind"] = "ALL"
	}
	var ranges []string
	for _, r := range o.Ranges {
		if r.Start == r.End {
			return nil, fmt.Errorf("range (%d,%d] is the whole ring, which one node cannot repair", r.Start, r.End)
		}
		ranges = append(ranges, fmt.Sprintf("%d:%d", r.Start, r.End))
	}
	for name, list := range map[string][]string{"ranges": ranges, "columnFamilies": o.Tables, "hosts": o.Hosts} {
		if len(list) > 0 {
			m[name] = strings.Join(list, ",")
		}
	}
	return m, nil
}

// NothingToRepair is the command number with which Cassandra says that the
// keyspace has no second replica: there is nothing to compare.
const NothingToRepair = 0

// StartRepair starts a repair on the node and returns its command number,
// which counts from 1 since the process started, or NothingToRepair.
func (a *Admin) StartRepair(ctx context.Context, keyspace string, o RepairOptions) (int, error) {
	m, err := o.arguments()
	if err != nil {
		return 0, fmt.Errorf("start repair of %s: %w", keyspace, err)
	}
	var cmd int
	err = a.exec(ctx, storageService, "repairAsync(java.lang.String,java.util.Map)", &cmd, keyspace, m)
	return cmd, told("start repair of "+keyspace, err)
}

// RepairPhase is how far a repair has come.
type RepairPhase uint8

// The phases of a repair. Forgotten is the zero value: the node knows nothing
// of it, because it has not begun, because it ended long ago, or because the
// process is a new one.
const (
	Forgotten RepairPhase = iota
	Running
	Completed
	Failed
)

// RepairStatus is what the node says of one repair.
type RepairStatus struct {
	Phase      RepairPhase
	Messages   []string
	generation int64 // of the process that answered
}

// RepairStatus asks for the repair with this command number.
func (a *Admin) RepairStatus(ctx context.Context, cmd int) (RepairStatus, error) {
	got, err := a.bulk(ctx, a.o.ReadMax,
		request{Type: "exec", MBean: storageService, Operation: "getParentRepairStatus(int)", Arguments: []any{cmd}},
		request{Type: "read", MBean: storageService, Attribute: "CurrentGenerationNumber"})
	if err != nil {
		return RepairStatus{}, fmt.Errorf("status of repair %d: %w", cmd, err)
	}
	s, err := statusOf(got)
	return s, told(fmt.Sprintf("status of repair %d", cmd), err)
}

func statusOf(got []answer) (RepairStatus, error) {
	var s RepairStatus
	if err := got[1].into(&s.generation); err != nil {
		return s, err
	}
	if err := got[0].fault(); err != nil || null(got[0].Value) {
		return s, err
	}
	var words []string
	if err := json.Unmarshal(got[0].Value, &words); err != nil || len(words) == 0 {
		return s, fmt.Errorf("%w: %.80s", ErrNonsense, got[0].Value)
	}
	s.Messages = words[1:]
	switch words[0] {
	case "IN_PROGRESS":
		s.Phase = Running
	case "COMPLETED":
		s.Phase = Completed
	case "FAILED":
		s.Phase = Failed
	default:
		return s, fmt.Errorf("%w: repair is %q", ErrNonsense, words[0])
	}
	return s, nil
}

// ErrForgotten: the node knows nothing of a repair that was started on it. It
// counts as not done.
var ErrForgotten = errors.New("the node knows nothing of this repair")

// RepairError is a repair that Cassandra itself says has failed.
type RepairError struct {
	Keyspace string
	Command  int
	Messages []string
}

// Error joins Cassandra's words.
func (e *RepairError) Error() string {
	return fmt.Sprintf("repair %d of %s: %s", e.Command, e.Keyspace, strings.Join(e.Messages, "; "))
}

// RepairResult is a repair that came to its end.
type RepairResult struct {
	Command     int          // NothingToRepair when there was no second replica
	Differences []Difference // of a preview: none means that everything compared was in sync
	Messages    []string
}

// How Repair waits. A status is asked for five times a second, a node that
// has not begun is given time to do so, and one that is silent is taken for
// busy only so often.
const (
	repairPoll      = 200 * time.Millisecond
	repairBegin     = 10 * time.Second
	repairSilentMax = 10
)

// Repair starts a repair and follows it to its end. It fails when the repair
// fails, is forgotten, or when the node stops answering; ctx is its only limit
// in time, and its end does not stop the repair on the node.
func (a *Admin) Repair(ctx context.Context, keyspace string, o RepairOptions) (RepairResult, error) {
	cmd, err := a.StartRepair(ctx, keyspace, o)
	if err != nil {
		return RepairResult{}, err
	}
	r := RepairResult{Command: cmd}
	if cmd == NothingToRepair {
		return r, nil
	}
	if o.Begun != nil {
		if err := o.Begun(cmd); err != nil {
			return r, fmt.Errorf("repair %d of %s goes on: %w", cmd, keyspace, err)
		}
	}
	if r.Messages, err = a.follow(ctx, cmd); err != nil {
		var failed *RepairError
		if errors.As(err, &failed) {
			failed.Keyspace = keyspace
			return r, failed
		}
		return r, fmt.Errorf("repair %d of %s: %w", cmd, keyspace, err)
	}
	if o.Preview {
		if r.Differences, err = parsePreview(r.Messages); err != nil {
			return r, fmt.Errorf("preview of %s: %w", keyspace, err)
		}
	}
	return r, nil
}

// follow polls until the repair has an end.
func (a *Admin) follow(ctx context.Context, cmd int) ([]string, error) {
	tick := time.NewTicker(repairPoll)
	defer tick.Stop()
	var f followed
	for {
		s, err := a.RepairStatus(ctx, cmd)
		if done, err := f.take(cmd, s, err); done {
			return s.Messages, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// followed is what Repair remembers between two polls.
type followed struct {
	begun      bool
	unknown    int // polls in a row before it was seen
	silent     int // polls in a row without an answer
	generation int64
}

// take folds in one poll and says whether the repair has an end: a nil error
// means that it completed.
func (f *followed) take(cmd int, s RepairStatus, err error) (bool, error) {
	if err != nil {
		f.silent++
		return !errors.Is(err, ErrSilent) || f.silent >= repairSilentMax, err
	}
	f.silent = 0
	if f.generation != 0 && s.generation != f.generation {
		return true, fmt.Errorf("%w: the process was restarted", ErrForgotten)
	}
	f.generation = s.generation
	switch s.Phase {
	case Completed:
		return true, nil
	case Failed:
		return true, &RepairError{Command: cmd, Messages: s.Messages}
	case Running:
		f.begun = true
	default:
		f.unknown++
		if f.begun || f.unknown > int(repairBegin/repairPoll) {
			return true, ErrForgotten
		}
	}
	return false, nil
}
