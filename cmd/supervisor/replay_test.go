// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/internal/api/apitest"
	"supervisor/internal/trace"
	"supervisor/membership"
)

// recording is a judge of three nodes that lost n3.
func recording(t *testing.T) trace.Recording {
	t.Helper()
	topology := membership.NewTopology([]cluster.Host{{Name: "n1", Rack: "a"}, {Name: "n2", Rack: "b"}, {Name: "n3", Rack: "c"}})
	rules := trace.Rules{Bars: membership.DefaultBars(), FenceAge: 15 * time.Second}
	var view membership.View
	var r trace.Recorder
	began := cluster.Moment(time.Hour)
	for i := range 60 {
		now := began.Add(time.Duration(i) * 100 * time.Millisecond)
		for _, o := range []cluster.Name{"n1", "n2"} {
			l := membership.Look{Subject: "n3", Path: membership.CQL, Outcome: membership.Good, Held: time.Minute}
			if i >= 40 {
				l.Outcome, l.Held, l.Misses = membership.Refused, now.Sub(began.Add(4*time.Second)), i
			}
			turn := trace.Turn{Now: now, Topology: topology, Rules: rules, Fresh: [][]membership.Report{{{Look: l, Observer: o, Boot: "b", At: now}}}}
			after := membership.Judge(view, turn.Fresh, topology, rules.Bars, now)
			turn.Changes = trace.Changes(view, after)
			r.Turn(view, turn)
			view = after
		}
	}
	return r.Recording(trace.Header{Version: "test", Cluster: "orders", Agent: "n1", Moment: view.At, Wall: apitest.At.UnixNano()})
}

// A recording goes from the agent into a file of its owner, and is judged anew
// without any agent.
func TestARecordingIsWrittenAndReplayed(t *testing.T) {
	socket, source := agentAt(t, apitest.Returning())
	file := filepath.Join(t.TempDir(), "n3.trace")
	t.Setenv("SUPERVISOR_SOCKET", socket)

	exit, _, errs := typed("explain", "n3", "--record", file)
	if exit != 3 || !strings.Contains(errs, "RECORDING_NONE, exit 3") {
		t.Fatalf("without a judge: exit %d: %s", exit, errs)
	}
	source.Record(recording(t))
	exit, out, errs := typed("explain", "n3", "--record", file)
	if exit != 0 || !strings.HasPrefix(out, "n3: ProcessDown") || !strings.Contains(errs, "recorded: 120 turns of n1's judge") {
		t.Fatalf("exit %d: %s%s", exit, out, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Fatalf("the file is %v: %v", info, err)
	}
	if exit, _, errs = typed("explain", "n3", "--record", file); exit != 3 || !strings.Contains(errs, "FILE_EXISTS") {
		t.Errorf("exit %d: %s", exit, errs)
	}
	if exit, _, errs = typed("explain", "n7", "--record", file+"2"); exit != 4 || !strings.Contains(errs, "NODE_UNKNOWN") {
		t.Errorf("exit %d: %s", exit, errs)
	}
	t.Setenv("SUPERVISOR_SOCKET", "/nowhere") // nobody is asked
	for _, tt := range []struct {
		why, args, says string
	}{
		{"a table", "explain --replay FILE n3", "Gone ProcessDown"},
		{"and that nothing differs", "explain --replay FILE", "this program judges as it was recorded"},
		{"a line a change", "explain --replay FILE -o lines n3", "4.300s n3 Gone"},
	} {
		exit, out, errs := typed(strings.Fields(strings.ReplaceAll(tt.args, "FILE", file))...)
		if exit != 0 || !strings.Contains(out, tt.says) {
			t.Errorf("%s: exit %d, want %q in\n%s%s", tt.why, exit, tt.says, out, errs)
		}
	}
	exit, out, errs = typed("explain", "--replay", file, "-o", "json", "n3")
	var x trace.Replayed
	if err := json.Unmarshal([]byte(out), &x); exit != 0 || err != nil || x.Agent != "n1" || len(x.Events) < 3 || x.Events[len(x.Events)-1].Answer != membership.Gone {
		t.Errorf("exit %d, %v: %s%s", exit, err, out, errs)
	}
}

func TestFilesThatCannotBeReplayed(t *testing.T) {
	dir := t.TempDir()
	var whole bytes.Buffer
	if _, err := recording(t).WriteTo(&whole); err != nil {
		t.Fatal(err)
	}
	at := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	large := at("large", nil)
	if err := os.Truncate(large, trace.FileMax+1); err != nil {
		t.Fatal(err)
	}
	good := at("good", whole.Bytes())
	for _, tt := range []struct {
		why  string
		args []string
		exit int
		says string
	}{
		{"cut short", []string{at("cut", whole.Bytes()[:whole.Len()/2])}, 1, "it is cut short: block 1 of 1"},
		{"of a later format", []string{at("later", bytes.Replace(whole.Bytes(), []byte("trace 2\n"), []byte("trace 3\n"), 1))}, 1, "it is of format 3, and this program reads format 2"},
		{"too large", []string{large}, 1, "and no recording more than 64"},
		{"something else", []string{at("else", []byte("{}"))}, 1, "it is none"},
		{"not there", []string{filepath.Join(dir, "none")}, 1, "no such file"},
		{"a node it does not know", []string{good, "n9"}, 4, "the recording knows no node n9"},
		{"a form that it has not", []string{good, "-o", "yaml"}, 2, "known: table, json, lines"},
		{"watched", []string{good, "--watch"}, 2, "--replay asks no agent"},
		{"two nodes", []string{good, "n1", "n2"}, 2, "one NODE at most"},
	} {
		exit, out, errs := typed(append([]string{"explain", "--replay"}, tt.args...)...)
		if exit != tt.exit || out != "" || !strings.Contains(errs, tt.says) {
			t.Errorf("%s: exit %d, want %d, %q in: %s%s", tt.why, exit, tt.exit, tt.says, out, errs)
		}
	}
}
