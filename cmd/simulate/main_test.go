// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"supervisor/internal/sim"
)

func TestScenariosAreAskedForByName(t *testing.T) {
	rows := []struct {
		why  string
		args []string
		code int
		says []string
	}{
		{"one that ends well", []string{"-scenario", "github-2012"}, done, []string{"stroke gray on n4", "all held"}},
		{"without its guard it must break", []string{"-scenario", "github-2012", "-unguarded"}, done, []string{"BROKEN no incident is opened"}},
		{"one that has no guard keeps it", []string{"-scenario", "datacenter-dark", "-unguarded"}, usage, []string{"has no guard"}},
		{"an unknown one is told which exist", []string{"-scenario", "titanic"}, usage, []string{`no scenario "titanic"`, "github-2018", "hands-in-a-return"}},
		{"one that waits says for what", []string{"-scenario", "reddit-2016"}, usage, []string{"needs operators"}},
		{"the list", []string{"-list"}, done, []string{sim.Faults()[0], "etcd-15247", "roblox-2021"}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			var out, errs strings.Builder
			if code := run(r.args, &out, &errs); code != r.code {
				t.Errorf("exit %d, want %d: %s", code, r.code, errs.String())
			}
			for _, want := range r.says {
				if !strings.Contains(out.String()+errs.String(), want) {
					t.Errorf("does not say %q", want)
				}
			}
		})
	}
}
