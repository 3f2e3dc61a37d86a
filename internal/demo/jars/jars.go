// SPDX-License-Identifier: Apache-2.0

// Package jars keeps the Java archives that a demo node runs: Cassandra with
// its libraries, and the Jolokia agent that answers its admin interface over
// HTTP. Maven fetches them once into the user's cache; every start compares
// each archive with the checksum pinned in jars.sum, so that a demo never
// measures something else than what this source tree names.
package jars

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Version is the Cassandra that the pinned archives are.
const Version = "5.0.9"

// Names of the two archives that the JVM loads as agents.
const (
	Jamm    = "jamm-0.4.0.jar"
	Jolokia = "jolokia-agent-jvm-2.2.9-javaagent.jar"
)

// plugin copies what the pom names; pinned, because another release may copy
// under other file names. Archives of foreign systems are left out.
const (
	plugin   = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
	excluded = "osx-x86_64,osx-aarch_64,windows-x86_64,linux-riscv64"
)

var (
	//go:embed pom.xml
	pom []byte
	//go:embed jars.sum
	sums string
)

// Damaged says that a folder does not hold exactly the pinned archives.
type Damaged struct {
	Dir    string
	Faults []string // one per archive, sorted
}

// Error names the first fault, and how many more there are.
func (d Damaged) Error() string {
	more := ""
	if n := len(d.Faults) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("%s: %s%s; remove this folder, it is fetched again", d.Dir, d.Faults[0], more)
}

// Pinned returns file name -> SHA-256 in hexadecimal of every archive.
func Pinned() map[string]string {
	pins := make(map[string]string)
	for line := range strings.Lines(sums) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			pins[name] = sum
		}
	}
	return pins
}

// Folder is where the archives are cached for this user.
func Folder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(cache, "cassandra-supervisor", "cassandra-"+Version), nil
}

// Ensure returns the folder with all archives, fetched when it is missing and
// verified in any case. An archive that differs is an error (Damaged) and
// never replaced silently.
func Ensure(ctx context.Context) (string, error) {
	dir, err := Folder()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if err := fetch(ctx, dir); err != nil {
			return "", fmt.Errorf("get Cassandra %s: %w", Version, err)
		}
	}
	return dir, Verify(dir, Pinned())
}

// Cached says whether Ensure will find the folder and needs no Maven.
func Cached() bool {
	dir, err := Folder()
	if err != nil {
		return false
	}
	_, err = os.Stat(dir)
	return err == nil
}

// Verify compares the archives in dir with pins (file name -> SHA-256). An
// archive that is not pinned is a fault too: the class path is the folder.
func Verify(dir string, pins map[string]string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the archives: %w", err)
	}
	var faults []string
	found := make(map[string]bool)
	for _, e := range entries {
		name := e.Name()
		found[name] = true
		want, pinned := pins[name]
		if !pinned {
			faults = append(faults, name+" is not one of the pinned archives")
			continue
		}
		got, err := checksum(filepath.Join(dir, name))
		switch {
		case err != nil:
			return err
		case got != want:
			faults = append(faults, fmt.Sprintf("%s has checksum %s, want %s", name, got, want))
		}
	}
	for name := range pins {
		if !found[name] {
			faults = append(faults, name+" is missing")
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return Damaged{Dir: dir, Faults: faults}
}

func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("check an archive: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("check %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fetch lets Maven fill a temporary folder beside dir, verifies it there and
// renames it, so that dir is whole or absent. When another process was
// faster, its folder stays.
func fetch(ctx context.Context, dir string) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(parent, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom, 0o644); err != nil {
		return err
	}
	lib := filepath.Join(work, "lib")
	if err := maven(ctx, work, lib); err != nil {
		return err
	}
	if err := Verify(lib, Pinned()); err != nil {
		return err
	}
	if err := os.Rename(lib, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func maven(ctx context.Context, work, lib string) error {
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", filepath.Join(work, "pom.xml"), plugin,
		"-DincludeScope=runtime", "-DexcludeClassifiers="+excluded, "-DoutputDirectory="+lib)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w: %s", err, firstError(string(out)))
	}
	return nil
}

// firstError is the first line of Maven's output that says what went wrong.
func firstError(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "ERROR") {
			return strings.TrimSpace(line)
		}
	}
	return "it printed no error line"
}
