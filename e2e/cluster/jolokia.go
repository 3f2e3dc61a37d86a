// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"supervisor/internal/demo/node"
)

// Beans of Cassandra's admin interface.
const (
	storageService = "org.apache.cassandra.db:type=StorageService"
	dynamicSnitch  = "org.apache.cassandra.db:type=DynamicEndpointSnitch"
	gossiper       = "org.apache.cassandra.net:type=Gossiper"
)

// asking is a request to the admin interface. That listens on loopback alone, and a
// host has no program for HTTP but its shell.
const asking = `exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET /jolokia/%s HTTP/1.0\r\n\r\n' "$2" >&3
cat <&3`

// jolokia asks the host's Cassandra and decodes the answer into value, unless that is
// nil. The parts make the path: what to do, a bean, and what of it.
func (h *Host) jolokia(ctx context.Context, value any, parts ...string) error {
	path := strings.Join(parts, "/")
	said, err := h.Run(ctx, "timeout", "20", "bash", "-c", asking, "ask", strconv.Itoa(node.JolokiaPort), path)
	if err != nil {
		return fmt.Errorf("ask Cassandra on %s for %s: %w", h.Name, path, err)
	}
	_, body, _ := strings.Cut(said, "\r\n\r\n")
	answer := struct {
		Status int    `json:"status"`
		Error  string `json:"error"`
		Value  any    `json:"value"`
	}{Value: value}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return fmt.Errorf("ask Cassandra on %s for %s: %w: %q", h.Name, path, err, said)
	}
	if answer.Status != 200 {
		return fmt.Errorf("ask Cassandra on %s for %s: %d: %s", h.Name, path, answer.Status, answer.Error)
	}
	return nil
}
