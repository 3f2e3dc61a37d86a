// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"supervisor/internal/agent"
	"supervisor/internal/settings"
	"supervisor/internal/store"
)

// What an earlier run knew of the store reaches the client, in the spelling in
// which `store init` writes the etcd cluster into the era.
func TestTheStoreIsHeldAgainstWhatWasSeen(t *testing.T) {
	const id = 0xcdf818194e3a8c32
	o, err := storeOptions(settings.Agent{}, agent.Horizon{EtcdCluster: store.EtcdCluster(id), Rev: 108})
	if err != nil || o.SeenCluster != id || o.SeenRev != 108 {
		t.Errorf("cluster %x, revision %d: %v", o.SeenCluster, o.SeenRev, err)
	}
	if o, err := storeOptions(settings.Agent{}, agent.Horizon{}); err != nil || o.SeenCluster != 0 || o.SeenRev != 0 {
		t.Errorf("a first start holds it against cluster %x, revision %d: %v", o.SeenCluster, o.SeenRev, err)
	}
	if _, err := storeOptions(settings.Agent{}, agent.Horizon{EtcdCluster: "c"}); err != nil {
		t.Error(err)
	}
	if _, err := storeOptions(settings.Agent{}, agent.Horizon{EtcdCluster: "not one"}); err == nil {
		t.Error("an ID that is none was taken for one")
	}
}
