// SPDX-License-Identifier: Apache-2.0

// Package hook has a program of the site turn the power of a host off, and tell
// whether it is off. It speaks the protocol of the fence agents of ClusterLabs:
// options as name=value on standard input, action=off or action=status among
// them; exit code 0 of off is done; of status 0 is on and 2 is off.
//
// Those two are all it ever asks for. It never turns anything on, and decides
// nothing. What runs is, byte for byte, what was pinned by its checksum, and no
// secret stands in its arguments, its environment or in what is told of it.
package hook

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
)

// Options are complete but for OptionsFile, which may be empty.
type Options struct {
	Command     []string                // argv, never a shell; the program is a file by its whole path
	SHA256      string                  // of the program, in hex
	OptionsFile string                  // name=value lines for the program, secrets among them; empty: none
	Plugs       map[cluster.Name]string // what the program calls the plug of a host
	Timeout     time.Duration           // one run of the program has ended by then
	User        int                     // who may own the files besides root: the user this runs as
}

// State is what a program says of a host's power.
type State uint8

// The states. StateUnknown is the zero value and proves nothing.
const (
	StateUnknown State = iota
	On
	Off
)

// ErrRefused is in every error of a run that did not begin: the program or its
// options are not as they have to be. Nothing was done then.
var ErrRefused = errors.New("not run")

// plugMax bounds what a plug may be called.
const plugMax = 256

// Hook is the program of one site. Its methods may be called by several
// goroutines.
type Hook struct{ o Options }

// New checks every option and reports all faults at once. It looks at no file:
// those are looked at right before every run, and by Check.
func New(o Options) (*Hook, error) {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(len(o.Command) == 0 || !filepath.IsAbs(o.Command[0]) || filepath.Clean(o.Command[0]) != o.Command[0], "command: the whole path of a program is wanted")
	sum, err := hex.DecodeString(o.SHA256)
	fault(err != nil || len(sum) != sumBytes, "sha256: %d hex digits are wanted, as sha256sum prints them", 2*sumBytes)
	fault(o.OptionsFile != "" && !filepath.IsAbs(o.OptionsFile), "options_file: a whole path is wanted")
	fault(o.Timeout <= 0, "timeout: a run needs a limit")
	fault(len(o.Plugs) == 0, "plugs: name at least one host")
	for _, n := range slices.Sorted(maps.Keys(o.Plugs)) {
		if err := plugFault(o.Plugs[n]); err != nil {
			faults = append(faults, fmt.Errorf("plugs.%s: %w", n, err))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("power hook: %w", errors.Join(faults...))
	}
	o.Command, o.Plugs = slices.Clone(o.Command), maps.Clone(o.Plugs)
	return &Hook{o: o}, nil
}

func plugFault(plug string) error {
	switch {
	case plug == "":
		return errors.New("it is empty; write what the program calls this host's plug")
	case len(plug) > plugMax:
		return fmt.Errorf("it is longer than %d bytes", plugMax)
	case strings.ContainsFunc(plug, unprintable):
		return errors.New("it holds a line break or another control character; write one line")
	}
	return nil
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f }

// Hosts lists the hosts whose plugs are named, by name.
func (h *Hook) Hosts() []cluster.Name { return slices.Sorted(maps.Keys(h.o.Plugs)) }

// Check looks at program and options as a run would, and runs nothing. It tells
// all that is wrong.
func (h *Hook) Check() error {
	program, err := h.program()
	if program != nil {
		_ = program.Close()
	}
	_, optionsErr := readOptions(h.o.OptionsFile, h.o.User)
	return errors.Join(err, optionsErr)
}

// Off has the host's power turned off. That it succeeds is the program's claim;
// Status is the look.
func (h *Hook) Off(ctx context.Context, n cluster.Name) error {
	_, err := h.run(ctx, "off", n, map[int]State{0: Off})
	return err
}

// Status asks whether the host's power is on. Any error means that nobody knows.
func (h *Hook) Status(ctx context.Context, n cluster.Name) (State, error) {
	return h.run(ctx, "status", n, map[int]State{0: On, 2: Off})
}
