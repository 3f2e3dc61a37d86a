// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
)

// faultless is a schedule without a stroke, as it is written.
const faultless = "none"

// NodesOf are the names of a world's nodes, in the order in which strokes count
// them.
func NodesOf(o Options) ([]cluster.Name, error) {
	b, err := planted(o.Bug)
	if err != nil {
		return nil, err
	}
	var names []cluster.Name
	for _, n := range newWorld(o, b).nodes {
		names = append(names, n.name)
	}
	return names, nil
}

// On is the stroke as a person reads it, with its victim among the nodes of its
// world.
func (s Stroke) On(nodes []cluster.Name) string {
	return fmt.Sprintf("%7.1fs %s on %s", s.At.Seconds(), s.Fault, nodes[s.Node%len(nodes)])
}

// WriteSchedule is a schedule in one word that a shell leaves alone: strokes with
// commas between them, each moment/fault/node/salt and then, where it has one,
// wait=length and for=length. ParseSchedule reads it back.
func WriteSchedule(strokes []Stroke, nodes []cluster.Name) string {
	if len(strokes) == 0 {
		return faultless
	}
	var words []string
	for _, s := range strokes {
		word := fmt.Sprintf("%s/%s/%s/%d", s.At, s.Fault, nodes[s.Node%len(nodes)], s.Salt)
		if s.Wait != 0 {
			word += "/wait=" + s.Wait.String()
		}
		if s.For != 0 {
			word += "/for=" + s.For.String()
		}
		words = append(words, word)
	}
	return strings.Join(words, ",")
}

// ParseSchedule reads a schedule for the world of some options. What it gives is
// never nil: nothing is drawn beside it.
func ParseSchedule(text string, o Options) ([]Stroke, error) {
	strokes := []Stroke{}
	if text == faultless {
		return strokes, nil
	}
	nodes, err := NodesOf(o)
	if err != nil {
		return nil, err
	}
	for i, word := range strings.Split(text, ",") {
		s, err := parseStroke(word, nodes)
		if err == nil && s.At >= o.Storm {
			err = fmt.Errorf("nothing strikes at %s, for the storm is over after %s", s.At, o.Storm)
		}
		if err != nil {
			return nil, fmt.Errorf("stroke %d of the schedule, %q: %w", i+1, word, err)
		}
		strokes = append(strokes, s)
	}
	return strokes, nil
}

// parseStroke reads one stroke.
func parseStroke(word string, nodes []cluster.Name) (s Stroke, err error) {
	parts := strings.Split(word, "/")
	if len(parts) < 4 {
		return Stroke{}, fmt.Errorf("wants moment/fault/node/salt, such as 1.5s/kill/%s/7", nodes[0])
	}
	if s.At, err = length(parts[0]); err != nil {
		return Stroke{}, fmt.Errorf("its moment: %w", err)
	}
	if s.Fault = parts[1]; !slices.Contains(Faults(), s.Fault) {
		return Stroke{}, UnknownFault{s.Fault}
	}
	if s.Node = slices.Index(nodes, cluster.Name(parts[2])); s.Node < 0 {
		return Stroke{}, fmt.Errorf("no node %q in this world; there are: %s", parts[2], strings.Trim(fmt.Sprint(nodes), "[]"))
	}
	if s.Salt, err = strconv.ParseInt(parts[3], 10, 64); err != nil {
		return Stroke{}, fmt.Errorf("its salt %q is a whole number", parts[3])
	}
	for _, part := range parts[4:] {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "wait":
			s.Wait, err = length(value)
		case "for":
			s.For, err = length(value)
		default:
			err = fmt.Errorf("after the salt come wait= and for= only")
		}
		if err != nil {
			return Stroke{}, fmt.Errorf("%s: %w", part, err)
		}
	}
	return s, nil
}

// length reads a span of time that does not go back.
func length(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time of 0s or more, such as 1.5s or 2m", text)
	}
	return d, nil
}
