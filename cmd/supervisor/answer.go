// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"supervisor/internal/api"
	"supervisor/internal/certs"
	"supervisor/internal/render"
)

// asking is how a command asks an agent and prints what it says.
type asking struct {
	socket string
	show   certs.Files // for an agent over the network
	output string
	watch  bool
}

// answerLimit bounds one question.
const answerLimit = 10 * time.Second

// outputs are the forms of an answer.
var outputs = []string{"table", "json", "yaml", "name"}

// socketFlag adds where the agent is, alone.
func (a *asking) socketFlag(c *cobra.Command) *cobra.Command {
	socket := os.Getenv("SUPERVISOR_SOCKET")
	if socket == "" {
		socket = api.DefaultSocket
	}
	c.Flags().StringVar(&a.socket, "socket", socket, "socket of the agent, or its api.listen as https://IP:PORT; also $SUPERVISOR_SOCKET")
	for _, f := range []struct {
		at         *string
		name, what string
	}{{&a.show.CA, "ca", "authorities of the agents"}, {&a.show.Cert, "cert", "your certificate"}, {&a.show.Key, "key", "its key"}} {
		env := "SUPERVISOR_" + strings.ToUpper(f.name)
		c.Flags().StringVar(f.at, f.name, os.Getenv(env), "with https://: PEM file of "+f.what+"; also $"+env)
	}
	return c
}

// client speaks to the agent that was named.
func (a *asking) client(c *cobra.Command) (*api.Client, error) {
	if !api.IsRemote(a.socket) {
		return api.NewClient(a.socket), nil
	}
	if a.show.CA == "" || a.show.Cert == "" || a.show.Key == "" {
		return nil, usage(c, errors.New("over the network --ca, --cert and --key are needed: files of certs issue --operator or --reader, and ca.pem"))
	}
	client, err := api.NewRemote(a.socket, a.show)
	if err != nil {
		return nil, usage(c, err)
	}
	return client, nil
}

// flags adds the flags of a command that reads.
func (a *asking) flags(c *cobra.Command, watch bool) *cobra.Command {
	a.socketFlag(c)
	c.Flags().StringVarP(&a.output, "output", "o", "table", strings.Join(outputs, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	if watch {
		c.Flags().BoolVar(&a.watch, "watch", false, "go on: repaint on a terminal, append what changed elsewhere")
	}
	return c
}

// answer draws what one path says.
type answer[T any] struct {
	draw  func(render.Page, api.Envelope[T]) string
	names func(T) []string // what -o name prints, one a line
	// newestLast is a drawing whose end tells what happens now: a terminal that is
	// too low for all of it shows that end.
	newestLast bool
	seen       func(T) // is given every answer, in whatever form it is printed; nil: nobody asks
}

// show asks and prints; with --watch again and again until it is interrupted.
func show[T any](c *cobra.Command, a asking, path string, by answer[T]) error {
	if !slices.Contains(outputs, a.output) {
		return usage(c, fmt.Errorf("output %q is not known; known: %s", a.output, strings.Join(outputs, ", ")))
	}
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	page, onTerminal := pageOf(c.OutOrStdout())
	ask := func(page render.Page) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, answerLimit)
		defer cancel()
		raw, err := client.Get(ctx, path)
		if err != nil {
			return "", asFailure(err)
		}
		return drawn(raw, a, page, by)
	}
	if !a.watch {
		text, err := ask(page)
		if err != nil {
			return err
		}
		_, err = io.WriteString(c.OutOrStdout(), text)
		return err
	}
	page.Steady, page.Bars = !onTerminal, onTerminal
	var paint func(string) string
	if onTerminal {
		paint = func(text string) string { return painted(fitted(text, rowsOf(c.OutOrStdout()), by.newestLast)) }
	}
	return follow(ctx, c, watchEvery, paint, func() (string, error) {
		page.Now = time.Now()
		return ask(page)
	})
}

// drawn turns an answer into the form that was asked for.
func drawn[T any](raw []byte, a asking, page render.Page, by answer[T]) (string, error) {
	e, err := api.Decode[T](raw)
	if err != nil {
		return "", asFailure(err)
	}
	if by.seen != nil {
		by.seen(e.Data)
	}
	switch a.output {
	case "json":
		return asJSON(raw, a.watch && page.Steady)
	case "yaml":
		return asYAML(raw)
	case "name":
		return strings.Join(append(by.names(e.Data), ""), "\n"), nil
	}
	return by.draw(page, e), nil
}

// asJSON prints the envelope as the agent gave it; on one line where lines are
// appended.
func asJSON(raw []byte, oneLine bool) (string, error) {
	if oneLine {
		return string(bytes.TrimSpace(raw)) + "\n", nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), "", "  "); err != nil {
		return "", fmt.Errorf("indent the answer: %w", err)
	}
	return b.String() + "\n", nil
}

// asYAML keeps the order of the fields: JSON is YAML in another style.
func asYAML(raw []byte) (string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return "", fmt.Errorf("read the answer as YAML: %w", err)
	}
	plainStyle(&doc)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return b.String(), nil
}

func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plainStyle(child)
	}
}

// watchEvery is how often a watcher asks.
const watchEvery = time.Second

// follow draws until ctx ends, which is not an error: nothing was under way.
// The first answer must come; later ones may fail and come again. Without paint,
// which draws over the last one, it appends what changed.
func follow(ctx context.Context, c *cobra.Command, every time.Duration, paint func(string) string, draw func() (string, error)) error {
	out, last := c.OutOrStdout(), ""
	complained := false
	for first := true; ; first = false {
		text, err := draw()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil && paint != nil:
			fmt.Fprint(out, paint("no answer now: "+err.Error()+"\n"+last))
		case err != nil && !complained:
			complained = true
			fmt.Fprintf(c.ErrOrStderr(), "no answer now: %v\n", err)
		case err != nil:
		case paint != nil:
			fmt.Fprint(out, paint(text))
			last = text
		default:
			complained = false
			fmt.Fprint(out, changedLines(last, text))
			last = text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// painted goes home, draws over what stands there and clears the rest.
func painted(text string) string {
	return "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
}

// fitted leaves out what a terminal of so many rows has no room for, and says so.
// The first line stands always; rows 0: nobody knows how many there are.
func fitted(text string, rows int, newestLast bool) string {
	all := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	room := rows - 3 // the first line, the one that says so, and the cursor's
	if rows <= 0 || len(all) < rows || room < 1 {
		return text
	}
	left := fmt.Sprintf("… %s\n", api.Counted(len(all)-1-room, "more line"))
	if newestLast {
		return all[0] + left + strings.Join(all[len(all)-room:], "") + "\n"
	}
	return strings.Join(all[:1+room], "") + left
}

// changedLines are the lines of now that did not stand in before.
func changedLines(before, now string) string {
	stood := map[string]int{}
	for line := range strings.Lines(before) {
		stood[line]++
	}
	var b strings.Builder
	for line := range strings.Lines(now) {
		if stood[line] > 0 {
			stood[line]--
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

// byTheClock is a page of a reader here and now.
func byTheClock() render.Page { return render.Page{Now: time.Now(), Zone: time.Local} }

// pageOf is how to draw on this writer, and whether it is a terminal.
func pageOf(w io.Writer) (render.Page, bool) {
	page := byTheClock()
	f, ok := w.(*os.File)
	if !ok {
		return page, false
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return page, false
	}
	page.Color = os.Getenv("NO_COLOR") == ""
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		page.Width = int(size.Col)
	}
	return page, true
}

// rowsOf is how high the terminal is now; 0: nobody knows.
func rowsOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Row)
}

// asFailure shows a problem of the interface as every error is shown.
func asFailure(err error) error {
	var p *api.Problem
	if !errors.As(err, &p) {
		return err
	}
	times := byTheClock().Times
	f := failure{err: errors.New(times(p.Detail)), code: string(p.Code), exit: p.Exit}
	if p.Rule != "" {
		f.remedy = append(f.remedy, "rule "+p.Rule+". Nothing was done.")
	}
	for _, fault := range p.Faults {
		f.remedy = append(f.remedy, faultLine(fault))
	}
	for _, remedy := range p.Remedy {
		f.remedy = append(f.remedy, times(remedy))
	}
	return f
}

func faultLine(f api.Fault) string {
	at, path := f.At, ""
	if at == "" {
		at = "-"
	}
	if f.Path != "" {
		path = f.Path + ": "
	}
	return fmt.Sprintf("%-6s %s%s", at, path, f.What)
}

// oneArg demands exactly one argument and names it.
func oneArg(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(c, fmt.Errorf("one %s is wanted, %d given", name, len(args)))
		}
		return nil
	}
}

// completing offers names that an agent gives; without an agent it offers
// nothing, quickly.
func completing[T any](a *asking, path string, names func(T) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), time.Second)
		defer cancel()
		client, err := a.client(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer client.Close()
		raw, err := client.Get(ctx, path)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		e, err := api.Decode[T](raw)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(e.Data), cobra.ShellCompDirectiveNoFileComp
	}
}
