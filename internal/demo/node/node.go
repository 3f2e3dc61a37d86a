// SPDX-License-Identifier: Apache-2.0

// Package node writes the files of one small Cassandra node and starts
// it as a process that nobody's end takes along. It knows one machine with
// several nodes on loopback addresses, for demos and tests; hosts have their
// own service manager.
package node

import (
	"cmp"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"supervisor/internal/demo/process"
)

// Ports that every node opens on its own address.
const (
	CQLPort     = 9042
	StoragePort = 7000
	JolokiaPort = 8778
)

// ClusterName is what all demo nodes call their cluster.
const ClusterName = "demo"

// HintWindow is short on purpose: an outage of seconds then is to this cluster what
// an outage of hours is to one with the default of three hours.
const HintWindow = "5s"

// Node is everything that start and files of a node depend on.
type Node struct {
	Name       string   `json:"name"`
	Address    string   `json:"address"` // loopback, without port
	Datacenter string   `json:"datacenter"`
	Rack       string   `json:"rack"`
	Region     string   `json:"region"`
	Admin      string   `json:"admin,omitempty"` // address of the admin interface; empty: the node's own
	JMXPort    int      `json:"jmx_port"`        // on 127.0.0.1, so one for each node
	Tokens     []int64  `json:"tokens"`          // fixed, so that all nodes can start at the same moment
	Seeds      []string `json:"seeds"`           // addresses, without port
	Dir        string   `json:"dir"`             // absolute; all files of the node and its agent
	Jars       string   `json:"jars"`            // absolute; the folder of archives
	Java       string   `json:"java"`            // absolute; a Java 17
}

// CQL is the address and port of the native protocol.
func (n Node) CQL() string { return n.at(CQLPort) }

// Storage is the address and port between nodes.
func (n Node) Storage() string { return n.at(StoragePort) }

// Jolokia is the URL of the admin interface. The slash at its end matters:
// without it the answer is 404.
func (n Node) Jolokia() string {
	return "http://" + net.JoinHostPort(n.admin(), strconv.Itoa(JolokiaPort)) + "/jolokia/"
}

func (n Node) admin() string { return cmp.Or(n.Admin, n.Address) }

func (n Node) at(port int) string { return net.JoinHostPort(n.Address, strconv.Itoa(port)) }

// path is a file in the node's folder.
func (n Node) path(elem ...string) string {
	return filepath.Join(append([]string{n.Dir}, elem...)...)
}

// DataDir holds the node's tables.
func (n Node) DataDir() string { return n.path("data") }

// HintsDir holds the files of hints that wait for other nodes.
func (n Node) HintsDir() string { return n.path("hints") }

// PidFile names Cassandra's process; its start time is beside it, in
// PidFile+".start".
func (n Node) PidFile() string { return n.path("cassandra.pid") }

// AgentPidFile names the agent's process in the same way.
func (n Node) AgentPidFile() string { return n.path("agent.pid") }

// LANPidFile names a plain memberlist that stands beside the agent, where one was
// started; LANLog takes what it tells.
func (n Node) LANPidFile() string { return n.path("lan.pid") }

// LANLog is what that memberlist told, a word a line.
func (n Node) LANLog() string { return n.path("log", "lan.log") }

// Agent is how the node's agent is started, and started again, with the
// binary that has the verb "agent".
func (n Node) Agent(binary string) process.Spec {
	return process.Spec{Argv: []string{binary, "agent", "--config", n.AgentConfig()}, Dir: n.Dir,
		Log: n.path("log", "agent.log"), PidFile: n.AgentPidFile()}
}

// AgentConfig is the agent's configuration. While it is missing the node
// starts without asking a gate.
func (n Node) AgentConfig() string { return n.path("agent.yaml") }

// OptionsFile is where the gate writes the JVM options of its answer, one
// each line. It is emptied before the gate is asked.
func (n Node) OptionsFile() string { return n.path("gate.options") }

// ArgvFile shows the last start's command, one argument each line.
func (n Node) ArgvFile() string { return n.path("java.argv") }

// Output takes what the JVM prints.
func (n Node) Output() string { return n.path("log", "output.log") }

// SystemLog is Cassandra's own log.
func (n Node) SystemLog() string { return n.path("log", "system.log") }

// Tokens returns count tokens for each of nodes nodes, spread evenly over the
// ring and dealt in turns, so that neighbours on the ring are never the same
// node.
func Tokens(nodes, count int) [][]int64 {
	total := uint64(nodes * count)
	step := ^uint64(0)/total + 1
	all := make([][]int64, nodes)
	for i := range total {
		// Half a step in, the first token keeps clear of the smallest one, which
		// the partitioner reserves.
		token := int64(step/2 + i*step + 1<<63)
		all[i%uint64(nodes)] = append(all[i%uint64(nodes)], token)
	}
	return all
}

func (n Node) tokenList() string {
	words := make([]string, len(n.Tokens))
	for i, t := range n.Tokens {
		words[i] = strconv.FormatInt(t, 10)
	}
	return strings.Join(words, ",")
}

func (n Node) seedList() string {
	words := make([]string, len(n.Seeds))
	for i, s := range n.Seeds {
		words[i] = fmt.Sprintf("%s:%d", s, StoragePort)
	}
	return strings.Join(words, ",")
}
