// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	one     = flag.String("alarms.seed", "", "edition:number; play this one and tell its stories")
	runs    = flag.Int("alarms.runs", 0, "how many seeds TestMatrix plays, from 0; those that are in the rows already are not played again")
	stretch = flag.Duration("alarms.for", 24*time.Hour, "begin no run after so long; the next call goes on")
	page    = flag.String("alarms.page", "", "document that gets the tables between its marks; its rows are beside it, with .csv")
	// No prober does this yet: see Open in docs/alarms.md.
	overslept = flag.Duration("alarms.overslept", 0, "a look that ends so much after its deadline is no word about the node; 0: it is silence")
	commit    = flag.String("alarms.commit", "", "what is measured; rows of another commit are thrown away")
)

// A share of the matrix: every fault once, at changing sizes.
func TestShare(t *testing.T) {
	key := keyFile(t)
	for i := range faults {
		small := []uint64{0, 1, 2}[i%3] // of sizes: 3, 5, 9
		r := play(t, small*uint64(len(faults))+uint64(i), key)
		for _, what := range r.breaks(faults[i]) {
			t.Errorf("%s: %s\n%s", r, what, replay(r.seed))
		}
	}
}

func replay(seed uint64) string { return fmt.Sprintf("make alarms SEED=%d:%d", edition, seed) }

// The whole matrix, or the seed that is named. It is for make alarms.
func TestMatrix(t *testing.T) {
	switch {
	case *one != "":
		playOne(t)
	case *runs > 0:
		playAll(t)
	default:
		t.Skip("make alarms plays it")
	}
}

func playOne(t *testing.T) {
	ed, number, _ := strings.Cut(*one, ":")
	seed, err := strconv.ParseUint(number, 10, 64)
	if ed != fmt.Sprint(edition) || err != nil {
		t.Fatalf("seed %q: want %d:NUMBER; seeds of another edition play other stories", *one, edition)
	}
	r := play(t, seed, keyFile(t))
	t.Log(r)
	for _, s := range r.stories {
		t.Log(s)
	}
	f, _ := storyOf(seed)
	for _, what := range r.breaks(f) {
		t.Error(what)
	}
}

func playAll(t *testing.T) {
	rows, err := readRows(rowsBeside(*page), *commit)
	if err != nil {
		t.Fatal(err)
	}
	key, began, first := keyFile(t), time.Now(), len(rows)
	for seed := uint64(first); seed < uint64(*runs) && time.Since(began) < *stretch; seed++ {
		rows = append(rows, play(t, seed, key))
		if n := len(rows); n%20 == 0 || n == *runs {
			each := time.Since(began) / time.Duration(n-first)
			t.Logf("%d of %d runs, about %v to go", n, *runs, (each * time.Duration(*runs-n)).Round(time.Second))
		}
		if err := writeRows(rowsBeside(*page), *commit, rows); err != nil {
			t.Fatal(err)
		}
	}
	if len(rows) < *runs {
		return
	}
	text, err := os.ReadFile(*page)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = entered(text, rows, *commit); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*page, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		f, _ := storyOf(r.seed)
		for _, what := range r.breaks(f) {
			t.Errorf("%s: %s\n%s", r, what, replay(r.seed))
		}
	}
}
