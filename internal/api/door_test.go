// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/internal/certs"
)

// door is the agent n1 of orders, asked over the network.
type door struct {
	t      *testing.T
	dir    string // of the authority
	at     string // IP:port
	source *apitest.Source
	files  certs.Files // what the agent shows and believes
}

func authorityOf(t *testing.T, cluster string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := certs.Init(dir, cluster, time.Now().AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func host(t *testing.T, dir, name string) certs.Files {
	t.Helper()
	if err := certs.Issue(dir, certs.Host{Name: name, Region: "eu", Addresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return filesOf(dir, name)
}

func asker(t *testing.T, dir string, kind certs.Kind, name string, age time.Duration) certs.Files {
	t.Helper()
	if err := certs.IssuePerson(dir, kind, name, time.Now().Add(-age)); err != nil {
		t.Fatal(err)
	}
	return filesOf(dir, name)
}

func filesOf(dir, name string) certs.Files {
	return certs.Files{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, certs.CAFile)}
}

func openDoor(t *testing.T) *door {
	t.Helper()
	d, taken, _ := newDoor(t)
	_ = taken.Close()
	d.wait()
	return d
}

// newDoor starts an agent whose address is taken by another, and answers on its
// socket.
func newDoor(t *testing.T) (d *door, taken net.Listener, socket string) {
	t.Helper()
	d = &door{t: t, dir: authorityOf(t, "orders"), source: apitest.NewSource(apitest.Healthy())}
	d.files = host(t, d.dir, "n1")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	d.at, socket = taken.Addr().String(), filepath.Join(t.TempDir(), "s")
	owner := certs.Owner{Identity: certs.Identity{Cluster: "orders", Region: "eu", Host: "n1"}, Serves: []net.IP{net.IPv4(127, 0, 0, 1)}, Door: true}
	server, err := api.NewServer(api.Options{Socket: socket, Source: d.source, ReadPolicy: readPolicy, Counters: api.NewCounters(), Log: zap.NewNop(),
		Remote: &api.Remote{Address: d.at, Certs: certs.NewKeeper(d.files, owner, time.Now)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return d, taken, socket
}

// wait is until the agent listens.
func (d *door) wait() {
	d.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", d.at)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("nobody listens: %v", err)
		}
	}
}

func (d *door) client(f certs.Files) *api.Client {
	d.t.Helper()
	c, err := api.NewRemote("https://"+d.at, f)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(c.Close)
	return c
}

// orders lets one pause the region, as a command does it.
func orders(c *api.Client) error {
	ctx := context.Background()
	raw, err := c.Post(ctx, "/v1/plans", api.PlanRequest{Verb: "pause", Target: api.Target{ForMS: 60_000}})
	if err != nil {
		return err
	}
	e, err := api.Decode[api.Plan](raw)
	if err != nil {
		return err
	}
	_, err = c.Post(ctx, "/v1/orders", api.OrderRequest{Plan: e.Data.Hash, Reason: "switch"})
	return err
}

func TestAnOperatorActsUnderHisName(t *testing.T) {
	d := openDoor(t)
	c := d.client(asker(t, d.dir, certs.OfOperator, "ana", 0))
	if _, err := c.Get(t.Context(), "/v1/status"); err != nil {
		t.Fatal(err)
	}
	if err := orders(c); err != nil {
		t.Fatal(err)
	}
	words := d.source.Words()
	if len(words) != 1 || words[0].Who != "ana" || words[0].Why != "switch" {
		t.Errorf("the leader is told %+v", words)
	}
	// The gate is this host's: its answer may use up a marker.
	if _, err := c.Gate(t.Context(), api.GateQuestion{Node: "n1"}); code(err) != "NOT_PERMITTED" || !strings.Contains(err.Error(), "on the host itself only") || len(d.source.Asked()) > 0 {
		t.Errorf("an operator asks for the gate: %v", err)
	}
}

// What is wrong at this door keeps no gate from its answer.
func TestAnAddressThatIsTakenIsTriedAgain(t *testing.T) {
	d, taken, socket := newDoor(t)
	local := api.NewClient(socket)
	defer local.Close()
	if _, err := local.Get(t.Context(), "/v1/status"); err != nil {
		t.Errorf("on the socket: %v", err)
	}
	_ = taken.Close()
	d.wait()
	if _, err := d.client(asker(t, d.dir, certs.OfReader, "grafana", 0)).Get(t.Context(), "/v1/status"); err != nil {
		t.Error(err)
	}
}

// An authority for people alone is replaced without touching the hosts.
func TestPeopleMayHaveAnAuthorityOfTheirOwn(t *testing.T) {
	d := openDoor(t)
	people := authorityOf(t, "orders")
	f := asker(t, people, certs.OfOperator, "ana", 0)
	f.CA = filepath.Join(t.TempDir(), "hosts.pem")
	both(t, f.CA, d.files.CA)
	if err := orders(d.client(f)); code(err) != "CERT_REFUSED" {
		t.Fatalf("of an authority that is not known there: %v", err)
	}
	both(t, d.files.CA, filepath.Join(people, certs.CAFile))
	if err := orders(d.client(f)); err != nil {
		t.Error(err)
	}
}

func TestHostsAndReadersLookAndDoNotAct(t *testing.T) {
	d := openDoor(t)
	for _, row := range []struct {
		files certs.Files
		says  string
	}{
		{host(t, d.dir, "n2"), "you may look, not act: the certificate is of host n2, and an operator's is wanted"},
		{asker(t, d.dir, certs.OfReader, "grafana", 0), "you may look, not act: the certificate is of reader grafana, and an operator's is wanted"},
	} {
		c := d.client(row.files)
		for _, path := range append([]string{"/metrics", "/readyz", "/healthz"}, paths...) {
			if _, err := c.Get(t.Context(), path); err != nil && !strings.HasSuffix(string(code(err)), "_UNKNOWN") {
				t.Errorf("%s: %s: %v", row.files.Cert, path, err)
			}
		}
		if _, err := c.Get(t.Context(), "/v1/nothing"); code(err) != "ROUTE_UNKNOWN" {
			t.Errorf("a path that is not there: %v", err)
		}
		s, err := c.Events(t.Context(), "", true)
		if err != nil {
			t.Fatalf("events: %v", err)
		}
		s.Close()
		if err := orders(c); code(err) != "NOT_PERMITTED" || err.Error() != row.says {
			t.Errorf("an order: %v", err)
		}
		if _, err := c.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: "x", Reason: "r"}); code(err) != "NOT_PERMITTED" {
			t.Errorf("an order without a plan: %v", err)
		}
		if _, err := c.Gate(t.Context(), api.GateQuestion{Node: "n1"}); code(err) != "NOT_PERMITTED" {
			t.Errorf("the gate: %v", err)
		}
	}
	if len(d.source.Words()) > 0 || len(d.source.Asked()) > 0 {
		t.Error("something of it reached the agent")
	}
}

func TestWhoIsNotBelievedIsToldWhich(t *testing.T) {
	d := openDoor(t)
	stock, ours := authorityOf(t, "stock"), authorityOf(t, "orders")
	// An authority that signs for two clusters, as a site's own may.
	both(t, d.files.CA, filepath.Join(stock, certs.CAFile))
	believes := func(f certs.Files) certs.Files { f.CA = d.files.CA; return f }
	nameless := host(t, d.dir, "n9")
	withoutURI(t, d.dir, nameless)
	for _, row := range []struct {
		why   string
		files certs.Files
		says  string
	}{
		{"another cluster's operator", believes(asker(t, stock, certs.OfOperator, "eva", 0)),
			`the agent does not take this certificate: it is of cluster "stock" (supervisor://stock/operator/eva), the agent is of "orders"`},
		{"another cluster's host", believes(host(t, stock, "n1")), `it is of cluster "stock" (supervisor://stock/eu/host/n1), the agent is of "orders"`},
		{"one that names nobody", nameless, "it names nobody: no URI like supervisor://CLUSTER/operator/NAME"},
		{"expired", asker(t, d.dir, certs.OfOperator, "old", (certs.PersonDays+1)*24*time.Hour), "does not take this certificate (it expired at "},
		{"another authority of the same name", believes(asker(t, ours, certs.OfOperator, "ana", 0)), "does not take this certificate (it is of \"supervisor authority of orders\", which is none of the authorities there"},
	} {
		c := d.client(row.files)
		_, err := c.Get(t.Context(), "/v1/status")
		if code(err) != "CERT_REFUSED" || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s looks: %v", row.why, err)
		}
		if _, err := c.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: "x", Reason: "r"}); code(err) != "CERT_REFUSED" {
			t.Errorf("%s acts: %v", row.why, err)
		}
	}
	stranger := d.client(asker(t, ours, certs.OfOperator, "eva", 0))
	_, err := stranger.Get(t.Context(), "/v1/status")
	if code(err) != "CERT_REFUSED" || !strings.Contains(err.Error(), "shows is not believed: it is of an authority that is not in your CA file (") {
		t.Errorf("an agent of another authority is asked: %v", err)
	}
	// It is not her certificate that is wrong.
	var p *api.Problem
	if !errors.As(err, &p) || len(p.Remedy) != 1 || !strings.Contains(p.Remedy[0], "your CA file") {
		t.Errorf("she is told to do %+v", p)
	}
}

// One whose own files never were in order says so, and was given no order.
func TestAnAgentWithoutFilesSaysSo(t *testing.T) {
	d, taken, _ := newDoor(t)
	if err := os.Remove(d.files.Key); err != nil {
		t.Fatal(err)
	}
	_ = taken.Close()
	d.wait()
	c := d.client(asker(t, d.dir, certs.OfOperator, "ana", 0))
	_, looks := c.Get(t.Context(), "/v1/status")
	_, acts := c.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: "x", Reason: "r"})
	for _, err := range []error{looks, acts} {
		if code(err) != "AGENT_UNREACHABLE" || !strings.Contains(err.Error(), "its own files of api.tls are not in order") {
			t.Errorf("got %s: %v", code(err), err)
		}
	}
}

func TestWithoutACertificateOrTLS13NobodyIsAnswered(t *testing.T) {
	d := openDoor(t)
	f := asker(t, d.dir, certs.OfOperator, "ana", 0)
	set, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	get := func(url string, cfg *tls.Config) (int, string, error) {
		h := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}}
		defer h.CloseIdleConnections()
		resp, err := h.Get(url)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}
	ours := []tls.Certificate{set.Pair}
	if status, _, err := get("https://"+d.at+"/v1/status", &tls.Config{RootCAs: set.Roots, Certificates: ours}); err != nil || status != http.StatusOK {
		t.Fatalf("with a certificate: %d, %v", status, err)
	}
	if status, _, err := get("https://"+d.at+"/healthz", &tls.Config{RootCAs: set.Roots}); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %d, %v", status, err)
	}
	if status, _, err := get("https://"+d.at+"/healthz", &tls.Config{RootCAs: set.Roots, Certificates: ours, MaxVersion: tls.VersionTLS12}); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("by TLS 1.2: %d, %v", status, err)
	}
	if status, body, err := get("http://"+d.at+"/healthz", nil); status != http.StatusBadRequest || !strings.Contains(body, "HTTPS") {
		t.Errorf("plainly: %d %q, %v", status, body, err)
	}
}

func TestReplacedFilesCountFromTheNextHandshakeOn(t *testing.T) {
	d := openDoor(t)
	f := asker(t, d.dir, certs.OfOperator, "ana", 0)
	kept := d.client(f)
	if _, err := kept.Get(t.Context(), "/v1/status"); err != nil {
		t.Fatal(err)
	}
	stream, err := d.client(f).Events(t.Context(), "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	before := shown(t, d.at, f)
	if err := errors.Join(os.Remove(d.files.Cert), os.Remove(d.files.Key)); err != nil {
		t.Fatal(err)
	}
	host(t, d.dir, "n1")
	if after := shown(t, d.at, f); after == before {
		t.Errorf("certificate %s is shown still", before)
	}
	// Another authority of those who ask counts for connections that stand, too.
	if err := os.Rename(filepath.Join(authorityOf(t, "orders"), certs.CAFile), d.files.CA); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Get(t.Context(), "/v1/status"); code(err) != "CERT_REFUSED" || !strings.Contains(err.Error(), "authority") {
		t.Errorf("on a connection that stands: %v", err)
	}
	if _, err := kept.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: "x", Reason: "r"}); code(err) != "CERT_REFUSED" {
		t.Errorf("an order: %v", err)
	}
	for err = nil; err == nil; {
		_, err = stream.Next()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
}

// shown is the serial number of what the agent shows now.
func shown(t *testing.T, at string, f certs.Files) string {
	t.Helper()
	set, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", at, &tls.Config{RootCAs: set.Roots, Certificates: []tls.Certificate{set.Pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// Those who say nothing cost their own places only, and not for long.
func TestSlowOnesDelayNobody(t *testing.T) {
	d := openDoor(t)
	var silent []net.Conn
	for range api.ConnectionsMax {
		c, err := net.Dial("tcp", d.at)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		silent = append(silent, c)
	}
	// Another address of the same machine is let in meanwhile.
	f := asker(t, d.dir, certs.OfReader, "grafana", 0)
	set, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 10 * time.Second}
	c, err := tls.DialWithDialer(from, "tcp", d.at, &tls.Config{RootCAs: set.Roots, Certificates: []tls.Certificate{set.Pair}})
	if err != nil {
		t.Fatalf("another address: %v", err)
	}
	_ = c.Close()
	began := time.Now()
	_ = silent[0].SetReadDeadline(began.Add(30 * time.Second))
	if _, err := silent[0].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one that says nothing is kept longer than %s", time.Since(began))
	}
}

func TestAnAddressOfAnAgentIsReadOrRefused(t *testing.T) {
	f := host(t, authorityOf(t, "orders"), "n1")
	for _, at := range []string{"http://127.0.0.1:7947", "https://127.0.0.1", "https://u:p@127.0.0.1:7947", "https://127.0.0.1:7947/v1", "https://:7947", "tcp://127.0.0.1:7947"} {
		if _, err := api.NewRemote(at, f); err == nil || !strings.Contains(err.Error(), "https://IP:PORT") {
			t.Errorf("%s: %v", at, err)
		}
	}
	f.Key = f.Cert
	if _, err := api.NewRemote("https://127.0.0.1:7947", f); err == nil || !strings.Contains(err.Error(), f.Cert) {
		t.Errorf("without a key: %v", err)
	}
}
