// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/agent"
	"supervisor/internal/certs"
	"supervisor/internal/settings"
	"supervisor/membership/gossip"
)

// secure is n1 of orders in eu, with a certificate that was issued then, and the
// file of its agent.
func secure(t *testing.T, issued time.Time) (file string, a settings.Agent) {
	t.Helper()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	if err := certs.Init(ca, "orders", issued); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"n1", "n2"} {
		if err := certs.Issue(ca, certs.Host{Name: n, Region: "eu", Addresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, issued); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Replace(agentFile, `store: {endpoints: ["http://127.0.0.1:2379"]}`, `store:
  embedded: {dir: DIR/store, members: {n1: {client: "127.0.0.1:2379", peer: "127.0.0.1:2380"}}}
  tls: {ca: DIR/ca/ca.pem, cert: DIR/ca/n1.pem, key: DIR/ca/n1.key}`, 1)
	file = filepath.Join(dir, "agent.yaml")
	for name, content := range map[string]string{
		"agent.yaml":  strings.ReplaceAll(text, "DIR", dir),
		"key":         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
		"credentials": "username = a\npassword = b\n",
		"start":       "#!/bin/sh\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	a, err := settings.ReadAgent(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, a
}

// What an agent can never run with it refuses; what time mends it says.
func TestAnAgentRefusesOnlyCertificatesThatCanNeverBeRight(t *testing.T) {
	day := 24 * time.Hour
	for _, row := range []struct {
		why    string
		age    time.Duration // of the certificate
		from   string        // in the agent's file, replaced by to
		to     string
		check  string // what config check says; it ends with 2 unless it is a warning
		starts bool
	}{
		{"in order", 0, "", "", "is in order: host n1", true},
		{"ends soon", (certs.HostDays - 10) * day, "", "", "warning: the certificate of n1 ends in 9 days, at ", true},
		{"expired", (certs.HostDays + 1) * day, "", "", "store.tls.cert: DIR/ca/n1.pem expired at ", true},
		{"not valid yet", -10 * day, "", "", "store.tls.cert: DIR/ca/n1.pem is not valid before ", true},
		{"another host's", 0, "n1.", "n2.", `store.tls.cert: DIR/ca/n2.pem is of host "n2"`, false},
		{"another cluster's", 0, "cluster: orders", "cluster: stock", `store.tls.cert: DIR/ca/n1.pem is of cluster "orders"`, false},
		{"another region's", 0, "region: eu", "region: us", `store.tls.cert: DIR/ca/n1.pem is of region "eu"`, false},
		{"a key that belongs to another", 0, "n1.key", "n2.key", "store.tls.key: DIR/ca/n2.key holds no key that belongs to the certificate in DIR/ca/n1.pem", false},
		{"a CA file that is not there", 0, "ca.pem", "no.pem", "store.tls.ca: DIR/ca/no.pem is not there", false},
		{"an address that the certificate does not hold", 0, `client: "127.0.0.1`, `client: "127.0.0.2`, "does not hold 127.0.0.2", false},
	} {
		file, _ := secure(t, time.Now().Add(-row.age))
		dir := filepath.Dir(file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), row.from, row.to)), 0o600); row.from != "" && err != nil {
			t.Fatal(err)
		}
		exit, out, errs := typed("config", "check", file)
		says := strings.ReplaceAll(row.check, "DIR", dir)
		if wrong := strings.HasPrefix(row.check, "store.tls") || !row.starts; !strings.Contains(out+errs, says) || (exit == 2) != wrong {
			t.Errorf("%s: config check ends with %d %q %q, want %q", row.why, exit, out, errs, says)
		}
		cfg, err := settings.ReadAgent(file)
		if err != nil {
			t.Fatalf("%s: %v", row.why, err)
		}
		if err := impossible(file, cfg, time.Now()); (err == nil) != row.starts {
			t.Errorf("%s: the agent's start: %v", row.why, err)
		}
		client, err := dialStore(cfg, agent.Horizon{}, zap.NewNop())
		if err == nil {
			_ = client.Close(t.Context())
		}
		if (err == nil) != row.starts {
			t.Errorf("%s: the client of the store: %v", row.why, err)
		}
	}
}

func TestAnAgentThatRefusesSaysItBeforeItDoesAnything(t *testing.T) {
	file, a := secure(t, time.Now())
	if err := os.Remove(a.Store.TLS.Key); err != nil {
		t.Fatal(err)
	}
	exit, _, errs := typed("agent", "--config", file)
	if exit != 2 || !strings.Contains(errs, "store.tls.key: "+a.Store.TLS.Key+" is not there") {
		t.Errorf("exit %d %q", exit, errs)
	}
	if _, err := os.Stat(a.StateDir); !os.IsNotExist(err) {
		t.Errorf("it made its directory: %v", err)
	}
}

func TestFindingsAboutCertificates(t *testing.T) {
	at := time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	expired := certs.Fault{File: "/c", What: "expired", Do: "replace it", Passes: true}
	other := certs.Fault{File: "/c", What: "is of another host", Do: "issue one"}
	for _, row := range []struct {
		why   string
		state certs.State
		codes string
		says  string // in an argument of the first
	}{
		{"a year left", certs.State{At: at, Until: at.Add(365 * day)}, "", ""},
		{"a moment more than a fortnight", certs.State{At: at, Until: at.Add(endsSoon + 1)}, "", ""},
		{"a fortnight", certs.State{At: at, Until: at.Add(endsSoon)}, "CERT_EXPIRING", "14 days"},
		{"hours", certs.State{At: at, Until: at.Add(23 * time.Hour)}, "CERT_EXPIRING", "less than a day"},
		{"over", certs.State{At: at, Until: at.Add(-day), Of: "/c", Faults: []certs.Fault{expired}}, "CERT_EXPIRED", "2030-02-28 12:00 UTC"},
		{"over, and what was laid there is another's", certs.State{At: at, Until: at.Add(-day), Old: true, Faults: []certs.Fault{other}}, "CERT_EXPIRED CERT_REJECTED", ""},
		{"the new one has expired, the old one has not", certs.State{At: at, Until: at.Add(60 * day), Old: true, Faults: []certs.Fault{expired}}, "CERT_REJECTED",
			"/c expired; replace it; what stood there before is used"},
		{"never in order", certs.State{At: at, Faults: []certs.Fault{other}}, "CERT_REJECTED", "/c is of another host; issue one"},
	} {
		var codes, words []string
		for _, f := range certTroubles(row.state) {
			codes = append(codes, f.Code)
			for _, v := range f.Args {
				words = append(words, v)
			}
		}
		if got := strings.Join(codes, " "); got != row.codes || !strings.Contains(strings.Join(words, "\n"), row.says) {
			t.Errorf("%s: %q with %q, want %q with %q", row.why, got, words, row.codes, row.says)
		}
	}
}

// The files for another region's store are told like those for the own one, and
// keep no agent from starting.
func TestFilesForAnotherRegionAreTold(t *testing.T) {
	file, a := secure(t, time.Now())
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	if err := certs.Init(filepath.Join(dir, "us"), "orders", time.Now()); err != nil {
		t.Fatal(err)
	}
	in := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
	more := in("regions: {us: {endpoints: [\"https://10.1.3.21:2379\"], tls: {ca: DIR/us/ca.pem, cert: DIR/us/n1.pem, key: DIR/us/n1.key}}}\n")
	if err := os.WriteFile(file, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err = settings.ReadAgent(file); err != nil {
		t.Fatal(err)
	}
	j := joinery{cfg: a, log: zap.NewNop(), certs: keeper(a), besides: besides(a), refused: func() []string { return nil }, strangers: func() []gossip.Stranger { return nil },
		outdated: func() bool { return false }}
	defer j.close()
	if _, err := j.regions(); err != nil {
		t.Errorf("they keep the agent, and its gate, from starting: %v", err)
	}
	issue := func(at time.Time) {
		for _, f := range []string{"n1.pem", "n1.key"} {
			_ = os.Remove(filepath.Join(dir, "us", f))
		}
		if err := certs.Issue(filepath.Join(dir, "us"), certs.Host{Name: "n1", Region: "eu", Addresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, at); err != nil {
			t.Fatal(err)
		}
	}
	day := 24 * time.Hour
	for _, row := range []struct {
		age        time.Duration // of the certificate; below 0: none is there
		code, says string
	}{
		{-1, "CERT_REJECTED", in("DIR/us/n1.pem is not there")},
		{0, "", ""},
		{(certs.HostDays - 10) * day, "CERT_EXPIRING", in("DIR/us/n1.pem")},
		{(certs.HostDays + 1) * day, "CERT_REJECTED", in("DIR/us/n1.pem expired at ")},
	} {
		if row.age >= 0 {
			issue(time.Now().Add(-row.age))
		}
		j.besides = besides(a) // an agent that has just started
		var codes, words []string
		for _, f := range j.around() {
			codes, words = append(codes, f.Code), append(words, f.Args["detail"]+f.Args["file"])
		}
		if got := strings.Join(codes, " "); got != row.code || !strings.Contains(strings.Join(words, "\n"), row.says) {
			t.Errorf("of age %v: %q %q, want %s %q", row.age, got, words, row.code, row.says)
		}
	}
}

func TestFilesThatAreBeingReplacedAreToldAtTheSecondLook(t *testing.T) {
	half, key := []certs.Fault{{File: "/c", What: "is half", Do: "wait"}}, []certs.Fault{{File: "/k", What: "is another's", Do: "wait"}}
	before := ""
	for i, row := range []struct {
		st   certs.State
		told bool
	}{
		{certs.State{}, false},
		{certs.State{Faults: half, Old: true}, false},
		{certs.State{Faults: key, Old: true}, false},
		{certs.State{}, false},
		{certs.State{Faults: key, Old: true}, false},
		{certs.State{Faults: key, Old: true}, true},
		{certs.State{Faults: half}, true}, // nothing better is there to go on with
	} {
		if got := settled(row.st, &before); (len(got.Faults) > 0) != row.told {
			t.Errorf("look %d tells %+v", i, got)
		}
	}
}

func TestAMemberGoesByItsAddresses(t *testing.T) {
	_, a := secure(t, time.Now())
	if o := owner(a); len(o.Serves) != 2 || !o.Embedded || o.Identity != (certs.Identity{Cluster: "orders", Region: "eu", Host: "n1"}) {
		t.Errorf("the files must be of %+v", o)
	}
	a.Host.Name = cluster.Name("n9")
	if o := owner(a); len(o.Serves) != 0 {
		t.Errorf("a host without a member serves at %v", o.Serves)
	}
}

func TestHostsWhoseGossipCannotBeReadAreNamed(t *testing.T) {
	one := gossip.Stranger{At: netip.MustParseAddr("10.0.3.12"), Why: "its gossip key differs"}
	for _, row := range []struct {
		all  []gossip.Stranger
		want string
	}{
		{nil, ""},
		{[]gossip.Stranger{one}, "10.0.3.12: its gossip key differs"},
		{[]gossip.Stranger{one, one, one}, "10.0.3.12: its gossip key differs; 10.0.3.12: its gossip key differs; 10.0.3.12: its gossip key differs"},
		{[]gossip.Stranger{one, one, one, one, one}, "10.0.3.12: its gossip key differs; 10.0.3.12: its gossip key differs; 10.0.3.12: its gossip key differs; and 2 more"},
	} {
		j := joinery{strangers: func() []gossip.Stranger { return row.all }}
		got := ""
		for _, f := range j.around() {
			got += f.Args["detail"]
		}
		if got != row.want {
			t.Errorf("%d strangers: %q, want %q", len(row.all), got, row.want)
		}
	}
}
