// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"supervisor/cluster"
	"supervisor/loadbalancer"
)

// stateVersion is the only format of "show servers state" there has been; it
// stands alone on the first line.
const stateVersion = "1"

// Bits of srv_admin_state, from HAProxy's server-t.h. The bit for "in the
// configuration as disabled" (0x04) is none of them: it stays for ever and
// says nothing about now.
const (
	adminMaint = 0x01 | 0x02 | 0x20 // forced, inherited from a tracked server, address not resolved
	adminDrain = 0x08 | 0x10        // forced, inherited
)

// Bits of srv_check_state and values of srv_check_result, from check-t.h. A
// check that is switched off keeps its last result, which is then no look.
const (
	checkOn      = 0x02 | 0x04 // configured, enabled
	checkPaused  = 0x08
	resultFailed = 2 // 3 and 4 are passed and passed with a condition
)

// states reads "show servers state" below its version, columns by name.
func (p *Proxy) states(text string) ([]loadbalancer.Actual, error) {
	lines := strings.Split(text, "\n")
	head, found := strings.CutPrefix(lines[0], "# ")
	if !found {
		return nil, p.garbage("the servers have no header", text)
	}
	columns := strings.Fields(head)
	out := make([]loadbalancer.Actual, 0, len(lines)-1)
	seen := make(map[cluster.Name]bool, len(lines)-1)
	for _, line := range lines[1:] {
		r := row{columns: columns, values: strings.Fields(line)}
		a := r.actual()
		if be := r.text("be_name"); r.err == nil && be != p.o.Backend {
			r.err = fmt.Errorf("a server of backend %q", be)
		}
		if r.err == nil && seen[a.Server] {
			r.err = fmt.Errorf("server %q twice", a.Server)
		}
		if r.err != nil {
			return nil, p.garbage(r.err.Error(), line)
		}
		seen[a.Server] = true
		out = append(out, a)
	}
	return out, nil
}

// row is one line with named columns. It keeps its first error, so that a
// reader asks for all it wants and looks once.
type row struct {
	columns, values []string
	err             error
}

func (r *row) text(column string) string {
	for i, c := range r.columns {
		if c == column && i < len(r.values) {
			return r.values[i]
		}
	}
	if r.err == nil {
		r.err = fmt.Errorf("no column %s", column)
	}
	return ""
}

// number reads a column that holds a count or bits, never below zero.
func (r *row) number(column string) int {
	text := r.text(column)
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		r.err = fmt.Errorf("column %s is %q", column, text)
	}
	return int(n)
}

func (r *row) actual() loadbalancer.Actual {
	check, result := r.number("srv_check_state"), r.number("srv_check_result")
	normal := r.number("srv_iweight")
	return loadbalancer.Actual{
		Server:     cluster.Name(r.text("srv_name")),
		Want:       standing(r.number("srv_admin_state")),
		Weight:     percent(r.number("srv_uweight"), normal),
		Normal:     normal,
		Up:         r.number("srv_op_state") > 0, // 0 stopped, 1 starting, 2 running, 3 stopping softly
		CheckKnown: check&checkOn == checkOn && check&checkPaused == 0 && result >= resultFailed,
	}
}

func standing(admin int) loadbalancer.Want {
	switch {
	case admin&adminMaint != 0:
		return loadbalancer.Maint
	case admin&adminDrain != 0:
		return loadbalancer.Drain
	}
	return loadbalancer.Ready
}

// percent is the smallest percentage that HAProxy turns into this weight. A
// server configured with weight 0 has no percentage and never serves.
func percent(weight, normal int) int {
	if normal == 0 {
		return 0
	}
	return (100*weight + normal - 1) / normal
}

// withSessions adds the open connections, from the CSV of "show stat".
func (p *Proxy) withSessions(servers []loadbalancer.Actual, text string) ([]loadbalancer.Actual, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# ")))
	lines, err := r.ReadAll()
	if err != nil {
		return nil, p.garbage("the statistics are no table: "+err.Error(), text)
	}
	if len(lines) == 0 {
		return nil, p.garbage("the statistics have no header", text)
	}
	open := make(map[cluster.Name]int, len(lines))
	for _, values := range lines[1:] {
		line := row{columns: lines[0], values: values}
		name := cluster.Name(line.text("svname"))
		open[name] = line.number("scur")
		if line.err != nil {
			return nil, p.garbage(line.err.Error(), strings.Join(values, ","))
		}
	}
	for i, s := range servers {
		n, found := open[s.Server]
		if !found {
			return nil, p.garbage(fmt.Sprintf("server %q has no statistics", s.Server), text)
		}
		servers[i].Sessions = n
	}
	return servers, nil
}
