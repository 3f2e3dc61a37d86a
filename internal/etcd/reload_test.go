// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/certs"
	"supervisor/internal/etcd"
	"supervisor/internal/store/storetest"
)

// authority makes one of a cluster.
func authority(t *testing.T, of string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := certs.Init(dir, of, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// replace puts all of others in the place of a file, in one step.
func replace(t *testing.T, path string, others ...string) {
	t.Helper()
	var text []byte
	for _, o := range others {
		b, err := os.ReadFile(o)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// install gives a host its files by an authority, the CA file holding several.
func install(t *testing.T, to certs.Files, ca, name string, roots ...string) {
	t.Helper()
	made := files(t, ca, name)
	replace(t, to.Key, made.Key)
	replace(t, to.Cert, made.Cert)
	trust(t, to, roots...)
}

func trust(t *testing.T, to certs.Files, roots ...string) {
	t.Helper()
	var all []string
	for _, dir := range roots {
		all = append(all, filepath.Join(dir, certs.CAFile))
	}
	replace(t, to.CA, all...)
}

// filesOf are a host's, in a directory of its own.
func filesOf(t *testing.T) certs.Files {
	t.Helper()
	dir := t.TempDir()
	return certs.Files{Cert: filepath.Join(dir, "host.pem"), Key: filepath.Join(dir, "host.key"), CA: filepath.Join(dir, "ca.pem")}
}

// alone is a secured store of one member, n1, behind a proxy that can cut
// connections.
func alone(t *testing.T, f certs.Files) (etcd.EmbedOptions, *proxy, string) {
	t.Helper()
	at := storetest.FreeAddr(t)
	o := etcd.DefaultEmbedOptions("n1", t.TempDir(), map[string]etcd.MemberURLs{
		"n1": {Client: "https://" + at, Peer: "https://" + storetest.FreeAddr(t)}})
	o.Heartbeat, o.Election = 50*time.Millisecond, 500*time.Millisecond
	o.TLS = keeper("n1", f)
	p := newProxy(t, at)
	return o, p, "https://" + p.addr()
}

// Another authority comes into use under a client that is never restarted: first
// both are believed, then the hosts get certificates of the new one, then the
// old one goes.
func TestReplacedFilesCountFromTheNextHandshakeOn(t *testing.T) {
	t.Parallel()
	old, next := authority(t, "orders"), authority(t, "orders")
	server, own := filesOf(t), filesOf(t)
	install(t, server, old, "n1", old)
	install(t, own, old, "n2", old)
	o, p, url := alone(t, server)
	m := bootstrap(t, o)
	k := keeper("n2", own)
	c := client(t, []string{url}, k)
	commits(t, c, "with the first files")

	trust(t, server, old, next)
	trust(t, own, old, next)
	if !m.Outdated() {
		t.Error("the member goes by the authorities of its start, and does not say so")
	}
	m = again(t, m, o)
	if m.Outdated() {
		t.Error("a member that has just begun is said to be behind")
	}
	commits(t, c, "when both authorities are believed")

	install(t, own, next, "n2", old, next)
	p.Cut()
	commits(t, c, "with a certificate of the new authority")
	install(t, server, next, "n1", old, next)
	p.Cut()
	commits(t, c, "to a member with a certificate of the new authority, not restarted for it")

	trust(t, server, next)
	trust(t, own, next)
	m = again(t, m, o)
	commits(t, c, "when the old authority is gone")
	if all := c.Refused(); len(all) > 0 {
		t.Errorf("who answers is told as refused: %q", all)
	}

	half(t, own.Cert)
	p.Cut()
	commits(t, c, "with a half-written file, by what stood there before")
	st := k.State()
	if !st.Old || len(st.Faults) != 1 || st.Faults[0].File != own.Cert || !strings.Contains(st.Faults[0].What, "middle of a PEM block") {
		t.Errorf("the half-written file is told as %+v", st)
	}
	install(t, own, authority(t, "stock"), "n2", next)
	p.Cut()
	commits(t, c, "when a certificate of another cluster is laid there")
	if st := k.State(); !st.Old || len(st.Faults) != 1 || !strings.Contains(st.Faults[0].What, `of cluster "stock"`) {
		t.Errorf("another cluster's certificate is told as %+v", st)
	}
}

func again(t *testing.T, m *etcd.Member, o etcd.EmbedOptions) *etcd.Member {
	t.Helper()
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return reopen(t, o)
}

// half leaves the beginning of a file.
func half(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the store's finding says is this error.
func TestABadServerIsRefusedByItsReason(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, row := range []struct {
		why, cluster, region string
		issued               time.Time
		believed             bool // its authority, by the client
		says                 string
	}{
		{"another cluster's, by an authority that is believed", "stock", "eu", now, true,
			`of cluster "stock" (supervisor://stock/eu/host/n1), this agent is of "orders"`},
		{"another region's", "orders", "us", now, true, `of region "us" (supervisor://orders/us/host/n1), this agent is of "eu"`},
		{"an unknown authority's", "orders", "eu", now, false, "its certificate is of an unknown authority (supervisor authority of orders)"},
		{"one that has expired", "orders", "eu", now.AddDate(0, 0, -certs.HostDays-1), true, "its certificate expired at 20"},
	} {
		t.Run(row.why, func(t *testing.T) {
			t.Parallel()
			orders, by := authority(t, "orders"), authority(t, row.cluster)
			server, own := filesOf(t), filesOf(t)
			if err := certs.Issue(by, certs.Host{Name: "n1", Region: row.region, Addresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, row.issued); err != nil {
				t.Fatal(err)
			}
			replace(t, server.Key, filepath.Join(by, "n1.key"))
			replace(t, server.Cert, filepath.Join(by, "n1.pem"))
			trust(t, server, orders, by)
			if install(t, own, orders, "n2", orders); row.believed {
				trust(t, own, orders, by)
			}
			o, _, url := alone(t, server)
			o.TLS = certs.NewKeeper(server, certs.Owner{Embedded: true,
				Identity: certs.Identity{Cluster: row.cluster, Region: row.region, Host: "n1"}}, time.Now)
			bootstrap(t, o)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			c := client(t, []string{url}, keeper("n2", own))
			if _, err := c.Pulse(ctx); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want %q", err, row.says)
			}
			if all := c.Refused(); len(all) != 1 || !strings.HasPrefix(all[0], strings.TrimPrefix(url, "https://")+": ") || !strings.Contains(all[0], row.says) {
				t.Errorf("refused are %q", all)
			}
		})
	}
}

// The kernel of a host that stands still takes connections all the same.
func TestAServerThatDoesNotAnswerRefusesNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	orders, own := authority(t, "orders"), filesOf(t)
	install(t, own, orders, "n2", orders)
	o := options(t, "n2", "/supervisor/1/orders/eu/", "")
	o.Endpoints, o.TLS, o.DialTimeout = []string{"https://" + l.Addr().String()}, keeper("n2", own), 200*time.Millisecond
	c := dial(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := c.Pulse(ctx); err == nil {
		t.Fatal("nobody answered")
	}
	if all := c.Refused(); len(all) > 0 {
		t.Errorf("refused are %q", all)
	}
}

// An agent whose files for another region are not in order yet starts for its own
// node, says what is wrong, and reads there when they are.
func TestAReaderWaitsForItsFiles(t *testing.T) {
	t.Parallel()
	ca := authority(t, "orders")
	server, own := filesOf(t), filesOf(t)
	install(t, server, ca, "n1", ca)
	o, _, url := alone(t, server)
	bootstrap(t, o)
	there := options(t, "n2", "/supervisor/1/orders/us/", "")
	there.Endpoints, there.TLS = []string{url}, keeper("n2", own)
	r, err := etcd.DialReader(there)
	if err != nil {
		t.Fatalf("it keeps its agent from starting: %v", err)
	}
	t.Cleanup(func() { _ = r.Close() })
	check := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return r.Check(ctx, nobody)
	}
	if err := check(); err == nil || !strings.Contains(err.Error(), own.Cert+" is not there") {
		t.Errorf("without files it says %v", err)
	}
	install(t, own, ca, "n2", ca)
	eventually(t, "it reads when the files are there", check)
}
