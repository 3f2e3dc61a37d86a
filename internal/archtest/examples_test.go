// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supervisor/internal/settings"
)

const examples = root + "/deploy/examples/"

// The example files are what the program accepts, on a host where the files
// that they name exist.
func TestExamplesAreAccepted(t *testing.T) {
	hosts, err := settings.ReadHosts(examples + "hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(examples + "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.ParsePolicy("policy.yaml", text, hosts); err != nil {
		t.Error(err)
	}
	a, err := settings.ReadAgent(exampleAgent(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if h.Name != a.Host.Name {
			continue
		}
		if h.Datacenter != a.Host.Datacenter || h.Rack != a.Host.Rack || h.CQL != a.Cassandra.CQL || h.Gossip != a.Gossip.Bind {
			t.Errorf("the roster says %+v of the host, its own file %+v", h, a.Host)
		}
		return
	}
	t.Errorf("the host of agent.yaml, %s, is not in hosts.yaml", a.Host.Name)
}

// exampleAgent copies agent.yaml to where the files that it names exist.
func exampleAgent(t *testing.T) string {
	t.Helper()
	const etc = "/etc/cassandra-supervisor"
	dir := t.TempDir()
	text, err := os.ReadFile(examples + "agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not looked into")}))
	for name, content := range map[string]string{
		"agent.yaml":  strings.ReplaceAll(string(text), etc, dir),
		"gossip.key":  key + "\n",
		"ca.pem":      certificate,
		"client.pem":  certificate,
		"client.key":  "not looked into\n",
		"credentials": "username = cassandra\npassword = cassandra\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "agent.yaml")
}
