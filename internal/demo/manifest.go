// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
)

const manifestFile = "demo.json"

// Manifest is what any other program needs in order to break a demo and to
// measure it. Addresses are address:port.
type Manifest struct {
	Nodes   []ManifestNode `json:"nodes"`
	Spares  []ManifestNode `json:"spares"`
	HAProxy struct {
		Frontend    string `json:"frontend"`
		StatsSocket string `json:"stats_socket"`
	} `json:"haproxy"`
	Etcd []string `json:"etcd"` // client URLs
	API  *string  `json:"api"`  // the unix socket of an agent; null while there is none
}

// ManifestNode is one node of a Manifest. PID is the process at the time of
// writing; after a restart the pid file says the new one.
type ManifestNode struct {
	Name       string  `json:"name"` // the server's name in HAProxy too
	CQL        string  `json:"cql"`
	Storage    string  `json:"storage"`
	Jolokia    string  `json:"jolokia"` // URL
	Datacenter string  `json:"datacenter"`
	Rack       string  `json:"rack"`
	Region     string  `json:"region"`
	DataDir    string  `json:"data_dir"`
	PID        *int    `json:"pid"`
	PidFile    string  `json:"pid_file"`
	AgentPID   *int    `json:"agent_pid"` // null while the node has no agent
	API        *string `json:"api"`
}

// manifest describes what runs now.
func manifest(p Plan, a Attached) Manifest {
	m := Manifest{Nodes: []ManifestNode{}, Spares: []ManifestNode{}, Etcd: []string{}}
	for _, n := range p.Nodes {
		described := manifestNode(n)
		if socket, ok := a.API[n.Name]; ok {
			described.API = &socket
			if m.API == nil {
				m.API = &socket // any agent answers for all: the first one's
			}
		}
		m.Nodes = append(m.Nodes, described)
	}
	m.Etcd = append(m.Etcd, a.Etcd...)
	m.HAProxy.Frontend, m.HAProxy.StatsSocket = p.Proxy.Frontend, p.Proxy.StatsSocket()
	return m
}

func manifestNode(n node.Node) ManifestNode {
	return ManifestNode{Name: n.Name, CQL: n.CQL(), Storage: n.Storage(), Jolokia: n.Jolokia(),
		Datacenter: n.Datacenter, Rack: n.Rack, Region: n.Region, DataDir: n.DataDir(),
		PID: running(n.PidFile()), PidFile: n.PidFile(), AgentPID: running(n.AgentPidFile())}
}

// running is the number of the pid file's process while it is alive.
func running(pidFile string) *int {
	id, err := process.Read(pidFile)
	if err != nil || !id.Alive() {
		return nil
	}
	return &id.PID
}

// writeManifest replaces the file as a whole: readers wait for it.
func writeManifest(p Plan, a Attached) error {
	b, err := json.MarshalIndent(manifest(p, a), "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(p.Dir, manifestFile)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return os.Rename(path+".new", path)
}
