// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"path/filepath"
	"testing"
	"time"
)

func TestParseStates(t *testing.T) {
	const head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight extra\n"
	got, err := ParseStates(head + "3 cql 1 n1 127.0.9.1 2 0 1 1 x\n3 cql 2 n2 127.0.9.2 0 0 1 1 x\n3 cql 3 n3 127.0.9.3 2 8 0 1 x\n\n")
	if err != nil {
		t.Fatal(err)
	}
	for why, row := range map[string]struct {
		name string
		want State
	}{
		"a server nobody touched is at rest":   {"n1", State{Up: true, Weight: 1, Normal: 1}},
		"failed checks are down":               {"n2", State{Weight: 1, Normal: 1}},
		"a drain is somebody's and not a fall": {"n3", State{Up: true, Admin: 8, Normal: 1}},
	} {
		if got[row.name] != row.want {
			t.Errorf("%s: got %+v, want %+v", why, got[row.name], row.want)
		}
	}
	if !got["n1"].AtRest() || got["n2"].AtRest() || got["n3"].AtRest() {
		t.Error("at rest is up, not drained, and of its own weight")
	}
	for why, text := range map[string]string{
		"no such backend":     "Can't find backend.\n",
		"a column is missing": "1\n# be_id srv_name\n3 n1\n",
		"a word for a number": head + "3 cql 1 n1 127.0.9.1 up 0 1 1 x\n",
	} {
		if got, err := ParseStates(text); err == nil {
			t.Errorf("%s: got %v, want an error", why, got)
		}
	}
}

func TestHAProxysOwnCheckIsSeen(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "p"))
	if err := Start(t.Context(), p, []Server{{"n1", "127.0.9.103:9"}}); err != nil { // nothing listens there
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		states, err := p.States(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !states["n1"].Up {
			return
		}
		if time.Now().After(end) {
			t.Fatal("a refused port is not down after 20 s of checks")
		}
	}
}
