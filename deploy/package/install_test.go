// SPDX-License-Identifier: Apache-2.0

//go:build packaged

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// recorder stands for a program that maintainer scripts may call: it notes how it
// was called and does nothing.
const recorder = `#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
`

// scratch is a root file system of its own with a systemd that runs, as far as
// scripts can see, and whose programs only take notes.
type scratch struct {
	t          *testing.T
	dir, calls string
	env        []string
}

func newScratch(t *testing.T) scratch {
	t.Helper()
	s := scratch{t: t, dir: t.TempDir()}
	programs := t.TempDir()
	s.calls = filepath.Join(programs, "calls")
	for _, d := range []string{"/run/systemd/system", "/etc", "/var/lib/dpkg/info", "/var/lib/dpkg/updates", "/var/lib/cassandra-supervisor"} {
		if err := os.MkdirAll(s.dir+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, s.dir+"/var/lib/dpkg/status", "")
	write(t, s.dir+"/var/lib/cassandra-supervisor/state.json", "{}\n")
	for _, name := range []string{"systemctl", "service", "invoke-rc.d", "deb-systemd-invoke", "pkill", "killall", "supervisor", "nodetool"} {
		write(t, programs+"/"+name, recorder)
		if err := os.Chmod(programs+"/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "CALLS="+s.calls, "DPKG_ROOT="+s.dir)
	return s
}

// does runs a program and returns what was called meanwhile, one call a line.
func (s scratch) does(argv ...string) (calls, said string) {
	s.t.Helper()
	write(s.t, s.calls, "")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return read(s.t, s.calls), string(out)
}

func (s scratch) there(path string) bool {
	_, err := os.Lstat(s.dir + path)
	return err == nil
}

// The whole of what coming, growing and going asks of others. Cassandra's own
// unit is in none of it. The supervisor, which alone could change a pool, is only
// asked whether rules for ports are left, when nobody is there any more to keep them.
const (
	whenInstalled = "systemctl daemon-reload\n"
	whenUpgraded  = "systemctl daemon-reload\nsystemctl try-restart cassandra-supervisor-ports.service cassandra-supervisor.service\n"
	whenRemoved   = "systemctl disable --now cassandra-supervisor.service cassandra-supervisor-ports.service\n" +
		"supervisor port-guard forget\nsystemctl daemon-reload\n"
)

func TestADebComesAndGoesAroundCassandra(t *testing.T) {
	s := newScratch(t)
	dpkg := func(argv ...string) (calls, said string) {
		return s.does(append([]string{"dpkg", "--root=" + s.dir, "--force-script-chrootless", "--force-depends"}, argv...)...)
	}
	dropIn := units + "cassandra.service.d/50-supervisor-gate.conf"
	calls, said := dpkg("-i", built[older+"deb"])
	if calls != whenInstalled || !strings.Contains(said, "nothing is watched yet") || !s.there(dropIn) {
		t.Errorf("installed: %q: %s", calls, said)
	}
	if !strings.Contains(read(t, s.dir+"/etc/group"), "supervisor:") {
		t.Error("there is no group for the socket")
	}
	for _, unit := range []string{"cassandra-supervisor.service", "cassandra-supervisor-ports.service"} {
		if s.there("/etc/systemd/system/multi-user.target.wants/" + unit) {
			t.Errorf("%s starts at boot, and nobody has set it up", unit)
		}
	}
	write(t, s.dir+"/etc/cassandra-supervisor/agent.yaml", "host: {name: n1}\n")
	write(t, s.dir+"/etc/cassandra-supervisor/agent.yaml.example", "changed\n")
	if calls, said = dpkg("-i", "--force-confold", built[newer+"deb"]); calls != whenUpgraded || strings.Contains(said, "nothing is watched yet") {
		t.Errorf("upgraded: %q: %s", calls, said)
	}
	if got := read(t, s.dir+"/etc/cassandra-supervisor/agent.yaml.example"); got != "changed\n" {
		t.Errorf("what the host changed became %q", got)
	}
	if calls, said = dpkg("-i", "--force-downgrade", built[older+"deb"]); calls != whenUpgraded {
		t.Errorf("back to the older one: %q: %s", calls, said)
	}
	if calls, said = dpkg("-r", "cassandra-supervisor"); calls != whenRemoved || !strings.Contains(said, "starts without the gate") || s.there(dropIn) {
		t.Errorf("removed: %q: %s", calls, said)
	}
	if calls, _ = dpkg("-P", "cassandra-supervisor"); calls != "" {
		t.Errorf("purged: %q", calls)
	}
	for _, kept := range []string{"/var/lib/cassandra-supervisor/state.json", "/etc/cassandra-supervisor/agent.yaml"} {
		if !s.there(kept) {
			t.Errorf("%s is gone: nobody else may know what stood there", kept)
		}
	}
}

// An rpm's scripts are run as rpm does, which itself would look for a shell in
// the other root: the new version's first, then the old one's.
func TestAnRPMComesAndGoesAroundCassandra(t *testing.T) {
	s := newScratch(t)
	layRPM(t, s.dir)
	script := func(version, tag, count string) string {
		body := output(t, "rpm", "-qp", "--queryformat", "%{"+tag+"}", built[version+"rpm"])
		if !strings.HasPrefix(body, "#!/bin/sh") {
			t.Fatalf("%s of %s is no script: %q", tag, version, body)
		}
		calls, _ := s.does("sh", "-c", body, "script", count)
		return calls
	}
	if got := script(older, "POSTIN", "1"); got != whenInstalled {
		t.Errorf("installed: %q", got)
	}
	if got := script(newer, "POSTIN", "2") + script(older, "PREUN", "1") + script(older, "POSTUN", "1"); got != whenUpgraded {
		t.Errorf("upgraded: %q", got)
	}
	if got := script(newer, "PREUN", "0") + script(newer, "POSTUN", "0"); got != whenRemoved {
		t.Errorf("removed: %q", got)
	}
}
