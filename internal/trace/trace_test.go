// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// judge is a judge whose turns are recorded.
type judge struct {
	view  membership.View
	rec   Recorder
	rules Rules
	kept  []Turn // nil: none is
	keep  bool
}

func newJudge() *judge {
	return &judge{rules: Rules{Bars: membership.DefaultBars(), FenceAge: 15 * time.Second}}
}

func (j *judge) turn(fresh [][]membership.Report, t membership.Topology, now cluster.Moment) {
	before := j.view
	j.view = membership.Judge(before, fresh, t, j.rules.Bars, now)
	turn := Turn{Now: now, Fresh: fresh, Topology: t, Rules: j.rules, Changes: Changes(before, j.view)}
	j.rec.Turn(before, turn)
	if j.keep {
		j.kept = append(j.kept, turn)
	}
}

func (j *judge) file(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	x := j.rec.Recording(Header{Version: "test", Cluster: "c", Agent: "n1", Moment: j.view.At, Wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()})
	n, err := x.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("wrote %d bytes of %d: %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// seconds lets a region pass some time in front of the judge.
func (j *judge) seconds(r *region, n int) {
	for range n {
		r.second(func(reports []membership.Report, now cluster.Moment) {
			j.turn([][]membership.Report{reports}, r.topology, now)
		})
	}
}

// What is read back is what was recorded, to the nanosecond, also after blocks
// were dropped; and so is the judge's memory.
func TestEveryTurnIsReadBackAsItWas(t *testing.T) {
	j, r := newJudge(), newRegion(5)
	j.keep = true
	j.seconds(r, 20)
	r.down[r.names[2]] = r.now.Add(300 * time.Millisecond)
	j.seconds(r, 20)
	// What no agent sends as one digest, and what none sends at all.
	odd := membership.Report{Observer: r.names[0], Boot: "b", Process: "p", Unwell: true, At: r.now.Add(-7),
		Look: membership.Look{Subject: r.names[1], Path: 200, Outcome: 77, Misses: -3, Held: -5, Age: 7, Took: -77, Inside: 200}}
	other := odd
	other.Boot, other.At = "c", r.now
	j.turn([][]membership.Report{nil, {odd, other}, {odd}, {{Observer: r.names[1], Boot: "x", At: r.now}}}, r.topology, r.now)
	j.turn(nil, r.topology, r.now.Add(-time.Second)) // the clock went back
	j.rules.FenceAge, j.rules.Bars.StormShare = time.Minute, 0.5
	fewer := newRegion(4)
	j.turn([][]membership.Report{{}}, fewer.topology, r.now.Add(time.Second))

	x, err := Open(bytes.NewReader(j.file(t)))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range j.kept {
		got, err := x.Next()
		if err != nil {
			t.Fatalf("turn %d: %v", i, err)
		}
		want.Fresh = spoken(want.Fresh)
		got.Fresh = spoken(got.Fresh)
		got.Topology, want.Topology = bare(got.Topology), bare(want.Topology)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("turn %d\ngot  %+v\nwant %+v", i, got, want)
		}
	}
	if _, err := x.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last turn: %v", err)
	}
}

// spoken is nothing for digests that say nothing, as the judge takes them.
func spoken(fresh [][]membership.Report) (out [][]membership.Report) {
	for _, d := range fresh {
		if len(d) > 0 {
			out = append(out, d)
		}
	}
	return out
}

func bare(t membership.Topology) membership.Topology {
	return membership.Topology{Nodes: t.Nodes, Watch: t.Watch}
}

// A view has many fields, and will have more: whatever it is made of is kept.
func TestAViewIsReadBackWhole(t *testing.T) {
	var view membership.View
	n := int64(0)
	fill(reflect.ValueOf(&view).Elem(), &n)
	w := newWriter(12345)
	w.value(reflect.ValueOf(view))
	r := reader{rest: w.b, base: 12345}
	var back membership.View
	r.value(reflect.ValueOf(&back).Elem())
	if r.failed || len(r.rest) > 0 || !reflect.DeepEqual(back, view) {
		t.Errorf("failed %v, %d bytes left\ngot  %+v\nwant %+v", r.failed, len(r.rest), back, view)
	}
	if !reflect.DeepEqual(view.Verdicts["1"].Ballots[0].Cites[0], back.Verdicts["1"].Ballots[0].Cites[0]) {
		t.Error("the looks that a ballot cites are others")
	}
}

// fill puts another value into every field.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(*n)
	case reflect.Uint8:
		v.SetUint(uint64(*n) % 60)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.String:
		v.SetString(fmt.Sprint(*n))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, name := range []string{"1", "2"} {
			k, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			k.SetString(name)
			fill(item, n)
			v.SetMapIndex(k, item)
		}
	case reflect.Pointer: // not exported and so not reached
	default:
		panic(v.Type())
	}
}

// The ring keeps an hour, and not much more; and where there is no room for
// that, what it has begins with the judge's memory and replays like the whole.
func TestWhatIsLeftOfALongTimeReplays(t *testing.T) {
	j, r := newJudge(), newRegion(3)
	j.seconds(r, 5)
	r.down[r.names[1]] = r.now
	for range 5000 / 5 { // one digest of five is enough for the hour
		j.seconds(r, 1)
		r.now = r.now.Add(4 * time.Second)
	}
	kept := j.view.At.Sub(j.rec.blocks[0].began)
	if kept < AgeMax || kept > AgeMax+2*AgeMax/parts {
		t.Errorf("%v are kept of an hour and a half", kept)
	}
	x, err := Replay(bytes.NewReader(j.file(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Differ) > 0 || x.Turns != j.rec.turns || len(x.Nodes) != 3 {
		t.Errorf("%d turns of %d, %d nodes, otherwise: %v", x.Turns, j.rec.turns, len(x.Nodes), x.Differ)
	}
	for _, e := range x.Events {
		if e.Recorded != nil {
			t.Errorf("%s", e)
		}
	}
}

func TestTheRingStaysWithinItsRoom(t *testing.T) {
	for nodes, want := range map[int]int{1: 4 << 20, 10: 4 << 20, 64: 4 << 20, 100: 6400 << 10, 512: 32 << 20, 5000: 32 << 20} {
		if got := Room(nodes); got != want {
			t.Errorf("room of %d nodes: %d, want %d", nodes, got, want)
		}
	}
	const room = 200 << 10
	j, r := newJudge(), newRegion(12)
	j.rec.most = room
	most := 0
	for range 600 {
		j.seconds(r, 1)
		most = max(most, j.rec.bytes())
	}
	if most > room || most < room*8/10 || j.rec.blocks[0].began == regionBegan {
		t.Errorf("%d bytes at most, room for %d, the oldest of %v", most, room, j.rec.blocks[0].began)
	}
	x, err := Replay(bytes.NewReader(j.file(t)), "")
	if err != nil || len(x.Differ) > 0 {
		t.Errorf("otherwise: %v, %v", x.Differ, err)
	}
}

// A replay says where it judges otherwise than was recorded, until it agrees.
func TestAnotherJudgeIsTold(t *testing.T) {
	j, r := newJudge(), newRegion(5)
	j.seconds(r, 5)
	gone := r.names[1]
	r.down[gone] = r.now
	j.seconds(r, 5)
	file := j.file(t)
	x, err := Replay(bytes.NewReader(file), gone)
	if err != nil || len(x.Differ) > 0 {
		t.Fatalf("%v, otherwise %v", err, x.Differ)
	}
	// The same reports, recorded by a judge that saw nothing in them.
	y, err := Open(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	other := newJudge()
	before := y.Start
	for {
		turn, err := y.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		turn.Changes = slices.DeleteFunc(turn.Changes, func(c Change) bool { return c.Node == gone && c.Answer == membership.Gone })
		other.view = membership.Judge(before, turn.Fresh, turn.Topology, turn.Rules.Bars, turn.Now)
		other.rec.Turn(before, turn)
		before = other.view
	}
	x, err = Replay(bytes.NewReader(other.file(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(x.Differ, []cluster.Name{gone}) {
		t.Errorf("otherwise: %v, want %s", x.Differ, gone)
	}
	told := false
	for _, e := range x.Events {
		if e.Node != gone && e.Recorded != nil {
			t.Errorf("told of a node that is judged alike: %s", e)
		}
		told = told || e.Node == gone && e.Answer == membership.Gone && e.Recorded != nil && e.Recorded.Answer != membership.Gone &&
			strings.Contains(e.String(), "RECORDED: ")
	}
	if !told {
		t.Errorf("no event says so: %v", x.Events)
	}
}

// TestWhatCannotBeReplayed: each gets one message that says what is wrong.
func TestWhatCannotBeReplayed(t *testing.T) {
	j, r := newJudge(), newRegion(4)
	j.seconds(r, 3)
	file := j.file(t)
	line := len(magic) + 2
	damaged := slices.Clone(file)
	damaged[len(damaged)-3] ^= 1
	endless := slices.Clone(file[:line])
	endless = append(endless, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
	written := func(r *Recorder, h Header) []byte {
		var b bytes.Buffer
		if _, err := r.Recording(h).WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for why, tt := range map[string]struct {
		file []byte
		says string
	}{
		"nothing at all":        {nil, `it is none: it does not begin with "supervisor trace "`},
		"something else":        {[]byte("# a policy\nversion: 1\n"), "it is none"},
		"a later format":        {append([]byte(magic+"3\n"), file[line:]...), "it is of format 3, and this program reads format 2: replay it with the version that recorded it"},
		"cut in the first line": {file[:5], "it is none"},
		"cut in its header":     {file[:line+4], "it is cut short: its header has 4 of 8 bytes: copy the file again"},
		"cut in a block":        {file[:len(file)-10], "it is cut short: block 1 of 1 has "},
		"a bit turned":          {damaged, "block 1 of 1 is damaged, its checksum is another"},
		"too large":             {endless, "it has more than 64 MiB with its header"},
		"something behind it":   {append(slices.Clone(file), 'x'), "something follows its last block"},
		"words for a terminal":  {written(&j.rec, Header{Cluster: "c\x1b[2J"}), "its header is malformed"},
		"no turn":               {written(&Recorder{}, Header{}), "no turn of the judge is in it"},
	} {
		_, err := Replay(bytes.NewReader(tt.file), "")
		if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", why, err, tt.says)
		}
	}
	for cut := range file { // wherever it is cut, it is no shorter story
		if _, err := Replay(bytes.NewReader(file[:cut]), ""); !errors.Is(err, ErrUnreadable) {
			t.Fatalf("cut at %d of %d: %v", cut, len(file), err)
		}
	}
	if _, err := Replay(bytes.NewReader(file), "n77"); !errors.As(err, &UnknownNode{}) {
		t.Errorf("a node nobody knows: %v", err)
	}
}

// The hour of ten nodes has room, and a third of it to spare for one in which
// much happens.
func TestAnHourOfTenNodesHasRoom(t *testing.T) {
	j, r := newJudge(), newRegion(10)
	const minutes = 10
	j.seconds(r, 60*minutes)
	if hour := j.rec.bytes() * 60 / minutes; hour > Room(10)*2/3 {
		t.Errorf("an hour takes %d bytes, room for %d", hour, Room(10))
	}
}
