// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// State is what the proxy says of one server.
type State struct {
	Up     bool // its checks pass, or have not failed three times yet
	Admin  int  // 0: nobody has put it into drain or maintenance
	Weight int
	Normal int // the weight of the configuration
}

// AtRest says that the server is up and nobody has changed it.
func (s State) AtRest() bool { return s.Up && s.Admin == 0 && s.Weight == s.Normal }

const (
	askMax    = 2 * time.Second
	answerMax = 1 << 20
)

// States asks the runtime API for every server of the backend, by name.
func (p Proxy) States(ctx context.Context) (map[string]State, error) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", p.StatsSocket())
	if err != nil {
		return nil, fmt.Errorf("ask haproxy: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("ask haproxy: %w", err)
	}
	if _, err := io.WriteString(conn, "show servers state "+Backend+"\n"); err != nil {
		return nil, fmt.Errorf("ask haproxy: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(conn, answerMax))
	if err != nil {
		return nil, fmt.Errorf("ask haproxy: %w", err)
	}
	return ParseStates(string(text))
}

// stopped is the operational state of a server whose checks have failed.
const stopped = 0

// ParseStates finds columns by their names, which stand in the second line
// behind a "#": their number differs between versions.
func ParseStates(text string) (map[string]State, error) {
	var columns map[string]int
	states := make(map[string]State)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 1 && fields[0] == "#":
			columns = make(map[string]int)
			for i, name := range fields[1:] {
				columns[name] = i
			}
		case columns != nil && len(fields) >= len(columns):
			name, s, err := parseState(fields, columns)
			if err != nil {
				return nil, fmt.Errorf("read the state of a server: %w: %q", err, line)
			}
			states[name] = s
		}
	}
	if len(states) == 0 {
		return nil, fmt.Errorf("haproxy tells no server's state: %q", text)
	}
	return states, nil
}

func parseState(fields []string, columns map[string]int) (string, State, error) {
	number := func(name string) (int, error) {
		i, ok := columns[name]
		if !ok {
			return 0, errors.New("no column " + name)
		}
		return strconv.Atoi(fields[i])
	}
	op, err1 := number("srv_op_state")
	admin, err2 := number("srv_admin_state")
	weight, err3 := number("srv_uweight")
	normal, err4 := number("srv_iweight")
	i, named := columns["srv_name"]
	if err := errors.Join(err1, err2, err3, err4); err != nil || !named {
		return "", State{}, errors.Join(err, errors.New("want name, states and weights"))
	}
	return fields[i], State{Up: op != stopped, Admin: admin, Weight: weight, Normal: normal}, nil
}
