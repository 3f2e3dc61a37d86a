// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"supervisor/internal/demo/cassandra"
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
func look(ctx context.Context, n cassandra.Node) (stage, error) {
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
	if accepts(ctx, n.Storage()) {
		return joining, nil
	}
	return starting, nil
}

func accepts(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: lookMax}).DialContext(ctx, "tcp", address)
	return err == nil && conn.Close() == nil
}

// answers asks for the options of the native protocol, version 4: the first
// frame that a node answers, and only when it is ready for clients.
func answers(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: lookMax}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(lookMax))
	const options, supported = 0x05, 0x06
	if _, err := conn.Write([]byte{4, 0, 0, 0, options, 0, 0, 0, 0}); err != nil {
		return false
	}
	var header [9]byte
	_, err = io.ReadFull(conn, header[:])
	return err == nil && header[4] == supported
}

// lastWords are the last lines at level ERROR of Cassandra's log, each with
// the exception that follows it, or else what the JVM printed last.
func lastWords(n cassandra.Node) []string {
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
