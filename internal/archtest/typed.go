// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// checkedRoom is a pure room with the types of everything in it.
type checkedRoom struct {
	files []*File
	pkg   *types.Package
	info  *types.Info
}

// typed checks the types of every pure room, from source. What a breach
// imports beyond the table has no types here, which is no fault of its own:
// the import itself is one.
func typed(t *Tree) (map[string]*checkedRoom, error) {
	std, err := standard()
	if err != nil {
		return nil, err
	}
	c := &checker{tree: t, rooms: t.Packages(), done: map[string]*checkedRoom{}}
	c.std = importer.ForCompiler(t.Fset, "gc", func(path string) (io.ReadCloser, error) {
		file, known := std[path]
		if !known {
			return nil, fmt.Errorf("%s is not known to pure rooms", path)
		}
		return os.Open(file)
	})
	for room := range c.rooms {
		if pure(room) {
			if _, err := c.check(room); err != nil {
				return nil, err
			}
		}
	}
	return c.done, nil
}

type checker struct {
	tree  *Tree
	rooms map[string][]*File
	std   types.Importer
	done  map[string]*checkedRoom // nil while a room is being checked
}

// Import serves the type checker: our own rooms from source, the others from
// what the compiler wrote.
func (c *checker) Import(path string) (*types.Package, error) {
	room, ours := strings.CutPrefix(path, Module+"/")
	if !ours {
		return c.std.Import(path)
	}
	if !pure(room) {
		return nil, fmt.Errorf("%s is no pure room", room)
	}
	checked, err := c.check(room)
	if err != nil {
		return nil, err
	}
	return checked.pkg, nil
}

func (c *checker) check(room string) (*checkedRoom, error) {
	switch r, begun := c.done[room]; {
	case r != nil:
		return r, nil
	case begun:
		return nil, fmt.Errorf("%s imports itself", room)
	}
	c.done[room] = nil
	files := c.rooms[room]
	if len(files) == 0 {
		return nil, fmt.Errorf("no source of %s", room)
	}
	r := &checkedRoom{files: files, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
	}}
	parsed := make([]*ast.File, len(files))
	for i, f := range files {
		parsed[i] = f.AST
	}
	var faults []error
	conf := types.Config{Importer: c, Error: func(err error) { faults = append(faults, err) }}
	r.pkg, _ = conf.Check(Module+"/"+room, c.tree.Fset, parsed, r.info)
	if err := errors.Join(faults...); err != nil && !strings.Contains(err.Error(), "could not import") {
		return nil, fmt.Errorf("check the types of %s: %w", room, err)
	}
	c.done[room] = r
	return r, nil
}

// standard maps the harmless packages and what they need to the compiler's
// export data.
var standard = sync.OnceValues(func() (map[string]string, error) {
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, slices.Concat(harmless, seeded)...)
	cmd := exec.Command("go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the standard library: %w: %s", err, stderr.String())
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, found := strings.Cut(strings.TrimSpace(line), "\t")
		if found && file != "" {
			files[path] = file
		}
	}
	return files, nil
})
