// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Module is the module's path, the first element of every import of ours.
const Module = "supervisor"

// Breach is one place where a rule of the house does not hold.
type Breach struct {
	Where string // file:line, or a path below the module's root
	Rule  string // one word, as the sections of this package are named
	What  string // what is there, and what would be right
}

// String is the line a person reads.
func (b Breach) String() string { return fmt.Sprintf("%s: %s: %s", b.Where, b.Rule, b.What) }

// File is one file of the tree. AST is nil for what is not Go.
type File struct {
	Path string // slashes, below the module's root
	Text []byte
	AST  *ast.File
}

// Room is the folder of a file, as the table of rooms names it.
func (f *File) Room() string { return path.Dir(f.Path) }

// Test tells whether a file is compiled for tests only.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Tree is the source of a module, in the order of its paths.
type Tree struct {
	Fset  *token.FileSet
	Files []*File
}

// Parse makes a tree of files by path. Go in a testdata folder is material of
// a test, not source.
func Parse(texts map[string][]byte) (*Tree, error) {
	t := &Tree{Fset: token.NewFileSet()}
	for _, p := range slices.Sorted(maps.Keys(texts)) {
		f := &File{Path: p, Text: texts[p]}
		if strings.HasSuffix(p, ".go") && !strings.Contains("/"+p, "/testdata/") {
			parsed, err := parser.ParseFile(t.Fset, p, f.Text, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return nil, fmt.Errorf("parse %s: %w", p, err)
			}
			f.AST = parsed
		}
		t.Files = append(t.Files, f)
	}
	return t, nil
}

// Load reads the module whose root is dir. Hidden folders and bin hold what
// was made, not what was written; .ci is the exception.
func Load(dir string) (*Tree, error) {
	texts := map[string][]byte{}
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		if d.IsDir() {
			made := rel == "bin" || rel == "dist" || rel == "bench-out" || strings.HasPrefix(d.Name(), ".") && rel != "." && rel != ".ci"
			if made {
				return fs.SkipDir
			}
			return nil
		}
		if !written(d) {
			return nil
		}
		texts[filepath.ToSlash(rel)], err = os.ReadFile(at)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree in %s: %w", dir, err)
	}
	return Parse(texts)
}

// written tells whether people write this file: Go, prose, scripts, settings.
func written(d fs.DirEntry) bool {
	named := []string{"Makefile", "NOTICE", "run"}
	endings := []string{".go", ".md", ".sh", ".yaml", ".yml", ".txt", ".txtar", ".java", ".xml"}
	return d.Type().IsRegular() && (slices.Contains(named, d.Name()) || slices.Contains(endings, filepath.Ext(d.Name())))
}

// Source lists the Go files of the module.
func (t *Tree) Source() []*File {
	return slices.DeleteFunc(slices.Clone(t.Files), func(f *File) bool { return f.AST == nil })
}

// Packages groups the Go files that are not tests by room.
func (t *Tree) Packages() map[string][]*File {
	rooms := map[string][]*File{}
	for _, f := range t.Source() {
		if !f.Test() {
			rooms[f.Room()] = append(rooms[f.Room()], f)
		}
	}
	return rooms
}

// where names the place of a node.
func (t *Tree) where(n ast.Node) string {
	at := t.Fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", at.Filename, at.Line)
}

// line is the number of the line a node begins on.
func (t *Tree) line(n ast.Node) int { return t.Fset.Position(n.Pos()).Line }

// lines counts the lines of a file.
func lines(text []byte) int { return bytes.Count(text, []byte("\n")) }
