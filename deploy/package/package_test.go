// SPDX-License-Identifier: Apache-2.0

//go:build packaged

// Package packages looks at the deb and the rpm as a host does: what is in them,
// how far their units are closed, and what they do when they come and go.
package packages

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the module's, seen from this folder.
const root = "../.."

// The two versions that every test works with.
const older, newer = "1.0~1.gaaa", "1.0~2.gbbb"

// built holds the packages by version and kind.
var built = map[string]string{}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Geteuid() != 0 {
			fmt.Fprintln(os.Stderr, "this test installs packages below a folder of its own; run it as root")
			return 1
		}
		dir, err := os.MkdirTemp("", "packages")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		for _, version := range []string{older, newer} {
			made, err := build(dir, version)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			maps.Copy(built, made)
		}
		return m.Run()
	}())
}

// build makes both packages of a version in a folder below dir.
func build(dir, version string) (map[string]string, error) {
	out := filepath.Join(dir, version)
	cmd := exec.Command("scripts/package.sh", out)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "VERSION="+version)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build version %s: %w: %s", version, err, text)
	}
	made := map[string]string{}
	for _, kind := range []string{"deb", "rpm"} {
		found, err := filepath.Glob(out + "/*." + kind)
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("%d packages of kind %s in version %s, want 1 (%w)", len(found), kind, version, err)
		}
		made[version+kind] = found[0]
	}
	return made, nil
}

// output runs a program that must succeed.
func output(t *testing.T, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s%s", strings.Join(argv, " "), err, out, &stderr)
	}
	return string(out)
}

// unpacked is the older version's files below a folder.
func unpacked(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	output(t, "dpkg-deb", "-x", built[older+"deb"], dir)
	return dir
}

// files are what both packages hold besides man pages and zsh's completion.
var files = []string{
	"0644 /etc/cassandra-supervisor/agent.yaml.example",
	"0644 /usr/lib/systemd/system/cassandra-supervisor-ports.service",
	"0644 /usr/lib/systemd/system/cassandra-supervisor.service",
	"0644 /usr/lib/systemd/system/cassandra.service.d/50-supervisor-gate.conf",
	"0644 /usr/lib/sysusers.d/cassandra-supervisor.conf",
	"0644 /usr/share/bash-completion/completions/supervisor",
	"0644 /usr/share/doc/cassandra-supervisor/CHANGELOG.md",
	"0644 /usr/share/doc/cassandra-supervisor/LICENSE",
	"0644 /usr/share/doc/cassandra-supervisor/copyright",
	"0644 /usr/share/doc/cassandra-supervisor/examples/agent.yaml",
	"0644 /usr/share/doc/cassandra-supervisor/examples/cassandra.service",
	"0755 /usr/share/doc/cassandra-supervisor/examples/fence_example",
	"0644 /usr/share/doc/cassandra-supervisor/examples/hosts.yaml",
	"0644 /usr/share/doc/cassandra-supervisor/examples/policy.yaml",
	"0644 /usr/share/doc/cassandra-supervisor/hosts.md",
	"0644 /usr/share/doc/cassandra-supervisor/power.md",
	"0644 /usr/share/doc/cassandra-supervisor/licences.gz",
	"0644 /usr/share/fish/vendor_completions.d/supervisor.fish",
	"0644 /usr/share/polkit-1/rules.d/50-cassandra-supervisor.rules",
	"0755 /usr/bin/supervisor",
}

// Nothing else is in the packages, all of it is root's, and the one file below
// /etc is the host's own once somebody changed it.
func TestContents(t *testing.T) {
	for kind, zsh := range map[string]string{"deb": "/usr/share/zsh/vendor-completions/_supervisor", "rpm": "/usr/share/zsh/site-functions/_supervisor"} {
		want := append(slices.Clone(files), "0644 "+zsh)
		slices.Sort(want)
		held, pages := contents(t, kind)
		if !slices.Equal(held, want) {
			t.Errorf("the %s holds\n%s\nwant\n%s", kind, strings.Join(held, "\n"), strings.Join(want, "\n"))
		}
		if want := commands(t, "supervisor", nil); !slices.Equal(pages, want) {
			t.Errorf("the %s has man pages of\n%v\nand there are the commands\n%v", kind, pages, want)
		}
	}
	const own = "/etc/cassandra-supervisor/agent.yaml.example\n"
	if got := output(t, "dpkg-deb", "-I", built[older+"deb"], "conffiles"); got != own {
		t.Errorf("the deb's conffiles: %q", got)
	}
	if got := output(t, "rpm", "-qpc", built[older+"rpm"]); got != own {
		t.Errorf("the rpm's configuration: %q", got)
	}
	if got := output(t, "rpm", "-qp", "--queryformat", "%{VERSION} %{LICENSE}", built[newer+"rpm"]); got != newer+" Apache-2.0" {
		t.Errorf("the rpm says of itself %q", got)
	}
}

// contents lists the files of a package with their modes, and apart from them the
// commands that have a man page.
func contents(t *testing.T, kind string) (held, pages []string) {
	t.Helper()
	dir := unpacked(t)
	if kind == "rpm" {
		dir = t.TempDir()
		layRPM(t, dir)
		output(t, "rm", "-rf", dir+"/var")
	}
	for line := range strings.Lines(output(t, "find", dir, "-type", "f", "-printf", "0%m /%P %u:%g\n")) {
		file, byRoot := strings.CutSuffix(strings.TrimSpace(line), " root:root")
		if !byRoot {
			t.Errorf("not root's: %s", line)
		}
		if page, is := strings.CutPrefix(file, "0644 /usr/share/man/man1/"); is {
			pages = append(pages, strings.TrimSuffix(page, ".1.gz"))
			continue
		}
		held = append(held, file)
	}
	slices.Sort(held)
	slices.Sort(pages)
	return held, pages
}

// layRPM unpacks the older version's rpm below a folder, without its scripts.
func layRPM(t *testing.T, dir string) {
	t.Helper()
	output(t, "rpm", "--root", dir, "--dbpath", "/var/lib/rpm", "-i", "--nodeps", "--noscripts", built[older+"rpm"])
}

// commands lists the program's commands from its own help, as man pages name them.
func commands(t *testing.T, name string, path []string) []string {
	t.Helper()
	all := []string{name}
	listed := false
	for line := range strings.Lines(output(t, append(append([]string{root + "/bin/supervisor"}, path...), "--help")...)) {
		switch words := strings.Fields(line); {
		case strings.HasPrefix(line, "Available Commands:"):
			listed = true
		case len(words) == 0 || !strings.HasPrefix(line, "  "):
			listed = listed && len(words) > 0
		case listed && words[0] != "help":
			all = append(all, commands(t, name+"-"+words[0], append(slices.Clone(path), words[0]))...)
		}
	}
	slices.Sort(all)
	return all
}

// The same commit gives the same bytes.
func TestBuiltTwiceItIsTheSame(t *testing.T) {
	again, err := build(t.TempDir(), older)
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range again {
		if digest(t, built[name]) != digest(t, path) {
			t.Errorf("%s is another one", name)
		}
	}
}

func digest(t *testing.T, path string) [32]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// Shells accept their completions, and the pages and licences are there to read.
func TestWhatIsMadeOfTheProgram(t *testing.T) {
	dir := unpacked(t)
	output(t, "bash", "-n", dir+"/usr/share/bash-completion/completions/supervisor")
	if page := output(t, "zcat", dir+"/usr/share/man/man1/supervisor-gate.1.gz"); !strings.Contains(page, "Exit 3: refused") {
		t.Errorf("the gate's page does not say how it ends: %s", page)
	}
	licences := output(t, "zcat", dir+"/usr/share/doc/cassandra-supervisor/licences.gz")
	for _, words := range []string{"==== The Go standard library", "Mozilla Public License", "==== github.com/spf13/cobra"} {
		if !strings.Contains(licences, words) {
			t.Errorf("the licences do not hold %q", words)
		}
	}
	if digest(t, dir+"/usr/bin/supervisor") != digest(t, root+"/bin/supervisor") {
		t.Error("the program is another one than was built")
	}
}
