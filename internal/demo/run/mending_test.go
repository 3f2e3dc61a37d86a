// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo/node"
)

const validated = "DEBUG [ValidationExecutor:3] 2026-03-01 12:00:%s,250 ValidationManager.java:146 - Validation of 20000 partitions (~%s) finished in 91 msec, for [repair #1 on bulk1/changed, []]"

func validatedAt(second, size string) string {
	return strings.Replace(strings.Replace(validated, "%s", second, 1), "%s", size, 1)
}

func TestWhatCassandraLogsOfAValidation(t *testing.T) {
	rows := []struct {
		why, line string
		bytes     int64
	}{
		{"mebibytes", validatedAt("00", "1.500MiB"), 3 << 19},
		{"with a blank", validatedAt("00", "2 KiB"), 2 << 10},
		{"bytes", validatedAt("00", "12 bytes"), 12},
		{"of another unit nothing is known", validatedAt("00", "1.5 furlongs"), -1},
		{"another line", "INFO  [main] 2026-03-01 12:00:00,250 Server.java:1 - Starting", -1},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			at, v, ok := parseValidation(r.line)
			if ok != (r.bytes >= 0) || ok && (v != Validated{1, 20000, r.bytes} || at.Nanosecond() != 250_000_000) {
				t.Errorf("%v %+v %v", at, v, ok)
			}
		})
	}
}

func TestValidationsSinceAMark(t *testing.T) {
	n := node.Node{Name: "n1", Dir: t.TempDir()}
	write := func(lines ...string) {
		if err := os.MkdirAll(filepath.Dir(n.SystemLog()), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(n.SystemLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	write(validatedAt("01", "9KiB"))
	m, err := mark([]node.Node{n})
	if err != nil {
		t.Fatal(err)
	}
	write(validatedAt("02", "1KiB"), "something else", validatedAt("03", "2KiB"), validatedAt("05", "4KiB"))
	before, after, err := m.since([]node.Node{n}, time.Date(2026, 3, 1, 12, 0, 4, 0, time.Local))
	if err != nil || before.Bytes != 3<<10 || before.Tables != 2 || after.Bytes != 4<<10 {
		t.Errorf("%+v, %+v, %v", before, after, err)
	}
	if err := os.Truncate(n.SystemLog(), 1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.since([]node.Node{n}, time.Now()); err == nil {
		t.Error("a log that was rolled over tells nothing")
	}
}

func story(phase incident.Phase, events ...string) api.Timeline {
	tl := api.Timeline{}
	tl.Incident.Phase = phase
	for _, e := range events {
		second, code, _ := strings.Cut(e, " ")
		var ev api.Event
		ev.At, ev.Code = "2026-03-01T12:00:"+second+".000Z", code
		tl.Events = append(tl.Events, ev)
	}
	return tl
}

func TestHowLongARepairTook(t *testing.T) {
	rows := []struct {
		why             string
		events          []string
		repair, compare int64
	}{
		{"two repairs of several batches", []string{"01 proved_down", "03 did_repair", "04 did_repair", "05 did_join", "08 proved_up", "10 did_repair", "14 proved_preview"}, 5000, 4000},
		{"the second one had nothing to do", []string{"01 proved_down", "03 did_repair", "08 proved_up", "12 proved_preview"}, 2000, 4000},
	}
	for _, r := range rows {
		var h MendingHalf
		h.take(story(incident.Closed, r.events...))
		if h.RepairMS != r.repair || h.CompareMS != r.compare {
			t.Errorf("%s: %d ms, compared in %d ms", r.why, h.RepairMS, h.CompareMS)
		}
	}
}

func TestWhenTheBenchIsReached(t *testing.T) {
	good := Mending{Rows: 1000, Changed: 10, Tables: 13,
		Supervisor: MendingHalf{RepairMS: 1000, CompareMS: 200, Repair: Validated{3, 30, 100}, Compare: Validated{3, 30, 20}, Phase: incident.Closed.String()},
		Full:       MendingHalf{RepairMS: 5000, Repair: Validated{39, 300, 500}}}
	rows := []struct {
		why    string
		change func(*Mending)
		faults int
	}{
		{"just so", func(*Mending) {}, 0},
		{"a row is old", func(m *Mending) { m.Supervisor.Old = 1 }, 1},
		{"a row is missing", func(m *Mending) { m.Supervisor.Missing = 1 }, 1},
		{"it is held", func(m *Mending) { m.Supervisor.Phase = "Held" }, 1},
		{"too slow", func(m *Mending) { m.Supervisor.RepairMS = 1001 }, 1},
		{"too much", func(m *Mending) { m.Supervisor.Repair.Bytes = 101 }, 1},
		{"no validation was seen", func(m *Mending) { m.Full.Repair = Validated{} }, 2},
	}
	for _, r := range rows {
		m := good
		r.change(&m)
		if got := m.Faults(); len(got) != r.faults {
			t.Errorf("%s: %q", r.why, got)
		}
	}
	text, err := good.JSON()
	var doc map[string]any
	if err != nil || json.Unmarshal([]byte(text), &doc) != nil || doc["bytes_factor"] != 5.0 {
		t.Errorf("%s %v", text, err)
	}
}
