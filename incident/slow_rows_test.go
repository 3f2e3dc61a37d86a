// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is told of slow nodes: of one alone with what comes next, of several as one
// finding about what they share.
func TestSlowNodesAreTold(t *testing.T) {
	rows := []struct {
		why    string
		script []string
		codes  string
		says   string
	}{
		{"one, in mode observe", []string{"policy mode=observe", "node n3 slow=2"}, "SLOW_NODE n3", "mode observe only looks"},
		{"one, that is only told of", []string{"policy slow=tell", "node n3 slow=2"}, "SLOW_NODE n3", "slow.act is false"},
		{"one observer alone condemns nobody", []string{"node n3 slow=1"}, "", ""},
		{"one, a moment before its incident", []string{"node n3 slow=2"}, "SLOW_NODE n3", "at its next turn"},
		{"two at once", []string{"node n2 n3 slow=2"}, "SLOW_NODES dc1", "before one of them alone is slow"},
		{"a second beside one that is answered", []string{"node n3 slow=2", "begin n3", "settle", "node n2 slow=2"}, "SLOW_NODES dc1, SLOW_NODE n3", "nothing more is done"},
		{"one that is answered and is not slow now", []string{"node n3 slow=2", "begin n3", "settle", "node n3 answer=alive"}, "SLOW_NODE n3", "was slow"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			s := newStage(t)
			s.ring(3)
			for _, line := range r.script {
				if line == "settle" {
					s.settle()
					continue
				}
				s.do(strings.Fields(line))
			}
			var codes, words []string
			for _, f := range Diagnose(s.worldOf("n3")) {
				if strings.HasPrefix(f.Code, "SLOW") {
					codes, words = append(codes, f.Code+" "+f.Subject), append(words, f.Sentence)
				}
			}
			if got := strings.Join(codes, ", "); got != r.codes || !strings.Contains(strings.Join(words, "\n"), r.says) {
				t.Errorf("%q %q, want %q with %q", got, words, r.codes, r.says)
			}
		})
	}
}

// What an earlier program wrote says nothing of slow nodes, and what this one writes
// about others has no new part.
func TestOlderDocumentsAreRead(t *testing.T) {
	var p Policy
	told := usualSlow()
	told.Act = false // nobody agreed to it
	if err := json.Unmarshal([]byte(`{"version": 3, "modes": {"dc1": "auto"}}`), &p); err != nil || p.slow() != told {
		t.Errorf("a policy without the block: %v, %+v", err, p.slow())
	}
	for _, v := range []any{p, Record{Phase: Draining}} {
		if text, err := json.Marshal(v); err != nil || strings.Contains(string(text), `"slow":`) {
			t.Errorf("%v: %s", err, text)
		}
	}
	var none *Policy
	if none.slow().Act {
		t.Error("without a policy something would be done")
	}
}
