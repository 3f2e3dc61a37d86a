// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"supervisor/cluster"
)

const (
	// outputMax is how much of what a program prints is kept.
	outputMax = 64 << 10
	// toldMax is how much of that is told: its last line, cut.
	toldMax = 160
	// leaveMax is how long whoever else holds the program's output is waited for.
	leaveMax = time.Second
	// inherited is the descriptor by which the child runs, and reads if it is a
	// script, the sealed copy.
	inherited = "/proc/self/fd/3"
)

// environment is all of it: a program that needs more is told it by its options.
var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}

// run has the program do one action about one host; means tells which of its exit
// codes say what.
func (h *Hook) run(ctx context.Context, action string, n cluster.Name, means map[int]State) (State, error) {
	name := filepath.Base(h.o.Command[0])
	attempt := fmt.Sprintf("%s %s of %s", name, action, n)
	plug, named := h.o.Plugs[n]
	if !named {
		return StateUnknown, fmt.Errorf("%s: %w: no plug is named for it", attempt, ErrRefused)
	}
	options, err := readOptions(h.o.OptionsFile, h.o.User)
	if err != nil {
		return StateUnknown, fmt.Errorf("%s: %w: %w", attempt, ErrRefused, err)
	}
	program, err := h.program()
	if err != nil {
		return StateUnknown, fmt.Errorf("%s: %w: %w", attempt, ErrRefused, err)
	}
	defer program.Close()
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	var out output
	cmd := h.command(ctx, program, input(options, action, plug), &out)
	if err := cmd.Start(); err != nil {
		return StateUnknown, fmt.Errorf("%s: %w: %w", attempt, ErrRefused, withoutPath(err))
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return StateUnknown, fmt.Errorf("%s: it did not end within %s and was killed%s", attempt, h.o.Timeout, out.told(masks(options)))
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = errors.New("it left a process behind that holds its output")
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return StateUnknown, fmt.Errorf("%s: %w%s", attempt, err, out.told(masks(options)))
	}
	code := cmd.ProcessState.ExitCode()
	if s, known := means[code]; known {
		return s, nil
	}
	if code < 0 {
		return StateUnknown, fmt.Errorf("%s: it ended by %s%s", attempt, cmd.ProcessState, out.told(masks(options)))
	}
	return StateUnknown, fmt.Errorf("%s: exit code %d%s", attempt, code, out.told(masks(options)))
}

// command is the child: a session of its own, so that all of it is killed
// together, and nothing of this process but what it is told.
func (h *Hook) command(ctx context.Context, program *os.File, in string, out *output) *exec.Cmd {
	cmd := exec.CommandContext(ctx, inherited)
	cmd.Args = h.o.Command
	cmd.ExtraFiles = []*os.File{program}
	cmd.Env, cmd.Dir = environment, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = leaveMax
	return cmd
}

// withoutPath takes the descriptor out of an error: it says nothing to anybody.
func withoutPath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("it cannot be run: %w", path.Err)
	}
	return err
}

// output keeps the beginning of what a program prints, and counts the rest.
type output struct {
	kept    []byte
	dropped int
}

// Write never fails: a program that prints much is not held up by that.
func (o *output) Write(b []byte) (int, error) {
	n := min(len(b), outputMax-len(o.kept))
	o.kept = append(o.kept, b[:n]...)
	o.dropped += len(b) - n
	return len(b), nil
}

// told is the last line of what was kept, without the values in masks, as the end
// of a sentence.
func (o *output) told(masks []string) string {
	text := string(o.kept)
	if o.dropped > 0 && len(masks) > 0 {
		text = text[:max(0, len(text)-len(masks[0]))] // a value that was cut is not found
	}
	for _, m := range masks {
		text = strings.ReplaceAll(text, m, "…")
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	last := ""
	for i := len(lines) - 1; i >= 0 && last == ""; i-- {
		last = strings.TrimSpace(strings.Map(printable, lines[i]))
	}
	if len(last) > toldMax {
		last = strings.ToValidUTF8(last[:toldMax], "") + "…"
	}
	told := ""
	if last != "" {
		told = fmt.Sprintf(", it says %q", last)
	}
	if o.dropped > 0 {
		told += fmt.Sprintf(" (%d KiB of its output kept, %d bytes dropped)", outputMax>>10, o.dropped)
	}
	return told
}

func printable(r rune) rune {
	if unprintable(r) {
		return ' '
	}
	return r
}
