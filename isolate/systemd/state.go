// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"

	"supervisor/internal/process"
)

// state is what systemd says of the unit in one moment.
type state struct {
	load, loadError string // LoadState; why it could not be loaded
	active, sub     string // ActiveState, SubState
	result          string // of the last start or run
	mainPID         int
	code, status    int32 // how the last main process ended
	conditionsHeld  bool  // at the last start
	gate            gate
}

// gate is the command in front of the unit that asks the gate.
type gate struct {
	there, ignored bool
	code, status   int32 // how it ended the last time
}

// gateWords stand in the command line of whatever runs the gate.
const gateWords = "supervisor gate"

// codeExited is CLD_EXITED: a process has ended by itself.
const codeExited = 1

// stateOf reads systemd's properties of a service.
func stateOf(props map[string]any) (state, error) {
	var faults []error
	str := func(name string) string { return property[string](props, name, &faults) }
	s := state{
		load: str("LoadState"), active: str("ActiveState"), sub: str("SubState"), result: str("Result"),
		mainPID: int(property[uint32](props, "MainPID", &faults)),
		code:    property[int32](props, "ExecMainCode", &faults), status: property[int32](props, "ExecMainStatus", &faults),
		conditionsHeld: property[bool](props, "ConditionResult", &faults),
	}
	if why := property[[]any](props, "LoadError", &faults); len(why) == 2 {
		s.loadError, _ = why[1].(string)
	}
	for _, command := range property[[][]any](props, "ExecStartPre", &faults) {
		g, err := gateOf(command)
		if err != nil {
			faults = append(faults, err)
		}
		if g.there {
			s.gate = g
			break
		}
	}
	if len(faults) > 0 {
		return state{}, fmt.Errorf("what systemd says is not understood: %w", errors.Join(faults...))
	}
	return s, nil
}

func property[T any](props map[string]any, name string, faults *[]error) T {
	v, ok := props[name].(T)
	if !ok {
		*faults = append(*faults, fmt.Errorf("%s=%v", name, props[name]))
	}
	return v
}

// gateOf reads one command of ExecStartPre: path, arguments, whether its failure is
// ignored, four moments, process, how it ended.
func gateOf(command []any) (gate, error) {
	if len(command) != 10 {
		return gate{}, fmt.Errorf("ExecStartPre has %d fields", len(command))
	}
	argv, isArgv := command[1].([]string)
	ignored, isBool := command[2].(bool)
	code, isCode := command[8].(int32)
	status, isStatus := command[9].(int32)
	if !isArgv || !isBool || !isCode || !isStatus {
		return gate{}, fmt.Errorf("ExecStartPre=%v", command)
	}
	there := strings.Contains(strings.Join(argv, " ")+" ", gateWords+" ")
	return gate{there, ignored, code, status}, nil
}

// refused tells whether the gate said no the last time it was asked.
func (g gate) refused() bool {
	return g.there && g.code == codeExited && g.status == process.GateRefused
}

// stands is the fault of a unit that nothing keeps from starting.
func (g gate) stands(unit string) error {
	switch {
	case !g.there:
		return fmt.Errorf("no ExecStartPre= of %s runs `%s`, so it would start past the gate: lay the package's drop-in in %s.d and run systemctl daemon-reload",
			unit, gateWords, unit)
	case g.ignored:
		return fmt.Errorf("the ExecStartPre= of %s that runs `%s` begins with -, so a gate that refuses keeps nothing from starting: take the - away and run systemctl daemon-reload",
			unit, gateWords)
	}
	return nil
}

// fit is the fault of a unit that cannot be what starts Cassandra.
func (s state) fit(unit string) error {
	switch s.load {
	case "loaded":
		return s.gate.stands(unit)
	case "not-found":
		return fmt.Errorf("there is no %s: give Cassandra a unit of its own, like the package's example, and run systemctl daemon-reload", unit)
	case "masked":
		return fmt.Errorf("%s is masked: systemctl unmask %s", unit, unit)
	}
	return fmt.Errorf("systemd has not loaded %s (%s: %s): systemctl status %s says more", unit, s.load, s.loadError, unit)
}

// startable is the fault of a unit that takes no start.
func (s state) startable(unit string) error {
	if err := s.fit(unit); err != nil {
		return err
	}
	if s.active == "active" && s.sub == "exited" {
		return fmt.Errorf("%s says active and nothing of it runs, as the unit of an init script does: it cannot be started. "+
			"Give Cassandra a unit of its own, like the package's example", unit)
	}
	return s.headless(unit)
}

// headless is the fault of a unit of which something runs, and systemd does not
// know what: it may be Cassandra.
func (s state) headless(unit string) error {
	if s.active == "active" && s.sub == "running" && s.mainPID == 0 {
		return fmt.Errorf("%s runs and systemd does not know its main process: give it a PIDFile=, or another Type=", unit)
	}
	return nil
}

// done is the result of a job that did what it was to do.
const done = "done"

// outcome is what the result of a start job means, with what the unit says after it.
func outcome(unit, result string, s state) error {
	switch result {
	case done:
		if s.active == "inactive" && !s.conditionsHeld {
			return fmt.Errorf("a Condition…= of %s does not hold, so systemd started nothing: systemctl status %s", unit, unit)
		}
		return nil
	case "failed":
		if s.gate.refused() {
			return fmt.Errorf("%s: %w", unit, process.ErrGate)
		}
		return errors.New(s.failure(unit))
	case "canceled":
		return fmt.Errorf("somebody stopped %s, or took the start back, before it was done", unit)
	case "timeout":
		return fmt.Errorf("the start of %s waited longer than its JobTimeoutSec= for others: systemctl list-dependencies %s", unit, unit)
	case "dependency":
		return fmt.Errorf("a unit that %s requires did not start: systemctl list-dependencies %s", unit, unit)
	case "assert":
		return fmt.Errorf("an Assert…= of %s does not hold: systemctl status %s", unit, unit)
	}
	return fmt.Errorf("systemd ended the start of %s as %q and started nothing", unit, result)
}

// failure tells how a start failed.
func (s state) failure(unit string) string {
	if s.active == "activating" && s.result == "success" {
		return fmt.Sprintf("%s did not start, and its Restart= has begun anew before systemd could say why: journalctl --unit %s", unit, unit)
	}
	why := fmt.Sprintf("%s did not start: result %s", unit, s.result)
	if s.gate.there && s.gate.code != 0 && (s.gate.code != codeExited || s.gate.status != 0) {
		why += fmt.Sprintf(", the gate ended with %d", s.gate.status)
	} else if s.code != 0 {
		why += fmt.Sprintf(", its process ended with %d", s.status)
	}
	if s.active == "activating" { // or waits to be
		why += "; its Restart= starts it again"
	}
	return why + ": journalctl --unit " + unit
}

// refusal says in words of this host what systemd refused to do, and what helps.
func refusal(unit string, err error) error {
	var said dbus.Error
	if !errors.As(err, &said) {
		return err
	}
	switch said.Name {
	case "org.freedesktop.systemd1.TransactionIsDestructive":
		return fmt.Errorf("somebody is stopping %s, and that is not taken back: %w", unit, err)
	case "org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
		return fmt.Errorf("polkit does not let this user do that with %s; the package's rule is for the user cassandra and for cassandra.service: %w", unit, err)
	}
	return err
}
