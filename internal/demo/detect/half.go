// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Slot is one half of one pair.
type Slot struct {
	Fault Fault `json:"fault"`
	Run   int   `json:"run"`     // from 1
	With  bool  `json:"with_us"` // the agents act; else they only look
}

// Half is what was measured in it. Milliseconds count from the fault; null is what
// did not happen before the fault was ended, or was not looked for in this half.
type Half struct {
	Slot
	At             string `json:"at,omitempty"` // of the fault, RFC 3339 in UTC; empty: none was given
	Node           string `json:"node,omitempty"`
	StoreLeader    bool   `json:"store_leader,omitempty"` // the node's host carried the leader of the store's members
	VerdictMS      *int64 `json:"verdict_ms"`             // in the leader's view
	Cause          string `json:"cause,omitempty"`        // of that verdict
	LighterMS      *int64 `json:"lighter_ms"`             // HAProxy: less weight than before
	DrainedMS      *int64 `json:"drained_ms"`             // HAProxy: no new session
	CassandraMS    *int64 `json:"cassandra_first_ms"`     // the first peer calls it down
	CassandraAllMS *int64 `json:"cassandra_all_ms"`       // and the last one
	HAProxyMS      *int64 `json:"haproxy_ms"`             // its own check has failed three times
	LANMS          *int64 `json:"memberlist_first_ms"`    // the first other member calls the host dead
	LANAllMS       *int64 `json:"memberlist_all_ms"`      // and the last one
	LookedMS       int64  `json:"looked_ms"`              // until the fault was ended
	TookMS         int64  `json:"took_ms"`                // the whole half, with the way back to rest
	Cores          int    `json:"cores"`
	Failed         string `json:"failed,omitempty"` // why it proves nothing, or what did not end well
}

// Given tells whether the fault was given, so that its times say something.
func (h Half) Given() bool { return h.At != "" }

// Due are the halves that have no line yet, pair by pair, every fault in turn. One
// that failed has its line and is not played again.
func Due(faults []Fault, runs int, halves []Half) []Slot {
	played := map[Slot]bool{}
	for _, h := range halves {
		played[h.Slot] = true
	}
	var due []Slot
	for run := 1; run <= runs; run++ {
		for _, f := range faults {
			for _, with := range []bool{false, true} {
				if s := (Slot{f, run, with}); !played[s] {
					due = append(due, s)
				}
			}
		}
	}
	return due
}

// Read returns the halves of a file; one that is not there holds none. A last line
// that was cut when its writer was ended is not taken; any other is a fault.
func Read(path string) ([]Half, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was measured: %w", err)
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	var halves []Half
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		n++
		h, err := parse(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		halves = append(halves, h)
	}
	return halves, nil
}

func parse(line []byte) (Half, error) {
	var h Half
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return h, fmt.Errorf("want one half of a pair as JSON: %w", err)
	}
	if !slices.Contains(Faults(), h.Fault) || h.Run < 1 {
		return h, fmt.Errorf("fault %q, run %d: want one of %s, from 1", h.Fault, h.Run, join(Faults()))
	}
	return h, nil
}

// Append adds a half to a file. What a cut last line left is ended first, so that
// the new one stands on a line of its own.
func Append(path string, h Half) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("keep what was measured: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	whole, err := wholeLines(f)
	if err != nil {
		return fmt.Errorf("keep what was measured: %w", err)
	}
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.Truncate(whole); err != nil {
		return fmt.Errorf("keep what was measured: %w", err)
	}
	if _, err := f.WriteAt(append(line, '\n'), whole); err != nil {
		return fmt.Errorf("keep what was measured: %w", err)
	}
	return f.Sync()
}

// wholeLines is where the last whole line ends.
func wholeLines(f *os.File) (int64, error) {
	b, err := io.ReadAll(f)
	return int64(bytes.LastIndexByte(b, '\n') + 1), err
}

// since is a time after the fault; null for what did not happen.
func since(t, fault time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.Sub(fault).Milliseconds()
	return &ms
}
