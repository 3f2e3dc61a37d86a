// SPDX-License-Identifier: Apache-2.0

package incident

import "testing"

// Every code that the rooms say must have a sentence; a missing one would
// reach people as a bare word.
func TestEveryRowHasItsParts(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rows() {
		if seen[r.Code] {
			t.Errorf("%s stands twice in the table", r.Code)
		}
		seen[r.Code] = true
		if r.Template == "" || r.Runbook == "" || r.holds == nil {
			t.Errorf("%s lacks a sentence, a runbook or a predicate", r.Code)
		}
	}
}
