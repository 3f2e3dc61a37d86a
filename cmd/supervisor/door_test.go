// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/internal/certs"
	"supervisor/internal/settings"
)

// doored is the file of n1, which is asked over the network at an address of its own.
func doored(t *testing.T, issued time.Time) (file string, a settings.Agent) {
	t.Helper()
	file, a = secure(t, issued)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	mended := strings.Replace(string(text), "api: {", `api: {listen: "`+free.Addr().String()+`", tls: {ca: DIR/ca/ca.pem, cert: DIR/ca/n1.pem, key: DIR/ca/n1.key}, `, 1)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(mended, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err = settings.ReadAgent(file); err != nil {
		t.Fatal(err)
	}
	return file, a
}

// answersAt answers there as the agent of that file does.
func answersAt(t *testing.T, cfg settings.Agent, s api.Snapshot) *apitest.Source {
	t.Helper()
	source := apitest.NewSource(s)
	j := &joinery{cfg: cfg, door: doorKeeper(cfg)}
	server, err := api.NewServer(api.Options{Socket: filepath.Join(t.TempDir(), "s"), Remote: j.remote(), Source: source, ReadPolicy: readPolicy, Counters: api.NewCounters(), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", cfg.API.Listen); err == nil {
			_ = c.Close()
			return source
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestCommandsAskOverTheNetwork(t *testing.T) {
	file, a := doored(t, time.Now())
	ca := filepath.Join(filepath.Dir(file), "ca")
	source := answersAt(t, a, apitest.Healthy())
	for _, line := range []string{"--operator ana", "--reader grafana"} {
		if exit, _, errs := typed(append([]string{"certs", "issue", "--dir", ca}, strings.Fields(line)...)...); exit != 0 {
			t.Fatal(errs)
		}
	}
	if err := certs.IssuePerson(ca, certs.OfOperator, "old", time.Now().AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	at := "https://" + a.API.Listen
	for _, row := range []struct {
		why, args, who, at string
		exit               int
		says               string
	}{
		{"an operator looks", "status", "ana", at, 0, "HEALTHY"},
		{"an operator acts", "pause --for 2h --reason switch", "ana", at, 0, "end it sooner: supervisor resume"},
		{"a reader looks", "nodes -o name", "grafana", at, 0, "n1\nn2\nn3\n"},
		{"a reader does not act", "pause --reason switch", "grafana", at, 3, "you may look, not act: the certificate is of reader grafana, and an operator's is"},
		{"a host looks", "check", "n2", at, 0, "HEALTHY"},
		{"a host does not act", "resume --reason switch", "n2", at, 3, "NOT_PERMITTED, exit 3"},
		{"an expired certificate", "status", "old", at, 3, "does not take this certificate (it expired at "},
		{"a monitor is told", "check", "old", at, 3, "does not take this certificate (it expired at "},
		{"nobody is there", "status", "ana", "https://127.0.0.1:1", 5, "nobody listens there"},
		{"a file that is not there", "status", "eva", at, 2, "eva.pem is not there"},
		{"without TLS", "status", "ana", "http://" + a.API.Listen, 2, "write a socket's path, or https://IP:PORT"},
	} {
		args := append(strings.Fields(row.args), "--socket", row.at, "--ca", filepath.Join(ca, "ca.pem"),
			"--cert", filepath.Join(ca, row.who+".pem"), "--key", filepath.Join(ca, row.who+".key"))
		if exit, out, errs := typed(args...); exit != row.exit || !strings.Contains(out+errs, row.says) {
			t.Errorf("%s: exit %d %q %q; want %d with %q", row.why, exit, out, errs, row.exit, row.says)
		}
	}
	if words := source.Words(); len(words) != 1 || words[0].Who != "ana" {
		t.Errorf("the leader is told %+v", words)
	}
	t.Setenv("SUPERVISOR_SOCKET", at)
	if exit, _, errs := typed("status"); exit != exitUsage || !strings.Contains(errs, "--ca, --cert and --key are needed") {
		t.Errorf("without files: %d %q", exit, errs)
	}
	for name, file := range map[string]string{"CA": "ca.pem", "CERT": "ana.pem", "KEY": "ana.key"} {
		t.Setenv("SUPERVISOR_"+name, filepath.Join(ca, file))
	}
	if exit, out, errs := typed("status"); exit != 0 || !strings.Contains(out, "HEALTHY") {
		t.Errorf("by the environment: %d %q %q", exit, out, errs)
	}
}

func TestConfigCheckLooksAtTheFilesOfTheDoor(t *testing.T) {
	day := 24 * time.Hour
	for _, row := range []struct {
		why      string
		age      time.Duration
		from, to string
		exit     int
		says     string
	}{
		{"in order", 0, "", "", 0, "is in order: host n1"},
		{"another host's", 0, "cert: DIR/ca/n1.pem, key: DIR/ca/n1.key}, ", "cert: DIR/ca/n2.pem, key: DIR/ca/n2.key}, ", 2, `api.tls.cert: DIR/ca/n2.pem is of host "n2"`},
		{"an address that it does not hold", 0, `listen: "127.0.0.1`, `listen: "127.0.0.9`, 2, "api.tls.cert: DIR/ca/n1.pem does not hold 127.0.0.9, at which this agent is reached"},
		{"expired", (certs.HostDays + 1) * day, "", "", 2, "api.tls.cert: DIR/ca/n1.pem expired at "},
		{"a key that is not there", 0, "n1.key}, ", "no.key}, ", 2, "api.tls.key: DIR/ca/no.key is not there"},
	} {
		file, _ := doored(t, time.Now().Add(-row.age))
		dir := filepath.Dir(file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		in := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
		if row.from != "" {
			changed := strings.Replace(string(text), in(row.from), in(row.to), 1)
			if err := os.WriteFile(file, []byte(changed), 0o600); err != nil || changed == string(text) {
				t.Fatal(row.why, err)
			}
		}
		if exit, out, errs := typed("config", "check", file); exit != row.exit || !strings.Contains(out+errs, in(row.says)) {
			t.Errorf("%s: %d %q %q, want %q", row.why, exit, out, errs, row.says)
		}
		cfg, err := settings.ReadAgent(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := impossible(file, cfg, time.Now()); err != nil {
			t.Errorf("%s: it keeps the agent, and its gate, from starting: %v", row.why, err)
		}
	}
}

// An agent tells each code once, and the files are the same as a rule.
func TestTheFilesOfTheDoorAreToldOnce(t *testing.T) {
	at, day := time.Now(), 24*time.Hour
	bad := certs.Fault{File: "/c", What: "is of another host", Do: "issue one"}
	over := certs.Fault{File: "/c", What: "expired", Do: "replace it", Passes: true}
	rejected := func(detail string) incident.Trouble {
		return incident.Trouble{Code: "CERT_REJECTED", Args: map[string]string{"detail": detail}}
	}
	for _, row := range []struct {
		why    string
		stores []incident.Trouble
		st     certs.State
		codes  string
		detail string
	}{
		{"in order", nil, certs.State{At: at, Until: at.Add(60 * day)}, "", ""},
		{"ends soon", nil, certs.State{At: at, Until: at.Add(3 * day), Of: "/c"}, "CERT_EXPIRING", ""},
		{"the store's ends too", []incident.Trouble{{Code: "CERT_EXPIRING"}}, certs.State{At: at, Until: at.Add(3 * day), Of: "/c"}, "CERT_EXPIRING", ""},
		{"not in order", nil, certs.State{At: at, Faults: []certs.Fault{bad}}, "CERT_REJECTED", "/c is of another host; issue one"},
		{"the store's are not, by the same", []incident.Trouble{rejected(bad.Error())}, certs.State{At: at, Faults: []certs.Fault{bad}}, "CERT_REJECTED", "/c is of another host; issue one"},
		{"the store's are not, by another", []incident.Trouble{rejected("/d is empty")}, certs.State{At: at, Faults: []certs.Fault{bad}}, "CERT_REJECTED", "/d is empty; also /c is of another host; issue one"},
		{"expired", nil, certs.State{At: at, Until: at.Add(-day), Faults: []certs.Fault{over}}, "CERT_REJECTED", "/c expired; replace it"},
		{"expired, as the store's", []incident.Trouble{{Code: "CERT_EXPIRED", Args: map[string]string{"file": "/c"}}}, certs.State{At: at, Until: at.Add(-day), Faults: []certs.Fault{over}}, "CERT_EXPIRED", ""},
	} {
		var codes []string
		detail := ""
		for _, f := range withMore(row.stores, row.st) {
			codes = append(codes, f.Code)
			detail = f.Args["detail"]
		}
		if got := strings.Join(codes, " "); got != row.codes || detail != row.detail {
			t.Errorf("%s: %q %q, want %q %q", row.why, got, detail, row.codes, row.detail)
		}
	}
}
