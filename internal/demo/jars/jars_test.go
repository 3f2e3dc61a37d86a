// SPDX-License-Identifier: Apache-2.0

package jars

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerify(t *testing.T) {
	const sumOfA = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
	pins := map[string]string{"a.jar": sumOfA}
	for _, tt := range []struct {
		why   string
		files map[string]string
		fault string
	}{
		{"the pinned archive and nothing else is what we run", map[string]string{"a.jar": "a"}, ""},
		{"a changed archive would measure something else", map[string]string{"a.jar": "b"}, "a.jar has checksum"},
		{"a missing archive stops Cassandra later and less clearly", nil, "a.jar is missing"},
		{"a foreign archive would be on the class path", map[string]string{"a.jar": "a", "z.jar": "z"}, "z.jar is not one"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := Verify(dir, pins)
			if tt.fault == "" {
				if err != nil {
					t.Fatalf("got %v, want no fault", err)
				}
				return
			}
			var damaged Damaged
			if !errors.As(err, &damaged) || !strings.Contains(err.Error(), tt.fault) {
				t.Fatalf("got %v, want a Damaged with %q", err, tt.fault)
			}
		})
	}
}

func TestPinsAreWhole(t *testing.T) {
	pins := Pinned()
	for _, name := range []string{"cassandra-all-" + Version + ".jar", Jamm, Jolokia} {
		if len(pins[name]) != 64 {
			t.Errorf("%s is pinned as %q, want 64 hexadecimal digits", name, pins[name])
		}
	}
	if lines := strings.Count(sums, "\n"); lines != len(pins) {
		t.Errorf("%d pins from %d lines: a line is damaged or double", len(pins), lines)
	}
}
