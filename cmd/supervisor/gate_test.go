// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"supervisor/internal/agent"
	"supervisor/internal/settings"
	"supervisor/isolate"
)

// Nobody answers these gates; what they say is what stands on the disk.
func TestAGateAlone(t *testing.T) {
	asleep := &isolate.Fence{Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate, Incident: "inc"}
	rows := []struct {
		why    string
		local  isolate.Local
		broken string // the file that cannot be written
		start  isolate.Start
		rule   string
	}{
		{"nothing stands: the policy's word", isolate.Local{Unasked: isolate.Refuse}, "", isolate.Refuse, "gate-unasked"},
		{"a fence hibernates", isolate.Local{Fence: asleep}, "", isolate.Hibernate, "fenced"},
		{"a clean drain starts, once", isolate.Local{Clean: true}, "", isolate.Normal, "clean-drain"},
		{"a marker that cannot be used up is none", isolate.Local{Clean: true}, "state.json.new", isolate.Normal, "gate-unasked"},
		{"a note that cannot be left keeps nothing from starting", isolate.Local{}, "gate-unasked.new", isolate.Normal, "gate-unasked"},
		{"a directory without room keeps nothing from starting", isolate.Local{}, "writable.new", isolate.Normal, "gate-unasked"},
		{"nor does it lift a fence", isolate.Local{Fence: asleep}, "writable.new", isolate.Hibernate, "fenced"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			cfg := settings.Agent{StateDir: t.TempDir()}
			cfg.API.Socket = filepath.Join(cfg.StateDir, "nobody.sock")
			cfg.Gate.Timeout = time.Millisecond
			disk, err := agent.NewDisk(cfg.StateDir)
			if err == nil {
				err = disk.SaveLocal(r.local)
			}
			if r.broken != "" && err == nil {
				err = os.Mkdir(filepath.Join(cfg.StateDir, r.broken), 0o700) // no file can be made of that name, not even by root
			}
			if err != nil {
				t.Fatal(err)
			}
			got := askGate(t.Context(), cfg)
			if got.Start != r.start || got.Rule != r.rule {
				t.Errorf("got %+v, want %s by %s", got, r.start, r.rule)
			}
			after, err := disk.Local()
			if err != nil || after.Clean != (r.local.Clean && got.Rule != "clean-drain") {
				t.Errorf("left behind: %+v, %v", after, err)
			}
		})
	}
}

func TestAStateThatCannotBeReadHibernates(t *testing.T) {
	cfg := settings.Agent{StateDir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(cfg.StateDir, "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := askGate(t.Context(), cfg); got.Start != isolate.Hibernate {
		t.Errorf("got %+v", got)
	}
}
