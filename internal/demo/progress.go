// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Progress shows what is going on, a line for each step. On a terminal the
// line is repainted; elsewhere a new one is printed when something changed,
// so that a log holds events and not seconds.
type Progress struct {
	out      io.Writer
	terminal bool
	steps    int
	step     int
	title    string
	key      string
	open     bool // a line without its end stands on the terminal
}

// NewProgress shows steps steps on out.
func NewProgress(out io.Writer, steps int) *Progress {
	return &Progress{out: out, terminal: isTerminal(out), steps: steps}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// Step begins the next step.
func (p *Progress) Step(title string) {
	p.End()
	p.step++
	p.title, p.key = title, ""
}

// Show shows the state of the step. key is what has to change before another
// line is printed where there is no terminal: the text without its seconds.
func (p *Progress) Show(key, text string) {
	line := fmt.Sprintf("[%d/%d] %-10s %s", p.step, p.steps, p.title, text)
	switch {
	case p.terminal:
		fmt.Fprint(p.out, "\r"+p.fit(line)+"\x1b[K")
		p.open = true
	case key != p.key:
		fmt.Fprintln(p.out, line)
	}
	p.key = key
}

// fit cuts a line to the width of the terminal: one that wraps cannot be
// repainted.
func (p *Progress) fit(line string) string {
	f, ok := p.out.(*os.File)
	if !ok {
		return line
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return line
	}
	runes := []rune(line)
	return string(runes[:min(len(runes), int(size.Col)-1)])
}

// Done shows the last state of the step, whatever was shown before.
func (p *Progress) Done(text string) {
	if !p.terminal && p.key == text {
		return
	}
	p.Show(text, text)
	p.End()
}

// Print prints text of its own, a whole number of lines.
func (p *Progress) Print(text string) {
	p.End()
	fmt.Fprint(p.out, text)
}

// End ends the line that stands open, so that other text can follow.
func (p *Progress) End() {
	if p.open {
		fmt.Fprintln(p.out)
		p.open = false
	}
}
