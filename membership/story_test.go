// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
)

var update = flag.Bool("update", false, "write what the stories say now into testdata")

// TestStories plays every script of testdata. A script is blocks of commands,
// each followed by a line of dashes and what the judge then says; stage.do has
// the commands.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d stories, want at least 20: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	s := newStage()
	skip := false
	for _, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		switch {
		case line == "----":
			got.WriteString("----\n" + Describe(s.view) + s.said.String())
			s.said.Reset()
			skip = true
		case line == "":
			got.WriteString("\n")
			skip = false
		case skip:
		default:
			got.WriteString(line + "\n")
			if err := s.do(line); err != nil {
				t.Fatalf("%s: %q: %v", file, line, err)
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(text) {
		t.Errorf("the story goes otherwise; go test ./membership -run TestStories -update writes it down\n--- got\n%s", got.String())
	}
}

// stage is a small world: what every agent would see, and a judge.
type stage struct {
	topology Topology
	bars     Bars
	now      cluster.Moment
	view     View
	inbox    Inbox
	agents   map[cluster.Name]*actor
	said     strings.Builder
	drains   map[cluster.Name]int // how often Drain turned true
}

// actor is one agent: what it sees of whom, and since when.
// eye is one path to one subject.
type eye struct {
	subject cluster.Name
	path    Path
}

type actor struct {
	name               cluster.Name
	boot               cluster.Boot
	seq                uint64
	process            cluster.Boot
	mute, unwell, twin bool
	lose               int
	sent               cluster.Moment
	dirty              bool
	sees               map[eye]*sight
	twinBoot           cluster.Boot
	twinSeq            uint64
}

type sight struct {
	outcome Outcome
	took    time.Duration
	inside  Inside
	since   cluster.Moment
	fades   bool // phi after the last gossip: good for 5 s, late until 12 s, then silent
}

// seen is the outcome at now and since when it stands.
func (x sight) seen(now cluster.Moment) (Outcome, cluster.Moment) {
	switch held := now.Sub(x.since); {
	case !x.fades || held < 5*time.Second:
		return x.outcome, x.since
	case held < 12*time.Second:
		return Late, x.since.Add(5 * time.Second)
	}
	return Silent, x.since.Add(12 * time.Second)
}

const step = 50 * time.Millisecond

func newStage() *stage {
	return &stage{bars: DefaultBars(), now: cluster.Moment(100 * time.Second), inbox: Inbox{Cluster: "c"},
		agents: map[cluster.Name]*actor{}, drains: map[cluster.Name]int{}}
}

func (s *stage) names() []cluster.Name {
	var names []cluster.Name
	for n := range s.agents {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// do obeys one line of a script.
func (s *stage) do(line string) error {
	f := strings.Fields(line)
	if f[0] == "#" || strings.HasPrefix(line, "#") {
		return nil
	}
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	n := cluster.Name(arg(1))
	switch f[0] {
	case "cluster": // cluster n1/rack n2/rack ...: all healthy, nobody heard yet
		return s.cluster(f[1:])
	case "run": // run 3s
		d, err := time.ParseDuration(arg(1))
		for end := s.now.Add(d); err == nil && s.now < end; {
			s.tick()
		}
		return err
	case "see": // see observer|all|others subject path outcome
		return s.see(arg(1), cluster.Name(arg(2)), arg(3), arg(4))
	case "mute", "unmute": // the agent is not heard any more, or again
		s.agents[n].mute = f[0] == "mute"
	case "unwell", "well":
		s.agents[n].unwell, s.agents[n].dirty = f[0] == "unwell", true
	case "lose": // lose n1 2: the next two digests get lost
		count, err := strconv.Atoi(arg(2))
		s.agents[n].lose = count
		return err
	case "restart": // the agent starts again and has to look anew
		s.restart(s.agents[n])
	case "twin": // a second agent takes the name
		s.agents[n].twin, s.agents[n].twinBoot = true, s.agents[n].boot+"-twin"
	case "untwin":
		s.agents[n].twin = false
	case "process": // process n3 boot: its own agent names another process
		s.agents[n].process, s.agents[n].dirty = cluster.Boot(arg(2)), true
	case "heir": // another judge takes over, knowing nothing
		s.view, s.inbox.Senders = View{}, nil
	case "strike": // off the roster
		delete(s.topology.Nodes, n)
		s.roster(s.topology.Nodes)
	case "fade": // its gossip stops
		s.fade(n)
	case "took": // took observer|all|others subject 40ms: what its answers take
		return s.took(arg(1), cluster.Name(arg(2)), arg(3))
	case "inside": // inside n3 3: what stands out to its own agent, as a number
		bits, err := strconv.Atoi(arg(2))
		s.agents[n].sees[eye{n, Process}].inside = Inside(bits)
		return err
	case "why": // what a slow node says that may be why
		fmt.Fprintf(&s.said, "%s: %s\n", n, strings.Join(s.view.Verdicts[n].Slow.Inside, "; "))
	case "exit", "crash", "hang", "lost", "heal":
		return s.fault(f[0], n)
	case "report": // report observer subject path outcome [in=1s]: one forged report
		return s.report(f)
	case "fence": // what a fence of the node still needs
		_, missing := FenceBar(s.view.Verdicts[n], s.bars, 15*time.Second, s.now)
		fmt.Fprintf(&s.said, "fence %s: %s\n", n, strings.Join(append(missing, fmt.Sprintf("%d missing", len(missing))), "\n  "))
	case "storm":
		storm, why := Storm(Suspects(s.view, s.topology, "dc"), s.topology, s.bars, "dc")
		if !storm {
			why = "no storm"
		}
		fmt.Fprintln(&s.said, why)
	case "drains": // how often the node was to be drained so far
		fmt.Fprintf(&s.said, "drains of %s: %d\n", n, s.drains[n])
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}

func (s *stage) cluster(nodes []string) error {
	places := map[cluster.Name]Place{}
	for _, n := range nodes {
		name, rack, ok := strings.Cut(n, "/")
		if !ok {
			return fmt.Errorf("node %q has no rack", n)
		}
		places[cluster.Name(name)] = Place{Region: "r", Datacenter: "dc", Rack: cluster.Rack(rack)}
	}
	s.roster(places)
	for n := range places {
		s.agents[n] = &actor{name: n, boot: "a1", process: "p1", sees: map[eye]*sight{}}
	}
	for n := range places {
		if err := s.fault("heal", n); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) roster(places map[cluster.Name]Place) {
	s.topology = Topology{Nodes: maps.Clone(places), Watch: Assign(places)}
}

// fault sets everything that everybody sees of a node.
func (s *stage) fault(kind string, n cluster.Name) error {
	own, peers := string(n), "others"
	var rows [][3]string
	switch kind {
	case "heal":
		rows = [][3]string{{own, "process", "good"}, {own, "cql", "good"}, {own, "admin", "good"}, {own, "disk", "good"},
			{peers, "cql", "good"}, {peers, "storage", "good"}, {peers, "phi", "good"}}
	case "exit":
		rows = [][3]string{{own, "process", "exited"}, {own, "cql", "refused"}, {own, "admin", "refused"},
			{peers, "cql", "refused"}, {peers, "storage", "refused"}}
	case "crash": // the agent goes with its node
		rows = [][3]string{{peers, "cql", "refused"}, {peers, "storage", "refused"}}
		s.agents[n].mute = true
	case "hang":
		rows = [][3]string{{own, "cql", "silent"}, {own, "admin", "silent"}, {peers, "cql", "silent"}}
	case "lost":
		rows = [][3]string{{peers, "cql", "silent"}, {peers, "storage", "silent"}}
		s.agents[n].mute = true
	}
	for _, r := range rows {
		if err := s.see(r[0], n, r[1], r[2]); err != nil {
			return err
		}
	}
	if kind != "heal" {
		s.fade(n)
	}
	return nil
}

// fade stops the gossip of a node.
func (s *stage) fade(n cluster.Name) {
	for o, a := range s.agents {
		if o != n {
			a.sees[eye{n, Phi}] = &sight{outcome: Good, since: s.now, fades: true}
		}
	}
}

func (s *stage) see(observer string, subject cluster.Name, path, outcome string) error {
	var p Path
	var o Outcome
	if err := p.UnmarshalText([]byte(path)); err != nil {
		return err
	}
	if err := o.UnmarshalText([]byte(outcome)); err != nil {
		return err
	}
	for n, a := range s.agents {
		if observer == string(n) || observer == "all" || observer == "others" && n != subject {
			since := s.now
			if x := a.sees[eye{subject, p}]; x != nil && o.Prolongs(x.outcome) {
				since = x.since
			}
			x := &sight{outcome: o, since: since}
			if old := a.sees[eye{subject, p}]; old != nil {
				x.took = old.took
			}
			a.sees[eye{subject, p}] = x
			a.dirty = true
		}
	}
	return nil
}

// took sets what answers take of one node, or of all.
func (s *stage) took(observer string, subject cluster.Name, span string) error {
	d, err := time.ParseDuration(span)
	for n, a := range s.agents {
		for k, x := range a.sees {
			if k.path == CQL && (k.subject == subject || subject == "all") &&
				(observer == string(n) || observer == "all" || observer == "others" && n != k.subject) {
				x.took = d
			}
		}
	}
	return err
}

func (s *stage) restart(a *actor) {
	a.boot, a.seq, a.dirty = cluster.Boot(fmt.Sprintf("a%d", int(a.boot[1]-'0')+1)), 0, true
	for _, x := range a.sees {
		x.since = s.now
	}
}

func (s *stage) report(f []string) error {
	r := Report{Observer: cluster.Name(f[1]), Boot: "a1", At: s.now}
	r.Subject, r.Misses = cluster.Name(f[2]), 1
	if err := r.Path.UnmarshalText([]byte(f[3])); err != nil {
		return err
	}
	if err := r.Outcome.UnmarshalText([]byte(f[4])); err != nil {
		return err
	}
	if len(f) > 5 {
		d, err := time.ParseDuration(strings.TrimPrefix(f[5], "in="))
		if err != nil {
			return err
		}
		r.At = r.At.Add(d)
	}
	s.judge([]Report{r})
	return nil
}

// tick lets one step pass: due digests are sent, taken and judged.
func (s *stage) tick() {
	s.now = s.now.Add(step)
	var fresh []Report
	for _, n := range s.names() {
		a := s.agents[n]
		if s.missed(a) {
			a.dirty = true
		}
		if a.mute || !a.dirty && s.now.Sub(a.sent) < time.Second {
			continue
		}
		a.seq, a.sent, a.dirty = a.seq+1, s.now, false
		if a.lose > 0 {
			a.lose--
			continue
		}
		fresh = append(fresh, s.take(s.digest(a))...)
		if a.twin {
			a.twinSeq++
			d := s.digest(a)
			d.Boot, d.Seq = a.twinBoot, a.twinSeq
			fresh = append(fresh, s.take(d)...)
		}
	}
	s.judge(fresh)
}

func (s *stage) take(d Digest) []Report {
	reports, err := s.inbox.Take(d, s.now)
	if err != nil {
		fmt.Fprintf(&s.said, "%v\n", err)
	}
	return reports
}

func (s *stage) judge(fresh []Report) {
	before := s.view.Verdicts
	s.view = judge(s.view, fresh, s.topology, s.bars, s.now)
	for n, x := range s.view.Verdicts {
		if x.Drain && !before[n].Drain {
			s.drains[n]++
		}
	}
}

func every(p Path) time.Duration {
	if p == Process || p == CQL || p == Admin {
		return 500 * time.Millisecond
	}
	return 2 * time.Second
}

// missed tells whether an outcome's count of misses just rose to three or less.
func (s *stage) missed(a *actor) bool {
	for k, x := range a.sees {
		if held := s.now.Sub(x.since); x.outcome == Silent && held <= 2*every(k.path) && held%every(k.path) == 0 {
			return true
		}
	}
	return false
}

func (s *stage) digest(a *actor) Digest {
	d := Digest{Cluster: "c", Observer: a.name, Boot: a.boot, Seq: a.seq, Unwell: a.unwell, Process: a.process}
	for k, x := range a.sees {
		outcome, since := x.seen(s.now)
		held := s.now.Sub(since)
		age := held % every(k.path)
		l := Look{Subject: k.subject, Path: k.path, Outcome: outcome,
			Misses: int(held/every(k.path)) + 1, Held: held - age, Age: age}
		if l.answered() {
			l.Took, l.Inside = x.took, x.inside
		}
		d.Looks = append(d.Looks, l)
	}
	return d
}
