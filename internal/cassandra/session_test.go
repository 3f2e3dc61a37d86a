// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
)

func TestReplicationOf(t *testing.T) {
	rows := []struct {
		why      string
		settings map[string]string
		want     cluster.Replication
	}{
		{"one factor per datacenter", map[string]string{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "3", "dc2": "0"},
			cluster.Replication{Strategy: cluster.NetworkTopology, Factors: map[cluster.Datacenter]int{"dc1": 3, "dc2": 0}}},
		{"a transient replica does not count", map[string]string{"class": "NetworkTopologyStrategy", "dc1": "3/1"},
			cluster.Replication{Strategy: cluster.NetworkTopology, Factors: map[cluster.Datacenter]int{"dc1": 2}}},
		{"one factor over all", map[string]string{"class": "SimpleStrategy", "replication_factor": "2"},
			cluster.Replication{Strategy: cluster.Simple, Factor: 2}},
		{"its own copy on every node", map[string]string{"class": "org.apache.cassandra.locator.LocalStrategy"},
			cluster.Replication{Strategy: cluster.Local}},
		{"a strategy somebody wrote", map[string]string{"class": "com.example.OurStrategy", "dc1": "3"}, cluster.Replication{}},
		{"a factor that is no number makes it unknown, not less", map[string]string{"class": "NetworkTopologyStrategy", "dc1": "3", "dc2": "x"},
			cluster.Replication{}},
		{"nothing at all", nil, cluster.Replication{}},
	}
	for _, row := range rows {
		if got := replicationOf(row.settings); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: got %+v", row.why, got)
		}
	}
}

func TestShapeFrom(t *testing.T) {
	key := column{name: "k", kind: "partition_key", typ: "text"}
	rows := []struct {
		why     string
		columns []column
		want    string // keys|watched, or part of the error
	}{
		{"keys in their order, not the alphabet's", []column{
			{name: "b", kind: "partition_key", typ: "text", position: 0}, {name: "a", kind: "partition_key", typ: "int", position: 1},
			{name: "z", kind: "clustering", typ: "uuid", position: 0}, {name: "v", kind: "regular", typ: "int", position: -1}},
			`"b" "a" "z"|"v"`},
		{"a collection has many write times, a counter has none", []column{key,
			{name: "a", kind: "regular", typ: "set<text>"}, {name: "b", kind: "regular", typ: "counter"},
			{name: "c", kind: "regular", typ: "frozen<list<int>>"}}, `"k"|"c"`},
		{"a type somebody made may have many too", []column{key, {name: "a", kind: "regular", typ: "address"}}, "no regular column"},
		{"a static column belongs to no row", []column{key, {name: "s", kind: "static", typ: "int"}}, "no regular column"},
		{"a table nobody has", nil, "no such table"},
		{"a name with capitals and quotes stays itself", []column{{name: `K"1`, kind: "partition_key", typ: "text"},
			{name: "v", kind: "regular", typ: "vector<float, 3>"}}, `"K""1"|"v"`},
		{"a tuple in the key cannot be passed on", []column{{name: "k", kind: "partition_key", typ: "frozen<tuple<int, int>>"},
			{name: "v", kind: "regular", typ: "int"}}, "tuple"},
	}
	for _, row := range rows {
		got, err := shapeFrom("ks.t", row.columns)
		text := strings.Join(got.keys, " ") + "|" + got.watched
		if err != nil {
			text = err.Error()
		}
		if text != row.want && !(err != nil && strings.Contains(text, row.want)) {
			t.Errorf("%s: got %s", row.why, text)
		}
	}
}

func TestSlicesCoverTheRingOnce(t *testing.T) {
	all := slicesOf(sliceCount)
	if all[0][0] != math.MinInt64 || all[len(all)-1][1] != math.MaxInt64 {
		t.Errorf("ends: %v", all)
	}
	for i := 1; i < len(all); i++ {
		if all[i][0] != all[i-1][1]+1 {
			t.Errorf("gap or overlap between %v and %v", all[i-1], all[i])
		}
	}
}

func TestThin(t *testing.T) {
	rows := make([]sampled, 100)
	for i := range rows {
		rows[i].written = int64(i)
	}
	got := thin(rows, 4)
	if len(got) != 4 || got[0].written != 0 || got[3].written != 75 {
		t.Errorf("got %v, want rows from all over", got)
	}
	if got := thin(rows, 100); len(got) != 100 {
		t.Errorf("got %d rows, want all", len(got))
	}
}

func TestReadCredentials(t *testing.T) {
	rows := []struct {
		why, text string
		mode      os.FileMode
		want      string
	}{
		{"as cqlsh keeps them", "; mine\n[authentication]\nusername = ann\npassword = a=b\n", 0o600, ""},
		{"a group may read them", "username=ann\npassword=a=b\n", 0o640, ""},
		{"everybody may read them", "username=ann\npassword=a=b\n", 0o644, "everybody"},
		{"no password", "username=ann\n", 0o600, "needs a line"},
	}
	for _, row := range rows {
		path := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(path, []byte(row.text), row.mode); err != nil {
			t.Fatal(err)
		}
		got, err := ReadCredentials(path)
		switch {
		case row.want == "" && (err != nil || got != Credentials{User: "ann", Password: "a=b"}):
			t.Errorf("%s: got %v, %v", row.why, got, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: got %v", row.why, err)
		}
	}
	if _, err := ReadCredentials(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestASessionEndsItsOpeningWithTheContext(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	silent := listen(t, func(net.Conn) { <-hold })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := OpenSession(ctx, silent, SessionOptions{Timeout: time.Second})
	if !errors.Is(err, ErrSilent) || time.Since(began) > 900*time.Millisecond {
		t.Fatalf("got %v after %v", err, time.Since(began))
	}
}

func TestASessionToNobodyIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.8.100:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := OpenSession(context.Background(), l.Addr().String(), SessionOptions{Timeout: time.Second}); err == nil {
		t.Fatal("opened a session to a closed port")
	}
	for why, o := range map[string]SessionOptions{"no time-out": {}} {
		if _, err := OpenSession(context.Background(), "127.0.0.1:9042", o); err == nil {
			t.Errorf("%s: want an error", why)
		}
	}
	if _, err := OpenSession(context.Background(), "127.0.0.1", SessionOptions{Timeout: time.Second}); err == nil {
		t.Error("an address without a port: want an error")
	}
}

func TestTheDialerStaysOnItsNode(t *testing.T) {
	d := onlyDialer{address: "127.0.8.1:9042"}
	if _, err := d.DialContext(context.Background(), "tcp", "127.0.8.2:9042"); !errors.Is(err, errOtherNode) {
		t.Fatalf("got %v", err)
	}
}
