// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the recordings say now into testdata")

// TestRecordings replays every recording of testdata: NAME.trace, a file that
// explain --record wrote, says what NAME.txt says. A new one gets its text by
// -update; where the judge was wrong, the text is set right by hand first and
// the judge after it.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.trace")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recording found: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".trace")
		t.Run(filepath.Base(name), func(t *testing.T) {
			recorded, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			x, err := Replay(bytes.NewReader(recorded), "")
			if err != nil {
				t.Fatal(err)
			}
			story := Describe(x)
			if *update {
				if err := os.WriteFile(name+".txt", []byte(story), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name + ".txt")
			if err != nil {
				t.Fatalf("%v; go test ./internal/trace -run TestRecordings -update writes it", err)
			}
			if story != string(want) {
				t.Errorf("the story goes otherwise; -update writes it down\n--- got\n%s--- want\n%s", story, want)
			}
		})
	}
}
