// SPDX-License-Identifier: Apache-2.0

//go:build packaged

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// exposureMax is ten times what systemd may say of a unit of ours.
const exposureMax = "20"

const units = "/usr/lib/systemd/system/"

func exposure(t *testing.T, unit string) (said string, err error) {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+exposureMax, unit).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], err
}

// The units stay closed, and one that is opened is noticed.
func TestTheUnitsAreClosed(t *testing.T) {
	dir := unpacked(t)
	for _, unit := range []string{"cassandra-supervisor.service", "cassandra-supervisor-ports.service"} {
		said, err := exposure(t, dir+units+unit)
		t.Log(said)
		if err != nil {
			t.Errorf("%s: %v: %s", unit, err, said)
		}
		text := read(t, dir+units+unit)
		opened := filepath.Join(t.TempDir(), unit)
		write(t, opened, regexp.MustCompile(`(?m)^(CapabilityBoundingSet|SystemCallFilter|User)=.*\n`).ReplaceAllString(text, ""))
		if said, err := exposure(t, opened); err == nil {
			t.Errorf("%s as root with every system call passes: %s", unit, said)
		}
	}
}

// The guard of the ports may change rules, and nothing else that is root's.
func TestTheGuardOfThePortsHasOneCapability(t *testing.T) {
	text := read(t, unpacked(t)+units+"cassandra-supervisor-ports.service")
	for _, line := range []string{"CapabilityBoundingSet=CAP_NET_ADMIN", "AmbientCapabilities=", "NoNewPrivileges=yes", "ProtectSystem=strict",
		"Before=cassandra.service cassandra-supervisor.service", "Type=notify"} {
		if strings.Count(text, "\n"+line+"\n") != 1 {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Count(text, "CAP_") != 1 {
		t.Error("it speaks of more than one capability")
	}
}

// A lease that ends closes a port, so whatever ends a guard has to take it away long
// before: the guard's own lateness, the watchdog and the time to die are well within
// the lease, a guard that was told to end has time to spare, and systemd always
// starts another.
func TestTheLeaseOutlivesAGuardThatHangs(t *testing.T) {
	text := read(t, unpacked(t)+units+"cassandra-supervisor-ports.service")
	seconds := func(word string) time.Duration {
		m := regexp.MustCompile(`(?m)^[^#\n]*\b` + word + `[= ](\w+)`).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %s", word)
		}
		d, err := time.ParseDuration(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const late = 2 * time.Second // nft's lateMax
	lease := seconds("standstill")
	if dead := late + seconds("WatchdogSec") + seconds("TimeoutAbortSec"); dead > lease*2/3 {
		t.Errorf("a guard that hangs is dead after %s, its lease ends after %s", dead, lease)
	}
	if stop := seconds("TimeoutStopSec"); stop > lease/2 {
		t.Errorf("a guard that is told to end may take %s, its lease ends after %s", stop, lease)
	}
	if again := seconds("RestartSec"); again > time.Second {
		t.Errorf("another guard starts after %s", again)
	}
	for _, line := range []string{"ExecStopPost=/usr/bin/supervisor port-guard release", "Restart=always", "StartLimitIntervalSec=0", "LimitMEMLOCK=infinity"} {
		if strings.Count(text, "\n"+line+"\n") != 1 {
			t.Errorf("no line %s", line)
		}
	}
}

// systemd understands every line of the units, and the drop-in on a site's.
func TestUnitsAreUnderstood(t *testing.T) {
	dir := host(t)
	verify := func() string {
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--root="+dir, "cassandra-supervisor.service", "cassandra-supervisor-ports.service", "cassandra.service").CombinedOutput()
		if err != nil {
			return string(out) + err.Error()
		}
		return string(out)
	}
	if said := verify(); said != "" {
		t.Error(said)
	}
	dropIn := dir + units + "cassandra.service.d/50-supervisor-gate.conf"
	write(t, dropIn, strings.Replace(read(t, dropIn), "ExecStartPre=", "ExecStartFirst=", 1))
	if said := verify(); !strings.Contains(said, "ExecStartFirst") {
		t.Errorf("a word that systemd does not know passes: %q", said)
	}
}

// host is a folder with the package's files, the example's unit and systemd's own.
func host(t *testing.T) string {
	t.Helper()
	dir := unpacked(t)
	output(t, "cp", "-rn", "/usr/lib/systemd/system", dir+"/usr/lib/systemd/")
	for _, program := range []string{"/bin/sh", "/usr/sbin/cassandra"} {
		at := dir + program
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, at, "#!/bin/sh\n")
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir+units+"cassandra.service", read(t, dir+"/usr/share/doc/cassandra-supervisor/examples/cassandra.service"))
	return dir
}

// What the drop-in does to a unit is one command more before it and one
// environment. Restart= and everything else is the site's.
func TestTheDropInLeavesTheUnitToTheSite(t *testing.T) {
	var lines []string
	for line := range strings.Lines(read(t, unpacked(t)+units+"cassandra.service.d/50-supervisor-gate.conf")) {
		if word, _, is := strings.Cut(line, "="); is && !strings.HasPrefix(line, "#") {
			lines = append(lines, word)
		}
	}
	if got := strings.Join(lines, " "); got != "After RuntimeDirectory EnvironmentFile ExecStartPre" {
		t.Errorf("it sets %s", got)
	}
}

// The gate of a host that was not set up, and of one whose package is being
// removed, lets Cassandra start and says so; a fault in the file does not.
func TestTheGatesLine(t *testing.T) {
	dir, run := unpacked(t), t.TempDir()
	_, line, found := strings.Cut(read(t, dir+units+"cassandra.service.d/50-supervisor-gate.conf"), "ExecStartPre=/bin/sh -c '")
	if !found {
		t.Fatal("no such line")
	}
	line, _, _ = strings.Cut(line, "'\n")
	config := filepath.Join(run, "agent.yaml")
	line = strings.NewReplacer("/usr/bin/supervisor", dir+"/usr/bin/supervisor", "/run/cassandra-supervisor-gate", run).Replace(line) + " --config " + config
	gate := func() (string, error) {
		out, err := exec.Command("sh", "-c", line).CombinedOutput()
		return string(out), err
	}
	if _, err := os.Stat("/var/lib/cassandra-supervisor"); err == nil {
		t.Skip("an agent keeps its state on this machine")
	}
	if said, err := gate(); err != nil || !strings.Contains(said, "Cassandra starts plainly") || read(t, run+"/environment") != "" {
		t.Errorf("not set up: %v: %s", err, said)
	}
	write(t, config, "gate: {timeout: 1s}\n")
	if said, err := gate(); err == nil {
		t.Errorf("a file that names no host: %s", said)
	}
	if err := os.Remove(dir + "/usr/bin/supervisor"); err != nil {
		t.Fatal(err)
	}
	// --config is now an argument of nothing.
	if said, err := gate(); err != nil || !strings.Contains(said, "without its gate") {
		t.Errorf("removed: %v: %s", err, said)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
