// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo/haproxy"
	"supervisor/membership"
)

func ms(n int64) *int64 { return &n }

func TestWhatNeverHappenedIsLaterThanAllElse(t *testing.T) {
	for why, row := range map[string]struct {
		times       []*int64
		median, p99 string
	}{
		"one fault is its own median and worst":    {[]*int64{ms(700)}, "0.70 s", "0.70 s"},
		"the middle one, whatever the order":       {[]*int64{ms(900), ms(100), ms(300)}, "0.30 s", "0.90 s"},
		"between the middle two":                   {[]*int64{ms(1000), ms(9000), ms(3000), ms(2000)}, "2.50 s", "9.00 s"},
		"a fault that nobody noticed is the worst": {[]*int64{ms(100), nil, ms(300)}, "0.30 s", "not within 40 s"},
		"half of them never: no median either":     {[]*int64{ms(100), nil}, "not within 40 s", "not within 40 s"},
		"never at all":                             {[]*int64{nil}, "not within 40 s", "not within 40 s"},
		"tenths are enough beyond ten seconds":     {[]*int64{ms(18_640)}, "18.6 s", "18.6 s"},
	} {
		var s Sample
		for _, one := range row.times {
			s.Add(one)
		}
		if got := words(s.Median()); got != row.median {
			t.Errorf("%s: median %s, want %s", why, got, row.median)
		}
		if got := words(s.P99()); got != row.p99 {
			t.Errorf("%s: p99 %s, want %s", why, got, row.p99)
		}
	}
	if both(Sample{}) != "–" {
		t.Errorf("nothing measured is told as %s", both(Sample{}))
	}
}

func TestP99LeavesOneOfAHundredOut(t *testing.T) {
	var s Sample
	for n := range int64(99) {
		s.Add(ms(n))
	}
	if got, _ := s.P99(); got != 98 {
		t.Errorf("of 99: %d, want the worst", got)
	}
	s.Add(nil)
	if got, ok := s.P99(); !ok || got != 98 {
		t.Errorf("of 100, one of them never: %d %v, want the worst of the others", got, ok)
	}
	s.Add(nil)
	if _, ok := s.P99(); ok {
		t.Error("two of 101 never happened, which is more than one of a hundred")
	}
}

// half is one that went well.
func half(f Fault, run int, with bool) Half {
	h := Half{Slot: Slot{f, run, with}, At: "2026-11-28T01:00:00.000Z", Node: "n3", TookMS: 60_000, Cores: 2}
	if with {
		h.VerdictMS, h.Cause, h.DrainedMS = ms(600), "process_down", ms(800)
		return h
	}
	h.CassandraMS, h.CassandraAllMS, h.HAProxyMS = ms(18_000), ms(19_000), ms(5_500)
	return h
}

func TestDueIsWhatHasNoLine(t *testing.T) {
	failed := half(Hang, 1, true)
	failed.Failed = "the incident is not closed"
	for why, row := range map[string]struct {
		halves []Half
		want   string
	}{
		"pair by pair, each fault in turn": {nil, "crash 1 without us, crash 1 with us, hang 1 without us, hang 1 with us, crash 2 without us, crash 2 with us, hang 2 without us, hang 2 with us"},
		"the other half of a pair goes on": {[]Half{half(Crash, 1, false)}, "crash 1 with us, hang 1 without us, hang 1 with us, crash 2 without us, crash 2 with us, hang 2 without us, hang 2 with us"},
		"one that failed is told, not played again": {[]Half{half(Crash, 1, false), half(Crash, 1, true), half(Hang, 1, false), failed},
			"crash 2 without us, crash 2 with us, hang 2 without us, hang 2 with us"},
		"more than was asked for does not matter": {[]Half{half(Crash, 1, false), half(Crash, 1, true), half(Hang, 1, false), half(Hang, 1, true),
			half(Crash, 2, false), half(Crash, 2, true), half(Hang, 2, false), half(Hang, 2, true), half(Crash, 3, false), half(Disk, 1, true)}, ""},
	} {
		var got []string
		for _, s := range Due([]Fault{Crash, Hang}, 2, row.halves) {
			got = append(got, s.String())
		}
		if strings.Join(got, ", ") != row.want {
			t.Errorf("%s: due are %s", why, strings.Join(got, ", "))
		}
	}
}

func TestLinesSurviveAnEndInTheMiddle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	if halves, err := Read(path); err != nil || len(halves) != 0 {
		t.Fatalf("no file: %v, %v", halves, err)
	}
	first, second := half(Crash, 1, false), half(Crash, 1, true)
	must(t, Append(path, first))
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(b, `{"fault":"crash","run":1,"wi`...), 0o600))
	if halves, err := Read(path); err != nil || !reflect.DeepEqual(halves, []Half{first}) {
		t.Fatalf("a cut last line: %+v, %v", halves, err)
	}
	must(t, Append(path, second))
	if halves, err := Read(path); err != nil || !reflect.DeepEqual(halves, []Half{first, second}) {
		t.Errorf("what comes after a cut line: %+v, %v", halves, err)
	}
}

func TestALineThatIsNoneIsNamed(t *testing.T) {
	for why, row := range map[string]struct{ text, says string }{
		"not JSON":               {"{\"fault\":\"crash\",\"run\":1}\nhello\n", "results.jsonl:2: want one half"},
		"an unknown fault":       {"{\"fault\":\"flood\",\"run\":1}\n", `results.jsonl:1: fault "flood"`},
		"a run before all":       {"{\"fault\":\"crash\",\"run\":0}\n", "run 0: want one of"},
		"a field of a later one": {"{\"fault\":\"crash\",\"run\":1,\"weather\":\"fair\"}\n", "weather"},
	} {
		path := filepath.Join(t.TempDir(), "results.jsonl")
		must(t, os.WriteFile(path, []byte(row.text), 0o600))
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want %q", why, err, row.says)
		}
	}
}

func TestGoals(t *testing.T) {
	late, never, unknown := half(Crash, 2, true), half(Crash, 2, true), half(Crash, 2, false)
	late.DrainedMS, never.DrainedMS, unknown.CassandraMS = ms(1501), nil, nil
	slow := half(Slow, 1, true)
	slow.DrainedMS = ms(20_000)
	for why, row := range map[string]struct {
		halves       []Half
		fault        Fault
		goal, faster string
	}{
		"reached":                            {[]Half{half(Crash, 1, false), half(Crash, 1, true)}, Crash, "≤ 1.5 s, 15 times: yes", "22.5"},
		"the worst one counts":               {[]Half{half(Crash, 1, false), half(Crash, 1, true), late}, Crash, "≤ 1.5 s, 15 times: **no**, drained 1.50 s", "15.7"},
		"never drained is not reached":       {[]Half{half(Crash, 1, false), half(Crash, 1, true), half(Crash, 3, true), never}, Crash, "≤ 1.5 s, 15 times: **no**, drained not within 40 s", "22.5"},
		"not drained in half of them either": {[]Half{half(Crash, 1, false), half(Crash, 1, true), never}, Crash, "≤ 1.5 s, 15 times: **no**, drained not within 40 s, 0.0 times", "–"},
		"who says nothing is beaten by at least the time it was asked": {[]Half{unknown, half(Crash, 1, true)}, Crash, "≤ 1.5 s, 15 times: yes", "over 50"},
		"on the boundary it is reached":                                {[]Half{slow}, Slow, "≤ 20 s: yes", "–"},
		"no goal is no success":                                        {[]Half{half(CQL, 1, false), half(CQL, 1, true)}, CQL, "none set", "22.5"},
		"nothing to hold against a goal":                               {[]Half{half(Host, 1, false)}, Host, "≤ 3.5 s", "–"},
	} {
		rows := Rows(row.halves)
		if len(rows) != 1 || rows[0].Fault != row.fault {
			t.Fatalf("%s: %+v", why, rows)
		}
		if got := rows[0].goal(); got != row.goal {
			t.Errorf("%s: %q, want %q", why, got, row.goal)
		}
		if got := rows[0].faster(); got != row.faster {
			t.Errorf("%s: %q times, want %q", why, got, row.faster)
		}
	}
}

func TestTableTellsWhatFailed(t *testing.T) {
	restless := Half{Slot: Slot{Hang, 1, false}, Failed: "no fault was given: not at rest after 4m0s"}
	open := half(Crash, 2, true)
	open.Failed = "the incident is not closed after 5m0s"
	host := half(Host, 1, false)
	host.LANMS = ms(5800)
	text := Table([]Half{half(Crash, 1, false), half(Crash, 1, true), open, restless, host})
	for why, want := range map[string]string{
		"a half that failed late counts with what it measured": "| 2 with us, 1 without |",
		"how many failed":            "2 of 5 halves failed",
		"and which, and why":         "- crash 2 with us: the incident is not closed after 5m0s\n- hang 1 without us: no fault was given: not at rest after 4m0s\n",
		"memberlist sees no process": "| never ",
		"but a host":                 "| 5.80 s ",
		"which p99 it is":            "p99 is the worst of N",
		"when, and on what":          "Measured 2026-11-28, three nodes with their agents, HAProxy and a light load on one machine of 2 cores.",
		"both words of Cassandra":    "| 18.0 s, all 19.0 s ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing in\n%s", why, want, text)
		}
	}
	if strings.Contains(text, "`hang`") {
		t.Errorf("a fault that was never given has a row:\n%s", text)
	}
	if text := Table([]Half{half(Crash, 1, true)}); strings.Contains(text, "failed") {
		t.Errorf("nothing failed, and it says:\n%s", text)
	}
}

func TestPageWantsItsMarks(t *testing.T) {
	dir := t.TempDir()
	page, results := filepath.Join(dir, "README.md"), Results(dir)
	if err := Publish(results, page); err == nil || !strings.Contains(err.Error(), "nothing that was measured") {
		t.Errorf("nothing measured: %v", err)
	}
	must(t, Append(results, half(Crash, 1, true)))
	must(t, os.WriteFile(page, []byte("# a page\n"), 0o600))
	if err := Publish(results, page); err == nil || !strings.Contains(err.Error(), "detect:begin") {
		t.Errorf("a page without marks: %v", err)
	}
	if b, _ := os.ReadFile(page); string(b) != "# a page\n" {
		t.Errorf("it was changed all the same: %q", b)
	}
	must(t, os.WriteFile(page, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600))
	must(t, Publish(results, page))
	b, err := os.ReadFile(page)
	must(t, err)
	if text := string(b); !strings.HasPrefix(text, "before\n"+begin+"| fault ") || !strings.HasSuffix(text, end+"after\n") || strings.Contains(text, "old\n") {
		t.Errorf("the page is\n%s", text)
	}
	lines, err := Read(filepath.Join(dir, "docs", "detect.jsonl"))
	if err != nil || len(lines) != 1 {
		t.Errorf("beside it: %v, %v", lines, err)
	}
}

func TestEstimateLearns(t *testing.T) {
	due := []Slot{{Crash, 2, false}, {Crash, 2, true}, {Hang, 1, false}}
	if got := Left(due, nil); got != 3*firstGuess {
		t.Errorf("nothing is known: %s", got)
	}
	without, with := half(Crash, 1, false), half(Crash, 1, true)
	without.TookMS, with.TookMS = 40_000, 100_000
	if got := Left(due[1:], []Half{without, with}); got != 100*time.Second+70*time.Second {
		t.Errorf("each as its like, the others as all: %s", got)
	}
	for d, want := range map[time.Duration]string{50 * time.Minute: "about 50 min", 3*time.Hour + 7*time.Minute: "about 3 h 07 min", 0: "about 0 min"} {
		if got := about(d); got != want {
			t.Errorf("%s is told as %q, want %q", d, got, want)
		}
	}
}

func TestFaultsAreNamed(t *testing.T) {
	for list, want := range map[string]string{"": join(Faults()), "slow, crash,slow": "crash, slow"} {
		if got, err := Parse(list); err != nil || join(got) != want {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	if _, err := Parse("crash,flood"); err == nil || !strings.Contains(err.Error(), `"flood" is not known; known: crash`) {
		t.Errorf("an unknown one: %v", err)
	}
	for _, f := range Faults() {
		if traits[f].words == "" {
			t.Errorf("nobody says what %s is", f)
		}
	}
}

func TestOptionsAreCheckedBeforeAnythingStarts(t *testing.T) {
	whole := Options{Dir: t.TempDir(), Faults: []Fault{Crash}, Runs: 20, Binary: "/bin/true", Net: "127.0.9", Out: io.Discard}
	must(t, whole.Check())
	for why, change := range map[string]func(*Options){
		"no run":                   func(o *Options) { o.Runs = 0 },
		"too many runs":            func(o *Options) { o.Runs = RunsMax + 1 },
		"no fault":                 func(o *Options) { o.Faults = nil },
		"a folder of the caller's": func(o *Options) { o.Dir = "here" },
		"no binary":                func(o *Options) { o.Binary = "" },
	} {
		o := whole
		change(&o)
		if err := Run(t.Context(), o, nil); err == nil {
			t.Errorf("%s: it ran", why)
		}
	}
}

func TestTwoInOneFolderExcludeEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	must(t, err)
	if _, err := lock(path); err == nil {
		t.Error("a second one got in")
	}
	unlock()
	unlock, err = lock(path)
	must(t, err)
	unlock()
}

func TestTheLeadersWordIsTheVerdict(t *testing.T) {
	nodes := func(leader string, a membership.Answer, c membership.Cause) []api.NodeLine {
		return []api.NodeLine{{Name: "n1", Leads: leader == "n1", Answer: membership.Alive}, {Name: "n3", Answer: a, Cause: c}}
	}
	for why, row := range map[string]struct {
		fault Fault
		nodes []api.NodeLine
		want  bool
	}{
		"gone":                           {Hang, nodes("n1", membership.Gone, membership.Hung), true},
		"gone, by who does not lead":     {Leader, nodes("n2", membership.Gone, membership.HostGone), false},
		"unknown is no verdict":          {Hang, nodes("n1", membership.Unknown, membership.NoCause), false},
		"alive":                          {Hang, nodes("n1", membership.Alive, membership.NoCause), false},
		"only its agent":                 {Host, nodes("n1", membership.Alive, membership.AgentGone), false},
		"slow, and it is":                {Slow, nodes("n1", membership.Alive, membership.Slow), true},
		"slow is not yet what a hang is": {Hang, nodes("n1", membership.Alive, membership.Slow), false},
		"gone is a word about a slow one as well": {Slow, nodes("n1", membership.Gone, membership.Hung), true},
	} {
		if _, got := verdict(row.fault, row.nodes, "n1", "n3"); got != row.want {
			t.Errorf("%s: %v", why, got)
		}
	}
}

func TestHAProxyIsBelievedOnlyForWhatItSays(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	up := haproxy.State{Up: true, Weight: 100, Normal: 100}
	for why, row := range map[string]struct {
		states           []haproxy.State
		lighter, drained int // index of the look; -1: never
	}{
		"its own check's fall is no drain of ours": {[]haproxy.State{up, {Weight: 100, Normal: 100}}, -1, -1},
		"lighter first, then drained":              {[]haproxy.State{up, {Up: true, Weight: 10, Normal: 100}, {Up: true, Admin: 8, Weight: 10, Normal: 100}}, 1, 2},
		"no weight is no new session":              {[]haproxy.State{up, {Up: true, Normal: 100}}, 1, 1},
		"the first time counts":                    {[]haproxy.State{{Up: true, Admin: 1, Weight: 100, Normal: 100}, up, {Up: true, Admin: 1, Weight: 100, Normal: 100}}, -1, 0},
	} {
		var got seen
		for i, st := range row.states {
			got.proxied(st, at(i))
		}
		for name, pair := range map[string]struct {
			got  time.Time
			want int
		}{"lighter": {got.lighter, row.lighter}, "drained": {got.drained, row.drained}} {
			if pair.want < 0 != pair.got.IsZero() || pair.want >= 0 && !pair.got.Equal(at(pair.want)) {
				t.Errorf("%s: %s at %v, want look %d", why, name, pair.got, pair.want)
			}
		}
	}
}

func TestTheEarlierWordIsTheVerdict(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var got seen
	got.judged(membership.Hung, at(20))
	got.judged(membership.HostGone, at(21))
	if got.verdict != at(20) || got.cause != "hung" {
		t.Errorf("seen twice: %v %s, want the first", got.verdict, got.cause)
	}
	if got.written("cql_dead", at(30)); got.verdict != at(20) || got.cause != "hung" {
		t.Errorf("written later: %v %s", got.verdict, got.cause)
	}
	if got.written("cql_dead", at(19)); got.verdict != at(19) || got.cause != "cql_dead" {
		t.Errorf("written before anybody saw it: %v %s", got.verdict, got.cause)
	}
	story := api.Timeline{Events: []api.Event{{Entry: incident.Entry{Kind: incident.Saw, At: "2026-11-28T01:00:00.100Z"}},
		{Entry: incident.Entry{Kind: incident.Judged, At: "2026-11-28T01:00:00.900Z"}}}}
	if got := judgedAt(story); got.Format("05.000") != "00.900" {
		t.Errorf("judged at %v", got)
	}
	if !judgedAt(api.Timeline{}).IsZero() {
		t.Error("a story without a verdict has one")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
