// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"supervisor/internal/sim"
)

// request is what was asked for.
type request struct {
	seed     string
	steps    int
	schedule string
	from     int64
	seeds    int
	atMost   time.Duration
	nodes    int
	only     string
	storm    time.Duration
	workers  int
	endAt    int
	commit   string
	ledger   string
	counts   bool
	list     bool
	story    string
	bare     bool
	set      map[string]bool // flags that were given, whatever they say
}

// stormLong is how long faults happen unless something else is said.
const stormLong = 3 * time.Minute

// unsaid is the commit of who names none.
const unsaid = "(not said)"

// What is asked for ends some day.
const (
	nodesMax   = 100            // a seed of so many takes ten seconds of a processor; that grows faster than the cluster
	stormMax   = 24 * time.Hour // of the cluster's time: five hundred usual storms
	workersMax = 256            // worlds of a few MB each
)

// The ways of asking. A series of seeds is what is played when nothing else is
// asked for.
const (
	ofSeries   = "series"
	ofSeed     = "seed"
	ofScenario = "scenario"
	ofList     = "list"
)

// goes says of each flag in which ways it does anything.
var goes = map[string][]string{
	"seed":       {ofSeed},
	"scenario":   {ofScenario},
	"list":       {ofList},
	"steps":      {ofSeed, ofScenario},
	"schedule":   {ofSeed},
	"unguarded":  {ofScenario},
	"nodes":      {ofSeed, ofSeries},
	"faults":     {ofSeed, ofSeries},
	"storm":      {ofSeed, ofSeries},
	"commit":     {ofSeed, ofSeries},
	"from":       {ofSeries},
	"seeds":      {ofSeries},
	"for":        {ofSeries},
	"workers":    {ofSeries},
	"violations": {ofSeries},
	"ledger":     {ofSeries},
	"counts":     {ofSeries},
}

// told is a way as a person asks for it.
func told(way string) string {
	if way == ofSeries {
		return "a series of seeds"
	}
	return "-" + way
}

// asked are the ways that the flags name: one, or none for a series.
func (q request) asked() (ways []string) {
	for _, way := range []string{ofSeed, ofScenario, ofList} {
		if q.set[way] && (way != ofList || q.list) {
			ways = append(ways, way)
		}
	}
	return ways
}

// way is what is asked for, of a request without a fault.
func (q request) way() string {
	if ways := q.asked(); len(ways) > 0 {
		return ways[0]
	}
	return ofSeries
}

// fault names what was asked for and would not be done; empty: nothing.
func (q request) fault() string {
	for _, part := range []func() string{q.misplaced, q.empty, q.outOfBounds, q.unknown, q.unfit} {
		if fault := part(); fault != "" {
			return fault
		}
	}
	return ""
}

// misplaced names the flags that would do nothing here, and where they do.
func (q request) misplaced() string {
	var ways []string
	for _, way := range q.asked() {
		ways = append(ways, told(way))
	}
	if len(ways) > 1 {
		return strings.Join(ways, " and ") + " ask for different things; ask for one"
	}
	var idle []string
	for _, name := range slices.Sorted(maps.Keys(q.set)) {
		if slices.Contains(goes[name], q.way()) || name == ofList {
			continue
		}
		var with []string
		for _, way := range goes[name] {
			with = append(with, told(way))
		}
		idle = append(idle, fmt.Sprintf("-%s goes with %s", name, strings.Join(with, " or ")))
	}
	if len(idle) > 0 {
		return fmt.Sprintf("%s, and not with %s", strings.Join(idle, ", "), told(q.way()))
	}
	if q.set["schedule"] && q.set["faults"] {
		return "-schedule says which faults strike, and -faults of which some are drawn; ask for one"
	}
	return ""
}

// empty names a flag that was given and says nothing. It does not stand for all.
func (q request) empty() string {
	switch {
	case q.set["scenario"] && q.story == "":
		return "-scenario names none; -list lists them"
	case q.set["faults"] && q.only == "":
		return "-faults names none; -list lists them, and without -faults a seed has all that it draws"
	case q.set["ledger"] && q.ledger == "":
		return "-ledger names no file; the table is in docs/simulator.md"
	}
	return ""
}

func (q request) outOfBounds() string {
	switch {
	case q.workers < 1 || q.workers > workersMax:
		return fmt.Sprintf("-workers %d: 1 to %d seeds are played at once", q.workers, workersMax)
	case q.endAt < 1:
		return fmt.Sprintf("-violations %d: a series ends after 1 or more", q.endAt)
	case q.steps < 0, q.seeds < 0, q.from < 0:
		return "-steps, -seeds and -from are 0 or more"
	case q.from > math.MaxInt64-int64(q.seeds):
		return fmt.Sprintf("-from %d: there are no %d seeds from there on; the last one is %d", q.from, q.seeds, int64(math.MaxInt64))
	case q.nodes != 0 && (q.nodes < 3 || q.nodes > nodesMax):
		return fmt.Sprintf("-nodes %d: a cluster has three at the least and here %d at most; 0 is as the seeds say", q.nodes, nodesMax)
	case q.storm <= 0 || q.storm > stormMax:
		return fmt.Sprintf("-storm %s: faults last longer than 0s, and %s at most", q.storm, stormMax)
	case q.atMost <= 0:
		return fmt.Sprintf("-for %s: no seed would be played; a series lasts longer than 0s", q.atMost)
	}
	return ""
}

// unknown names what does not exist, and what does.
func (q request) unknown() string {
	if q.only == "" {
		return ""
	}
	for _, name := range strings.Split(q.only, ",") {
		if !slices.Contains(sim.Faults(), name) {
			return "-faults: " + sim.UnknownFault{Name: name}.Error()
		}
	}
	return ""
}

// unfit says why a series could not be entered in the ledger: what stands there
// is played again from its row alone, and compared with other rows.
func (q request) unfit() string {
	if q.ledger == "" {
		return ""
	}
	for _, name := range []string{"nodes", "faults", "storm"} {
		if q.set[name] {
			return fmt.Sprintf("-ledger: a row is of seeds as they are, and -%s narrows them; leave one of the two out", name)
		}
	}
	if q.commit == unsaid || q.commit == "" {
		return "-ledger: a row says what tree was played; add -commit, such as -commit \"$(git rev-parse --short HEAD)\""
	}
	if _, err := readLedger(q.ledger); err != nil {
		return err.Error()
	}
	return ""
}

// errEdition is a seed of other rules.
var errEdition = errors.New("seed of another edition")

// parseSeed reads edition:number. A bare number is refused: whoever remembers it
// may have seen it in another edition.
func parseSeed(text string) (int64, error) {
	edition, number, both := strings.Cut(text, ":")
	if !both {
		edition, number = strconv.Itoa(sim.Edition), text
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("-seed %q is no edition:number as it was printed, such as %d:7", text, sim.Edition)
	}
	if !both {
		return 0, fmt.Errorf("-seed %s does not say its edition; this tree's is %d:%s, one of another edition is played on the commit that printed it", text, sim.Edition, text)
	}
	if edition != strconv.Itoa(sim.Edition) {
		return 0, fmt.Errorf("%w: %s is of edition %s and this tree plays edition %d; play it on the commit that printed it", errEdition, text, edition, sim.Edition)
	}
	return n, nil
}

// paces are those of leaders, of one that is busy and of one that rests.
var paces = []time.Duration{200 * time.Millisecond, 300 * time.Millisecond, 450 * time.Millisecond}

func (q request) options(seed int64) sim.Options {
	o := sim.Options{Seed: seed, Nodes: q.nodes, Storm: q.storm, Calm: 45 * time.Minute, Pace: paces[seed%int64(len(paces))]}
	if q.only != "" {
		o.Only = strings.Split(q.only, ",")
	}
	return o
}

// tool is the command as it is built in this tree.
const tool = "go run -tags grpcnotrace ./cmd/simulate"

// replayed is the command that plays a seed as this request did, or with a
// schedule of its own.
func (q request) replayed(seed int64, steps int, schedule string) string {
	if q.nodes == 0 && q.only == "" && q.storm == stormLong && schedule == "" {
		return fmt.Sprintf("make sim SEED=%d:%d STEPS=%d", sim.Edition, seed, steps)
	}
	words := fmt.Sprintf("%s -seed %d:%d -steps %d", tool, sim.Edition, seed, steps) + q.narrowed()
	switch {
	case schedule != "":
		words += " -schedule " + schedule
	case q.only != "":
		words += " -faults " + q.only
	}
	return words
}

// twice is the command that plays a seed two times, which a series does with it.
func (q request) twice(seed int64) string {
	words := fmt.Sprintf("%s -from %d -seeds 1", tool, seed) + q.narrowed()
	if q.only != "" {
		words += " -faults " + q.only
	}
	return words
}

// narrowed are the flags by which its worlds are not as the seeds say.
func (q request) narrowed() string {
	words := ""
	if q.storm != stormLong {
		words += fmt.Sprint(" -storm ", q.storm)
	}
	if q.nodes != 0 {
		words += fmt.Sprint(" -nodes ", q.nodes)
	}
	return words
}
