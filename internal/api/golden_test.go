// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/isolate"
	"supervisor/membership"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, text []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("%s changed: others read this. If that is meant, go test -update. Now:\n%s", path, text)
	}
}

// TestErrorCodes keeps codes, exits and status as they are: scripts read them.
func TestErrorCodes(t *testing.T) {
	var b bytes.Buffer
	seen := map[api.Code]bool{}
	for _, r := range api.Errors() {
		if seen[r.Code] || r.Remedy == "" || r.Title == "" || r.Exit < api.ExitFailed || r.Exit > api.ExitUnreachable {
			t.Errorf("row %+v: twice, or a part is missing", r)
		}
		if _, finding := incident.RowOf(string(r.Code)); finding {
			t.Errorf("%s is the code of a finding as well", r.Code)
		}
		seen[r.Code] = true
		fmt.Fprintf(&b, "%-18s exit %d  HTTP %3d  %s\n", r.Code, r.Exit, r.Status, r.Title)
	}
	golden(t, "errors.txt", b.Bytes())
}

// TestAnswers keeps the JSON of every answer as it is.
func TestAnswers(t *testing.T) {
	s, healthy := apitest.Returning(), apitest.Healthy()
	node, err := api.NodeOf(s, "n3")
	if err != nil {
		t.Fatal(err)
	}
	explained, err := api.Explain(s, "n3")
	if err != nil {
		t.Fatal(err)
	}
	story, _, err := api.TimelineOf(s, "inc-dc1-42")
	if err != nil {
		t.Fatal(err)
	}
	code, err := api.FindingOf(s, "CASS_PROCESS_DOWN")
	if err != nil {
		t.Fatal(err)
	}
	audit, _, err := api.AuditOf(apitest.Audited())
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"audit": audit, "status": api.StatusOf(s), "status-healthy": api.StatusOf(healthy), "nodes": api.NodesOf(s), "node": node, "explain": explained,
		"incidents": api.IncidentsOf(s), "timeline": story, "findings": api.FindingsOf(s), "finding": code, "pools": api.PoolsOf(s), "policy": api.PolicyOf(s),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", append(b, '\n'))
			lists(t, name, b)
		})
	}
}

var snake = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// free are the objects whose keys are names of people's things, or stages,
// where null means "did not happen".
var free = []string{"stages", "args", "labels", "modes", "regions", "document"}

// lists walks an answer: every name is lower_snake, and a list that is empty
// is [] and not null, so that readers need not ask twice.
func lists(t *testing.T, name string, b []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	listNames := []string{"nodes", "fenced", "findings", "observers", "events", "why", "datacenters", "incidents", "suspects", "active", "margins", "bars",
		"votes", "changes", "guards", "members", "proxies", "drift", "unknown", "pending", "levels", "pools", "settings", "reasons", "looks", "seen", "missing", "not_read", "parts", "may_stand_in"}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, each := range v {
				if !snake.MatchString(key) {
					t.Errorf("%s: %s.%s is not lower_snake", name, path, key)
				}
				if each == nil && slices.Contains(listNames, key) {
					t.Errorf("%s: %s.%s is null, want []", name, path, key)
				}
				if !slices.Contains(free, key) {
					walk(path+"."+key, each)
				}
			}
		case []any:
			for _, each := range v {
				walk(path+"[]", each)
			}
		}
	}
	walk("", v)
}

// TestVocabulary holds that a word has one spelling in types, JSON, metrics
// and documents.
func TestVocabulary(t *testing.T) {
	var states []string
	for _, s := range api.States() {
		states = append(states, string(s))
	}
	var kinds []string
	for _, k := range incident.Kinds() {
		kinds = append(kinds, string(k))
	}
	var stages []string
	for _, s := range incident.Stages() {
		stages = append(stages, string(s))
	}
	lists := map[string][]string{"states": states, "verdicts": api.Verdicts(), "votes": api.Votes(), "modes": api.Modes(), "bar answers": api.BarAnswers(),
		"outcomes": api.Outcomes(), "phases": incident.Phases(), "causes": membership.Causes(), "kinds": kinds, "stages": stages,
		"steps": incident.ReturnSteps(), "verbs": incident.Verbs(), "levels": strings.Split((isolate.Clients | isolate.Reads | isolate.Process).String(), ", ")}
	for name, words := range lists {
		for _, w := range words {
			if !snake.MatchString(w) {
				t.Errorf("%s: %q is not lower_snake", name, w)
			}
		}
	}
	for _, want := range []string{"healthy", "degraded", "needs_you", "blind"} {
		if !slices.Contains(states, want) {
			t.Errorf("state %s is gone", want)
		}
	}
	for i, word := range api.Votes() {
		if got := membership.Vote(i).String(); got != word {
			t.Errorf("vote %d is %q in JSON and %q in metrics", i, got, word)
		}
	}
}
