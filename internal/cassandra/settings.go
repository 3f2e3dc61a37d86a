// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const storageProxy = "org.apache.cassandra.db:type=StorageProxy"

// Settings are what decisions need to know of a node's configuration. What the
// release does not tell stays at zero.
type Settings struct {
	HintWindow time.Duration // max_hint_window: writes for a node that is down longer get no hint
	PaxosV2    bool          // paxos_variant is v2: a repair must repair Paxos too
}

// Settings reads them in one trip. They can be changed while the node runs.
func (a *Admin) Settings(ctx context.Context) (Settings, error) {
	got, err := a.bulk(ctx, a.o.ReadMax, request{Type: "read", MBean: storageProxy,
		Attribute: []string{"MaxHintWindow", "PaxosVariant"}, Config: map[string]any{"ignoreErrors": true}})
	if err != nil {
		return Settings{}, fmt.Errorf("read settings: %w", err)
	}
	var v map[string]json.RawMessage
	if err := got[0].into(&v); err != nil {
		return Settings{}, fmt.Errorf("read settings from %s: %w", a.url, err)
	}
	var window int64 // milliseconds
	var variant string
	_ = json.Unmarshal(v["MaxHintWindow"], &window) // an attribute that threw is a text and counts as not known
	_ = json.Unmarshal(v["PaxosVariant"], &variant)
	return Settings{HintWindow: time.Duration(window) * time.Millisecond, PaxosV2: variant == "v2"}, nil
}
