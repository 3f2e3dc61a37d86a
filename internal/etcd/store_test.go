// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"supervisor/internal/etcd"
	"supervisor/internal/store"
	"supervisor/internal/store/storetest"
)

const patience = 30 * time.Second

func put(key, value string) store.Txn {
	return store.Txn{Put: []store.Put{{Key: key, Value: []byte(value)}}}
}

// eventually waits until f has no more complaint.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func batch(t *testing.T, ch <-chan store.Batch) store.Batch {
	t.Helper()
	select {
	case b := <-ch:
		return b
	case <-time.After(patience):
		t.Fatal("no batch came")
	}
	return store.Batch{}
}

// TestARestartOfTheStoreIsOnlyAPause restarts the agent that holds the only
// member: the others wait and then go on.
func TestARestartOfTheStoreIsOnlyAPause(t *testing.T) {
	t.Parallel()
	o, addr := member(t)
	core, lines := observer.New(zapcore.DebugLevel)
	o.Logger = zap.New(core)
	first := bootstrap(t, o)
	c := dial(t, options(t, "n2", "/supervisor/1/orders/eu/", addr))
	ctx := t.Context()
	c.Announce("agents/n2", []byte("boot"))
	r, err := c.Commit(ctx, put("record", "1"))
	if err != nil || !r.OK {
		t.Fatalf("commit: %+v, %v", r, err)
	}
	ch := c.Watch(ctx, "record")
	batch(t, ch)

	began := time.Now()
	if err := first.Close(ctx); err != nil {
		t.Fatalf("close: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("closing took %v with a watch open", took)
	}
	if _, err := c.Commit(ctx, put("record", "lost")); err == nil {
		t.Error("a commit without a store was answered")
	}
	if _, err := c.Health(ctx); err == nil {
		t.Error("a store that is away is healthy")
	}
	reopen(t, o)
	eventually(t, "commit after the restart", func() error {
		_, err := c.Commit(ctx, store.Txn{Compare: []store.Compare{{Key: "record", Rev: r.Rev}}, Put: put("record", "2").Put})
		return err
	})
	for last := ""; last != "2"; {
		for _, kv := range batch(t, ch).KVs {
			last = string(kv.Value)
		}
	}
	eventually(t, "announced key after the restart", func() error {
		kvs, _, err := c.List(ctx, "agents/")
		if err == nil && (len(kvs) != 1 || string(kvs[0].Value) != "boot") {
			err = fmt.Errorf("agents are %v", kvs)
		}
		return err
	})
	if e := lines.FilterLevelExact(zapcore.ErrorLevel).All(); len(e) != 0 {
		t.Errorf("a clean restart was logged as error: %v", e)
	}
}

func TestHealthNamesWhatTheStoreIs(t *testing.T) {
	t.Parallel()
	addr := embedded(t)
	c := dial(t, options(t, "n1", "/supervisor/1/orders/eu/", addr))
	r, err := c.Commit(t.Context(), put("a", "1"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.Health(t.Context())
	if err != nil || st.Revision != r.Rev || st.ClusterID == 0 || !st.Leader || st.Answer <= 0 {
		t.Errorf("status %+v, %v; want revision %d of a cluster with a leader", st, err, r.Rev)
	}
	if len(st.Members) != 1 || st.Members[0].Name != "n1" || !slices.Equal(st.Members[0].ClientURLs, []string{"http://" + addr}) {
		t.Errorf("members are %+v, want n1 at %s", st.Members, addr)
	}
	if took, err := c.Pulse(t.Context()); err != nil || took <= 0 {
		t.Errorf("pulse is %v, %v", took, err)
	}
	e := st.Endpoints[0]
	if e.Err != nil || !e.Leads || e.Member != st.Members[0].ID || e.Version == "" || e.DBBytes == 0 {
		t.Errorf("endpoint is %+v", e)
	}
}

// TestAStoreThatWentBackIsNotBelieved swaps the store for an empty one behind
// the same address.
func TestAStoreThatWentBackIsNotBelieved(t *testing.T) {
	t.Parallel()
	o, addr := member(t)
	first := bootstrap(t, o)
	p := newProxy(t, addr)
	c := dial(t, options(t, "n1", "/supervisor/1/orders/eu/", p.addr()))
	var rev int64
	for range 10 {
		r, err := c.Commit(t.Context(), put("a", "1"))
		if err != nil {
			t.Fatal(err)
		}
		rev = r.Rev
	}
	ctx, cancel := context.WithCancel(t.Context())
	ch := c.Watch(ctx, "")
	batch(t, ch)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Token = t.TempDir(), "another"
	bootstrap(t, o)
	eventually(t, "refusal", func() error {
		if _, err := c.Health(t.Context()); !errors.Is(err, etcd.ErrWentBack) {
			return fmt.Errorf("health says %v", err)
		}
		return nil
	})
	if _, _, err := c.List(t.Context(), ""); !errors.Is(err, etcd.ErrWentBack) {
		t.Errorf("list: %v, want %v", err, etcd.ErrWentBack)
	}
	cancel()
	for b := range ch {
		t.Errorf("the watch believed it: %+v", b)
	}

	cluster, seen := c.Seen()
	if seen != rev || cluster == 0 {
		t.Errorf("seen: revision %d of cluster %x, want %d", seen, cluster, rev)
	}
	// What a restarted agent finds on its own disk.
	for why, know := range map[string]func(*etcd.Options){
		"the revision": func(o *etcd.Options) { o.SeenRev = rev },
		"the cluster":  func(o *etcd.Options) { o.SeenCluster = cluster },
	} {
		later := options(t, "n1", "/supervisor/1/orders/eu/", addr)
		know(&later)
		c := dial(t, later)
		if _, err := c.Health(t.Context()); !errors.Is(err, etcd.ErrWentBack) {
			t.Errorf("health after a restart that knows %s: %v, want %v", why, err, etcd.ErrWentBack)
		}
		if _, _, err := c.Campaign(t.Context()); !errors.Is(err, etcd.ErrWentBack) {
			t.Errorf("campaign after a restart that knows %s: %v, want %v", why, err, etcd.ErrWentBack)
		}
	}
}

// TestALeaseLostInAPauseIsReplaced takes the lease away behind the client.
func TestALeaseLostInAPauseIsReplaced(t *testing.T) {
	t.Parallel()
	addr := embedded(t)
	c := dial(t, options(t, "n1", "/supervisor/1/orders/eu/", addr))
	c.Announce("agents/n1", []byte("boot"))
	announced := func() error {
		kvs, _, err := c.List(t.Context(), "agents/")
		if err == nil && len(kvs) != 1 {
			err = errors.New("not announced")
		}
		return err
	}
	eventually(t, "announce", announced)
	_, lost, err := c.Campaign(t.Context())
	if err != nil {
		t.Fatalf("campaign: %v", err)
	}
	admin(t, addr, func(ctx context.Context, a *clientv3.Client) error {
		leases, err := a.Leases(ctx)
		if err != nil {
			return err
		}
		for _, l := range leases.Leases {
			if _, err := a.Revoke(ctx, l.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if announced() == nil {
		t.Fatal("the lease is still there")
	}
	select {
	case <-lost:
	case <-time.After(patience):
		t.Fatal("the leader was never told")
	}
	eventually(t, "announce again", announced)
	if _, _, err := c.Campaign(t.Context()); err != nil {
		t.Errorf("campaign after a lost term: %v", err)
	}
	if _, _, err := c.Campaign(t.Context()); err == nil {
		t.Error("one client holds two candidacies")
	}
}

func TestOptionsTellAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := etcd.Dial(etcd.Options{Prefix: "x"})
	for _, want := range []string{"endpoints", "prefix", "name", "lease TTL", "dial time-out", "request time-out", "watch queue", "logger"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("client options: no word about %q in %v", want, err)
		}
	}
	_, err = etcd.Bootstrap(t.Context(), etcd.EmbedOptions{Name: "a=b",
		Members: map[string]etcd.MemberURLs{"a=b": {Client: "http://10.0.0.1:2379", Peer: "https://127.0.0.1:1"}}})
	for _, want := range []string{"directory", "name", "token", "only a loopback", "http://ADDRESS:PORT", "heartbeat", "retention", "quota", "longest close", "logger"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("member options: no word about %q in %v", want, err)
		}
	}
}

func TestAStoreThatIsAwayKeepsNobodyFromStarting(t *testing.T) {
	t.Parallel()
	c, err := etcd.Dial(options(t, "n1", "/supervisor/1/orders/eu/", storetest.FreeAddr(t)))
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	c.Announce("agents/n1", []byte("boot"))
	if _, err := c.Commit(ctx, put("a", "1")); err == nil {
		t.Error("a commit to nobody was answered")
	}
	leased := store.Txn{Put: []store.Put{{Key: "a", Leased: true}}}
	if _, err := c.Commit(ctx, leased); !errors.Is(err, store.ErrNotWritten) {
		t.Errorf("a leased put without a lease: %v, want %v", err, store.ErrNotWritten)
	}
	if _, _, err := c.Campaign(ctx); err == nil {
		t.Error("elected by nobody")
	}
	ch := c.Watch(t.Context(), "")
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, open := <-ch; open {
		t.Error("a watch survived its store")
	}
}
