// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAdminErrorsHaveAKind(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	closed, err := net.Listen("tcp", "127.0.8.100:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	rows := []struct {
		why  string
		url  func(t *testing.T) string
		want error
	}{
		{"a stopped JVM accepts and never answers", func(t *testing.T) string {
			return listen(t, func(net.Conn) { <-hold })
		}, ErrSilent},
		{"a dead process's kernel refuses", func(t *testing.T) string { return closed.Addr().String() }, ErrRefused},
		{"a dying process drops the connection", func(t *testing.T) string {
			return listen(t, func(c net.Conn) { c.Close() })
		}, ErrRefused},
		{"something else listens there", func(t *testing.T) string {
			return listen(t, func(c net.Conn) {
				hear(c)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ok>")
			})
		}, ErrNonsense},
		{"something else than HTTP listens there", func(t *testing.T) string {
			return listen(t, func(c net.Conn) {
				hear(c)
				_, _ = io.WriteString(c, "220 mail.example ESMTP\r\n")
			})
		}, ErrNonsense},
		{"an answer without end is not read to its end", func(t *testing.T) string {
			return listen(t, func(c net.Conn) {
				hear(c)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				for {
					if _, err := io.WriteString(c, strings.Repeat(" ", 4096)); err != nil {
						return
					}
				}
			})
		}, ErrNonsense},
	}
	for _, row := range rows {
		t.Run(row.why, func(t *testing.T) {
			a := NewAdmin("http://"+row.url(t)+"/jolokia/", AdminOptions{ReadMax: 300 * time.Millisecond, BodyMax: 1 << 16})
			defer a.Close()
			if _, err := a.Severity(context.Background()); !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
		})
	}
}

// hear takes in one request: an answer that comes before it is another fault.
func hear(c net.Conn) {
	if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func TestWhatTheHTTPClientSays(t *testing.T) {
	rows := []struct {
		why  string
		err  error
		want error // nil: no word about the node
	}{
		{"the connection ended before the question was sent", errors.New("http: server closed idle connection"), ErrRefused},
		{"an answer that is no HTTP", errors.New("net/http: HTTP/1.x transport connection broken: malformed HTTP status code"), ErrNonsense},
		{"too many files are open here", &net.OpError{Op: "dial", Err: syscall.EMFILE}, nil},
	}
	for _, row := range rows {
		err := heardHTTP(context.Background(), row.err)
		for _, kind := range []error{ErrSilent, ErrRefused, ErrNonsense} {
			if errors.Is(err, kind) != (kind == row.want) {
				t.Errorf("%s: got %v", row.why, err)
			}
		}
	}
}

func TestACallersOwnEndIsNotSilence(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	a := NewAdmin("http://"+listen(t, func(net.Conn) { <-hold })+"/jolokia/", AdminOptions{ReadMax: time.Minute})
	defer a.Close()
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := a.Severity(ctx)
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrSilent) {
		t.Fatalf("got %v, want the context's own error: the node is not to blame", err)
	}
}

func TestAFailedItemIsAnErrorAlthoughHTTPSays200(t *testing.T) {
	a := jolokia(t, func([]request) any {
		return []any{map[string]any{"status": 500, "error_type": "java.lang.AssertionError", "error": "java.lang.AssertionError : null"}}
	})
	err := a.SetSeverity(context.Background(), 50)
	var refused *AdminError
	if !errors.As(err, &refused) || refused.Status != 500 || refused.Type != "java.lang.AssertionError" || Absent(err) {
		t.Fatalf("got %v", err)
	}
}

func TestOneAnswerToTwoQuestionsIsNonsense(t *testing.T) {
	a := jolokia(t, func([]request) any { return []any{ok(1)} })
	if _, err := a.RepairStatus(context.Background(), 1); !errors.Is(err, ErrNonsense) {
		t.Fatalf("got %v", err)
	}
}

func TestAWrongURLIsNotAnAbsentBean(t *testing.T) {
	a := jolokia(t, func([]request) any { return []any{ok(1)} })
	a.url = strings.TrimSuffix(a.url, "jolokia/")
	if _, err := a.EndpointDowntime(context.Background(), "127.0.0.1"); err == nil || Absent(err) {
		t.Fatalf("got %v, want an error: a 404 of the web server says nothing about a bean", err)
	}
}

func TestEndpointDowntime(t *testing.T) {
	a := jolokia(t, func(asks []request) any {
		if asks[0].MBean != gossiper || asks[0].Arguments[0] != "127.0.0.1" {
			t.Errorf("asked %+v", asks[0])
		}
		return []any{ok(6310)}
	})
	if d, err := a.EndpointDowntime(context.Background(), "127.0.0.1"); err != nil || d != 6310*time.Millisecond {
		t.Errorf("got %s, %v, want 6.31 s", d, err)
	}
}

func TestNaturalEndpointsOfManyKeysAreOneTrip(t *testing.T) {
	trips := 0
	a := jolokia(t, func(asks []request) any {
		trips++
		var out []any
		for _, ask := range asks {
			out = append(out, ok([]string{"127.0.0.1:7000", ask.Arguments[2].(string)}))
		}
		return out
	})
	got, err := a.NaturalEndpointsOf(context.Background(), "ks", "t", []string{"a", "b"})
	if err != nil || trips != 1 || len(got) != 2 || got[1][1] != "b" {
		t.Fatalf("got %v, %v in %d trips", got, err, trips)
	}
}

func TestTheConnectionIsKept(t *testing.T) {
	seen := map[string]bool{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen[r.RemoteAddr] = true
		_, _ = io.WriteString(w, `[{"status":200,"value":0.5}]`)
	}))
	defer web.Close()
	a := NewAdmin(web.URL, AdminOptions{})
	defer a.Close()
	for range 5 {
		if v, err := a.Severity(context.Background()); err != nil || v != 0.5 {
			t.Fatalf("got %v, %v", v, err)
		}
	}
	if len(seen) != 1 {
		t.Fatalf("%d connections for 5 calls, want 1", len(seen))
	}
}
