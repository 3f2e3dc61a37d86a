// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var (
	durations = reflect.TypeFor[time.Duration]()
	words     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// take reads a node into the value that into points to.
func (d *document) take(n *yaml.Node, path string, into any) {
	d.value(n, path, reflect.ValueOf(into).Elem())
}

func (d *document) value(n *yaml.Node, path string, v reflect.Value) {
	d.places[path] = n
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.refuse(n, path, "anchors and aliases are not taken; write the value out")
	case blank(n):
		d.refuse(n, path, "blank; write %s, or leave the line out", shape(v.Type()))
	case v.Type() == durations:
		d.duration(n, path, v)
	case v.Addr().Type().Implements(words):
		d.word(n, path, v)
	default:
		d.kind(n, path, v)
	}
}

func (d *document) kind(n *yaml.Node, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, path, v.Elem())
	case reflect.Struct:
		d.fields(n, path, v)
	case reflect.Map:
		d.entries(n, path, v)
	case reflect.Slice:
		d.items(n, path, v)
	case reflect.String:
		d.text(n, path, v)
	default:
		d.number(n, path, v)
	}
}

// fields reads a mapping into a struct.
func (d *document) fields(n *yaml.Node, path string, v reflect.Value) {
	known := map[string]int{}
	var names []string
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			known[name], names = i, append(names, name)
		}
	}
	d.pairs(n, path, v, func(key, value *yaml.Node) {
		if i, ok := known[key.Value]; ok {
			d.value(value, child(path, key.Value), v.Field(i))
			return
		}
		hint := "known: " + strings.Join(names, ", ")
		if near := nearest(key.Value, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		d.refuse(key, child(path, key.Value), "unknown field; %s", hint)
	})
}

// entries reads a mapping into a map, anew: a default entry does not survive
// beside what was written.
func (d *document) entries(n *yaml.Node, path string, v reflect.Value) {
	out := reflect.MakeMap(v.Type())
	d.pairs(n, path, v, func(key, value *yaml.Node) {
		into := reflect.New(v.Type().Elem()).Elem()
		d.value(value, child(path, key.Value), into)
		out.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), into)
	})
	v.Set(out)
}

// pairs walks a mapping; keys are plain text and stand once.
func (d *document) pairs(n *yaml.Node, path string, v reflect.Value, do func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.refuse(n, path, "%s; want %s", seen(n), shape(v.Type()))
		return
	}
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch before := first[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Anchor != "":
			d.add(key.Line, key.Column, path, "the key must be one plain word")
		case key.ShortTag() != "!!str":
			d.refuse(key, child(path, key.Value), "the key %s is no text; write %q in quotes", key.Value, key.Value)
		case before != nil:
			d.refuse(key, child(path, key.Value), "stands in line %d already; write it once", before.Line)
		default:
			first[key.Value] = key
			do(key, value)
		}
	}
}

func (d *document) items(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.refuse(n, path, "%s; want %s", seen(n), shape(v.Type()))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, each := range n.Content {
		d.value(each, item(path, i), out.Index(i))
	}
	v.Set(out)
}

func (d *document) text(n *yaml.Node, path string, v reflect.Value) {
	switch tag := n.ShortTag(); {
	case n.Kind != yaml.ScalarNode:
		d.refuse(n, path, "%s; want a text", seen(n))
	case tag == "!!str":
		v.SetString(n.Value)
	default:
		d.refuse(n, path, "%s is no text to YAML; write %q in quotes", n.Value, n.Value)
	}
}

func (d *document) duration(n *yaml.Node, path string, v reflect.Value) {
	got, err := time.ParseDuration(n.Value)
	switch tag := n.ShortTag(); {
	case n.Kind != yaml.ScalarNode:
		d.refuse(n, path, "%s; want a duration like 15s", seen(n))
	case tag == "!!int" || tag == "!!float" || err != nil && isNumber(n.Value):
		d.refuse(n, path, "%q has no unit; write %ss", n.Value, n.Value)
	case tag != "!!str" || err != nil:
		d.refuse(n, path, "%q is no duration; write it like 500ms, 15s, 30m or 1h30m", n.Value)
	default:
		v.SetInt(int64(got))
	}
}

// isNumber says whether only a unit is missing.
func isNumber(s string) bool {
	_, err := time.ParseDuration(s + "s")
	return err == nil
}

// word reads a value that spells itself, like a mode.
func (d *document) word(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.refuse(n, path, "%s; want one word", seen(n))
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
		d.refuse(n, path, "%v", err)
	}
}

// number reads numbers and truth values.
func (d *document) number(n *yaml.Node, path string, v reflect.Value) {
	want := map[string]string{"bool": "!!bool", "int": "!!int", "float64": "!!float"}[v.Kind().String()]
	tag := n.ShortTag()
	fits := n.Kind == yaml.ScalarNode && (tag == want || tag == "!!int" && want == "!!float")
	got := reflect.New(v.Type())
	if fits {
		fits = n.Decode(got.Interface()) == nil
	}
	if fits && v.Kind() == reflect.Float64 {
		fits = !math.IsNaN(got.Elem().Float()) && !math.IsInf(got.Elem().Float(), 0)
	}
	if !fits {
		d.refuse(n, path, "%s; want %s", seen(n), shape(v.Type()))
		return
	}
	v.Set(got.Elem())
}

// seen says what stands there.
func seen(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping stands here"
	case yaml.SequenceNode:
		return "a list stands here"
	}
	return fmt.Sprintf("%q stands here", n.Value)
}

// shape says what a type looks like in a document.
func shape(t reflect.Type) string {
	switch {
	case t == durations:
		return "a duration like 15s"
	case reflect.PointerTo(t).Implements(words):
		return "one word"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shape(t.Elem())
	case reflect.Struct:
		return "fields, one a line, as name: value"
	case reflect.Map:
		return "entries, one a line, as name: value"
	case reflect.Slice:
		return "a list ([] for none)"
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// nearest is the known name that was probably meant, or nothing.
func nearest(word string, known []string) string {
	best, least := "", 1+min(2, len(word)/3)
	for _, name := range known {
		if dist := distance(word, name); dist < least {
			best, least = name, dist
		}
	}
	return best
}

// distance is the number of letters to insert, drop, change or swap with
// their neighbour. Words longer than any field's name are far from everything.
func distance(a, b string) int {
	const wordMax = 64
	if len(a) > wordMax || len(b) > wordMax {
		return wordMax
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			rows[i][j] = step(rows, a, b, i, j)
		}
	}
	return rows[len(a)][len(b)]
}

// step is the distance of the first i letters of a from the first j of b.
func step(rows [][]int, a, b string, i, j int) int {
	if i == 0 || j == 0 {
		return i + j
	}
	change := rows[i-1][j-1]
	if a[i-1] != b[j-1] {
		change++
	}
	least := min(change, rows[i-1][j]+1, rows[i][j-1]+1)
	if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
		least = min(least, rows[i-2][j-2]+1)
	}
	return least
}
