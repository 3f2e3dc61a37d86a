// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/agent"
	"supervisor/internal/lead"
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

// An agent of another region reads what `store init` wrote, by its own file.
func TestAnAgentReadsTheStoreOfAnotherRegion(t *testing.T) {
	ctx := t.Context()
	files, _, stop := foundedStore(t, ctx)
	defer stop()
	there := files["n1"]
	j := &joinery{log: zap.NewNop(), cfg: settings.Agent{Cluster: there.Cluster, Region: "us", Host: settings.Identity{Name: "b1"},
		Regions: map[cluster.Region]settings.Elsewhere{there.Region: {Endpoints: []string{there.Store.URL(there.Store.Embedded.Members["n1"].Client)}}}}}
	defer j.close()
	readers, err := j.regions()
	if err != nil {
		t.Fatal(err)
	}
	reader := readers[there.Region]
	select {
	case b := <-reader.Watch(ctx, store.ReadAbroad(true)):
		doubt := lead.Belief{}
		doubt, _ = doubt.Read(b, lead.Known{EtcdCluster: reader.Seen()})
		if !b.Whole || len(b.KVs) != 3 || b.KVs[2].Key != store.Host("n1") || doubt.Doubt != "" {
			t.Errorf("%d keys, doubt %q: %+v", len(b.KVs), doubt.Doubt, b)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is read")
	}
	if err := reader.Check(ctx, nil); err != nil {
		t.Error(err)
	}
}
