// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os/exec"
	"strings"
	"testing"
)

func TestAHandleIsNotGivenOnAnotherProcess(t *testing.T) {
	c := exec.Command("sleep", "300")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	p, alive, err := Find(c.Process.Pid)
	if err != nil || !alive {
		t.Fatalf("found %v, %v", alive, err)
	}
	h, err := Hold(p)
	if h == nil || err != nil {
		t.Fatalf("its own handle: %v, %v", h, err)
	}
	h.Close()
	p.StartTicks-- // the same number, of a process before it
	if h, err := Hold(p); h != nil || err != nil {
		t.Fatalf("got %v, %v", h, err)
	}
}

func TestABootReadsBackAsItsProcess(t *testing.T) {
	p := Process{PID: 12, StartTicks: 4711}
	var err error
	if p.HostBoot, err = hostBoot(); err != nil {
		t.Fatal(err)
	}
	if got, fits, err := Parse(string(p.Boot())); got != p || !fits || err != nil {
		t.Errorf("got %+v, %v, %v", got, fits, err)
	}
	p.HostBoot = "another boot of the host"
	for _, text := range []string{string(p.Boot()), "", "12:4711:", "-1:4711:", "soon"} {
		if _, fits, err := Parse(text); fits || err != nil {
			t.Errorf("%q: fits %v, %v", text, fits, err)
		}
	}
}

func TestParseStat(t *testing.T) {
	tail := " 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 0"
	rows := []struct {
		why, text string
		ticks     uint64
		alive     bool
	}{
		{"a name with brackets and blanks", "12 (a) Z (b)) S" + tail, 4711, true},
		{"ended and not reaped", "12 (java) Z" + tail, 4711, false},
	}
	for _, row := range rows {
		if ticks, alive, err := parseStat(row.text); ticks != row.ticks || alive != row.alive || err != nil {
			t.Errorf("%s: %d, %v, %v", row.why, ticks, alive, err)
		}
	}
	for _, text := range []string{"", "12 (java) S 1", "12 (java) S" + strings.Replace(tail, "4711", "x", 1)} {
		if _, _, err := parseStat(text); err == nil {
			t.Errorf("%q: want an error", text)
		}
	}
}
