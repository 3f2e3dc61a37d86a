// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"os/exec"
	"strings"

	"supervisor/internal/demo/jars"
	"supervisor/internal/demo/node"
)

// tools are the programs and archives that a demo runs.
type tools struct {
	java, haproxy, jars string
}

// Missing lists the Debian packages that a demo lacks.
type Missing struct {
	Packages []string
}

// Error says what is missing, by package.
func (m Missing) Error() string { return "not installed: " + strings.Join(m.Packages, ", ") }

// Remedy is the line that installs them.
func (m Missing) Remedy() string { return "sudo apt-get install -y " + strings.Join(m.Packages, " ") }

// findTools finds every program first, so that all that is missing is named
// at once, and only then gets the archives.
func findTools(ctx context.Context) (tools, error) {
	var t tools
	var missing Missing
	var err error
	if t.java, err = node.FindJava(); err != nil {
		missing.Packages = append(missing.Packages, "openjdk-17-jre-headless")
	}
	if t.haproxy, err = exec.LookPath("haproxy"); err != nil {
		missing.Packages = append(missing.Packages, "haproxy")
	}
	if _, err := exec.LookPath("mvn"); err != nil && !jars.Cached() {
		missing.Packages = append(missing.Packages, "maven")
	}
	if len(missing.Packages) > 0 {
		return tools{}, missing
	}
	t.jars, err = jars.Ensure(ctx)
	return t, err
}
