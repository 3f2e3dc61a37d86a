// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/incident"
)

// Scenario is a story that must end well, and that shows why: without its
// guard it does not.
type Scenario struct {
	Name    string
	Story   string // what happened in the world, or what is feared
	Options Options
	// Guard is the rule that saves this story, Remove takes it away where the
	// deciding code meets the world: by a value of the policy, or by one of the
	// bugs. Empty and nil: nothing can be taken away, the story states its end.
	Guard  string
	Remove func(*Options)
	// Breaks is what does not hold without the guard: a check's name, or empty
	// for one of the Options' Truths.
	Breaks string
}

// Unguarded is what is played to show that the guard is what saved the story.
func (s Scenario) Unguarded() Options {
	o := s.Options
	s.Remove(&o)
	return o
}

// UnknownScenario is a name that no scenario has.
type UnknownScenario struct{ Name string }

// Error lists the scenarios that exist.
func (e UnknownScenario) Error() string {
	var names []string
	for _, s := range Scenarios() {
		names = append(names, s.Name)
	}
	for _, n := range NotYet() {
		if n.Name == e.Name {
			return fmt.Sprintf("scenario %q cannot be played yet: needs %s; there are: %s", e.Name, n.Needs, strings.Join(names, ", "))
		}
	}
	return fmt.Sprintf("no scenario %q; there are: %s", e.Name, strings.Join(names, ", "))
}

// ScenarioOf finds a scenario by its name.
func ScenarioOf(name string) (Scenario, error) {
	all := Scenarios()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, UnknownScenario{name}
	}
	return all[i], nil
}

// Scenarios are all that can be played: outages that became known, retold with
// what exists here, and then some that were only feared.
func Scenarios() []Scenario {
	return slices.Concat(hasty(), crowded(), repeating(), hanging(), ordered(), feared(), restored(), doubted())
}

// small is a world of one datacenter whose rack r1 has n1 and n4, r2 has n2 and
// n5, and r3 has n3.
func small(seed int64, storm time.Duration, strokes ...Stroke) Options {
	return Options{Seed: seed, Nodes: 5, Datacenters: 1, Storm: storm, Calm: 45 * time.Minute, Strokes: strokes}
}

// rack is a world of one datacenter and nine nodes, three to a rack.
func rack(seed int64, storm time.Duration, strokes ...Stroke) Options {
	o := small(seed, storm, strokes...)
	o.Nodes = 9
	return o
}

func hit(at time.Duration, fault string, node int) Stroke {
	return Stroke{At: at, Fault: fault, Node: node, Salt: 1}
}

func hitFor(at, lasts time.Duration, fault string, node int) Stroke {
	return Stroke{At: at, Fault: fault, Node: node, Salt: 1, For: lasts}
}

// repeated strikes again and again.
func repeated(from, to, every time.Duration, fault string, node int) []Stroke {
	var out []Stroke
	for at := from; at < to; at += every {
		out = append(out, hit(at, fault, node))
	}
	return out
}

// policed adds to what the policy of a world says.
func policed(o *Options, also func(*incident.Policy)) {
	before := o.Policy
	o.Policy = func(p *incident.Policy) {
		if before != nil {
			before(p)
		}
		also(p)
	}
}

func (s Scenario) truths(ts ...Truth) Scenario {
	s.Options.Truths = ts
	return s
}

func (s Scenario) policy(says func(*incident.Policy)) Scenario {
	s.Options.Policy = says
	return s
}

// feared are stories without a guard of their own: they say how they must end.
func feared() []Scenario {
	return []Scenario{
		Scenario{
			Name:    "datacenter-dark",
			Story:   "The power of a whole datacenter is cut and comes back within a minute or so.",
			Options: Options{Seed: 1, Nodes: 6, Datacenters: 2, Storm: 3 * time.Minute, Calm: 45 * time.Minute, Strokes: []Stroke{{At: second, Fault: "datacenter-power", Node: 1, Salt: 5}}},
		}.truths(serveOrAsk()),
		Scenario{
			Name:  "store-lost-an-hour",
			Story: "The store is lost for an hour, and three agents and a process crash meanwhile.",
			Options: Options{Seed: 1, Nodes: 3, Storm: 62 * time.Minute, Calm: 45 * time.Minute, Strokes: []Stroke{
				hitFor(second, time.Hour, "store-no-quorum", 0), hit(10*time.Minute, "agent-crash", 0),
				hit(30*time.Minute, "agent-crash", 2), hit(58*time.Minute, "agent-crash", 1), hit(59*time.Minute, "kill", 2)}},
		}.truths(nothingWithoutStore(), allServe()),
		Scenario{
			Name:  "hands-in-a-return",
			Story: "In the middle of a return somebody joins the sleeper to the ring with nodetool, and later resets what keeps readers from it.",
			Options: small(1, 4*time.Minute,
				append(append([]Stroke{hit(second, "kill", 3)}, repeated(8*second, 12*second, second, "join-by-hand", 0)...),
					hit(9*second, "severity-by-hand", 0), hit(10*second, "severity-by-hand", 0))...),
		}.truths(allServe()),
	}
}

// Lacking is an outage that cannot be told yet, and what it needs.
type Lacking struct{ Name, Needs string }

// NotYet are the known outages that wait for something that does not exist.
func NotYet() []Lacking {
	return []Lacking{
		{"roblox-2021", "a status that is read without the store; the store of this world has no other users"},
		{"google-2019", "maintenance of one place, with a token that executors hold against their own place: a pause is what leaders hold"},
		{"s3-2017", "a verb that takes away as many as it is told: each here is about one node"},
	}
}
