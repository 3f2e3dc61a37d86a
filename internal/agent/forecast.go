// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/internal/trend"
	"supervisor/membership"
)

// forecasts are the findings that readings lead to.
var forecasts = []string{"DISK_FULL", "DISK_FILLING", "CASS_HEAP_CLIMBING", "CASS_FD_NEAR_LIMIT", "CASS_QUEUE_SATURATING", "HINTS_BACKLOG", "CLOCK_DRIFT"}

// The rules by which readings are watched; docs/findings tells them. All of
// their points together are 600 at most, ten kilobytes.
var (
	// diskRule looks half a day back: a compaction takes space and gives it back,
	// so the lowest readings count, and two hours of them are more than most take.
	diskRule = trend.Rule{Every: 5 * time.Minute, Lowest: true, Keep: 72, Age: 12 * time.Hour, Least: 12, Span: 2 * time.Hour,
		Horizon: 24 * time.Hour, Near: 1, Streak: 3}
	// diskSoonRule sees what fills a disk in an hour, a compaction among them: what it
	// needs is not kept free beside it.
	diskSoonRule = trend.Rule{Every: time.Minute, Lowest: true, Keep: 40, Age: time.Hour, Least: 15, Span: 20 * time.Minute,
		Horizon: 90 * time.Minute, Floor: 0.5, Streak: 3}
	// heapRule counts collections: a reading without a new one is none.
	heapRule = trend.Rule{Every: 2 * time.Minute, Lowest: true, Keep: 120, Age: 24 * time.Hour, Least: 8, Span: 90 * time.Minute,
		Horizon: 4 * time.Hour, Floor: 0.5, Streak: 3}
	countRule = trend.Rule{Every: time.Minute, Lowest: true, Keep: 60, Age: 2 * time.Hour, Least: 15, Span: 15 * time.Minute,
		Horizon: time.Hour, Floor: 0.5, Near: 0.85, Streak: 3}
	queueRule = trend.Rule{Every: vitalsEvery, Keep: 40, Age: 30 * time.Minute, Least: 10, Span: 5 * time.Minute,
		Horizon: 10 * time.Minute, Floor: 0.25, Near: 1, Streak: 4}
	blockedRule = trend.Rule{Every: vitalsEvery, Keep: 10, Age: 10 * time.Minute, Near: 1, Streak: 4}
	hintsRule   = trend.Rule{Every: time.Minute, Keep: 60, Age: 2 * time.Hour, Near: 0.5, Streak: 3}
	clockRule   = trend.Rule{Every: time.Minute, Keep: 5, Age: 15 * time.Minute, Near: 1, Streak: 3}
)

const (
	// driftMax is how far clocks may be apart. Hosts that ask a time server are
	// apart by a hundredth of it.
	driftMax = 500 * time.Millisecond
	// waitingMax is how many tasks may wait for each thread of a pool whose queue
	// has no bound: what waits behind so many is answered too late as a rule.
	waitingMax = 128
	// queueMax is from where on the bound of a queue is none.
	queueMax = 1 << 20
	// fullBelow is the share of a disk without which no compaction is worth
	// beginning, and roomAbove the one with which it is full no more; fullFor is
	// how long a word that one was given up counts.
	fullBelow = 0.01
	roomAbove = 0.015
	fullFor   = 10 * time.Minute
	// windowMin is the shortest hint window that is watched: a shorter one is over
	// before anybody could do anything.
	windowMin = 10 * time.Minute
	// toldAgain is how often a sentence without a time to go may change.
	toldAgain = 10 * time.Minute
)

// forecast watches readings, one after the other.
type forecast struct {
	process        cluster.Boot
	disk, diskSoon trend.Watch
	heap, files    trend.Watch
	clients, hints trend.Watch
	clock          trend.Watch
	pools          map[string]pool
	collected      int64 // heap after the last collection, as it was read last
	need           cassandra.CompactionNeed
	aborted        int64 // compactions, as counted last; -1: not known
	noRoom         bool
	gaveUp         cluster.Moment // the last compaction that was given up
	told           map[string]told
}

// pool is one thread pool: the tasks that wait, and whether some were blocked.
type pool struct {
	queue, blocked trend.Watch
	ever           int64 // blocked tasks, as counted last
}

// told is what stands in the agent's key about one finding, and what it was made
// of: the sentence stays while that does.
type told struct {
	trouble incident.Trouble
	of      any
	at      cluster.Moment
}

func newForecast() *forecast {
	return &forecast{pools: map[string]pool{}, aborted: -1, told: map[string]told{}}
}

// take watches one reading and tells what it leads to, by code.
func (f *forecast) take(v vitals) map[string]incident.Trouble {
	if v.process != "" && v.process != f.process {
		f.begins(v.process)
	}
	out := map[string]incident.Trouble{}
	f.takeDisk(v, out)
	f.takeHeap(v, out)
	f.takeFiles(v, out)
	f.takeQueues(v, out)
	f.takeHints(v, out)
	f.takeClock(v, out)
	maps.DeleteFunc(f.told, func(code string, _ told) bool { _, holds := out[code]; return !holds })
	return out
}

// begins forgets what is of another process.
func (f *forecast) begins(process cluster.Boot) {
	f.process, f.pools, f.aborted, f.collected = process, map[string]pool{}, -1, 0
	f.heap, f.files, f.clients = trend.Watch{}, trend.Watch{}, trend.Watch{}
}

// say tells a finding. While it is made of the same it is the same sentence.
func (f *forecast) say(out map[string]incident.Trouble, code string, at cluster.Moment, of any, args map[string]string) {
	t := f.told[code]
	if t.trouble.Code == "" || t.of != of {
		t = told{incident.Trouble{Code: code, Args: args}, of, at}
	}
	f.told[code], out[code] = t, t.trouble
}

// sayNow tells a finding without a time to go, whose sentence may change now and
// then.
func (f *forecast) sayNow(out map[string]incident.Trouble, code string, at cluster.Moment, args map[string]string) {
	of := any(at)
	if t, stands := f.told[code]; stands && (maps.Equal(t.trouble.Args, args) || at.Sub(t.at) < toldAgain) {
		of = t.of
	}
	f.say(out, code, at, of, args)
}

func leading(w trend.Word, unit func(float64) string, pairs ...string) map[string]string {
	args := map[string]string{"time": w.Time(), "evidence": w.Evidence(unit)}
	for i := 0; i+1 < len(pairs); i += 2 {
		args[pairs[i]] = pairs[i+1]
	}
	return args
}

// fill watches one more reading of how much of something is used.
func fill(w trend.Watch, r trend.Rule, at cluster.Moment, used cassandra.Fill) trend.Watch {
	if !used.Known {
		return w.Missed(r, at)
	}
	return w.Read(r, at, float64(used.Used), float64(used.Max))
}

func (f *forecast) takeDisk(v vitals, out map[string]incident.Trouble) {
	f.countAborted(v)
	if v.said != nil && v.said.Compaction.Bytes > 0 {
		f.need = v.said.Compaction
	}
	if v.space == nil {
		f.disk, f.diskSoon = f.disk.Missed(diskRule, v.at), f.diskSoon.Missed(diskSoonRule, v.at)
	} else {
		used, total := float64(v.space.Used), float64(v.space.total())
		f.disk = f.disk.Read(diskRule, v.at, used, total-float64(f.need.Bytes))
		f.diskSoon = f.diskSoon.Read(diskSoonRule, v.at, used, total)
	}
	f.sayFull(v, out)
	counting := "compaction apart"
	w, leads := f.diskSoon.Told()
	if !leads {
		if w, leads = f.disk.Told(); f.need.Bytes > 0 {
			counting = fmt.Sprintf("counting %s that compacting %s may need", trend.Bytes(float64(f.need.Bytes)), f.need.Table)
		}
	}
	if leads {
		f.say(out, "DISK_FILLING", v.at, w, leading(w, trend.Bytes, "counting", counting))
	}
}

// countAborted notes that Cassandra gave a compaction up for lack of space.
func (f *forecast) countAborted(v vitals) {
	if v.said == nil || v.said.Aborted < 0 {
		return
	}
	if f.aborted >= 0 && v.said.Aborted > f.aborted {
		f.gaveUp = v.at
	}
	f.aborted = v.said.Aborted
}

// lookForRoom forgets what was given up when somebody makes room on a full disk.
func (f *forecast) lookForRoom(s Space) {
	enough := fullBelow
	if f.noRoom {
		enough = roomAbove
	}
	full := float64(s.Free) < enough*float64(s.total())
	if f.noRoom && !full {
		f.gaveUp = 0
	}
	f.noRoom = full
}

func (f *forecast) sayFull(v vitals, out map[string]incident.Trouble) {
	var detail []string
	if s := v.space; s != nil {
		f.lookForRoom(*s)
		detail = append(detail, fmt.Sprintf("%s of %s are free", trend.Bytes(float64(s.Free)), trend.Bytes(float64(s.total()))))
	}
	remembered := f.gaveUp != 0 && v.at.Sub(f.gaveUp) < fullFor
	if !f.noRoom && !remembered {
		return
	}
	if f.aborted > 0 {
		detail = append(detail, fmt.Sprintf("Cassandra gave up %d for lack of space", f.aborted))
	}
	if len(detail) == 0 { // it was full, and does not tell its room any more
		return
	}
	f.sayNow(out, "DISK_FULL", v.at, map[string]string{"detail": strings.Join(detail, ", ")})
}

func (f *forecast) takeHeap(v vitals, out map[string]incident.Trouble) {
	if v.said != nil && v.said.Heap.Known && v.said.Heap.Used != f.collected {
		f.collected = v.said.Heap.Used
		f.heap = fill(f.heap, heapRule, v.at, v.said.Heap)
	} else {
		f.heap = f.heap.Missed(heapRule, v.at)
	}
	if w, leads := f.heap.Told(); leads {
		f.say(out, "CASS_HEAP_CLIMBING", v.at, w, leading(w, trend.Bytes))
	}
}

func (f *forecast) takeFiles(v vitals, out map[string]incident.Trouble) {
	var files cassandra.Fill
	if v.said != nil {
		files = v.said.Files
	}
	f.files = fill(f.files, countRule, v.at, files)
	if w, leads := f.files.Told(); leads {
		f.say(out, "CASS_FD_NEAR_LIMIT", v.at, w, leading(w, trend.Count))
	}
}

// takeQueues tells of one queue only, the first in order: when one is full, those
// behind it are too.
func (f *forecast) takeQueues(v vitals, out map[string]incident.Trouble) {
	const code = "CASS_QUEUE_SATURATING"
	var said cassandra.Vitals
	if v.said != nil {
		said = *v.said
	}
	read := map[string]cassandra.ThreadPool{}
	for _, p := range said.Pools {
		read[p.Name] = p
		f.pools[p.Name] = f.pools[p.Name].take(p, v.at)
	}
	f.clients = fill(f.clients, countRule, v.at, said.Clients)
	for _, name := range sortedKeys(f.pools) {
		p := f.pools[name]
		if _, there := read[name]; !there {
			p.queue, p.blocked = p.queue.Missed(queueRule, v.at), p.blocked.Missed(blockedRule, v.at)
			f.pools[name] = p
		}
		if w, leads := p.queue.Told(); leads {
			f.say(out, code, v.at, w, leading(w, trend.Count, "what", "tasks that wait for "+name))
			return
		}
		if w, leads := p.blocked.Told(); leads {
			f.say(out, code, v.at, w, map[string]string{"what": "tasks that wait for " + name, "time": "now",
				"evidence": "others are blocked because the queue is full"})
			return
		}
	}
	if w, leads := f.clients.Told(); leads {
		f.say(out, code, v.at, w, leading(w, trend.Count, "what", "connections of clients"))
	}
}

// take watches one more reading of a pool. A count of blocked tasks that fell is
// that of another process.
func (p pool) take(said cassandra.ThreadPool, at cluster.Moment) pool {
	bound := said.QueueMax
	if bound <= 0 || bound >= queueMax {
		bound = waitingMax * said.Threads
	}
	p.queue = p.queue.Read(queueRule, at, float64(said.Pending), float64(bound))
	blocked := 0.0
	if said.Blocked > p.ever {
		blocked = 1
	}
	p.ever = said.Blocked
	p.blocked = p.blocked.Read(blockedRule, at, blocked, 1)
	return p
}

// takeHints watches the age of the oldest hint: while hints are delivered as fast
// as they come it stays young.
func (f *forecast) takeHints(v vitals, out map[string]incident.Trouble) {
	if v.said == nil || v.window < windowMin {
		f.hints = f.hints.Missed(hintsRule, v.at)
	} else {
		age := time.Duration(0)
		if at := v.said.Hint.At; !at.IsZero() {
			age = max(0, v.wall.Sub(at))
		}
		f.hints = f.hints.Read(hintsRule, v.at, age.Seconds(), v.window.Seconds())
	}
	w, leads := f.hints.Told()
	if !leads {
		return
	}
	peer := "another node"
	if v.said != nil && v.said.Hint.For != "" {
		peer = string(v.said.Hint.For)
		if name, known := v.names[v.said.Hint.For]; known {
			peer = string(name)
		}
	}
	f.say(out, "HINTS_BACKLOG", v.at, w, leading(w, trend.Seconds, "peer", peer))
}

func (f *forecast) takeClock(v vitals, out map[string]incident.Trouble) {
	d, apart := membership.Drifts(v.clocks, driftMax)
	if len(v.clocks) < membership.ClocksMin {
		f.clock = f.clock.Missed(clockRule, v.at)
	} else {
		f.clock = f.clock.Read(clockRule, v.at, d.Ahead.Abs().Seconds(), driftMax.Seconds())
	}
	if _, leads := f.clock.Told(); !leads {
		return
	}
	t := f.told["CLOCK_DRIFT"]
	args := t.trouble.Args // of a moment ago, while this reading says nothing
	if apart {
		way := "ahead of"
		if d.Ahead < 0 {
			way = "behind"
		}
		args = map[string]string{"by": millis(d.Ahead.Abs()), "way": way, "count": strconv.Itoa(d.Count), "of": strconv.Itoa(d.Of),
			"error": millis(d.Error + 10*time.Millisecond)}
	}
	if args != nil {
		f.sayNow(out, "CLOCK_DRIFT", v.at, args)
	}
}

// millis spells a difference of clocks, to a hundredth of a second.
func millis(d time.Duration) string { return d.Truncate(10 * time.Millisecond).String() }
