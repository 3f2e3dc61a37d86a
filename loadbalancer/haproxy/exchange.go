// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// answerMax bounds one answer, in bytes: some 1,500 servers, each of about
// 600 bytes in "show stat". More is not the backend we were told of.
const answerMax = 1 << 20

// commandMax bounds one joined line, in bytes: half of HAProxy's default
// buffer of 16 KiB. Version 2.6 takes longer lines, cutting them at each
// semicolon as they come in, but does not promise to.
const commandMax = 8 << 10

// batches cuts the commands into lines that HAProxy reads in one piece.
func batches(commands []string) [][]string {
	var out [][]string
	size := 0
	for _, c := range commands {
		if len(out) == 0 || size+len(c)+1 > commandMax {
			out, size = append(out, nil), 0
		}
		last := len(out) - 1
		out[last], size = append(out[last], c), size+len(c)+1
	}
	return out
}

// exchange sends one line on a connection of its own and returns all that
// comes back until the proxy closes it.
func (p *Proxy) exchange(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	answer, err := p.talk(ctx, line)
	switch {
	case err == nil && len(answer) > answerMax:
		return "", p.garbage(fmt.Sprintf("it has more than %d bytes", answerMax), answer)
	case err == nil && answer == "":
		err = errors.New("it closed the connection without an answer")
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		err = fmt.Errorf("no whole answer within %v: %w", p.o.Timeout, ctx.Err())
		if errors.Is(ctx.Err(), context.Canceled) {
			err = ctx.Err()
		}
	}
	return "", Unreachable{p.o.Name, p.o.Address, err}
}

func (p *Proxy) talk(ctx context.Context, line string) (string, error) {
	network := "tcp"
	if strings.HasPrefix(p.o.Address, "/") {
		network = "unix"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, p.o.Address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// A deadline in the past wakes a blocked write or read at once, for a
	// time-out and for a caller that gives up alike.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", fmt.Errorf("send: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, answerMax+1))
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return string(answer), nil
}

// refusals finds out which commands of a set were not taken. HAProxy answers
// each in turn: an empty line for done, or a text that ends with an empty line.
func (p *Proxy) refusals(set []string, answer string) ([]error, error) {
	var out []error
	rest := answer
	for i, command := range set {
		if done, found := strings.CutPrefix(rest, "\n"); found {
			rest = done
			continue
		}
		text, after, whole := strings.Cut(rest, "\n\n")
		if !whole {
			return out, p.garbage(fmt.Sprintf("%d commands, %d answers", len(set), i), rest)
		}
		out = append(out, Refused{p.o.Name, command, firstLine(text)})
		rest = after
	}
	if strings.Trim(rest, "\n") != "" {
		return out, p.garbage(fmt.Sprintf("%d commands, more answers", len(set)), rest)
	}
	return out, nil
}
