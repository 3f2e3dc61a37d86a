// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// NOTICE names every module that is linked into the program, in the version
// that is linked, and none that is not.
func TestNoticeNamesWhatIsLinked(t *testing.T) {
	linked := linkedModules(t)
	if len(linked) < 10 {
		t.Fatalf("%d modules linked, want those of etcd at the least: %v", len(linked), linked)
	}
	text, err := os.ReadFile(filepath.Join(root, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile(`(?m)^(\S+ v\S+): \S+$`).FindAllStringSubmatch(string(text), -1) {
		named = append(named, m[1])
	}
	for _, m := range linked {
		if !slices.Contains(named, m) {
			t.Errorf("NOTICE misses %s; run make notice", m)
		}
	}
	for _, m := range named {
		if !slices.Contains(linked, m) {
			t.Errorf("NOTICE names %s, which is not linked; run make notice", m)
		}
	}
}

// linkedModules asks the go command which modules the program is made of, with
// the tags that it is built with.
func linkedModules(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-tags", "grpcnotrace",
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "./cmd/supervisor")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list what is linked: %v: %s", err, &stderr)
	}
	lines := strings.Fields(strings.ReplaceAll(string(out), " ", "@"))
	slices.Sort(lines)
	for i, l := range lines {
		lines[i] = strings.ReplaceAll(l, "@", " ")
	}
	return slices.Compact(lines)
}
