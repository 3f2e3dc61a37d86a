// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
)

// ErrNoOptionsFile stands for a file that says all that the gate needs but for
// where its answer goes. Without that an answer to hibernate would be lost, and
// the node start plainly.
var ErrNoOptionsFile = errors.New("gate.options_file is missing or no absolute path; the start command reads the gate's answer there")

// ReadGate reads only what the gate works with: the host's name, the state
// directory, the agent's socket and the gate's own block. Faults elsewhere in
// the file, a certificate that is not there or a key with a wrong mode, keep
// the agent from starting; they must not keep Cassandra from it. Beside an
// error stands what could be read all the same.
func ReadGate(path string) (Agent, error) {
	text, err := load(path)
	if err != nil {
		return Agent{}, err
	}
	a := DefaultAgent()
	// Fields and not their sections: what an agent shows over the network, or a label
	// of its host, may be written in any wrong way.
	var part struct {
		Host struct {
			Name *cluster.Name `yaml:"name"`
		} `yaml:"host"`
		StateDir *string `yaml:"state_dir"`
		API      struct {
			Socket *string `yaml:"socket"`
		} `yaml:"api"`
		Gate *Gate `yaml:"gate"`
	}
	part.Host.Name, part.StateDir, part.API.Socket, part.Gate = &a.Host.Name, &a.StateDir, &a.API.Socket, &a.Gate
	if err := yaml.Unmarshal(text, &part); err != nil {
		return a, fmt.Errorf("read what the gate needs: %w", err)
	}
	if a.Host.Name == "" || a.StateDir == "" || a.API.Socket == "" {
		return a, errors.New("host.name, state_dir or api.socket is missing; the gate needs them")
	}
	if !filepath.IsAbs(a.Gate.OptionsFile) {
		return a, ErrNoOptionsFile
	}
	return a, nil
}
