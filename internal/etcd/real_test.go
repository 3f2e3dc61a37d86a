// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"supervisor/internal/etcd"
	"supervisor/internal/store"
	"supervisor/internal/store/storetest"
)

func TestMain(m *testing.M) {
	// These tests wait for leases far more than they compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	code := m.Run()
	// etcd leaves its connections between members to their read time-out of
	// 5 s, which is longer than goleak waits.
	leak := goleak.Find()
	for end := time.Now().Add(10 * time.Second); leak != nil && time.Now().Before(end); {
		leak = goleak.Find()
	}
	if leak != nil && code == 0 {
		fmt.Fprintln(os.Stderr, leak)
		code = 1
	}
	os.Exit(code)
}

// member are the options of a store's only member, and its client address.
func member(t testing.TB) (etcd.EmbedOptions, string) {
	t.Helper()
	client := storetest.FreeAddr(t)
	o := etcd.DefaultEmbedOptions("n1", t.TempDir(), map[string]etcd.MemberURLs{
		"n1": {Client: "http://" + client, Peer: "http://" + storetest.FreeAddr(t)}})
	return o, client
}

// embedded starts a member and returns its client address.
func embedded(t testing.TB) string {
	t.Helper()
	o, client := member(t)
	bootstrap(t, o)
	return client
}

// bootstrap begins a store with one member.
func bootstrap(t testing.TB, o etcd.EmbedOptions) *etcd.Member {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	m, err := etcd.Bootstrap(ctx, o)
	if err != nil {
		t.Fatalf("bootstrap: %v", err)
	}
	return ends(t, m)
}

// reopen starts a member again and waits until it serves.
func reopen(t testing.TB, o etcd.EmbedOptions) *etcd.Member {
	t.Helper()
	m, err := etcd.Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	ends(t, m)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := m.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// ends closes a member with its test.
func ends(t testing.TB, m *etcd.Member) *etcd.Member {
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return m
}

// debian starts the etcd of the Debian package.
func debian(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		t.Fatalf("no etcd to test against: install the package etcd-server (%v)", err)
	}
	client, peer := storetest.FreeAddr(t), storetest.FreeAddr(t)
	cmd := exec.Command(path, "--name", "d1", "--data-dir", t.TempDir(),
		"--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer,
		"--initial-cluster", "d1=http://"+peer, "--log-level", "error")
	cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() && out.Len() > 0 {
			t.Logf("etcd said:\n%s", out.String())
		}
	})
	return client
}

var namespace atomic.Int64

// prefix is a new place in a store shared by several tests.
func prefix() string {
	return fmt.Sprintf("/supervisor/1/test%d/eu/", namespace.Add(1))
}

func options(t testing.TB, name, prefix, addr string) etcd.Options {
	o := etcd.DefaultOptions(name, prefix, "http://"+addr)
	o.LeaseTTL = 2 * time.Second
	o.Logger = zap.NewNop()
	return o
}

func dial(t testing.TB, o etcd.Options) *etcd.Store {
	t.Helper()
	s, err := etcd.Dial(o)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		// Some tests take the store away, or the lease.
		if err := s.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// world is an empty place in the store at addr; every client has a proxy of
// its own.
func world(addr string) func(t *testing.T) storetest.World {
	return func(t *testing.T) storetest.World {
		place := prefix()
		return storetest.World{
			Client: func(t *testing.T, name string) storetest.Client {
				p := newProxy(t, addr)
				s := dial(t, options(t, name, place, p.addr()))
				t.Cleanup(p.Cut) // before closing: a muted client says its goodbye
				return storetest.Client{Store: s, Leader: s, Die: func() { p.Mute(true) }, Mute: p.Mute, Cut: p.Cut}
			},
			Compact: func(t *testing.T, rev int64) {
				admin(t, addr, func(ctx context.Context, c *clientv3.Client) error {
					_, err := c.Compact(ctx, rev)
					return err
				})
			},
			NotWritten: func(err error) bool { return errors.Is(err, store.ErrNotWritten) },
		}
	}
}

// admin does what no agent does.
func admin(t testing.TB, addr string, do func(context.Context, *clientv3.Client) error) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + addr}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatalf("client: %v", err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := do(ctx, c); err != nil {
		t.Fatalf("as admin: %v", err)
	}
}

func TestEmbeddedKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, world(embedded(t)))
}

func TestDebianKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, world(debian(t)))
}
