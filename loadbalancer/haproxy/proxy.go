// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"supervisor/loadbalancer"
)

// Options are complete: nothing is defaulted later.
type Options struct {
	Name    string        // of the proxy, as people call it
	Address string        // of the stats socket: absolute path, or IP:port
	Backend string        // what this proxy calls the pool
	Timeout time.Duration // for one exchange, from dialling to the last byte
}

// An exchange takes about a millisecond. Below the minimum a busy host alone
// would look like a dead proxy; above the maximum a dead one would hold up
// the agent's look at the others.
const (
	timeoutMin = 10 * time.Millisecond
	timeoutMax = 10 * time.Second
)

// Proxy is one backend of one HAProxy. It keeps no connection and no state,
// and any number of goroutines may use it.
type Proxy struct{ o Options }

// New checks every field and reports all faults at once.
func New(o Options) (*Proxy, error) {
	var faults []error
	if err := loadbalancer.CheckName(o.Name); err != nil {
		faults = append(faults, fmt.Errorf("name: %w", err))
	}
	if err := loadbalancer.CheckSocket(o.Address); err != nil {
		faults = append(faults, fmt.Errorf("address: %w", err))
	}
	if err := loadbalancer.CheckName(o.Backend); err != nil {
		faults = append(faults, fmt.Errorf("backend: %w", err))
	}
	if o.Timeout < timeoutMin || o.Timeout > timeoutMax {
		faults = append(faults, fmt.Errorf("timeout: %v is not in %v..%v", o.Timeout, timeoutMin, timeoutMax))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("configure proxy %s: %w", o.Name, errors.Join(faults...))
	}
	return &Proxy{o}, nil
}

// Apply sends the changes in their order. All of a change is checked before
// anything is sent. The error joins one Refused for each command the proxy
// did not take; Unreachable and Garbage end the call, and what was sent
// before may have been done.
func (p *Proxy) Apply(ctx context.Context, changes []loadbalancer.Change) error {
	commands, err := p.commands(changes)
	if err != nil {
		return err
	}
	var refused []error
	for _, set := range batches(commands) {
		answer, err := p.exchange(ctx, strings.Join(set, ";"))
		if err != nil {
			return errors.Join(append(refused, err)...)
		}
		no, err := p.refusals(set, answer)
		refused = append(refused, no...)
		if err != nil {
			return errors.Join(append(refused, err)...)
		}
	}
	return errors.Join(refused...)
}

// commands spells the changes. The weight goes before the state: the other
// way round a server would begin its ramp with all its clients.
func (p *Proxy) commands(changes []loadbalancer.Change) ([]string, error) {
	var out []string
	for _, c := range changes {
		if err := loadbalancer.CheckName(string(c.Server)); err != nil {
			return nil, fmt.Errorf("change server of %s on proxy %s: %w", p.o.Backend, p.o.Name, err)
		}
		set := "set server " + p.o.Backend + "/" + string(c.Server)
		switch c.To.Want {
		case loadbalancer.Ready:
			if c.To.Weight < 1 || c.To.Weight > 100 {
				return nil, fmt.Errorf("change %s/%s on proxy %s: weight %d %% is not in 1..100",
					p.o.Backend, c.Server, p.o.Name, c.To.Weight)
			}
			out = append(out, fmt.Sprintf("%s weight %d%%", set, c.To.Weight), set+" state ready")
		case loadbalancer.Drain:
			out = append(out, set+" state drain")
		case loadbalancer.Maint:
			out = append(out, set+" state maint")
		default:
			return nil, fmt.Errorf("change %s/%s on proxy %s: wish %s orders nothing",
				p.o.Backend, c.Server, p.o.Name, c.To)
		}
	}
	return out, nil
}

// Read returns where the servers of the backend stand, in the proxy's order.
// It believes a whole answer or none of it.
func (p *Proxy) Read(ctx context.Context) ([]loadbalancer.Actual, error) {
	state, stat := "show servers state "+p.o.Backend, "show stat "+p.o.Backend+" 4 -1"
	answer, err := p.exchange(ctx, state+";"+stat)
	if err != nil {
		return nil, err
	}
	first, rest, whole := strings.Cut(answer, "\n\n")
	table, known := strings.CutPrefix(first, stateVersion+"\n")
	if !known {
		return nil, p.odd(state, first)
	}
	if !whole {
		return nil, p.garbage("it ends in the middle of the servers", first)
	}
	rest = strings.TrimLeft(rest, "\n")
	if !strings.HasPrefix(rest, "# ") {
		return nil, p.odd(stat, rest)
	}
	servers, err := p.states(table)
	if err != nil {
		return nil, err
	}
	return p.withSessions(servers, rest)
}

// odd tells a refusal, which HAProxy writes as one sentence, from an answer
// that is not HAProxy's.
func (p *Proxy) odd(command, text string) error {
	for _, known := range refusalWords {
		if strings.Contains(text, known) {
			return Refused{p.o.Name, command, firstLine(text)}
		}
	}
	return p.garbage("it is not the answer to "+command, text)
}

// refusalWords are how HAProxy refuses to show something; "Can't find
// backend." and "No such proxy." are the same fault, a name it does not know.
var refusalWords = []string{"Permission denied", "Can't find backend", "No such proxy", "Unknown command"}

func (p *Proxy) garbage(why, text string) error { return Garbage{p.o.Name, why, firstLine(text)} }
