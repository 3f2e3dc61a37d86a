// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"supervisor/cluster"
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

// A host stands on the roster of its own region's store, and is read from there.
func TestAHostOfAnotherStoreIsOnNoRosterHere(t *testing.T) {
	cfg := settings.Agent{Region: "eu", Regions: map[cluster.Region]settings.Elsewhere{"us": {}}}
	err := initStore(t.Context(), cfg, []cluster.Host{{Name: "n1", Region: "eu"}, {Name: "b1", Region: "us"}}, "", io.Discard)
	var f failure
	if !errors.As(err, &f) || f.code != "ROSTER_ELSEWHERE" || !strings.Contains(f.Error(), "b1 is of region us") {
		t.Errorf("%v", err)
	}
}
