// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

// jobOf makes a job of n segments of one range each.
func jobOf(n int) Job {
	j := Job{Done: newBitmap(n)}
	for i := range n {
		j.Segments = append(j.Segments, Segment{Keyspace: "orders", Ranges: []cluster.TokenRange{{Start: int64(i), End: int64(i + 1)}}, Hosts: []cluster.Name{"n1", "n2"}})
	}
	return j
}

func TestJob(t *testing.T) {
	for _, row := range []struct {
		why      string
		job      Job
		marks    []int
		batch    int
		want     []int
		done     int
		complete bool
	}{
		{"nothing done: the first ones first", jobOf(3), nil, 2, []int{0, 1}, 0, false},
		{"what is done is not given again", jobOf(3), []int{0}, 2, []int{1, 2}, 1, false},
		{"segments may end in any order", jobOf(3), []int{2, 0}, 9, []int{1}, 2, false},
		{"twice is once", jobOf(3), []int{1, 1}, 9, []int{0, 2}, 1, false},
		{"all done: nothing is left", jobOf(3), []int{0, 1, 2}, 9, nil, 3, true},
		{"a batch of none", jobOf(3), nil, 0, nil, 0, false},
		{"a late word about another plan changes nothing", jobOf(3), []int{3, -1, 99}, 9, []int{0, 1, 2}, 0, false},
		{"the ninth segment has a byte of its own", jobOf(9), []int{8}, 9, []int{0, 1, 2, 3, 4, 5, 6, 7}, 1, false},
		{"no segments: there was nothing to compare", Job{}, nil, 9, nil, 0, true},
		{"a stored job without its bitmap has done nothing", Job{Segments: jobOf(2).Segments}, []int{1}, 9, []int{0}, 1, false},
		{"bits beyond the last segment count for nothing", Job{Segments: jobOf(2).Segments, Done: Bitmap{0b11111100}}, nil, 9, []int{0, 1}, 0, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			j := row.job
			for _, i := range row.marks {
				j = j.Mark(i)
			}
			done, total := j.Progress()
			if got := j.Batch(row.batch); !slices.Equal(got, row.want) || done != row.done || total != len(row.job.Segments) || j.Complete() != row.complete {
				t.Fatalf("batch %v, %d of %d done, complete %v", got, done, total, j.Complete())
			}
		})
	}
}

func TestAJobOnlyGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "segments")
		j := jobOf(n)
		for _, i := range rapid.SliceOfN(rapid.IntRange(-2, n+2), 0, 40).Draw(t, "marks") {
			before, _ := json.Marshal(j)
			next := j.Mark(i)
			if after, _ := json.Marshal(j); string(after) != string(before) {
				t.Fatalf("marking %d changed the copy that was there before", i)
			}
			for k := range n {
				if j.Done.Has(k) && !next.Done.Has(k) || next.Done.Has(k) != (j.Done.Has(k) || k == i) {
					t.Fatalf("after marking %d, segment %d is %v", i, k, next.Done.Has(k))
				}
			}
			j = next
		}
		done, total := j.Progress()
		if left := j.Batch(total); len(left)+done != total || slices.ContainsFunc(left, j.Done.Has) {
			t.Fatalf("%d done and %v left of %d", done, left, total)
		}
	})
}

func TestBatchesEndTheJobFromAnyStoredCopy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := jobOf(rapid.IntRange(0, 20).Draw(t, "segments"))
		size := rapid.IntRange(1, 5).Draw(t, "batch")
		copies := []Job{j}
		for turns := 0; !j.Complete(); turns++ {
			if turns > 200 {
				t.Fatal("the job does not end")
			}
			for _, i := range j.Batch(size) {
				j = j.Mark(i)
			}
			copies = append(copies, j)
			if turns < 5 {
				j = rapid.SampledFrom(copies).Draw(t, "taken up again")
			}
		}
	})
}

func TestJobOnTheWire(t *testing.T) {
	j := jobOf(9).Mark(0).Mark(8)
	raw, err := json.Marshal(Job{Segments: j.Segments[:1], Done: j.Done})
	want := `{"packed":"AQMGb3JkZXJzAm4xAm4yAgACAQICCIAAAAAAAAAAAAAAAAAAAAEBBQE=","done":"AQE="}`
	if err != nil || string(raw) != want {
		t.Fatalf("got %s, %v", raw, err)
	}
	for _, row := range []struct{ why, text string }{
		{"as it is written", want},
		{"as it was written before", `{"segments":[{"keyspace":"orders","ranges":[{"start":0,"end":1}],"hosts":["n1","n2"]}],"done":"AQE="}`},
	} {
		var back Job
		if err := json.Unmarshal([]byte(row.text), &back); err != nil || !reflect.DeepEqual(back, Job{Segments: j.Segments[:1], Done: j.Done}) {
			t.Errorf("%s: read back %v, %v", row.why, back, err)
		}
	}
}

func TestAJobThatIsNotUnderstoodIsNotRead(t *testing.T) {
	for _, row := range []struct{ why, text, want string }{
		{"a part of a later program", `{"packed":"AQAAAAAA","done":"","urgent":true}`, "urgent"},
		{"packed in a later form", `{"packed":"CQAAAAAA","done":""}`, "form 9"},
		{"cut short", `{"packed":"AQMGb3JkZXJz","done":""}`, "cut short"},
		{"with something behind", `{"packed":"AQAAAAAAAA==","done":""}`, "something follows"},
		{"no text", `{"packed":7,"done":""}`, "packed segments"},
		{"segments both ways", `{"packed":"AQAAAAAA","segments":[{}],"done":""}`, "twice"},
		{"here and elsewhere", `{"plan":"x","of":1,"segments":[{}],"done":""}`, "twice"},
		{"elsewhere, and none", `{"plan":"x","done":""}`, "of 0 segments"},
		{"more than there can be", `{"plan":"x","of":99999999999,"done":""}`, "segments"},
		{"bits of nothing", `{"done":":4 x"}`, "run"},
		{"more bits than there can be", `{"done":":4 4000000000"}`, "run"},
	} {
		var j Job
		if err := json.Unmarshal([]byte(row.text), &j); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: read %+v, error %v, want %q in it", row.why, j, err, row.want)
		}
	}
}

func TestALostJobIsNeverComplete(t *testing.T) {
	whole := jobOf(3)
	apart := whole.Apart("p")
	raw, err := json.Marshal(apart.Mark(0).Mark(1).Mark(2))
	if err != nil || string(raw) != `{"plan":"p","of":3,"done":"Bw=="}` {
		t.Fatalf("written %s, %v", raw, err)
	}
	var lost Job
	if err := json.Unmarshal(raw, &lost); err != nil {
		t.Fatal(err)
	}
	if done, total := lost.Progress(); !lost.Lost() || lost.Complete() || done != 3 || total != 3 {
		t.Errorf("lost %v, complete %v, %d of %d", lost.Lost(), lost.Complete(), done, total)
	}
	if other := lost.With(whole.Segments[:2]); !other.Lost() || other.Complete() || other.Mark(0).Complete() {
		t.Error("segments of another plan are taken for its own")
	}
	if back := lost.With(whole.Segments); back.Lost() || !back.Complete() {
		t.Error("it is lost though its segments were put back")
	}
}

func FuzzJob(f *testing.F) {
	f.Add([]byte(`{"segments":[{"keyspace":"a"}],"done":"AQ=="}`), 0)
	f.Add([]byte(`{"segments":[{},{}],"done":null}`), 1)
	f.Add([]byte(`{"segments":[],"done":"////"}`), 7)
	f.Add([]byte(`{"packed":"AQMGb3JkZXJzAm4xAm4yAgACAQICCIAAAAAAAAAAAAAAAAAAAAEBBQE=","done":":1 7"}`), 0)
	f.Add([]byte(`{"plan":"p","of":9,"done":"AQE="}`), 3)
	f.Fuzz(func(t *testing.T, raw []byte, i int) {
		var j Job
		if json.Unmarshal(raw, &j) != nil {
			return
		}
		before, total := j.Progress()
		after, _ := j.Mark(i).Progress()
		if after < before || after > before+1 || after > total || j.Mark(i).Complete() != (after == total && !j.Lost()) {
			t.Fatal(fmt.Sprint(before, after, total))
		}
		text, err := json.Marshal(j)
		var back Job
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if done, of := back.Progress(); err != nil || done != before || of != total || back.Lost() != j.Lost() {
			t.Fatalf("%s is read back as %d of %d, %v", text, done, of, err)
		}
	})
}
