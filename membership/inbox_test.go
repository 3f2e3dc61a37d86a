// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"supervisor/cluster"
)

func TestInboxTakesNothingTwice(t *testing.T) {
	type sent struct {
		boot    cluster.Boot
		seq     uint64
		reports int
		err     error
	}
	for _, row := range []struct {
		why  string
		sent []sent
	}{
		{"in order", []sent{{"a", 1, 2, nil}, {"a", 2, 2, nil}, {"a", 9, 2, nil}}},
		{"the copies of a burst are no error and say nothing new", []sent{{"a", 1, 2, nil}, {"a", 1, 0, nil}, {"a", 1, 0, nil}}},
		{"a datagram overtaken by a younger one", []sent{{"a", 2, 2, nil}, {"a", 1, 0, ErrDigestReplayed}}},
		{"a new start begins its own count", []sent{{"a", 9, 2, nil}, {"b", 1, 2, nil}}},
		{"a recording of an earlier start", []sent{{"a", 9, 2, nil}, {"b", 1, 2, nil}, {"a", 9, 0, ErrDigestReplayed}, {"a", 3, 0, ErrDigestReplayed}}},
		{"an earlier start that goes on gives a sign and none of its looks", []sent{{"a", 9, 2, nil}, {"b", 1, 2, nil}, {"a", 10, 1, nil}, {"b", 2, 2, nil}}},
		{"such a sign is no more taken twice", []sent{{"a", 9, 2, nil}, {"b", 1, 2, nil}, {"a", 10, 1, nil}, {"a", 10, 0, ErrDigestReplayed}}},
		{"starts before the last one are remembered too", []sent{{"a", 5, 2, nil}, {"b", 1, 2, nil}, {"c", 1, 2, nil}, {"a", 5, 0, ErrDigestReplayed}}},
	} {
		t.Run(row.why, func(t *testing.T) {
			inbox := Inbox{Cluster: "c"}
			for i, s := range row.sent {
				d := Digest{Cluster: "c", Observer: "n1", Boot: s.boot, Seq: s.seq, Looks: []Look{
					{Subject: "n1", Path: CQL, Outcome: Good, Age: time.Second}, {Subject: "n2", Path: CQL, Outcome: Good}}}
				reports, err := inbox.Take(d, cluster.Moment(10*time.Second))
				if len(reports) != s.reports || !errors.Is(err, s.err) {
					t.Fatalf("digest %d (%s %d): %d reports, %v; want %d, %v", i, s.boot, s.seq, len(reports), err, s.reports, s.err)
				}
				if len(reports) == 2 && reports[0].At != cluster.Moment(9*time.Second) {
					t.Fatalf("a look one second old arrived at 10 s counts from %d", reports[0].At)
				}
			}
		})
	}
}

func TestInboxKnowsItsCluster(t *testing.T) {
	if _, err := (&Inbox{Cluster: "c"}).Take(Digest{Cluster: "d", Observer: "n1"}, 0); !errors.Is(err, ErrDigestCluster) {
		t.Errorf("a digest of another cluster: %v", err)
	}
}

func TestTheOlderOfTwoIsTakenAgainWhenTheYoungerIsSilent(t *testing.T) {
	looks := []Look{{Subject: "n1", Path: CQL, Outcome: Good}}
	inbox := Inbox{Cluster: "c"}
	take := func(boot cluster.Boot, seq uint64, at time.Duration) bool {
		t.Helper()
		reports, err := inbox.Take(Digest{Cluster: "c", Observer: "n1", Boot: boot, Seq: seq, Looks: looks}, cluster.Moment(at))
		if err != nil {
			t.Fatal(err)
		}
		return len(reports) == 1 && reports[0].Path == CQL
	}
	for _, row := range []struct {
		why  string
		boot cluster.Boot
		seq  uint64
		at   time.Duration
		want bool
	}{
		{"the first", "old", 1, time.Second, true},
		{"a copy of its host replaces it", "copy", 1, 2 * time.Second, true},
		{"it goes on and is not believed", "old", 2, 3 * time.Second, false},
		{"the copy speaks", "copy", 2, 4 * time.Second, true},
		{"its silence is not long enough", "old", 3, 4*time.Second + twinQuiet, false},
		{"now it is", "old", 4, 4*time.Second + twinQuiet + 1, true},
		{"and the copy is the one that was replaced", "copy", 3, 5*time.Second + twinQuiet, false},
		{"it goes on", "old", 5, 6*time.Second + twinQuiet, true},
	} {
		if got := take(row.boot, row.seq, row.at); got != row.want {
			t.Errorf("%s: taken %v, want %v", row.why, got, row.want)
		}
	}
	if _, err := inbox.Take(Digest{Cluster: "c", Observer: "n1", Boot: "copy", Seq: 2}, cluster.Moment(time.Hour)); !errors.Is(err, ErrDigestReplayed) {
		t.Errorf("a recording of the copy after its silence: %v", err)
	}
}

func TestInboxIsBounded(t *testing.T) {
	inbox := Inbox{Cluster: "c"}
	for i := range 100 {
		if _, err := inbox.Take(Digest{Cluster: "c", Observer: "n1", Boot: cluster.Boot(fmt.Sprint(i)), Seq: 1}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(inbox.Senders["n1"].Former); n != formerMax {
		t.Errorf("remembers %d earlier starts, want %d", n, formerMax)
	}
}
