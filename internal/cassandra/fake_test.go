// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jolokia serves what answer returns for each bulk request.
func jolokia(t *testing.T, answer func(asks []request) any) *Admin {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asks []request
		if err := json.NewDecoder(r.Body).Decode(&asks); err != nil || r.URL.Path != "/jolokia/" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(answer(asks))
	}))
	a := NewAdmin(web.URL+"/jolokia", AdminOptions{ReadMax: 200 * time.Millisecond, ActMax: 300 * time.Millisecond})
	t.Cleanup(func() { a.Close(); web.Close() })
	return a
}

// recorded serves the same recorded answer whatever is asked.
func recorded(t *testing.T, name string) *Admin {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return jolokia(t, func([]request) any { return json.RawMessage(text) })
}

func ok(v any) map[string]any { return map[string]any{"status": 200, "value": v} }

// listen serves every connection with serve, until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.8.100:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serve(c)
		}
	}()
	return l.Addr().String()
}
