// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"supervisor/cluster"
)

// Difference is one table of which a preview found replicas that differ.
// While a writer runs, replicas differ for moments: what differs is to be
// looked at again.
type Difference struct {
	Keyspace string
	Table    string
	Count    int                  // ranges that would have been streamed
	Ranges   []cluster.TokenRange // the same by name, where the release tells them
}

// What a preview's last message says, in Cassandra's words.
const (
	previewInSync  = "Previewed data was in sync"
	previewDiffers = "Total estimated streaming:"
)

var (
	previewTable = regexp.MustCompile(`^([^\s./]+)\.(\S+) - (\d+) ranges, `)
	previewRange = regexp.MustCompile(`\((-?\d+),(-?\d+)\]`)
)

// parsePreview reads the messages of a completed preview. Words that say
// neither "in sync" nor what differs are ErrNonsense: they never pass for in
// sync.
func parsePreview(messages []string) ([]Difference, error) {
	text := strings.Join(messages, "\n")
	switch {
	case strings.Contains(text, previewDiffers):
	case strings.Contains(text, previewInSync):
		return nil, nil
	default:
		return nil, fmt.Errorf("%w: %.200q", ErrNonsense, text)
	}
	var all []Difference
	for line := range strings.Lines(text) {
		if m := previewTable.FindStringSubmatch(line); m != nil {
			n, err := strconv.Atoi(m[3])
			if err != nil {
				return nil, fmt.Errorf("%w: %.200q", ErrNonsense, line)
			}
			all = append(all, Difference{Keyspace: m[1], Table: m[2], Count: n})
			continue
		}
		if name := strings.TrimSpace(line); len(all) > 0 && strings.HasPrefix(name, "Mismatching ranges:") {
			ranges, err := parseRanges(name)
			if err != nil {
				return nil, err
			}
			all[len(all)-1].Ranges = ranges
		}
	}
	var differ []Difference
	for _, d := range all {
		if d.Count > 0 {
			differ = append(differ, d)
		}
	}
	if differ == nil {
		return nil, fmt.Errorf("%w: a preview that differs names no table: %.200q", ErrNonsense, text)
	}
	return differ, nil
}

func parseRanges(line string) ([]cluster.TokenRange, error) {
	var ranges []cluster.TokenRange
	for _, m := range previewRange.FindAllStringSubmatch(line, -1) {
		start, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: range %q", ErrNonsense, m[0])
		}
		end, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: range %q", ErrNonsense, m[0])
		}
		ranges = append(ranges, cluster.TokenRange{Start: start, End: end})
	}
	return ranges, nil
}
