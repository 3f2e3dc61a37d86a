// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A story ends well with its guard, and something of it breaks without: else
// it is not the guard that saved it.
func TestScenarios(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			r := play(t, s.Options)
			if r.Violation != "" || r.Untrue != "" {
				t.Errorf("with its guard: %s%s", r.Violation, r.Untrue)
			}
			for _, stroke := range s.Options.Strokes {
				if r.Struck[stroke.Fault] == 0 {
					t.Errorf("%s never struck", stroke.Fault)
				}
			}
			if s.Remove == nil {
				return
			}
			switch r := play(t, s.Unguarded()); {
			case s.Breaks != "" && r.Invariant != s.Breaks:
				t.Errorf("without %s: got %q %q, want %s broken", s.Guard, r.Violation, r.Untrue, s.Breaks)
			case s.Breaks == "" && r.Untrue == "":
				t.Errorf("without %s all that is stated still holds: %q", s.Guard, r.Violation)
			default:
				t.Logf("without %s: %s%s", s.Guard, r.Violation, r.Untrue)
			}
		})
	}
}

// Each known outage is played, or says what it waits for, and never both.
func TestEveryOutageIsPlayedOrSaysWhyNot(t *testing.T) {
	known := []string{"github-2018", "github-2012", "gocardless-2017", "cloudflare-2020", "roblox-2021", "ebs-2011", "dynamodb-2025",
		"azure-2012", "google-2016", "google-2019", "facebook-2010", "facebook-2021", "diskerase", "reddit-2016", "unisuper-2024",
		"etcd-15247", "gitlab-2017", "s3-2017"}
	for _, name := range known {
		_, err := ScenarioOf(name)
		waits := slices.ContainsFunc(NotYet(), func(l Lacking) bool { return l.Name == name && l.Needs != "" })
		if (err == nil) == waits {
			t.Errorf("%s: played %v, waits %v", name, err == nil, waits)
		}
	}
	seen := map[string]bool{}
	for _, s := range Scenarios() {
		if seen[s.Name] || s.Story == "" || (s.Guard == "") != (s.Remove == nil) || s.Remove == nil && len(s.Options.Truths) == 0 {
			t.Errorf("scenario %q is twice there or not whole", s.Name)
		}
		seen[s.Name] = true
	}
	for _, l := range NotYet() {
		if !slices.Contains(known, l.Name) {
			t.Errorf("%s waits and is no known outage", l.Name)
		}
	}
}

func TestAnUnknownScenarioIsNamedWithThoseThatExist(t *testing.T) {
	_, err := ScenarioOf("titanic")
	var unknown UnknownScenario
	if !errors.As(err, &unknown) || unknown.Name != "titanic" {
		t.Fatalf("got %v", err)
	}
	for _, s := range Scenarios() {
		if !strings.Contains(err.Error(), s.Name) {
			t.Errorf("%v does not name %s", err, s.Name)
		}
	}
	if _, err := ScenarioOf("s3-2017"); err == nil || !strings.Contains(err.Error(), "as many as it is told") {
		t.Errorf("one that cannot be played yet does not say what it waits for: %v", err)
	}
}
