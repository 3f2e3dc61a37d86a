// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"fmt"
	"time"
)

// Version is the version of the interface: the first part of every path.
const Version = "v1"

// Envelope is around every answer. As_of and missing say how fresh and how
// whole it is. Readers ignore fields they do not know.
type Envelope[T any] struct {
	API      string   `json:"api"`
	AsOf     Time     `json:"as_of"`
	Revision int64    `json:"revision"` // of the store
	Partial  bool     `json:"partial"`
	Missing  []string `json:"missing"`
	Data     T        `json:"data"`
}

// wrap puts data into its envelope; missing adds to what the whole snapshot misses.
func wrap[T any](s Snapshot, data T, missing ...string) Envelope[T] {
	all := append(append([]string{}, s.Missing...), missing...)
	return Envelope[T]{API: Version, AsOf: *at(s.At), Revision: s.Revision, Partial: len(all) > 0, Missing: all, Data: data}
}

// Time is a wall time on the wire: UTC with milliseconds. It is for people;
// nothing is ordered by it.
type Time struct{ time.Time }

const stamp = "2006-01-02T15:04:05.000Z"

// at returns nil for the zero time, so that the field is null.
func at(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{t.UTC()}
}

// MarshalJSON writes UTC with milliseconds.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.UTC().Format(stamp)) }

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Time) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("read time: %w", err)
	}
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("read time: %w", err)
	}
	t.Time = parsed
	return nil
}

// ms is a duration on the wire: whole milliseconds.
func ms(d time.Duration) int64 { return d.Milliseconds() }
