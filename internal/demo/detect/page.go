// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	begin = "<!-- detect:begin -->\n"
	end   = "<!-- detect:end -->\n"
)

// Enter puts a table between its marks in a page. A page without them is refused:
// nobody knows where it would belong.
func Enter(page, table string) (string, error) {
	before, rest, begun := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		return "", fmt.Errorf("want the lines %s and %s, and the table goes between them", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + table + end + after, nil
}

// Publish enters the table of what was measured into a page, and lays the lines
// themselves beside it, as docs/detect.jsonl.
func Publish(results, page string) error {
	halves, err := Read(results)
	if err != nil {
		return err
	}
	if len(halves) == 0 {
		return fmt.Errorf("%s holds nothing that was measured", results)
	}
	doc, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	text, err := Enter(string(doc), Table(halves))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	raw := filepath.Join(filepath.Dir(page), "docs", "detect.jsonl")
	if err := os.MkdirAll(filepath.Dir(raw), 0o755); err != nil {
		return fmt.Errorf("lay the lines beside the page: %w", err)
	}
	lines, err := os.ReadFile(results)
	if err != nil {
		return fmt.Errorf("lay the lines beside the page: %w", err)
	}
	if err := os.WriteFile(raw, lines[:bytes.LastIndexByte(lines, '\n')+1], 0o644); err != nil {
		return fmt.Errorf("lay the lines beside the page: %w", err)
	}
	return os.WriteFile(page, []byte(text), 0o644)
}
