// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestFirstPolicyPassesItsCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if code, out, errs := command("policy", "init", "--strict", "-o", file); code != 0 || out != "" || !strings.Contains(errs, "policy check") {
		t.Fatalf("init: exit %d\n%s%s", code, out, errs)
	}
	code, out, errs := command("policy", "check", file)
	if code != 0 || errs != "" || !strings.HasPrefix(out, file+" is in order: region1/dc1 assist · 0 residency rules") {
		t.Errorf("check: exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs := command("policy", "init", "-o", file); code != exitRefused || !strings.Contains(errs, "FILE_EXISTS, exit 3") {
		t.Errorf("a policy that somebody edited was written over: exit %d\n%s", code, errs)
	}
}

func TestFaultsArePrintedWithTheirPlaces(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	policy := write("policy.yaml", "regions: {r: [d]}\nages: {fence: 15}\nbudget: {}\n")
	hosts := write("hosts.yaml", "hosts: []\n")
	for _, row := range []struct {
		why  string
		args []string
		want []string
	}{
		{"each fault of a policy is a line", []string{"policy", "check", policy},
			[]string{"error: " + policy + " has 2 faults; nothing was applied", "CONFIG_INVALID, exit 2",
				"\n  2:15   ages.fence: \"15\" has no unit; write 15s\n", "\n  3:1    budget: unknown field; did you mean budgets?\n"}},
		{"the roster that a check compares with has its own faults", []string{"policy", "check", policy, "--hosts", hosts},
			[]string{hosts + " has 1 fault; nothing was written"}},
		{"an agent's file", []string{"config", "check", policy}, []string{"nothing was started", "CONFIG_INVALID, exit 2", "\n  2:1    ages: unknown field"}},
		{"a file that is not there", []string{"config", "check", dir + "/none"}, []string{"no such file", "CONFIG_UNREADABLE, exit 2"}},
		{"one file is wanted", []string{"config", "check"}, []string{"one FILE is wanted", "USAGE, exit 2"}},
	} {
		code, out, errs := command(row.args...)
		if code != exitUsage || out != "" {
			t.Errorf("%s: exit %d, stdout %q", row.why, code, out)
		}
		for _, want := range row.want {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: no %q in\n%s", row.why, want, errs)
			}
		}
	}
}
