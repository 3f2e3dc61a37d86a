// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Ranks checks who knows whom, and that every room bears a name and a row in
// the table.
func Ranks(t *Tree) []Breach {
	var out []Breach
	named := map[string]bool{}
	for _, f := range t.Source() {
		room := f.Room()
		if !named[room] {
			named[room] = true
			out = append(out, roomName(f)...)
		}
		for _, spec := range f.AST.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser has let through only strings
			}
			if what := refused(f, imported); what != "" {
				out = append(out, Breach{t.where(spec), "ranks", what})
			}
		}
	}
	return out
}

func roomName(f *File) []Breach {
	var out []Breach
	room, name := f.Room(), f.AST.Name.Name
	if slices.Contains(vague, path.Base(room)) || slices.Contains(vague, name) {
		out = append(out, Breach{room, "names", fmt.Sprintf("a package called %s holds everything and means nothing; name it by its trade", name)})
	}
	if _, known := allowed(room); !known {
		out = append(out, Breach{room, "ranks", "no row of the table names this room; add one in internal/archtest/rooms.go"})
	}
	return out
}

// refused tells why a file must not import a path; empty: it may.
func refused(f *File, imported string) string {
	room := f.Room()
	for library, doors := range libraries {
		under := imported == library || strings.HasPrefix(imported, library+"/")
		if under && !f.Test() && !anyMatch(doors, room) {
			return fmt.Sprintf("%s may be imported by %s only", library, strings.Join(doors, ", "))
		}
	}
	target, ours := strings.CutPrefix(imported, Module+"/")
	if !ours {
		return ""
	}
	may, known := allowed(room)
	switch {
	case !known || target == room || anyMatch(may, target):
		return ""
	case f.Test() && testMay(room, target):
		return ""
	}
	return fmt.Sprintf("%s must not know %s; it may know %s", room, target, listed(may))
}

// testMay tells what a test may import beyond its room's row. Tests of back
// rooms may use whatever they need to meet the real thing; those of pure rooms
// stay pure in what they know, and may be driven by the simulator.
func testMay(room, target string) bool {
	if match(blackBox, room) {
		return false
	}
	if !pure(room) {
		return !strings.HasPrefix(target, "cmd/")
	}
	// The model is the store as a value: a pure room's tests play on it.
	return target == "internal/sim" || target == "internal/store/model" || target == "internal/store/storetest" && room == "internal/store/model"
}

func listed(may []string) string {
	if len(may) == 0 {
		return "nobody"
	}
	return strings.Join(slices.Sorted(slices.Values(may)), ", ")
}
