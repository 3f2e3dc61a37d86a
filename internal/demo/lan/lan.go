// SPDX-License-Identifier: Apache-2.0

// Package lan is memberlist as it comes, with its defaults for a LAN and nothing
// else: what somebody has who takes it and adds nothing. It stands beside the agents
// of a demo, one on each node's address, so that its word about a host can be told
// in the same run.
package lan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"

	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
)

// port is beside that of the agents' gossip, on every node's own address.
const port = 7947

// Word is one change that a member told.
type Word struct {
	At    time.Time `json:"at"`
	Node  string    `json:"node"`
	Alive bool      `json:"alive"`
}

// Spec is how a node's member is started: what it tells goes to its log.
func Spec(n node.Node, binary, dir string) process.Spec {
	return process.Spec{Argv: []string{binary, "demo", "lan", "--dir", dir, "--node", n.Name}, Dir: n.Dir,
		Log: n.LANLog(), PidFile: n.LANPidFile()}
}

// joinEvery is how often the others are called while one is missing.
const joinEvery = 200 * time.Millisecond

// Run is the member of a node, until ctx ends. It tells each change on a line of out.
func Run(ctx context.Context, n node.Node, others []node.Node, out io.Writer) (err error) {
	c := memberlist.DefaultLANConfig()
	c.Name, c.BindAddr, c.BindPort = n.Name, n.Address, port
	c.AdvertiseAddr, c.AdvertisePort = n.Address, port
	c.Events = teller{json.NewEncoder(out)}
	c.Logger = log.New(io.Discard, "", 0)
	list, err := memberlist.Create(c)
	if err != nil {
		return fmt.Errorf("memberlist at %s: %w", n.Address, err)
	}
	defer func() { err = errors.Join(err, list.Shutdown()) }()
	var seeds []string
	for _, o := range others {
		seeds = append(seeds, net.JoinHostPort(o.Address, strconv.Itoa(port)))
	}
	tick := time.NewTicker(joinEvery)
	defer tick.Stop()
	for list.NumMembers() <= len(others) {
		_, _ = list.Join(seeds) // who is not there yet is called again
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	<-ctx.Done()
	return nil
}

// teller writes what it is told at once: memberlist calls it while it holds its own
// lock, and a line in a file is all that it waits for.
type teller struct{ out *json.Encoder }

// NotifyJoin tells of a member that is there.
func (t teller) NotifyJoin(n *memberlist.Node) { t.tell(n, true) }

// NotifyLeave tells of a member that is taken for dead, or left.
func (t teller) NotifyLeave(n *memberlist.Node) { t.tell(n, false) }

// NotifyUpdate is about what a member says of itself, which is nothing.
func (t teller) NotifyUpdate(*memberlist.Node) {}

func (t teller) tell(n *memberlist.Node, alive bool) {
	_ = t.out.Encode(Word{At: time.Now(), Node: n.Name, Alive: alive})
}

// Words are all that a node's member has told, the oldest first. A line that is no
// word, or not whole yet, is passed over.
func Words(n node.Node) ([]Word, error) {
	b, err := os.ReadFile(n.LANLog())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what memberlist says on %s: %w", n.Name, err)
	}
	return parse(b), nil
}

func parse(b []byte) []Word {
	var words []Word
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		var w Word
		if json.Unmarshal(lines.Bytes(), &w) == nil && w.Node != "" {
			words = append(words, w)
		}
	}
	return words
}

// Dead is when these words first called a node dead, not before from; zero: never.
func Dead(words []Word, name string, from time.Time) time.Time {
	for _, w := range words {
		if w.Node == name && !w.Alive && !w.At.Before(from) {
			return w.At
		}
	}
	return time.Time{}
}

// Alive counts the nodes of which the last word is that they are alive, the own one
// too.
func Alive(words []Word) int {
	last := map[string]bool{}
	for _, w := range words {
		last[w.Node] = w.Alive
	}
	n := 0
	for _, alive := range last {
		if alive {
			n++
		}
	}
	return n
}
