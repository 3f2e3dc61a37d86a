// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

// with gives a keyspace tables; "v<t" is a view of t.
func with(ks cluster.Keyspace, tables ...string) cluster.Keyspace {
	for _, t := range tables {
		name, base := t, ""
		if i := slices.Index([]byte(t), '<'); i > 0 {
			name, base = t[:i], t[i+1:]
		}
		ks.Tables = append(ks.Tables, cluster.Table{Name: name, Base: base, GCGrace: time.Hour})
	}
	return ks
}

func TestQuiet(t *testing.T) {
	long := Still{Writes: 2 * time.Hour, Data: 2 * time.Hour}
	grew := Still{Writes: 2 * time.Hour, Data: time.Minute}
	rows := []struct {
		why   string
		ks    cluster.Keyspace
		node  string
		words map[string]Still // by replica and table; every other word is a long one
		mute  string           // says nothing
		alone bool             // mutations count alone
		want  []string
	}{
		{"all replicas say so", with(keyspace("orders east=3 west=2"), "a", "b"), "e1", nil, "", false, []string{"a", "b"}},
		{"one replica was written to", with(keyspace("orders east=3 west=2"), "a", "b"), "e1", map[string]Still{"e2 a": {}}, "", false, []string{"b"}},
		{"one of another region was", with(keyspace("orders east=3 west=2"), "a", "b"), "e1", map[string]Still{"w2 b": {}}, "", false, []string{"a"}},
		{"one does not say", with(keyspace("orders east=3 west=2"), "a", "b"), "e1", nil, "w1", false, nil},
		{"one that has no copy need not", with(keyspace("orders east=3"), "a", "b"), "e1", nil, "w1", false, []string{"a", "b"}},
		{"the last instant counts as written", with(keyspace("orders east=3"), "a"), "e1", map[string]Still{"e2 a": {time.Hour, time.Hour}}, "", false, nil},
		{"a moment before it does not", with(keyspace("orders east=3"), "a"), "e1", map[string]Still{"e2 a": {time.Hour + 1, time.Hour + 1}}, "", false, []string{"a"}},
		{"its own word counts for nothing", with(keyspace("orders east=3"), "a"), "e1", map[string]Still{"e1 a": {}}, "", false, []string{"a"}},
		{"something was streamed there", with(keyspace("orders east=3"), "a"), "e1", map[string]Still{"e2 a": grew}, "", false, nil},
		{"which does not matter where it was repaired", with(keyspace("orders east=3"), "a"), "e1", map[string]Still{"e2 a": grew}, "", true, []string{"a"}},
		{"a view goes with its base", with(keyspace("orders east=3"), "a", "b", "v<a"), "e1", map[string]Still{"e2 a": {}}, "", false, []string{"b"}},
		{"and the base, and its other views, with a view", with(keyspace("orders east=3"), "a", "b", "u<a", "v<a"), "e1", map[string]Still{"e3 v": {}}, "", false, []string{"b"}},
		{"who may log in is always repaired", with(keyspace("system_auth east=3"), "roles"), "e1", nil, "", false, nil},
		{"and the history of repairs", with(keyspace("system_distributed simple=3"), "x"), "e1", nil, "", false, nil},
		{"of replicas that nobody knows none can say", with(keyspace("orders strange"), "a"), "e1", nil, "", false, nil},
		{"of one copy there is nobody who could", with(keyspace("orders simple=1"), "a"), "e1", nil, "", false, nil},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			q := Question{Schema: cluster.Schema{Members: ringOf(threeAndTwo), Keyspaces: []cluster.Keyspace{r.ks}}, Node: cluster.Name(r.node), For: time.Hour,
				Written: func(string, string) bool { return r.alone },
				Says: func(n cluster.Name, _, table string) (Still, bool) {
					if s, told := r.words[string(n)+" "+table]; told {
						return s, true
					}
					return long, string(n) != r.mute
				}}
			if got := Quiet(q)[r.ks.Name]; !slices.Equal(got, r.want) {
				t.Errorf("left out %v, want %v", got, r.want)
			}
		})
	}
}

// Whenever any replica was written to, or does not say, a table is never left out,
// nor is its base or a view of it.
func TestNothingWrittenIsLeftOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tables []string
		for i := range rapid.IntRange(1, 6).Draw(t, "tables") {
			name := fmt.Sprintf("t%d", i)
			if base := rapid.IntRange(-3, i-1).Draw(t, "base"); base >= 0 {
				name += fmt.Sprintf("<t%d", base)
			}
			tables = append(tables, name)
		}
		ks := with(keyspace("orders east=3 west=2"), tables...)
		since := time.Duration(rapid.IntRange(1, 100).Draw(t, "since")) * time.Second
		wrote, told := map[string]bool{}, map[string]Still{}
		for _, table := range ks.Tables {
			for _, n := range []string{"e2", "e3", "w1", "w2"} {
				age := time.Duration(rapid.IntRange(0, 200).Draw(t, "age")) * time.Second
				if rapid.IntRange(0, 20).Draw(t, "mute") > 0 {
					told[n+table.Name] = Still{Writes: age + time.Duration(rapid.IntRange(0, 50).Draw(t, "more")), Data: age}
				}
				if _, says := told[n+table.Name]; !says || age <= since {
					wrote[table.Name] = true
				}
			}
		}
		got := Quiet(Question{Schema: cluster.Schema{Members: ringOf(threeAndTwo), Keyspaces: []cluster.Keyspace{ks}}, Node: "e1", For: since,
			Says: func(n cluster.Name, _, table string) (Still, bool) { s, says := told[string(n)+table]; return s, says }})["orders"]
		for _, table := range ks.Tables {
			left := slices.Contains(got, table.Name)
			if left && (wrote[table.Name] || table.Base != "" && wrote[table.Base]) {
				t.Fatalf("%s is left out and was written", table.Name)
			}
			if table.Base != "" && left != slices.Contains(got, table.Base) {
				t.Fatalf("%s and its base %s part", table.Name, table.Base)
			}
		}
	})
}

func apart(left, compared []string, sample string) Apart {
	return Apart{Left: map[string][]string{"orders": left}, Compared: map[string][]string{"orders": compared}, Sample: [2]string{"orders", sample}}
}

func TestAPlanWithoutTheQuiet(t *testing.T) {
	in := input(three, "e1", "orders east=3", "users east=3")
	in.Schema.Keyspaces[0] = with(in.Schema.Keyspaces[0], "a", "b", "c", "d")
	in.Schema.Keyspaces[1] = with(in.Schema.Keyspaces[1], "u")
	rows := []struct {
		why   string
		apart Apart
		want  []string // keyspace, tables, ranges, done
	}{
		{"nothing is left out", Apart{}, []string{"orders [] 6 false", "users [] 6 false"}},
		{"some are", apart([]string{"b", "d"}, nil, ""), []string{"orders [a c] 6 false", "users [] 6 false"}},
		{"some of them are compared, and of one a sample", apart([]string{"b", "c", "d"}, []string{"c"}, "d"),
			[]string{"orders [a] 6 false", "orders [c] 6 true", "orders [d] 1 true", "users [] 6 false"}},
		{"a whole keyspace is", apart([]string{"a", "b", "c", "d"}, nil, ""), []string{"users [] 6 false"}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			in.Apart = r.apart.Fit(in)
			job, refused, err := Plan(in)
			if err != nil || len(refused) > 0 {
				t.Fatal(refused, err)
			}
			var got []string
			for i, s := range job.Segments {
				got = append(got, fmt.Sprintf("%s %v %d %v", s.Keyspace, s.Tables, len(s.Ranges), job.Done.Has(i)))
			}
			if !reflect.DeepEqual(got, r.want) {
				t.Errorf("got %q\nwant %q", got, r.want)
			}
		})
	}
}

// A record has to fit into one step of the store.
func TestNamesOfTablesAreBounded(t *testing.T) {
	in := input(three, "e1", "orders east=3", "users east=3")
	in.RangesPerSegment = 1
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprintf("a_table_with_a_long_name_%d", i))
	}
	in.Schema.Keyspaces[0] = with(in.Schema.Keyspaces[0], names...)
	in.Schema.Keyspaces[1] = with(in.Schema.Keyspaces[1], "a", "b")
	a := Apart{Left: map[string][]string{"orders": names[:1], "users": {"b"}}, Sample: [2]string{"orders", names[0]}}.Fit(in)
	if len(a.Left["orders"]) > 0 || a.Sample[0] != "" || len(a.Left["users"]) != 1 {
		t.Errorf("left out %d of orders, %v of users, sample %v", len(a.Left["orders"]), a.Left["users"], a.Sample)
	}
	all := Apart{Left: map[string][]string{"orders": names}}.Fit(in)
	if len(all.Left["orders"]) != len(names) {
		t.Error("a keyspace that is left out whole names no table")
	}
}

func TestAPartOfASegment(t *testing.T) {
	ranges := []cluster.TokenRange{{Start: 1, End: 2}}
	whole := Segment{Keyspace: "ks", Ranges: ranges}
	some := Segment{Keyspace: "ks", Ranges: ranges, Tables: []string{"a", "b"}}
	rows := []struct {
		why      string
		of, part Segment
		want     bool
	}{
		{"itself", some, some, true},
		{"one of its tables", some, Segment{Keyspace: "ks", Ranges: ranges, Tables: []string{"b"}}, true},
		{"another table", some, Segment{Keyspace: "ks", Ranges: ranges, Tables: []string{"b", "c"}}, false},
		{"all tables are more than some", some, whole, false},
		{"of all tables any is a part", whole, some, true},
		{"other ranges", whole, Segment{Keyspace: "ks", Tables: []string{"a"}}, false},
		{"another keyspace", whole, Segment{Keyspace: "k", Ranges: ranges}, false},
	}
	for _, r := range rows {
		if got := r.of.Holds(r.part); got != r.want {
			t.Errorf("%s: %v", r.why, got)
		}
	}
}

// What is left out does not cut the ranges of the rest.
func TestSizesOfWhatIsLeftOut(t *testing.T) {
	in := input(three, "e1", "orders east=3")
	in.Schema.Keyspaces[0] = with(in.Schema.Keyspaces[0], "small", "large")
	in.Sizes, in.SegmentBytes = map[string]map[string]int64{"orders": {"small": 1, "large": 1 << 40}}, 1<<30
	in.RangesJoined = 64
	all, _, err := Plan(in)
	in.Apart = Apart{Left: map[string][]string{"orders": {"large"}}}
	rest, _, err2 := Plan(in)
	if err != nil || err2 != nil || len(rest.Segments) != 1 || len(all.Segments) < 1000 {
		t.Errorf("%d segments of all, %d of the small table (%v, %v)", len(all.Segments), len(rest.Segments), err, err2)
	}
}
