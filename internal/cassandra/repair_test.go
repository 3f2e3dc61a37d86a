// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
)

// repairing plays one repair: what each poll says, the last one again and
// again; generations likewise.
func repairing(t *testing.T, polls []any, generations ...int64) (*Admin, *[]map[string]any) {
	n := 0
	var started []map[string]any
	at := func(i, length int) int { return min(i, length-1) }
	return jolokia(t, func(asks []request) any {
		if asks[0].Operation == "repairAsync(java.lang.String,java.util.Map)" {
			started = append(started, asks[0].Arguments[1].(map[string]any))
			return []any{ok(7)}
		}
		out := []any{ok(polls[at(n, len(polls))]), ok(generations[at(n, len(generations))])}
		n++
		return out
	}), &started
}

func TestRepairEndsWithWhatTheNodeSays(t *testing.T) {
	running := []string{"IN_PROGRESS"}
	rows := []struct {
		why         string
		polls       []any
		generations []int64
		want        error
	}{
		{"it runs, then completes", []any{running, []string{"COMPLETED", "Repair completed successfully"}}, []int64{5}, nil},
		{"it waits in a queue first", []any{nil, running, []string{"COMPLETED", "x"}}, []int64{5}, nil},
		{"it was running and nobody knows it any more", []any{running, nil}, []int64{5}, ErrForgotten},
		{"a new process counts its repairs from 1 again: the same number is another one",
			[]any{running, []string{"COMPLETED", "x"}}, []int64{5, 6}, ErrForgotten},
		{"a word nobody taught us is not success", []any{[]string{"DONE"}}, []int64{5}, ErrNonsense},
	}
	for _, row := range rows {
		a, _ := repairing(t, row.polls, row.generations...)
		got, err := a.Repair(context.Background(), "ks", RepairOptions{})
		if !errors.Is(err, row.want) || row.want == nil && (err != nil || got.Command != 7) {
			t.Errorf("%s: got %+v, %v", row.why, got, err)
		}
	}
}

func TestAFailedRepairTellsCassandrasWords(t *testing.T) {
	a, _ := repairing(t, []any{[]string{"FAILED", "The current host must be part of the repair", "Repair command #2 finished with error"}}, 5)
	_, err := a.Repair(context.Background(), "ks", RepairOptions{})
	var failed *RepairError
	if !errors.As(err, &failed) || failed.Command != 7 || failed.Keyspace != "ks" || len(failed.Messages) != 2 {
		t.Fatalf("got %v", err)
	}
}

func TestRepairEndsWithItsContext(t *testing.T) {
	a, _ := repairing(t, []any{[]string{"IN_PROGRESS"}}, 5)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := a.Repair(ctx, "ks", RepairOptions{}); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrSilent) {
		t.Fatalf("got %v", err)
	}
}

func TestNothingToRepairIsNoError(t *testing.T) {
	a := jolokia(t, func([]request) any { return []any{ok(0)} })
	if got, err := a.Repair(context.Background(), "ks", RepairOptions{}); err != nil || got.Command != NothingToRepair {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestFollowedGivesUp(t *testing.T) {
	var f followed
	polls := 0
	for done := false; !done; polls++ {
		done, _ = f.take(1, RepairStatus{generation: 5}, nil)
	}
	if want := int(repairBegin/repairPoll) + 1; polls != want {
		t.Errorf("a repair that never begins is given up after %d polls, want %d", polls, want)
	}
	f, polls = followed{}, 0
	for done := false; !done; polls++ {
		done, _ = f.take(1, RepairStatus{}, ErrSilent)
	}
	if polls != repairSilentMax {
		t.Errorf("a silent node is given up after %d polls, want %d", polls, repairSilentMax)
	}
	if done, err := new(followed).take(1, RepairStatus{}, ErrRefused); !done || !errors.Is(err, ErrRefused) {
		t.Errorf("a repair dies with its coordinator: %v, %v", done, err)
	}
}

func TestRepairOptionsAsCassandraWantsThem(t *testing.T) {
	a, started := repairing(t, []any{[]string{"COMPLETED", "x"}}, 5)
	o := RepairOptions{Ranges: []cluster.TokenRange{{Start: 9, End: -9}, {Start: 0, End: 5}}, Tables: []string{"t", "u"},
		Hosts: []string{"127.0.0.1:7000", "127.0.0.2:7000"}, PaxosRepair: true}
	if _, err := a.Repair(context.Background(), "ks", o); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"ranges": "9:-9,0:5", "columnFamilies": "t,u", "hosts": "127.0.0.1:7000,127.0.0.2:7000",
		"repairPaxos": "true", "incremental": "false", "parallelism": "parallel"}
	for name, value := range want {
		if got := (*started)[0][name]; got != value {
			t.Errorf("%s = %v, want %v", name, got, value)
		}
	}
	if _, there := (*started)[0]["previewKind"]; there {
		t.Error("a repair must not be a preview")
	}
	for why, bad := range map[string]RepairOptions{
		"a preview repairs nothing, paxos neither": {Preview: true, PaxosRepair: true},
		"no node replicates the whole ring as one": {Ranges: []cluster.TokenRange{{Start: 3, End: 3}}},
	} {
		if _, err := a.StartRepair(context.Background(), "ks", bad); err == nil {
			t.Error(why)
		}
	}
}

func TestParsePreview(t *testing.T) {
	text, err := os.ReadFile("testdata/preview-differs.txt")
	if err != nil {
		t.Fatal(err)
	}
	differ, err := parsePreview([]string{string(text)})
	if err != nil || len(differ) != 1 {
		t.Fatalf("got %+v, %v", differ, err)
	}
	d := differ[0]
	if d.Keyspace != "ks3" || d.Table != "t" || d.Count != 12 || len(d.Ranges) != 12 ||
		!slices.Contains(d.Ranges, cluster.TokenRange{Start: 7686143364045646506, End: -9223372036854775808}) {
		t.Errorf("got %+v", d)
	}
	if differ, err := parsePreview([]string{"Repair preview completed successfully; Previewed data was in sync"}); err != nil || differ != nil {
		t.Errorf("in sync: got %v, %v", differ, err)
	}
	for why, words := range map[string]string{
		"an empty message is not in sync":              "",
		"a plain repair's words are not in sync":       "Repair completed successfully",
		"an estimate without a table is not in sync":   "Total estimated streaming: 3 ranges, 1 sstables, 1B bytes\n",
		"a table that cannot be counted is not nought": "Total estimated streaming: 1\nks.t - 99999999999999999999 ranges, 0 sstables\n",
		"a range that cannot be read is not left out":  "Total estimated streaming: 1\nks.t - 1 ranges, 0 sstables\n  Mismatching ranges: (1,99999999999999999999],\n",
	} {
		if _, err := parsePreview([]string{words}); !errors.Is(err, ErrNonsense) {
			t.Errorf("%s: got %v", why, err)
		}
	}
}
