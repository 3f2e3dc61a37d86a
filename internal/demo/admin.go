// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"supervisor/internal/demo/cassandra"
)

// callMax bounds one call of the admin interface: a stopped JVM accepts the
// connection and never answers.
const callMax = 10 * time.Second

const storageService = "org.apache.cassandra.db:type=StorageService"

// call does one request of the admin interface and fills value from its answer.
func call(ctx context.Context, n cassandra.Node, request map[string]any, value any) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.Jolokia(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", n.Name, err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status int             `json:"status"` // the call's own; HTTP says 200 also for errors
		Error  string          `json:"error"`
		Value  json.RawMessage `json:"value"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", n.Name, err)
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("%s answers %d: %s", n.Name, answer.Status, answer.Error)
	}
	return json.Unmarshal(answer.Value, value)
}

// liveNodes returns how many nodes n believes to be up, itself included.
func liveNodes(ctx context.Context, n cassandra.Node) (int, error) {
	var live []string
	err := call(ctx, n, map[string]any{"type": "read", "mbean": storageService, "attribute": "LiveNodes"}, &live)
	return len(live), err
}

// repairMax is far above the few seconds that a small keyspace takes.
const repairMax = 3 * time.Minute

// Repair repairs one keyspace fully, all ranges that n replicates, started on
// n and with all their replicas.
func Repair(ctx context.Context, n cassandra.Node, keyspace string) error {
	ctx, cancel := context.WithTimeout(ctx, repairMax)
	defer cancel()
	options := map[string]string{"parallelism": "parallel", "incremental": "false", "primaryRange": "false"}
	var number int
	err := call(ctx, n, map[string]any{"type": "exec", "mbean": storageService,
		"operation": "repairAsync(java.lang.String,java.util.Map)", "arguments": []any{keyspace, options}}, &number)
	if err != nil {
		return fmt.Errorf("repair %s on %s: %w", keyspace, n.Name, err)
	}
	if err := awaitRepair(ctx, n, number); err != nil {
		return fmt.Errorf("repair %s on %s: %w", keyspace, n.Name, err)
	}
	return nil
}

// awaitRepair ends also when the node has forgotten the repair, or never
// accepted it: both have no status.
func awaitRepair(ctx context.Context, n cassandra.Node, number int) error {
	if number == 0 {
		return nil // nothing to do: one replica or an empty ring
	}
	for missing := 0; ; {
		var status []string
		err := call(ctx, n, map[string]any{"type": "exec", "mbean": storageService,
			"operation": "getParentRepairStatus", "arguments": []any{number}}, &status)
		switch {
		case err != nil:
			return err
		case len(status) == 0:
			if missing++; missing > 10 {
				return errors.New("the node knows no such repair")
			}
		case status[0] == "COMPLETED":
			return nil
		case status[0] == "FAILED":
			return fmt.Errorf("it failed: %v", status[1:])
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits for d, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
