// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// bytesMax is the longest document taken. A policy must fit into one
// transaction of the store.
const bytesMax = 256 << 10

// document is one YAML file while it is read: its faults, and where each
// value stands, so that a later check of the whole can still name the line.
type document struct {
	file   string
	kept   string
	faults []Fault
	places map[string]*yaml.Node // by path; the value, for a list or a map its beginning
	broken map[string]bool       // paths whose value was refused already
}

// load reads a file, bounded. An error means that it could not be read at all.
func load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, bytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return text, nil
}

// parse reads text into the value that into points to. Fields that the text
// leaves out keep what they have: the defaults.
func parse(file, kept string, text []byte, into any) *document {
	d := &document{file: file, kept: kept, places: map[string]*yaml.Node{}, broken: map[string]bool{}}
	if len(text) > bytesMax {
		d.unreadable(0, fmt.Sprintf("longer than %d bytes", bytesMax))
		return d
	}
	if root := d.root(text); root != nil {
		d.take(root, "", into)
	}
	return d
}

// unreadable is a fault that leaves nothing to check.
func (d *document) unreadable(line int, what string) {
	d.broken[""] = true
	d.add(line, min(line, 1), "", what)
}

// root is the one mapping that a document must be; nil after a fault.
func (d *document) root(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.unreadable(1, "the document is empty")
		return nil
	case err != nil:
		d.syntax(err)
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		d.add(second.Line, second.Column, "", "a second document begins here; only one is read")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
	}
	if len(doc.Content) == 0 || blank(doc.Content[0]) {
		d.unreadable(1, "the document is empty")
		return nil
	}
	return doc.Content[0]
}

var syntaxLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntax keeps the line that the parser names.
func (d *document) syntax(err error) {
	said := strings.TrimSpace(err.Error())
	at := syntaxLine.FindStringSubmatch(said)
	line, _ := strconv.Atoi(at[1]) // 0: not named
	d.unreadable(line, "this is no YAML: "+strings.TrimPrefix(said, at[0]))
}

func (d *document) add(line, col int, path, what string) {
	d.faults = append(d.faults, Fault{Line: line, Col: col, Path: path, What: what})
}

// refuse notes that the value at path was not taken. Checks of the whole pass
// over it: it would be said twice, about a default.
func (d *document) refuse(n *yaml.Node, path, format string, args ...any) {
	d.broken[path] = true
	d.add(n.Line, n.Column, path, fmt.Sprintf(format, args...))
}

// fault notes a fault of the value at path. Where nothing stands at path, the
// place is that of the nearest parent that was written down. A path whose
// value, or a value around it, was refused when it was read stays silent.
func (d *document) fault(path, format string, args ...any) {
	if d.silent(path) {
		return
	}
	line, col := 1, 1
	for at := path; ; at = parent(at) {
		if n, ok := d.places[at]; ok {
			line, col = n.Line, n.Column
			break
		}
		if at == "" {
			break
		}
	}
	d.add(line, col, path, fmt.Sprintf(format, args...))
}

// must is fault, unless ok.
func (d *document) must(ok bool, path, format string, args ...any) bool {
	if !ok {
		d.fault(path, format, args...)
	}
	return ok
}

// silent says whether the value at path was refused when it was read.
func (d *document) silent(path string) bool {
	for at := path; at != ""; at = parent(at) {
		if d.broken[at] {
			return true
		}
	}
	return d.broken[""]
}

// whole says whether everything at and below path was taken as written.
func (d *document) whole(path string) bool {
	for at := range d.broken {
		if at == path || strings.HasPrefix(at, path+".") || strings.HasPrefix(at, path+"[") {
			return false
		}
	}
	return !d.silent(path)
}

// given says whether something was written down at path.
func (d *document) given(path string) bool { return d.places[path] != nil }

// err is nil when the document is in order.
func (d *document) err() error {
	if len(d.faults) == 0 {
		return nil
	}
	return Faults{File: d.file, Kept: d.kept, Faults: sorted(d.faults)}
}

// parent cuts the last step off a path: a.b[2] to a.b to a to nothing.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// child is the path of a key, quoted where it would not read as one word.
func child(path, key string) string {
	if !plain.MatchString(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// blank is a key with nothing behind it.
func blank(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
