// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"supervisor/membership"
)

var golden = flag.Bool("golden", false, "write the vocabularies of testdata anew: what stands in them is a promise")

const pages = "../docs/findings"

var headings = []string{"What it means", "How it is decided", "What the supervisor does", "What you do", "How to provoke it"}

// A code without a page reaches a person at night with nothing behind it.
func TestEveryFindingHasItsPage(t *testing.T) {
	for _, r := range Rows() {
		text, err := os.ReadFile(filepath.Join(pages, r.Code+".md"))
		if err != nil {
			t.Errorf("%s has no page: %v", r.Code, err)
			continue
		}
		head, rest, _ := strings.Cut(string(text), "\n## ")
		if want := fmt.Sprintf("# %s\n\n%s · %s · %s\n", r.Code, r.Severity, r.Scope, muting(r)); head != want {
			t.Errorf("%s: the page begins with\n%swant\n%s", r.Code, head, want)
		}
		var found []string
		for section := range strings.SplitSeq(rest, "\n## ") {
			title, body, _ := strings.Cut(section, "\n")
			found = append(found, title)
			if len(strings.TrimSpace(body)) < 20 {
				t.Errorf("%s: nothing stands under %q", r.Code, title)
			}
		}
		if !slices.Equal(found, headings) {
			t.Errorf("%s: sections %q, want %q", r.Code, found, headings)
		}
	}
}

func TestEveryPageBelongsToAFinding(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, f := range files {
		code := strings.TrimSuffix(filepath.Base(f), ".md")
		if _, ok := RowOf(code); !ok && code != "README" {
			t.Errorf("%s explains a finding that does not exist", f)
		}
	}
}

func muting(r Row) string {
	if r.Mutable {
		return "can be muted"
	}
	return "cannot be muted"
}

// Scripts, alerts and people's memory hold on to these words. Adding one is
// free (run with -golden); changing or dropping one is a decision.
func TestVocabulariesStand(t *testing.T) {
	var codes []string
	for _, r := range Rows() {
		codes = append(codes, fmt.Sprintf("%s %s %s, %s", r.Code, r.Severity, r.Scope, muting(r)))
	}
	slices.Sort(codes)
	for name, words := range map[string][]string{
		"codes":  codes,
		"phases": Phases(),
		"modes":  modeWords,
		"stages": spelled(Stages()),
		"kinds":  spelled(Kinds()),
		"rules":  spelled(Rules()),
		"causes": membership.Causes(),
		"verbs":  Verbs(),
		"asks":   spelled(AskVerbs()),
		"steps":  ReturnSteps(),
		"slow":   SlowSteps(),
	} {
		path := filepath.Join("testdata", name+".golden")
		got := strings.Join(words, "\n") + "\n"
		if *golden {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(want) != got {
			t.Errorf("%s are\n%sthe promise is (%v)\n%s", name, got, err, want)
		}
	}
}

func spelled[S ~string](words []S) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}
