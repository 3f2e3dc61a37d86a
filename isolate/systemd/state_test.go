// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"errors"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"supervisor/internal/process"
)

// known are the properties of a unit as the library hands them over.
func known(change map[string]any) map[string]any {
	p := map[string]any{"LoadState": "loaded", "LoadError": []any{"", ""}, "ActiveState": "inactive", "SubState": "dead", "Result": "success",
		"MainPID": uint32(0), "ExecMainCode": int32(0), "ExecMainStatus": int32(0), "ConditionResult": true, "ExecStartPre": [][]any{gated(0, 0)}}
	for k, v := range change {
		if v == nil {
			delete(p, k)
		} else {
			p[k] = v
		}
	}
	return p
}

func TestWhatSystemdSaysOfAUnit(t *testing.T) {
	for _, row := range []struct {
		why    string
		change map[string]any
		want   string // of why it cannot be started; empty: it can
		fault  string // why it is not understood
	}{
		{"it can be started", nil, "", ""},
		{"it failed, which is no hindrance", map[string]any{"ActiveState": "failed", "SubState": "failed"}, "", ""},
		{"it waits for its Restart=", map[string]any{"ActiveState": "activating", "SubState": "auto-restart"}, "", ""},
		{"the first command is another", map[string]any{"ExecStartPre": [][]any{command("/bin/true", 1, 0), gated(1, 0)}}, "", ""},
		{"the gate by its own name", map[string]any{"ExecStartPre": [][]any{command("/usr/bin/supervisor gate", 0, 0)}}, "", ""},
		{"another word of the program", map[string]any{"ExecStartPre": [][]any{command("/usr/bin/supervisor gates", 0, 0)}}, "past the gate", ""},
		{"a broken unit says why", map[string]any{"LoadState": "error", "LoadError": []any{"x.y", "Permission denied"}}, "(error: Permission denied)", ""},
		{"a number that is none", map[string]any{"MainPID": "12"}, "", "MainPID=12"},
		{"a word that is missing", map[string]any{"LoadState": nil}, "", "LoadState=<nil>"},
		{"a command with other fields", map[string]any{"ExecStartPre": [][]any{gated(0, 0)[:9]}}, "", "9 fields"},
		{"a command whose fields are others", map[string]any{"ExecStartPre": [][]any{{"/bin/sh", "supervisor gate", false, 1, 1, 1, 1, 1, int32(0), int32(0)}}}, "", "ExecStartPre=[/bin/sh"},
	} {
		s, err := stateOf(known(row.change))
		if row.fault != "" || err != nil {
			if err == nil || row.fault == "" || !strings.Contains(err.Error(), row.fault) {
				t.Errorf("%s: got %v, want %q", row.why, err, row.fault)
			}
			continue
		}
		err = s.startable(unitName)
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.why, err, row.want)
		}
	}
}

func TestWhatAJobComesTo(t *testing.T) {
	for _, row := range []struct {
		why, result string
		change      map[string]any
		want        string // empty: it was done
	}{
		{"it runs", "done", map[string]any{"ActiveState": "active", "SubState": "running"}, ""},
		{"it ran and ended at once, which is for the next look", "done", nil, ""},
		{"its condition does not hold", "done", map[string]any{"ConditionResult": false}, "Condition…= of"},
		{"it runs, whatever an earlier condition said", "done", map[string]any{"ActiveState": "active", "ConditionResult": false}, ""},
		{"the gate refused", "failed", map[string]any{"ExecStartPre": [][]any{gated(1, 3)}}, "refused by the gate"},
		{"the gate was killed by signal 3", "failed", map[string]any{"Result": "signal", "ExecStartPre": [][]any{gated(2, 3)}}, "result signal, the gate ended with 3"},
		{"systemd has had enough", "failed", map[string]any{"Result": "start-limit-hit"}, "result start-limit-hit"},
		{"it took too long for systemd", "failed", map[string]any{"Result": "timeout", "ExecStartPre": [][]any{gated(1, 0)}}, "result timeout: journalctl"},
		{"its Restart= was faster than the question", "failed", map[string]any{"ActiveState": "activating", "SubState": "start-pre"}, "has begun anew before"},
		{"somebody took it back", "canceled", nil, "somebody stopped"},
		{"it waited for others", "timeout", nil, "JobTimeoutSec="},
		{"another unit failed", "dependency", nil, "requires did not start"},
		{"an assertion", "assert", nil, "Assert…= of"},
		{"a word of a later systemd", "frozen", nil, `as "frozen" and started nothing`},
	} {
		s, err := stateOf(known(row.change))
		if err != nil {
			t.Fatal(err)
		}
		err = outcome(unitName, row.result, s)
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.why, err, row.want)
		}
		if errors.Is(err, process.ErrGate) != (row.want == "refused by the gate") {
			t.Errorf("%s: a refusal of the gate? %v", row.why, err)
		}
	}
}

func TestARefusalSaysWhatHelps(t *testing.T) {
	denied := dbus.Error{Name: "org.freedesktop.DBus.Error.AccessDenied", Body: []any{"Permission denied"}}
	if err := refusal(unitName, denied); !strings.Contains(err.Error(), "polkit does not let this user") || !errors.As(err, new(dbus.Error)) {
		t.Errorf("got %v", err)
	}
	if err := refusal(unitName, nil); err != nil {
		t.Errorf("no refusal: %v", err)
	}
}
