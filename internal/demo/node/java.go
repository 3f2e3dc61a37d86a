// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// ErrNoJava says that no Java 17 was found.
var ErrNoJava = errors.New("no Java 17 found")

var versionLine = regexp.MustCompile(`version "17[."]`)

// FindJava returns a Java 17: not older, because of the module flags, and not
// newer, because Cassandra 5.0 uses the security manager.
func FindJava() (string, error) {
	candidates, err := filepath.Glob("/usr/lib/jvm/*17*/bin/java")
	if err != nil {
		return "", err
	}
	if home := os.Getenv("JAVA_HOME"); home != "" {
		candidates = append([]string{filepath.Join(home, "bin", "java")}, candidates...)
	}
	if path, err := exec.LookPath("java"); err == nil {
		candidates = append(candidates, path)
	}
	for _, java := range candidates {
		out, err := exec.Command(java, "-version").CombinedOutput()
		if err == nil && versionLine.Match(out) {
			return java, nil
		}
	}
	return "", fmt.Errorf("%w in JAVA_HOME, /usr/lib/jvm and PATH", ErrNoJava)
}
