// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what was found into the planted archives")

const root = "../.."

// breaches are all rules in their fixed order.
func breaches(t *testing.T, tree *Tree) []Breach {
	t.Helper()
	impure, err := Purity(tree)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(Ranks(tree), impure, House(tree))
}

// The tree itself obeys every rule.
func TestHouse(t *testing.T) {
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tree.Source()); n < 100 {
		t.Fatalf("%d Go files found below %s, want the whole house", n, root)
	}
	for _, b := range breaches(t, tree) {
		t.Error(b)
	}
}

// Each archive is a small house with breaches planted in it; its last file,
// found, is what the rules must say about it, and nothing more.
func TestPlantedBreachesAreFound(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	rules := map[string]bool{}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, want := planted(t, a)
			if *update {
				rewrite(t, path, a, got)
				return
			}
			if got != want {
				t.Errorf("found\n%s\nwant\n%s", got, want)
			}
			for line := range strings.Lines(want) {
				rules[strings.SplitN(line, ": ", 3)[1]] = true
			}
		})
	}
	for _, rule := range []string{"ranks", "names", "purity", "panic", "order", "licence", "comment", "size", "words"} {
		if !rules[rule] && !*update {
			t.Errorf("no archive plants a breach of %s", rule)
		}
	}
}

// planted runs the rules on an archive.
func planted(t *testing.T, a *txtar.Archive) (got, want string) {
	t.Helper()
	files := map[string][]byte{}
	for _, f := range a.Files {
		if f.Name == "found" {
			want = string(f.Data)
			continue
		}
		files[f.Name] = unfold(f.Data)
	}
	tree, err := Parse(files)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, b := range breaches(t, tree) {
		out.WriteString(b.String() + "\n")
	}
	return out.String(), want
}

// unfold replaces a line "@lines N" by N lines, so that long files are short
// here.
func unfold(text []byte) []byte {
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if n, is := strings.CutPrefix(strings.TrimSpace(line), "@lines "); is {
			count := 0
			for _, digit := range n {
				count = count*10 + int(digit-'0')
			}
			line = strings.Repeat("\t_ = 0\n", count)
		}
		out.WriteString(line)
	}
	return []byte(out.String())
}
