// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
	"supervisor/loadbalancer"
	"supervisor/loadbalancer/haproxy"
)

// manner is what a fake does after its answer.
type manner int

const (
	closes  manner = iota
	hangs          // keeps the connection open and says no more
	repeats        // says it again until nobody listens
)

// fake is a program at the socket that is no HAProxy, or not a whole one.
func fake(t testing.TB, answer func(asked string) string, then manner) *haproxy.Proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "fak")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c, answer, then)
		}
	}()
	o := haproxy.Options{Name: "proxy-1", Address: dir + "/s", Backend: "cql", Timeout: 5 * time.Second}
	if then == hangs {
		o.Timeout = 50 * time.Millisecond
	}
	p, err := haproxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func serve(c net.Conn, answer func(string) string, then manner) {
	defer c.Close()
	asked, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return // a caller that gave up
	}
	_, err = c.Write([]byte(answer(asked)))
	switch then {
	case hangs:
		_, _ = c.Read(make([]byte, 1)) // until the other side leaves
	case repeats:
		for err == nil {
			_, err = c.Write([]byte(answer(asked)))
		}
	}
}

func says(text string) func(string) string { return func(string) string { return text } }

const (
	head  = "1\n# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_result srv_check_state\n"
	one   = "3 cql 1 n1 2 0 100 100 3 6\n"
	table = "\n# pxname,svname,scur,status,\n"
	whole = head + one + table + "cql,n1,4,UP,\n\n"
)

func TestReadBelievesAWholeAnswerOrNone(t *testing.T) {
	rows := []struct {
		why, answer, says string
	}{
		{"a web server", "HTTP/1.0 400 Bad request\r\n\r\n", "not the answer to show servers state"},
		{"a later format", strings.Replace(whole, "1\n", "2\n", 1), "not the answer"},
		{"no header", "1\n" + one + table, "no header"},
		{"nothing behind the version", "1\n\n", "not the answer"},
		{"it breaks off among the servers", head + one, "in the middle of the servers"},
		{"it breaks off in a line", head + "3 cql 1 n1 2\n" + table + "cql,n1,4,UP,\n", "no column srv_check_state"},
		{"it breaks off before the statistics", head + one + "\n", "not the answer to show stat"},
		{"it breaks off among the statistics", head + one + table, `server "n1" has no statistics`},
		{"it breaks off in a line of the statistics", head + one + table + "cql,n1", "no table"},
		{"statistics without columns", head + one + "\n# \n", "no header"},
		{"a column has another name", strings.Replace(whole, "srv_uweight", "weight", 1), "no column srv_uweight"},
		{"a weight that is no number", strings.Replace(whole, "2 0 100 100", "2 0 lots 100", 1), `srv_uweight is "lots"`},
		{"a negative state", strings.Replace(whole, "n1 2 0", "n1 -1 0", 1), `srv_op_state is "-1"`},
		{"sessions that are no number", strings.Replace(whole, "n1,4", "n1,", 1), `scur is ""`},
		{"another backend's server", strings.Replace(whole, "3 cql", "3 web", 1), `backend "web"`},
		{"a server twice", strings.Replace(whole, one, one+one, 1), `"n1" twice`},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			got, err := fake(t, says(r.answer), closes).Read(t.Context())
			bad, is := errors.AsType[haproxy.Garbage](err)
			if !is || got != nil || !strings.Contains(err.Error(), r.says) {
				t.Fatalf("got %v, %v; want %q", got, err, r.says)
			}
			if len(bad.Text) > 200 || strings.Contains(bad.Text, "\n") {
				t.Errorf("it quotes %d bytes: %q", len(bad.Text), bad.Text)
			}
		})
	}
}

func TestAnswerWithoutEndIsCutOff(t *testing.T) {
	_, err := fake(t, says(strings.Repeat("x", 64<<10)), repeats).Read(t.Context())
	if _, is := errors.AsType[haproxy.Garbage](err); !is || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}

// TestLinesAreShort: some versions read a whole line into one buffer.
func TestLinesAreShort(t *testing.T) {
	var changes []loadbalancer.Change
	for i := range 1000 {
		changes = append(changes, to(cluster.Name(fmt.Sprintf("n%d", i)), drain, 0))
	}
	var lengths, commands []int
	p := fake(t, func(asked string) string {
		lengths, commands = append(lengths, len(asked)), append(commands, strings.Count(asked, ";")+1)
		return strings.Repeat("\n", commands[len(commands)-1])
	}, closes)
	if err := p.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range commands {
		sum += n
	}
	if slices.Max(lengths) > 8<<10 || sum != 1000 || len(lengths) > 6 {
		t.Errorf("%d commands in lines of %v bytes", sum, lengths)
	}
}

func TestReadFindsColumnsByName(t *testing.T) {
	rows := []struct {
		why, answer string
		want        loadbalancer.Actual
	}{
		{"as it is today", whole, loadbalancer.Actual{Server: "n1", Want: ready, Weight: 100, Normal: 100, Up: true, CheckKnown: true, Sessions: 4}},
		{"with columns of a later version", strings.NewReplacer("# be_id", "# new be_id", "3 cql", "x 3 cql", "# pxname", "# new,pxname", "cql,n1", "x,cql,n1").Replace(whole),
			loadbalancer.Actual{Server: "n1", Want: ready, Weight: 100, Normal: 100, Up: true, CheckKnown: true, Sessions: 4}},
		{"a quoted text with a comma and an empty line", strings.Replace(whole, "4,UP", "4,\"UP, or\n\nso\"", 1),
			loadbalancer.Actual{Server: "n1", Want: ready, Weight: 100, Normal: 100, Up: true, CheckKnown: true, Sessions: 4}},
		{"its address could not be resolved", strings.Replace(whole, "n1 2 0", "n1 0 32", 1),
			loadbalancer.Actual{Server: "n1", Want: maint, Weight: 100, Normal: 100, CheckKnown: true, Sessions: 4}},
		{"drain and maint at once: nothing goes there", strings.Replace(whole, "n1 2 0", "n1 0 9", 1),
			loadbalancer.Actual{Server: "n1", Want: maint, Weight: 100, Normal: 100, CheckKnown: true, Sessions: 4}},
		{"drained with the server it tracks", strings.Replace(whole, "n1 2 0", "n1 2 16", 1),
			loadbalancer.Actual{Server: "n1", Want: drain, Weight: 100, Normal: 100, Up: true, CheckKnown: true, Sessions: 4}},
		{"a check that has no result yet", strings.Replace(whole, "3 6\n", "0 6\n", 1),
			loadbalancer.Actual{Server: "n1", Want: ready, Weight: 100, Normal: 100, Up: true, Sessions: 4}},
		{"configured with no weight, it has no percentage", strings.Replace(whole, "100 100", "0 0", 1),
			loadbalancer.Actual{Server: "n1", Want: ready, Up: true, CheckKnown: true, Sessions: 4}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			got, err := fake(t, says(r.answer), closes).Read(t.Context())
			if err != nil || len(got) != 1 || got[0] != r.want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, r.want)
			}
		})
	}
}

func TestApplyCountsTheAnswers(t *testing.T) {
	rows := []struct{ why, answer, says string }{
		{"fewer answers than commands", "\n", "2 commands, 1 answers"},
		{"more answers than commands", "\n\n\nhello\n", "2 commands, more answers"},
		{"a web server", "HTTP/1.0 400 Bad request", "2 commands, 0 answers"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			err := fake(t, says(r.answer), closes).Apply(t.Context(), []loadbalancer.Change{to("n1", ready, 100)})
			if _, is := errors.AsType[haproxy.Garbage](err); !is || !strings.Contains(err.Error(), r.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	err := fake(t, says("No such server.\n\n"), closes).Apply(t.Context(), []loadbalancer.Change{to("n1", ready, 100)})
	_, refused := errors.AsType[haproxy.Refused](err)
	_, garbage := errors.AsType[haproxy.Garbage](err)
	if !refused || !garbage {
		t.Errorf("what was refused before the answer broke off is told too: %v", err)
	}
}

func TestSilenceIsUnreachable(t *testing.T) {
	change := []loadbalancer.Change{to("n1", drain, 0)}
	for why, p := range map[string]*haproxy.Proxy{
		"a proxy that never answers":               fake(t, says(""), hangs),
		"half an answer and then nothing":          fake(t, says(head), hangs),
		"a connection closed without a word":       fake(t, says(""), closes),
		"no socket where it should be":             missing(t, "/nonexistent/haproxy.sock"),
		"a port nobody listens on":                 missing(t, free(t)),
		"a whole answer on a line that stays open": fake(t, says(whole), hangs),
	} {
		t.Run(why, func(t *testing.T) {
			_, err := p.Read(t.Context())
			if u, is := errors.AsType[haproxy.Unreachable](err); !is || u.Proxy != "proxy-1" || u.Err == nil {
				t.Errorf("read: %v", err)
			}
			if _, is := errors.AsType[haproxy.Unreachable](p.Apply(t.Context(), change)); !is {
				t.Error("apply is not unreachable")
			}
		})
	}
}

func missing(t testing.TB, address string) *haproxy.Proxy {
	t.Helper()
	p, err := haproxy.New(haproxy.Options{Name: "proxy-1", Address: address, Backend: "cql", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestErrorsSayWhyTheyEnded(t *testing.T) {
	p := fake(t, says(""), hangs)
	if _, err := p.Read(t.Context()); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "within 50ms") {
		t.Errorf("a time-out: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Read(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up: %v", err)
	}
}

func TestNothingIsSentUnlessAllOfItIsRight(t *testing.T) {
	asked := make(chan struct{}, 9)
	p := fake(t, func(string) string { asked <- struct{}{}; return "\n" }, closes)
	rows := []struct {
		why    string
		change loadbalancer.Change
	}{
		{"a name that ends the command", to("n1;shutdown sessions server cql/n2", drain, 0)},
		{"a name with a line end", to("n1\n", drain, 0)},
		{"no name", to("", drain, 0)},
		{"a wish that orders nothing", to("n1", loadbalancer.Unknown, 0)},
		{"a weight of nothing", to("n1", ready, 0)},
		{"a weight above normal", to("n1", ready, 101)},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if err := p.Apply(t.Context(), []loadbalancer.Change{to("n2", drain, 0), r.change}); err == nil {
				t.Error("it was applied")
			}
		})
	}
	if err := p.Apply(t.Context(), nil); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
	if len(asked) > 0 {
		t.Errorf("the proxy was asked %d times", len(asked))
	}
}

func TestOptionsReportAllFaultsAtOnce(t *testing.T) {
	_, err := haproxy.New(haproxy.Options{Name: "", Address: "haproxy.sock", Backend: "a b", Timeout: time.Minute})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"name: the name is empty", "address: \"haproxy.sock\"", "backend: the name", "timeout: 1m0s is not in 10ms..10s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	for _, ok := range []time.Duration{10 * time.Millisecond, 10 * time.Second} {
		if _, err := haproxy.New(haproxy.Options{Name: "p", Address: "/s", Backend: "b", Timeout: ok}); err != nil {
			t.Errorf("the bound %v itself: %v", ok, err)
		}
	}
}

// TestNoAnswerMakesItPanic cuts a good answer to pieces and shuffles them.
func TestNoAnswerMakesItPanic(t *testing.T) {
	var answer string
	p := fake(t, func(string) string { return answer }, closes)
	piece := rapid.SampledFrom([]string{"1", "\n", "\n\n", "# ", " ", ",", "\"", head, one, table, "cql,n1,4,UP,\n", "Permission denied", "3 cql", "\x00"})
	rapid.Check(t, func(t *rapid.T) {
		answer = strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "")
		got, err := p.Read(context.Background())
		if (err == nil) == (got == nil) {
			t.Fatalf("%q: %v, %v", answer, got, err)
		}
		_ = p.Apply(context.Background(), []loadbalancer.Change{to("n1", ready, 100)}) // any error will do
	})
}
