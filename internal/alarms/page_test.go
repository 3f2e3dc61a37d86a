// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rowsBeside is where the rows of a page are.
func rowsBeside(page string) string { return strings.TrimSuffix(page, ".md") + ".csv" }

var columns = []string{"number", "fault", "nodes", "what", "needless_drains", "held_by_storm", "wrong_fences", "wrong_without_age", "cut_off",
	"all_alive_ms", "crash", "seen_ms", "fence_ms"}

func (r row) fields() []string {
	n := func(i int) string { return strconv.Itoa(i) }
	ms := func(d time.Duration) string { return strconv.FormatInt(max(-1, d.Milliseconds()), 10) }
	if r.calm < 0 {
		r.calm = -time.Millisecond
	}
	if r.detected < 0 {
		r.detected = -time.Millisecond
	}
	if r.barMet < 0 {
		r.barMet = -time.Millisecond
	}
	return []string{strconv.FormatUint(r.seed, 10), r.fault, n(r.size), r.what, n(r.needless), n(r.stormed), n(r.wrong), n(r.bare), n(r.cut),
		ms(r.calm), r.crash, ms(r.detected), ms(r.barMet)}
}

func rowOf(f []string) (r row, err error) {
	if len(f) != len(columns) {
		return r, fmt.Errorf("%d columns, want %d", len(f), len(columns))
	}
	var faults []error
	n := func(i int) int {
		v, err := strconv.Atoi(f[i])
		faults = append(faults, err)
		return v
	}
	ms := func(i int) time.Duration { return time.Duration(n(i)) * time.Millisecond }
	r = row{seed: uint64(n(0)), fault: f[1], size: n(2), what: f[3], needless: n(4), stormed: n(5), wrong: n(6), bare: n(7), cut: n(8),
		calm: ms(9), crash: f[10], detected: ms(11), barMet: ms(12)}
	return r, errors.Join(faults...)
}

// head is the first line: what the rows are of.
func head(commit string) string {
	return fmt.Sprintf("# edition %d, commit %s; a row is played again by make alarms SEED=%d:number", edition, commit, edition)
}

// readRows reads those of the same edition and commit; others are none.
func readRows(path, commit string) (rows []row, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if first, _, _ := bytes.Cut(text, []byte("\n")); err != nil || string(first) != head(commit) {
		return nil, err
	}
	lines := csv.NewReader(bytes.NewReader(text))
	lines.Comment = '#'
	all, err := lines.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, line := range all[1:] {
		r, err := rowOf(line)
		if err != nil || r.seed != uint64(i) {
			return nil, fmt.Errorf("%s: row %d is not that of seed %d: %w", path, i, i, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func writeRows(path, commit string, rows []row) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, head(commit))
	out := csv.NewWriter(&b)
	_ = out.Write(columns) // a buffer takes everything
	for _, r := range rows {
		_ = out.Write(r.fields())
	}
	out.Flush()
	return os.WriteFile(path, b.Bytes(), 0o644)
}

const opens, closes = "<!-- alarms:begin -->\n", "<!-- alarms:end -->\n"

// entered is the page with these tables between its marks.
func entered(page []byte, rows []row, commit string) ([]byte, error) {
	before, rest, begins := bytes.Cut(page, []byte(opens))
	_, after, ends := bytes.Cut(rest, []byte(closes))
	if !begins || !ends {
		return nil, fmt.Errorf("the page lacks the lines %q and %q", strings.TrimSpace(opens), strings.TrimSpace(closes))
	}
	return slices.Concat(before, []byte(opens+tables(rows, commit)+closes), after), nil
}

func tables(rows []row, commit string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Edition %d, commit %s, %d runs. **%d wrong fences.**\n\n", edition, commit, len(rows), sum(rows, func(r row) int { return r.wrong }))
	b.WriteString("| fault | runs | wrong fences | needless drains (runs with one) | most in a run / bound | held by a storm | all Alive again, slowest | crash seen, median / p99 | host lost seen, median / p99 | fence possible, slowest |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range faults {
		line(&b, "`"+f.name+"`", only(rows, func(r row) bool { return r.fault == f.name }), &f)
	}
	b.WriteString("\n| nodes | runs | wrong fences | needless drains (runs with one) | most in a run | held by a storm | all Alive again, slowest | crash seen, median / p99 | host lost seen, median / p99 | fence possible, slowest |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, size := range slices.Compact(slices.Sorted(slices.Values(sizes))) {
		line(&b, strconv.Itoa(size), only(rows, func(r row) bool { return r.size == size }), nil)
	}
	line(&b, "all", rows, nil)
	b.WriteString("\n| fault | what is done | needless drains per node and run, at most | why so many |\n|---|---|---|---|\n")
	for _, f := range faults {
		fmt.Fprintf(&b, "| `%s` | %s | %v | %s |\n", f.name, f.does, f.drains, f.why)
	}
	return b.String()
}

func line(b *strings.Builder, name string, rows []row, f *fault) {
	most := slices.MaxFunc(slices.Concat(rows, []row{{}}), func(x, y row) int { return x.needless - y.needless })
	bound := ""
	if f != nil {
		bound = " / 0"
		if f.drains > 0 {
			bound = fmt.Sprintf(" of %d / %d", most.size, f.bound(most.size))
			if most.needless == 0 {
				bound = fmt.Sprintf(" / %v a node", f.drains)
			}
		}
	}
	with := len(only(rows, func(r row) bool { return r.needless > 0 }))
	process := only(rows, func(r row) bool { return r.crash == "process" })
	host := only(rows, func(r row) bool { return r.crash == "host" })
	seen := func(r row) time.Duration { return r.detected }
	fmt.Fprintf(b, "| %s | %d | %d | %d (%d) | %d%s | %d | %s | %s | %s | %s |\n", name, len(rows), sum(rows, func(r row) int { return r.wrong }),
		sum(rows, func(r row) int { return r.needless }), with, most.needless, bound, sum(rows, func(r row) int { return r.stormed }),
		share(rows, 1, func(r row) time.Duration { return r.calm }), share(process, 0.5, seen)+" / "+share(process, 0.99, seen),
		share(host, 0.5, seen)+" / "+share(host, 0.99, seen), share(host, 1, func(r row) time.Duration { return r.barMet }))
}

func only(rows []row, which func(row) bool) (out []row) {
	for _, r := range rows {
		if which(r) {
			out = append(out, r)
		}
	}
	return out
}

func sum(rows []row, of func(row) int) (n int) {
	for _, r := range rows {
		n += of(r)
	}
	return n
}

// share is the least time that such a share of the rows keeps; "never" where one of
// them has none.
func share(rows []row, part float64, of func(row) time.Duration) string {
	var all []time.Duration
	for _, r := range rows {
		d := of(r)
		if d < 0 {
			return "never"
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return "-"
	}
	slices.Sort(all)
	i := min(len(all)-1, int(part*float64(len(all))))
	return fmt.Sprintf("%.2f s", all[i].Seconds())
}

// Rows are read as they were written, and those of another commit are none.
func TestRowsAreKept(t *testing.T) {
	path := t.TempDir() + "/alarms.csv"
	rows := []row{{seed: 0, fault: "calm", size: 3, crash: "host", calm: 20 * time.Millisecond, detected: 2 * time.Second, barMet: -time.Millisecond},
		{seed: 1, fault: "pause", size: 33, what: "n0001, 2.0s", needless: 1, stormed: 2, wrong: 3, bare: 4, cut: 5, calm: -time.Millisecond, crash: "process", detected: -time.Millisecond}}
	if err := writeRows(path, "abc", rows); err != nil {
		t.Fatal(err)
	}
	got, err := readRows(path, "abc")
	if err != nil || len(got) != 2 || fmt.Sprint(got) != fmt.Sprint(rows) {
		t.Errorf("%v, %v, want %v", got, err, rows)
	}
	if other, err := readRows(path, "abd"); err != nil || len(other) != 0 {
		t.Errorf("%d rows of another commit, %v", len(other), err)
	}
}

// The page in the tree says what its rows say, and every row is as it has to be.
func TestPageSaysWhatTheRowsSay(t *testing.T) {
	const path = "../../docs/alarms.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(rowsBeside(path))
	if err != nil {
		t.Fatal(err)
	}
	var of int
	var commit string
	if _, err := fmt.Sscanf(string(raw), "# edition %d, commit %s", &of, &commit); err != nil || of != edition {
		t.Fatalf("%s is of edition %d (%v), want %d: make alarms", rowsBeside(path), of, err, edition)
	}
	rows, err := readRows(rowsBeside(path), strings.TrimSuffix(commit, ";"))
	if err != nil || len(rows) < 1000 {
		t.Fatalf("%d rows, want 1000 and more: %v", len(rows), err)
	}
	if len(raw) > 300<<10 {
		t.Errorf("the rows are %d bytes, at most 300 KiB", len(raw))
	}
	if want, err := entered(text, rows, strings.TrimSuffix(commit, ";")); err != nil || !bytes.Equal(want, text) {
		t.Errorf("the tables are not those of the rows (%v): make alarms", err)
	}
	for _, r := range rows {
		f, _ := storyOf(r.seed)
		for _, what := range r.breaks(f) {
			t.Errorf("%s: %s", r, what)
		}
	}
}
