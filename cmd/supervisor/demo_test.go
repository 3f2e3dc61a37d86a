// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExitCodesOfDemo(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		why  string
		args []string
		exit int
		says string
	}{
		{"a folder with other things is refused and not touched", []string{"demo", "up", "--dir", full}, 3, "FOLDER_NOT_EMPTY, exit 3"},
		{"only loopback networks", []string{"demo", "up", "--dir", filepath.Join(full, "d"), "--net", "10.0.0"}, 2, "127.0.0"},
		{"down needs a demo", []string{"demo", "down", "--dir", full}, 3, "NO_DEMO, exit 3"},
		{"the start command needs a demo too", []string{"demo", "node-start", "--dir", full, "--node", "n1"}, 1, "no demo"},
		{"what is missing is named", []string{"demo", "up"}, 2, "--dir is missing"},
		{"unknown flags too", []string{"demo", "up", "--dri", "x"}, 2, "USAGE, exit 2"},
		{"and unknown verbs", []string{"demo", "upp"}, 2, `"upp"`},
		{"a fault that nobody knows", []string{"demo", "detect", "--faults", "crash,flood"}, 2, `"flood" is not known; known: crash, hang`},
		{"no run is no measurement", []string{"demo", "detect", "--runs", "0", "--faults", "crash"}, 2, "want 1 to"},
		{"a table of nothing is none", []string{"demo", "detect", "--dir", full, "--page", filepath.Join(full, "letter.txt")}, 1, "nothing that was measured"},
		{"version prints and ends with 0", []string{"version"}, 0, "supervisor "},
	} {
		t.Run(tt.why, func(t *testing.T) {
			var out bytes.Buffer
			if exit := run(tt.args, &out, &out); exit != tt.exit || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit %d, want %d with %q; it said:\n%s", exit, tt.exit, tt.says, out.String())
			}
		})
	}
	if left, _ := os.ReadDir(full); len(left) != 1 {
		t.Errorf("the folder holds %v, want only the letter", left)
	}
}
