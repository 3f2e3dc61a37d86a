// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
)

const good = `
- name: cql
  backend: cassandra
  members: [n1, n2, n3]
  writers: [n1, n2]
  proxies:
  - {name: proxy-1, socket: /run/haproxy/admin.sock}
  - {name: proxy-2, socket: "127.0.0.1:9999"}
`

func pools(t *testing.T, text string) []Declared {
	t.Helper()
	var out []Declared
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFaults(t *testing.T) {
	rows := []struct {
		why     string
		replace [2]string
		want    []string // beginnings of the faults
	}{
		{"a good declaration", [2]string{}, nil},
		{"an IPv6 address is one too", [2]string{"127.0.0.1:9999", "[::1]:9999"}, nil},
		{"no name", [2]string{"name: cql", "name: ''"}, []string{"pools[0].name: the name is empty"}},
		{"a backend that would end the command", [2]string{"backend: cassandra", "backend: 'a;b'"},
			[]string{`pools[0].backend: the name "a;b" holds ';'; write letters`}},
		{"a pool of nobody", [2]string{"[n1, n2, n3]", "[]"}, []string{"pools[0].members: empty; a pool without members"}},
		{"a pool nobody may write", [2]string{"writers: [n1, n2]", "writers: []"}, []string{"pools[0].writers: empty; nobody may write"}},
		{"a member twice", [2]string{"[n1, n2, n3]", "[n1, n2, n1]"}, []string{`pools[0].members[2]: "n1" stands here twice`}},
		{"a member that is no host", [2]string{"[n1, n2, n3]", "[n1, n2, n4]"},
			[]string{`pools[0].members[2]: no host "n4" on the roster; known: [n1 n2 n3]`}},
		{"a writer that is no host", [2]string{"writers: [n1, n2]", "writers: [m1]"}, []string{`pools[0].writers[0]: no host "m1"`}},
		{"a relative path depends on where we stand", [2]string{"/run/haproxy/admin.sock", "admin.sock"},
			[]string{`pools[0].proxies[0].socket: "admin.sock" is neither`}},
		{"a host name lets a name server decide", [2]string{"127.0.0.1:9999", "lb:9999"}, []string{"pools[0].proxies[1].socket:"}},
		{"no port", [2]string{"127.0.0.1:9999", "127.0.0.1"}, []string{"pools[0].proxies[1].socket:"}},
		{"port 0 is nobody's", [2]string{"127.0.0.1:9999", "127.0.0.1:0"}, []string{"pools[0].proxies[1].socket:"}},
		{"a path no socket can have", [2]string{"/run/haproxy/admin.sock", "/" + strings.Repeat("x", 107)},
			[]string{"pools[0].proxies[0].socket: the path has 108 bytes"}},
		{"a forgotten socket", [2]string{"/run/haproxy/admin.sock", "''"}, []string{"pools[0].proxies[0].socket: the socket is empty"}},
		{"a backend written twice", [2]string{"127.0.0.1:9999", "/run/haproxy/admin.sock"},
			[]string{`pools[0].proxies[1]: backend "cassandra" behind /run/haproxy/admin.sock is written by pool "cql" already`}},
		{"one name for two proxies", [2]string{"proxy-2", "proxy-1"},
			[]string{`pools[0].proxies[1].socket: proxy "proxy-1" stands at /run/haproxy/admin.sock elsewhere`}},
		{"all faults at once, in the order of the document", [2]string{"[n1, n2, n3]\n  writers: [n1, n2]", "[n1, '']\n  writers: [n7]"},
			[]string{"pools[0].members[1]: the name is empty", "pools[0].writers[0]: no host"}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if !strings.Contains(good, r.replace[0]) {
				t.Fatalf("nothing to replace: %q", r.replace[0])
			}
			got := Faults(pools(t, strings.Replace(good, r.replace[0], r.replace[1], 1)), names("n3 n1 n2"))
			if len(got) != len(r.want) {
				t.Fatalf("got %q, want %q", got, r.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i].String(), r.want[i]) || got[i].Right == "" {
					t.Errorf("got  %s\nwant %s", got[i], r.want[i])
				}
			}
		})
	}
}

func TestTwoPoolsDoNotShareANameOrABackend(t *testing.T) {
	got := Faults(pools(t, good+good), nil)
	want := []string{"pools[1].name", "pools[1].proxies[0]", "pools[1].proxies[1]"}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range got {
		if got[i].Path != want[i] {
			t.Errorf("got %s, want a fault at %s", got[i], want[i])
		}
	}
	other := strings.NewReplacer("name: cql", "name: thrift", "backend: cassandra", "backend: thrift").Replace(good)
	if got := Faults(pools(t, good+other), nil); got != nil {
		t.Errorf("two backends of one proxy: %q", got)
	}
}

func TestNamesAreBounded(t *testing.T) {
	if err := CheckName(strings.Repeat("n", NameMax)); err != nil {
		t.Errorf("the longest name: %v", err)
	}
	if err := CheckName(strings.Repeat("n", NameMax+1)); err == nil {
		t.Error("a name longer than the longest is taken")
	}
	for _, bad := range []string{"a b", "a/b", "a\nb", "a\\b", "ä", "a\x00"} {
		if CheckName(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestDeclaredPoolKeepsTheWishesOfThoseWhoStay(t *testing.T) {
	d := pools(t, good)[0]
	if got := d.Pool(Pool{}); !maps.Equal(got.Wants, poolOf(t, "n1:ready n2:ready n3:ready").Wants) || got.Name != "cql" {
		t.Errorf("a first pool is %v", got)
	}
	old := poolOf(t, "n2:drain n3:10 n9:ready")
	if got := d.Pool(old); !maps.Equal(got.Wants, poolOf(t, "n1:ready n2:drain n3:10").Wants) {
		t.Errorf("a changed declaration gives %v", got)
	}
	if len(old.Wants) != 3 {
		t.Errorf("the old pool became %v", old)
	}
}

func TestOnlyTheWholePoolIsAnOrder(t *testing.T) {
	rows := []struct{ why, wants, name, says string }{
		{"the declared members, whatever their wish", "n1:ready n2:drain n3:10", "cql", ""},
		{"an empty set would empty the pool", "", "cql", "is empty"},
		{"a shrunken set would lose a member", "n1:ready n2:ready", "cql", "leaves out the declared member n3"},
		{"a member nobody declared", "n1:ready n2:ready n3:ready n4:ready", "cql", "names n4"},
		{"another pool's set", "n1:ready n2:ready n3:ready", "other", "pool other"},
		{"a member without a wish", "n1:ready n2:ready n3:unknown", "cql", "n3: wish unknown orders nothing"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			p := poolOf(t, r.wants)
			p.Name = r.name
			err := pools(t, good)[0].Whole(p)
			if r.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			no, is := errors.AsType[Refusal](err)
			if !is || no.Rule != PoolFloor || !strings.Contains(err.Error(), r.says) {
				t.Errorf("got %v, want a refusal that says %q", err, r.says)
			}
		})
	}
}

func TestWriterIsTheFirstThatWasHeard(t *testing.T) {
	rows := []struct {
		why, fresh string
		want       cluster.Name
		is         bool
	}{
		{"the preferred one while it is heard", "n1 n2", "n1", true},
		{"the next one when it is not", "n2 n3", "n2", true},
		{"an agent that may not write does not", "n3", "", false},
		{"nobody heard, nobody writes", "", "", false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if got, is := Writer(names("n1 n2"), among(r.fresh)); got != r.want || is != r.is {
				t.Errorf("got %q, %v", got, is)
			}
		})
	}
}

func TestPoolIsCopiedWhole(t *testing.T) {
	p := poolOf(t, "n1:ready n2:ready")
	c := p.Clone()
	c.Wants["n1"] = Wish{Want: Drain}
	if p.Wants["n1"] != Full || !slices.Equal(c.Members(), names("n1 n2")) {
		t.Errorf("p %v, c %v", p, c)
	}
}
