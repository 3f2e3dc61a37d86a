// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/etcd"
	"supervisor/internal/settings"
	"supervisor/internal/store/storetest"
)

// storeOf are the files of three control agents whose stores are new.
func storeOf(t *testing.T) map[cluster.Name]settings.Agent {
	t.Helper()
	members := make(map[cluster.Name]settings.Member)
	for _, n := range []cluster.Name{"n1", "n2", "n3"} {
		members[n] = settings.Member{Client: storetest.FreeAddr(t), Peer: storetest.FreeAddr(t)}
	}
	all := make(map[cluster.Name]settings.Agent)
	for n := range members {
		a := settings.DefaultAgent()
		a.Cluster, a.Region, a.Host.Name = "orders", "eu", n
		a.Store.Embedded = &settings.Embedded{Dir: filepath.Join(t.TempDir(), "store"), Members: members}
		for _, m := range members {
			a.Store.Endpoints = append(a.Store.Endpoints, a.Store.URL(m.Client))
		}
		all[n] = a
	}
	return all
}

func options(t *testing.T, a settings.Agent) etcd.EmbedOptions {
	t.Helper()
	o, runs := embedOptions(a, zap.NewNop())
	if !runs {
		t.Fatalf("%s runs no member", a.Host.Name)
	}
	o.Heartbeat, o.Election = 50*time.Millisecond, 500*time.Millisecond // a new election would cost 3 s
	return o
}

func waitFor(t *testing.T, what string, k *memberKeeper, fits func(why string) bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !fits(k.Why()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it says %q", what, k.Why())
		}
	}
}

func runs(why string) bool { return why == "" }

func TestAgentsMakeTheStoreTheirOwn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	files := storeOf(t)
	early := keepMember(options(t, files["n2"]), zap.NewNop())
	defer early.close()
	waitFor(t, "before there is a store", early, func(why string) bool { return strings.Contains(why, "join") })

	m, err := firstMember(ctx, options(t, files["n1"]))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(ctx); err != nil {
		t.Fatal(err)
	}
	first := keepMember(options(t, files["n1"]), zap.NewNop())
	defer first.close()
	waitFor(t, "the first member", first, runs)
	waitFor(t, "the second", early, runs)
	third := keepMember(options(t, files["n3"]), zap.NewNop())
	waitFor(t, "the third", third, runs)
	if m, err := firstMember(ctx, options(t, files["n3"])); m != nil || err != nil {
		t.Errorf("the store runs here, and was opened again: %v", err)
	}
	third.close()

	// Its disk is lost. Neither a start nor `store init` makes a second store of it.
	lost := files["n3"]
	lost.Store.Embedded = &settings.Embedded{Dir: filepath.Join(t.TempDir(), "store"), Members: lost.Store.Embedded.Members}
	if _, err := firstMember(ctx, options(t, lost)); err == nil || !strings.Contains(err.Error(), "a store runs in n1, n2") {
		t.Errorf("store init beside a store: %v", err)
	}
	third = keepMember(options(t, lost), zap.NewNop())
	defer func() { third.close() }()
	waitFor(t, "a member without its disk", third, func(why string) bool { return strings.Contains(why, "supervisor store replace-member n3") })
	if err := replaceMember(ctx, files["n1"], "n3", io.Discard); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the third again", third, runs)
	if err := replaceMember(ctx, files["n1"], "n3", io.Discard); err == nil || !strings.Contains(err.Error(), "answers") {
		t.Errorf("a member that runs was taken off: %v", err)
	}
	path := filepath.Join(t.TempDir(), "store.backup")
	if err := backup(ctx, files["n1"], path, io.Discard); err != nil {
		t.Error(err)
	}
	if err := backup(ctx, files["n1"], path, io.Discard); err == nil {
		t.Error("a backup was written over")
	}
}
