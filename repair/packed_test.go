// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

// anyJob draws a job with whatever segments: also such as no plan has.
func anyJob(t *rapid.T) Job {
	name := rapid.SampledFrom([]string{"", "orders", "kunden", "käse", "t1", "t2"})
	token := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-9, 9), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))
	var j Job
	for range rapid.IntRange(0, 40).Draw(t, "segments") {
		s := Segment{Keyspace: name.Draw(t, "keyspace")}
		for range rapid.IntRange(0, 3).Draw(t, "tables") {
			s.Tables = append(s.Tables, name.Draw(t, "table"))
		}
		for range rapid.IntRange(0, 3).Draw(t, "hosts") {
			s.Hosts = append(s.Hosts, cluster.Name(name.Draw(t, "host")))
		}
		for range rapid.IntRange(0, 5).Draw(t, "ranges") {
			s.Ranges = append(s.Ranges, cluster.TokenRange{Start: token.Draw(t, "start"), End: token.Draw(t, "end")})
		}
		j.Segments = append(j.Segments, s)
	}
	j.Done = newBitmap(len(j.Segments))
	for i := range j.Segments {
		if rapid.Bool().Draw(t, "done") {
			j = j.Mark(i)
		}
	}
	return j
}

func TestAnyJobIsReadBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := anyJob(t)
		text, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		var back Job
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back.Segments, j.Segments) || string(back.Done) != string(j.Done) {
			t.Fatalf("%s\nwas %+v\nis  %+v, %v", text, j, back, err)
		}
	})
}

func TestAnyBitmapIsReadBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Bitmap(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 0, 255, 255, 1, 128, 17}), 1, 80).Draw(t, "bytes"))
		text, err := b.MarshalText()
		var back Bitmap
		if err == nil {
			err = back.UnmarshalText(text)
		}
		if err != nil || !slices.Equal(back, b) || len(text) > (len(b)+2)/3*4 {
			t.Fatalf("%q: was %v, is %v, %v", text, b, back, err)
		}
	})
}

// manySegments are those of a node of 256 vnodes among a thousand: in each of some
// keyspaces it shares 768 ranges, each with two others, and every range is split.
// Apart means that none of the ranges begins where another one ends.
func manySegments(keyspaces, split int, apart bool) []Segment {
	const ranges = 768
	r := rand.New(rand.NewPCG(1, 2))
	tokens := make([]int64, ranges*(split+1))
	for i := range tokens {
		tokens[i] = int64(r.Uint64())
	}
	slices.Sort(tokens)
	name := func(k int) cluster.Name { return cluster.Name(fmt.Sprintf("cassandra-n%04d.dc1.example.com", k)) }
	hosts := make([][]cluster.Name, ranges)
	for i := range hosts {
		hosts[i] = []cluster.Name{name(17), name(100 + r.IntN(900)), name(100 + r.IntN(900))}
	}
	var out []Segment
	for k := range keyspaces {
		for i := range ranges * split {
			at := cluster.TokenRange{Start: tokens[i], End: tokens[i+1]}
			if k := i + i/split; apart {
				at = cluster.TokenRange{Start: tokens[k], End: tokens[k+1]}
			}
			out = append(out, Segment{Keyspace: fmt.Sprintf("keyspace_%d", k), Tables: []string{"items", "lines"}, Ranges: []cluster.TokenRange{at}, Hosts: hosts[i/split]})
		}
	}
	return out
}

func TestTwentyTwoThousandSegmentsAreAFewHundredKilobytes(t *testing.T) {
	for _, row := range []struct {
		why              string
		keyspaces, split int
		apart            bool
		most             int
	}{
		{"one keyspace, each range split", 1, 29, false, 300_000},
		{"one keyspace, each range apart and split", 1, 29, true, 300_000},
		{"29 keyspaces over the same ranges", 29, 1, false, 150_000},
	} {
		j := Job{Segments: manySegments(row.keyspaces, row.split, row.apart)}
		n := len(j.Segments)
		j.Done = newBitmap(n)
		text, err := json.Marshal(j)
		if err != nil || n < 22_000 || len(text) > row.most {
			t.Errorf("%s: %d segments are %d bytes, at most %d; %v", row.why, n, len(text), row.most, err)
		}
		t.Logf("%s: %d segments are %d bytes", row.why, n, len(text))
		j = j.Apart("p")
		for i := range n { // the first half, then every other one: no runs
			if i < n/2 || i%2 == 0 {
				j.Done[i/8] |= 1 << (i % 8)
			}
		}
		if text, err = json.Marshal(j); err != nil || len(text) > 4<<10 {
			t.Errorf("%s: progress is %d bytes; %v", row.why, len(text), err)
		}
	}
}

func TestPackingKnowsEveryPartOfASegment(t *testing.T) {
	var parts []string
	for f := range reflect.TypeFor[Segment]().Fields() {
		parts = append(parts, f.Name)
	}
	if want := []string{"Keyspace", "Tables", "Ranges", "Hosts"}; !slices.Equal(parts, want) {
		t.Errorf("a segment has %v; teach pack and unpack the new ones, in a new form", parts)
	}
}

func TestSegmentsAreReadAsTheyWereWrittenBefore(t *testing.T) {
	var s Segments
	if err := json.Unmarshal([]byte(`[{"keyspace":"orders","ranges":[{"start":0,"end":1}],"hosts":["n1","n2"]}]`), &s); err != nil || !reflect.DeepEqual([]Segment(s), jobOf(1).Segments) {
		t.Errorf("read %+v, %v", s, err)
	}
	if err := json.Unmarshal([]byte(`[{"keyspace":"orders","urgent":true}]`), &s); err == nil {
		t.Error("a part that nobody knows is passed over")
	}
}
