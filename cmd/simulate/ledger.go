// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"supervisor/internal/sim"
)

// rowsEnd is the line that marks the end of the table.
const rowsEnd = "<!-- rows -->\n"

// readLedger reads a page with the table of what was played, and asks whether it
// can be written.
func readLedger(path string) (text string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("-ledger: %w; the table is in docs/simulator.md", err)
	}
	if strings.Count(string(b), rowsEnd) != 1 {
		return "", fmt.Errorf("-ledger %s: wants one line %q at the end of its table, as docs/simulator.md has it", path, strings.TrimSpace(rowsEnd))
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return "", fmt.Errorf("-ledger: %w; a row is added to this file", err)
	}
	return string(b), f.Close()
}

// row is a series as it stands in the table.
func (s *sum) row(q request) string {
	faults, pairs := s.coverage()
	return fmt.Sprintf("| %s | %d:%d | %d | %.0f | %.0f | %d | %d of %d | %d of %d | %d |\n", q.commit, sim.Edition, q.from, s.Seeds, s.Played.Hours(), s.Active.Hours(),
		s.Opened, faults.enough(), len(faults.names), pairs.enough(), len(pairs.names), s.broke())
}

// enter adds a row to the table of what was played, above the line that marks
// its end. The page is read anew: an hour has passed since it was looked at.
func (s *sum) enter(q request) error {
	text, err := readLedger(q.ledger)
	if err != nil {
		return err
	}
	text = strings.Replace(text, rowsEnd, s.row(q)+rowsEnd, 1)
	if err := os.WriteFile(q.ledger, []byte(text), 0o644); err != nil {
		return fmt.Errorf("-ledger: %w", err)
	}
	return nil
}
