// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"supervisor/internal/sim"
)

// enter adds a row to the table of what was played, above the line that marks
// its end.
func (s *sum) enter(q request) error {
	b, err := os.ReadFile(q.ledger)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	const mark = "<!-- rows -->\n"
	text := string(b)
	if strings.Count(text, mark) != 1 {
		return fmt.Errorf("ledger %s: wants one line %q at the end of its table", q.ledger, strings.TrimSpace(mark))
	}
	faults, pairs := coverage{sim.Faults(), s.Struck, faultsWanted}, coverage{sim.Pairs(), s.Pairs, pairsWanted}
	row := fmt.Sprintf("| %s | %d:%d | %d | %.0f | %.0f | %d | %d of %d | %d of %d | %d |\n", q.commit, sim.Edition, q.from, s.Seeds, s.Played.Hours(), s.Active.Hours(),
		s.Opened, faults.enough(), len(faults.names), pairs.enough(), len(pairs.names), s.Violations)
	text = strings.Replace(text, mark, row+mark, 1)
	if err := os.WriteFile(q.ledger, []byte(text), 0o644); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}
