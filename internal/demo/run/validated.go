// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"time"

	"supervisor/internal/demo/node"
)

// Validated is what Cassandra read to compare replicas, by its own word: one line of
// its log for each table and node.
type Validated struct {
	Tables     int   `json:"tables"` // tables on nodes
	Partitions int64 `json:"partitions"`
	Bytes      int64 `json:"bytes"`
}

func (v Validated) plus(w Validated) Validated {
	return Validated{v.Tables + w.Tables, v.Partitions + w.Partitions, v.Bytes + w.Bytes}
}

// validation is the line that ValidationManager writes at DEBUG.
var validation = regexp.MustCompile(`(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) .*Validation of (\d+) partitions \(~([\d.]+) ?([KMGT]i?B|bytes|B)\) finished in`)

var units = map[string]float64{"bytes": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "KB": 1e3, "MB": 1e6, "GB": 1e9}

// parseValidation reads such a line; false: it is another one.
func parseValidation(line string) (at time.Time, v Validated, ok bool) {
	m := validation.FindStringSubmatch(line)
	if m == nil {
		return at, v, false
	}
	at, err1 := time.ParseInLocation("2006-01-02 15:04:05,000", m[1], time.Local)
	partitions, err2 := strconv.ParseInt(m[2], 10, 64)
	size, err3 := strconv.ParseFloat(m[3], 64)
	unit, known := units[m[4]]
	return at, Validated{1, partitions, int64(size * unit)}, err1 == nil && err2 == nil && err3 == nil && known
}

// marked are the ends of all nodes' logs at a moment.
type marked map[string]int64

func mark(nodes []node.Node) (marked, error) {
	m := marked{}
	for _, n := range nodes {
		info, err := os.Stat(n.SystemLog())
		if err != nil {
			return nil, fmt.Errorf("look at the log of %s: %w", n.Name, err)
		}
		m[n.Name] = info.Size()
	}
	return m, nil
}

// since adds up what all nodes validated since the mark, before a moment and after it.
func (m marked) since(nodes []node.Node, at time.Time) (before, after Validated, err error) {
	for _, n := range nodes {
		b, a, err := m.sinceOn(n, at)
		if err != nil {
			return before, after, fmt.Errorf("read the log of %s: %w", n.Name, err)
		}
		before, after = before.plus(b), after.plus(a)
	}
	return before, after, nil
}

func (m marked) sinceOn(n node.Node, at time.Time) (before, after Validated, err error) {
	f, err := os.Open(n.SystemLog())
	if err != nil {
		return before, after, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() < m[n.Name] {
		return before, after, fmt.Errorf("it was rolled over meanwhile (%w)", err)
	}
	if _, err := f.Seek(m[n.Name], io.SeekStart); err != nil {
		return before, after, err
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		switch when, v, ok := parseValidation(lines.Text()); {
		case !ok:
		case when.After(at):
			after = after.plus(v)
		default:
			before = before.plus(v)
		}
	}
	return before, after, lines.Err()
}
