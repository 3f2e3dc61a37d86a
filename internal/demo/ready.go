// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"supervisor/internal/cassandra"
	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
)

// lookMax bounds one look at a port. On loopback an answer takes less than a
// millisecond, unless the JVM collects garbage.
const lookMax = 500 * time.Millisecond

// stage is how far a starting node has come.
type stage string

const (
	starting stage = "starting"
	joining  stage = "joining" // the storage port is open
	up       stage = "up"      // CQL is answered
)

// Failed says that a node ended while it was awaited.
type Failed struct {
	Node, Log string
	Last      []string // the last lines that say why
}

// Error quotes the node's last words.
func (f Failed) Error() string {
	return fmt.Sprintf("%s ended at its start: %s", f.Node, strings.Join(f.Last, " | "))
}

// look returns the node's stage, or Failed when its process is gone.
func look(ctx context.Context, n node.Node) (stage, error) {
	id, err := process.Read(n.PidFile())
	if err != nil {
		return "", err
	}
	if answers(ctx, n.CQL()) {
		return up, nil
	}
	if !id.Alive() {
		return "", Failed{Node: n.Name, Log: n.SystemLog(), Last: lastWords(n)}
	}
	if cassandra.Connect(ctx, n.Storage(), lookMax) == nil {
		return joining, nil
	}
	return starting, nil
}

// answers says whether a node is ready for clients.
func answers(ctx context.Context, address string) bool {
	prober := cassandra.NewProber(address, lookMax)
	defer prober.Close()
	return prober.Ask(ctx) == nil
}

// lastWords are the last lines at level ERROR of Cassandra's log, each with
// the exception that follows it, or else what the JVM printed last.
func lastWords(n node.Node) []string {
	words := scan(n.SystemLog(), func(before, line string) bool {
		return strings.HasPrefix(line, "ERROR") || strings.HasPrefix(before, "ERROR") && strings.Contains(line, "Exception: ")
	})
	if len(words) == 0 {
		words = scan(n.Output(), func(_, line string) bool { return line != "" })
	}
	if len(words) == 0 {
		return []string{"it left no message"}
	}
	return words[max(0, len(words)-2):]
}

// scan returns the wanted lines of a file; one that cannot be read has none.
func scan(path string, wanted func(before, line string) bool) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var found []string
	before := ""
	for lines := bufio.NewScanner(f); lines.Scan(); before = lines.Text() {
		if wanted(before, lines.Text()) {
			found = append(found, lines.Text())
		}
	}
	return found
}
