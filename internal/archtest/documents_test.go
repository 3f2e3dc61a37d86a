// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"supervisor/incident"
	"supervisor/internal/sim"
)

// invariants are the rules that come first in the list of incident.Rules.
const invariants = 10

// ARCHITECTURE.md has one row for each named invariant, and each phase is told.
func TestArchitectureNamesInvariantsAndPhases(t *testing.T) {
	text := document(t, "ARCHITECTURE.md")
	for _, rule := range incident.Rules()[:invariants] {
		if n := strings.Count(text, "\n| `"+string(rule)+"` |"); n != 1 {
			t.Errorf("%d rows for the invariant %s, want 1", n, rule)
		}
	}
	for _, phase := range incident.Phases()[1:] {
		if !strings.Contains(text, strings.ToUpper(phase[:1])+phase[1:]) {
			t.Errorf("nothing about the phase %s", phase)
		}
	}
}

// What the papers cite by path is there: a file or a folder of the tree.
func TestPapersCiteWhatExists(t *testing.T) {
	cited := regexp.MustCompile("`((?:cluster|residency|membership|isolate|repair|replace|loadbalancer|incident|internal|cmd|deploy|docs|scripts)/[\\w./-]*)`")
	links := regexp.MustCompile(`\]\(([^):#]+)(?:#[^)]*)?\)`)
	placeholder := regexp.MustCompile(`/[A-Z]+(/|$)`)
	count := 0
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md"} {
		text := document(t, name)
		for _, m := range append(cited.FindAllStringSubmatch(text, -1), links.FindAllStringSubmatch(text, -1)...) {
			if placeholder.MatchString(m[1]) {
				continue // a key of the store
			}
			count++
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s cites %s, which is not there", name, m[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("%d citations found, fewer than there were", count)
	}
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// docs/simulator.md lists the checks and the planted bugs, each in the order of
// the code, and says how many faults there are
// and how a bug is played.
func TestSimulatorsPageIsTrue(t *testing.T) {
	text := document(t, "docs/simulator.md")
	for _, c := range sim.Checks() {
		if n := strings.Count(text, "\n| `"+c.Name+"` | "+c.Holds+" |"); n != 1 {
			t.Errorf("%d rows for the check %s as it is told in code, want 1", n, c.Name)
		}
	}
	rows := ""
	for _, b := range sim.Bugs() {
		rows += fmt.Sprintf("| `%s` | %s | `%s` |\n", b.Name, b.Does, b.Seen)
	}
	if want := "<!-- bugs -->\n\n| bug | what is done wrong | seen by |\n|---|---|---|\n" + rows + "\n"; !strings.Contains(text, want) {
		t.Errorf("the table of planted bugs is not what the code says:\n%s", want)
	}
	if want := "\n" + (sim.Bug{Name: "NAME"}).Play() + "\n"; !strings.Contains(text, want) {
		t.Errorf("the page does not say how a planted bug is played:%s", want)
	}
	if strings.Contains(text, "go run ./cmd/simulate") {
		t.Error("the page builds the simulator without the tag of this tree")
	}
	if want := fmt.Sprintf("**Faults**: %d of them", len(sim.Faults())); !strings.Contains(text, want) {
		t.Errorf("the page does not say %q", want)
	}
}
