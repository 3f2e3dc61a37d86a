// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestReadGate(t *testing.T) {
	for _, row := range []struct {
		why, text string
		ok        bool
	}{
		{"a certificate that is not there is the agent's trouble", "host: {name: n1}\nstate_dir: /var/lib/s\nstore: {tls: {ca: /nowhere}}\ngate: {timeout: 3s, options_file: /run/o}\n", true},
		{"an unknown field elsewhere too", "host: {name: n1}\nstate_dir: /var/lib/s\ngossip: {flor: 1}\ngate: {timeout: 3s, options_file: /run/o}\n", true},
		{"what the agent shows over the network too, however it is written", "host: {name: n1, labels: [a]}\nstate_dir: /var/lib/s\napi: {listen: [1], tls: /ca.pem}\ngate: {timeout: 3s, options_file: /run/o}\n", true},
		{"a socket that is no text would leave it with nobody to ask", "host: {name: n1}\nstate_dir: /var/lib/s\napi: {socket: [1]}\ngate: {timeout: 3s, options_file: /run/o}\n", false},
		{"without its name it would ask for nobody", "state_dir: /var/lib/s\ngate: {timeout: 3s, options_file: /run/o}\n", false},
		{"without a place for the options an answer would be lost", "host: {name: n1}\nstate_dir: /var/lib/s\ngate: {timeout: 3s, option_file: /run/o}\n", false},
		{"a place that depends on where the gate runs is none", "host: {name: n1}\nstate_dir: /var/lib/s\ngate: {timeout: 3s, options_file: run/o}\n", false},
		{"what is no YAML says nothing", "host: [", false},
	} {
		t.Run(row.why, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "agent.yaml")
			if err := os.WriteFile(file, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			a, err := ReadGate(file)
			if (err == nil) != row.ok {
				t.Fatalf("error %v, want none: %t", err, row.ok)
			}
			if row.ok && (a.Host.Name != "n1" || a.StateDir != "/var/lib/s" || a.Gate.Timeout != 3*time.Second || a.API.Socket == "") {
				t.Errorf("read %+v", a)
			}
		})
	}
}
