// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Limits of size. A file or function beyond them is several things.
const (
	pureFileMax = 500 // lines
	fileMax     = 700
	funcMax     = 100
)

const licence = "// SPDX-License-Identifier: Apache-2.0\n\n"

// House checks what a reader meets first: the licence line, a sentence for
// every exported name, files and functions of a readable size, and no word
// that says the work is not finished or was done somewhere else.
func House(t *Tree) []Breach {
	var out []Breach
	for _, f := range t.Files {
		out = append(out, words(f)...)
	}
	for _, f := range t.Source() {
		if !bytes.HasPrefix(f.Text, []byte(licence)) {
			out = append(out, Breach{f.Path, "licence", "the first line is the SPDX line, then an empty one"})
		}
		out = append(out, sizes(t, f)...)
		if !f.Test() {
			out = append(out, undocumented(t, f)...)
		}
	}
	return append(out, roomDocs(t)...)
}

// The words are written apart, so that this file does not hold them.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

// elsewhere are places of one machine, and papers that are not in the tree.
var elsewhere = regexp.MustCompile(`(^|[^\w./-])/(wo` + `rk|ro` + `ot|ho` + `me)/|\b(des` + `ign|ske` + `tch|saf` + `ety|sty` + `le|experi` + `ence|ecosy` + `stem|cassandra-fa` + `cts)\.md\b`)

func words(f *File) []Breach {
	if strings.HasPrefix(f.Path, "internal/archtest/testdata/") {
		return nil
	}
	var out []Breach
	n := 0
	for line := range bytes.Lines(f.Text) {
		n++
		at := fmt.Sprintf("%s:%d", f.Path, n)
		for _, w := range unfinished.FindAll(line, -1) {
			out = append(out, Breach{at, "words", fmt.Sprintf("%s: finish it, or write down what is missing where an operator reads it", w)})
		}
		for _, w := range elsewhere.FindAll(line, -1) {
			out = append(out, Breach{at, "words", fmt.Sprintf("%s is nowhere in this tree", strings.Trim(string(w), " \t\"'`(=,"))})
		}
	}
	return out
}

func sizes(t *Tree, f *File) []Breach {
	var out []Breach
	most := fileMax
	if pure(f.Room()) && !f.Test() {
		most = pureFileMax
	}
	n := lines(f.Text)
	if n > most {
		out = append(out, Breach{f.Path, "size", fmt.Sprintf("%d lines, at most %d: it is about more than one thing", n, most)})
	}
	for _, d := range f.AST.Decls {
		fn, isFunc := d.(*ast.FuncDecl)
		if !isFunc {
			continue
		}
		if n := t.Fset.Position(fn.End()).Line - t.line(fn) + 1; n > funcMax {
			out = append(out, Breach{t.where(fn), "size", fmt.Sprintf("%s has %d lines, at most %d", fn.Name.Name, n, funcMax)})
		}
	}
	return out
}

// undocumented finds exported names without a sentence. The sentence above a
// group of constants or variables stands for all of them.
func undocumented(t *Tree, f *File) []Breach {
	var out []Breach
	missing := func(n ast.Node, name string) {
		out = append(out, Breach{t.where(n), "comment", fmt.Sprintf("%s is exported and says nothing about itself", name)})
	}
	for _, d := range f.AST.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
				missing(d, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if name, bare := bareSpec(d, spec); bare {
					missing(spec, name)
				}
			}
		}
	}
	return out
}

func bareSpec(d *ast.GenDecl, spec ast.Spec) (name string, bare bool) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		own := s.Doc != nil || s.Comment != nil || d.Doc != nil && d.Lparen == token.NoPos
		return s.Name.Name, s.Name.IsExported() && !own && !namedAbove(d, s.Name.Name)
	case *ast.ValueSpec:
		i := slices.IndexFunc(s.Names, (*ast.Ident).IsExported)
		if i >= 0 && s.Doc == nil && s.Comment == nil && d.Doc == nil {
			return s.Names[i].Name, true
		}
	}
	return "", false
}

// namedAbove tells whether the comment of a group of types, or of another type
// in it, speaks of this one by name.
func namedAbove(d *ast.GenDecl, name string) bool {
	docs := []*ast.CommentGroup{d.Doc}
	for _, spec := range d.Specs {
		if t, isType := spec.(*ast.TypeSpec); isType {
			docs = append(docs, t.Doc)
		}
	}
	word := regexp.MustCompile(`\b` + name + `\b`)
	return slices.ContainsFunc(docs, func(c *ast.CommentGroup) bool { return word.MatchString(c.Text()) })
}

// exportedReceiver tells whether others can call it: a function, or a method
// of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	expr := d.Recv.List[0].Type
	if star, isPointer := expr.(*ast.StarExpr); isPointer {
		expr = star.X
	}
	if generic, isGeneric := expr.(*ast.IndexExpr); isGeneric {
		expr = generic.X
	}
	name, isName := expr.(*ast.Ident)
	return isName && name.IsExported()
}

// roomDocs demands that every package says once what it is for.
func roomDocs(t *Tree) []Breach {
	var out []Breach
	rooms := t.Packages()
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		n := 0
		for _, f := range rooms[room] {
			if f.AST.Doc != nil {
				n++
			}
		}
		if n != 1 {
			out = append(out, Breach{room, "comment", fmt.Sprintf("%d comments say what the package is for, want one", n)})
		}
	}
	return out
}
