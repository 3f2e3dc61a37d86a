// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

func TestAReportIsToldAgainWhenTheStoreShowsAnother(t *testing.T) {
	now, old := []byte(`{"sight":"up"}`), []byte(`{"sight":"down"}`)
	rows := []struct {
		why  string
		told string
		ago  time.Duration
		said []byte
		want bool
	}{
		{"nothing was told", "", 0, nil, false},
		{"it was told, and the watch has not shown it yet", string(now), shownIn - 1, nil, true},
		{"it was told, and one that removes it was written after it", string(now), shownIn, nil, false},
		{"it was told and stands", string(now), time.Hour, now, true},
		{"one that was given up was written after it", string(now), 0, old, false},
		{"another was told", string(old), 0, old, false},
	}
	const at = cluster.Moment(10 * time.Hour)
	for _, r := range rows {
		if got := (word{r.told, at.Add(-r.ago)}).stands(r.said, now, at); got != r.want {
			t.Errorf("%s: stands %v", r.why, got)
		}
	}
}

// A word that reads back otherwise than it was written would be told for ever.
func TestReportsReadBackAsTheyWereWritten(t *testing.T) {
	token := cluster.Token{Era: 1, Rev: 7}
	same := func(why string, v any, back []byte) {
		t.Helper()
		if b, err := json.Marshal(v); err != nil || string(b) != string(back) {
			t.Errorf("%s: wrote %s, read back %s (%v)", why, b, back, err)
		}
	}
	for why, s := range map[string]isolate.Seen{
		"of a peer": {Token: token, Sight: isolate.Up, Generation: 5, Severity: 50, SnitchOff: true},
		"of itself": {Token: token, Own: &isolate.OwnState{Running: true, Process: "p", Mode: "NORMAL", Generation: 5}},
	} {
		same(why, s, shown(map[cluster.Name]isolate.Seen{"n1": reread(t, s)}, "n1"))
	}
	me := incident.Agent{Boot: "b", Level: 1, Unrepaired: true, Alive: time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600)),
		Cassandra: &incident.CassandraFacts{HostID: "h", Seeds: []string{"n1"}, HintWindow: time.Hour},
		Troubles:  []incident.Trouble{{Code: "STORE_SLOW", Args: map[string]string{}}},
		Missed:    []incident.Silence{{Node: "n3", Cause: membership.Hung, Last: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, {Node: "n4"}},
		Lapsed:    []cluster.Name{"n5"}}
	same("of the agent", me, shown(map[cluster.Name]incident.Agent{"n1": reread(t, me)}, "n1"))
	s := stripped(incident.PoolSeen{Token: token, Proxies: map[string]incident.ProxyStatus{
		"ha": {Actual: []loadbalancer.Actual{{Server: "n1", Want: loadbalancer.Drain, Sessions: 3}}, Unknown: []string{}, Stood: token}}})
	same("of a pool", s, shown(map[cluster.Name]incident.PoolSeen{"n1": reread(t, s)}, "n1"))
}

func reread[T any](t *testing.T, v T) (back T) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}
