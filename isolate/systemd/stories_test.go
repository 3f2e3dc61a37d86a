// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"supervisor/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const unitName = "cassandra.service"

// props are properties of the unit that differ from those of one that is loaded,
// gated and not started.
type props map[string]any

// script is what the fake does where a real systemd has a unit's text.
type script struct {
	before  props
	job     string // the result of the start job; empty: it is at work for ever
	refuses string // the name of the error that StartUnit is answered with
	after   props
}

// masked stands for the text of a unit that was masked.
const masked = "masked"

// The gate's line, with how the gate ends.
const (
	lets    = "ExecStartPre=/bin/sh -c 'exit 0 # supervisor gate'\n"
	refuses = "ExecStartPre=/bin/sh -c 'exit 3 # supervisor gate'\n"
	sleeps  = "ExecStart=/bin/sleep 300\n"
)

// starts are told to the fake and, by the same words, to a real systemd.
var starts = []struct {
	why  string
	text string   // of the unit; empty: there is none
	do   []string // what systemctl is told before
	fake script
	want error  // nil: a plain error, or with says empty none
	says string // stands in the error
}{
	{"it starts behind a gate that lets it", lets + sleeps, nil,
		script{job: "done", after: props{"ActiveState": "active", "SubState": "running"}}, nil, ""},
	{"the gate refuses", refuses + sleeps, nil,
		script{job: "failed", after: props{"ActiveState": "failed", "Result": "exit-code", "ExecStartPre": pre(gated(1, 3))}}, process.ErrGate, unitName},
	{"another command before it ends with 3", "ExecStartPre=/bin/sh -c 'exit 3'\n" + lets + sleeps, nil,
		script{before: props{"ExecStartPre": pre(command("/bin/sh", 0, 0), gated(0, 0))}, job: "failed",
			after: props{"ActiveState": "failed", "Result": "exit-code", "ExecStartPre": pre(command("/bin/sh", 1, 3), gated(0, 0))}}, nil, "result exit-code"},
	{"the gate fails, which is no refusal", "ExecStartPre=/bin/sh -c 'exit 1 # supervisor gate'\n" + sleeps, nil,
		script{job: "failed", after: props{"ActiveState": "failed", "Result": "exit-code", "ExecStartPre": pre(gated(1, 1))}}, nil, "the gate ended with 1"},
	{"the gate refuses, and Restart= tries again", "Restart=always\nRestartSec=2\n" + refuses + sleeps, nil,
		script{job: "failed", after: props{"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "ExecStartPre": pre(gated(1, 3))}}, process.ErrGate, unitName},
	{"Cassandra fails, and Restart= tries again", "Restart=always\nRestartSec=2\n" + lets + "Type=notify\nExecStart=/bin/sh -c 'exit 7'\n", nil,
		script{job: "failed", after: props{"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "ExecMainCode": int32(1), "ExecMainStatus": int32(7)}},
		nil, "its process ended with 7; its Restart= starts it again"},
	{"Cassandra fails", lets + "Type=notify\nExecStart=/bin/sh -c 'exit 7'\n", nil,
		script{job: "failed", after: props{"ActiveState": "failed", "Result": "exit-code", "ExecMainCode": int32(1), "ExecMainStatus": int32(7), "ExecStartPre": pre(gated(1, 0))}},
		nil, "its process ended with 7"},
	{"there is no unit", "", nil, script{before: props{"LoadState": "not-found", "ExecStartPre": pre()}}, nil, "there is no cassandra.service: give"},
	{"a unit that is masked", masked, nil, script{before: props{"LoadState": "masked", "ExecStartPre": pre()}}, nil, "systemctl unmask cassandra.service"},
	{"a unit that systemd does not understand", lets, nil,
		script{before: props{"LoadState": "bad-setting", "LoadError": []any{"org.freedesktop.systemd1.BadUnitSetting", "it has a bad setting"}}}, nil, "has not loaded cassandra.service (bad-setting: "},
	{"nobody asks the gate", sleeps, nil, script{before: props{"ExecStartPre": pre()}}, nil, "would start past the gate"},
	{"another command names the gate and does not run it", "ExecStartPre=/bin/sh -c 'exit 0 # supervisor gateway'\n" + sleeps, nil,
		script{before: props{"ExecStartPre": pre(command("/bin/sh -c exit 0 # supervisor gateway", 0, 0))}}, nil, "would start past the gate"},
	{"nobody heeds the gate", strings.Replace(refuses, "=", "=-", 1) + sleeps, nil,
		script{before: props{"ExecStartPre": pre(ignored(gated(0, 0)))}}, nil, "begins with -"},
	{"a condition does not hold", lets + sleeps + "[Unit]\nConditionPathExists=/nowhere\n", nil,
		script{job: "done", after: props{"ConditionResult": false}}, nil, "Condition…= of cassandra.service does not hold"},
	{"a unit that it requires does not start", lets + sleeps + "[Unit]\nRequires=broken.service\nAfter=broken.service\n", nil,
		script{job: "dependency"}, nil, "a unit that cassandra.service requires did not start"},
	{"an init script's unit, whose Cassandra has ended", lets + "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n", []string{"start " + unitName},
		script{before: props{"ActiveState": "active", "SubState": "exited"}}, nil, "says active and nothing of it runs"},
	{"a unit whose process systemd does not know", lets + "Type=forking\nGuessMainPID=no\nExecStart=/bin/sh -c 'sleep 300 &'\n", []string{"start " + unitName},
		script{before: props{"ActiveState": "active", "SubState": "running"}}, nil, "does not know its main process"},
	{"somebody is stopping it", lets + sleeps + "ExecStop=/bin/sleep 300\n", []string{"start " + unitName, "stop --no-block " + unitName},
		script{before: props{"ActiveState": "deactivating", "SubState": "stop"}, refuses: "org.freedesktop.systemd1.TransactionIsDestructive"}, nil, "somebody is stopping cassandra.service"},
	{"what takes longer is left alone", lets + "Type=notify\n" + sleeps, nil, script{after: props{"ActiveState": "activating"}}, process.ErrUncertain, "starts cassandra.service"},
}

// host is a systemd, faked or real.
type host interface {
	// lay lays the unit, by its text or by its script, and does what is said.
	lay(t *testing.T, text string, s script, do []string)
}

// short is long enough for what is at work for ever.
const short = 700 * time.Millisecond

func newUnit(t *testing.T, startMax time.Duration) *Unit {
	t.Helper()
	u, err := New(Options{Unit: unitName, StartMax: startMax, ExitMax: 10 * time.Second, CallMax: DefaultCallMax})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

func tellStarts(t *testing.T, h host) {
	for _, row := range starts {
		t.Run(row.why, func(t *testing.T) {
			h.lay(t, row.text, row.fake, row.do)
			limit := 20 * time.Second
			if errors.Is(row.want, process.ErrUncertain) {
				limit = short
			}
			err := newUnit(t, limit).Start(context.Background())
			switch {
			case row.says == "" && err != nil:
				t.Errorf("got %v", err)
			case row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says)):
				t.Errorf("got %v, want %q", err, row.says)
			}
			for _, kind := range []error{process.ErrGate, process.ErrRunning, process.ErrUncertain} {
				if errors.Is(err, kind) != errors.Is(row.want, kind) {
					t.Errorf("got %v, want the kind %v", err, row.want)
				}
			}
		})
	}
}
