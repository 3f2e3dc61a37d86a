// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// harmless are the packages of the standard library that a pure room may
// import. All others are refused: a room that needs one asks here first.
var harmless = []string{
	"bytes", "cmp", "container/heap", "container/list", "crypto/ed25519", "crypto/sha256",
	"encoding", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json", "errors",
	"fmt", "hash", "hash/crc32", "hash/fnv", "io", "iter", "maps", "math", "math/bits", "net/netip",
	"slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// seeded may be imported by the simulator alone, for a source made of a seed.
var seeded = []string{"math/rand", "math/rand/v2"}

// forbidden are the names in harmless packages that read a clock, the machine
// or chance, or that write somewhere.
var forbidden = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
		"Timer", "Ticker", "Local", "LoadLocation"},
	"fmt":            {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"crypto/ed25519": {"GenerateKey"},
}

// permitted are the only names that may be used of these packages.
var permitted = map[string][]string{
	"io":           {"EOF", "ErrUnexpectedEOF"},
	"math/rand":    {"New", "NewSource", "Rand", "Source", "Source64"},
	"math/rand/v2": {"New", "NewPCG", "NewChaCha8", "Rand", "PCG", "ChaCha8", "Source"},
}

// panics and recovers are the only places of their kind. The simulator, which
// is part of no program, may also panic when its own world contradicts itself.
const (
	panics   = "cluster.Must"
	worlds   = "internal/sim"
	recovers = "internal/lead"
)

// Purity checks that pure rooms are functions of their arguments: the same
// arguments give the same answer, on any machine, at any moment.
func Purity(t *Tree) ([]Breach, error) {
	checked, err := typed(t)
	if err != nil {
		return nil, err
	}
	var out []Breach
	for _, room := range slices.Sorted(maps.Keys(checked)) {
		for _, f := range checked[room].files {
			p := &purity{tree: t, file: f, info: checked[room].info}
			p.imports()
			for _, d := range f.AST.Decls {
				p.decl(d)
			}
			out = append(out, p.found...)
		}
	}
	return out, nil
}

// purity walks one file.
type purity struct {
	tree  *Tree
	file  *File
	info  *types.Info
	found []Breach
}

func (p *purity) breach(rule string, n ast.Node, format string, args ...any) {
	p.found = append(p.found, Breach{p.tree.where(n), rule, fmt.Sprintf(format, args...)})
}

func (p *purity) imports() {
	for _, spec := range p.file.AST.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil || strings.HasPrefix(name, Module+"/") || slices.Contains(harmless, name) {
			continue
		}
		if slices.Contains(seeded, name) && p.file.Room() == "internal/sim" {
			continue
		}
		p.breach("purity", spec, "a pure room does not import %s", name)
	}
}

func (p *purity) decl(d ast.Decl) {
	fn, _ := d.(*ast.FuncDecl)
	ast.PreorderStack(d, nil, func(n ast.Node, above []ast.Node) bool {
		p.concurrency(n)
		switch n := n.(type) {
		case *ast.Ident:
			p.use(n, fn)
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				p.memory(fn, n.Lhs...)
			}
		case *ast.IncDecStmt:
			p.memory(fn, n.X)
		case *ast.RangeStmt:
			p.mapRange(n, fn)
		case *ast.CallExpr:
			p.mapKeys(n, above)
		}
		return true
	})
}

// concurrency refuses whatever two goroutines would need.
func (p *purity) concurrency(n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		p.breach("purity", n, "a pure room starts no goroutine")
	case *ast.SelectStmt:
		p.breach("purity", n, "a pure room waits for nothing")
	case *ast.ChanType:
		p.breach("purity", n, "a pure room has no channel")
	}
}

// use looks at what a name stands for.
func (p *purity) use(id *ast.Ident, fn *ast.FuncDecl) {
	obj := p.info.Uses[id]
	if b, builtin := obj.(*types.Builtin); builtin {
		p.builtin(b.Name(), id, fn)
		return
	}
	if obj == nil || obj.Pkg() == nil {
		return
	}
	pkg, name := obj.Pkg().Path(), obj.Name()
	only, limited := permitted[pkg]
	switch {
	case pkg == "time" && name == "Local":
		p.breach("purity", id, "time.Local is another place on every machine; use UTC")
	case obj.Parent() != obj.Pkg().Scope():
		return // a method or a field
	case slices.Contains(forbidden[pkg], name):
		p.breach("purity", id, "%s.%s: moments, chance and output come as arguments or go as results", pkg, name)
	case limited && !slices.Contains(only, name):
		p.breach("purity", id, "%s.%s is not for a pure room; of %s it may use %s", pkg, name, pkg, strings.Join(only, ", "))
	}
}

func (p *purity) builtin(name string, id *ast.Ident, fn *ast.FuncDecl) {
	room := p.file.Room()
	switch name {
	case "panic":
		if room != worlds && (fn == nil || room+"."+fn.Name.Name != panics) {
			p.breach("panic", id, "only %s panics, by the name of the invariant that broke", panics)
		}
	case "recover":
		if room != recovers {
			p.breach("panic", id, "only %s recovers: it can hold the incident and give up its term", recovers)
		}
	case "print", "println":
		p.breach("purity", id, "a pure room writes nothing")
	}
}

// memory refuses to change what the package itself holds: the next call would
// answer otherwise. init may fill a table, once.
func (p *purity) memory(fn *ast.FuncDecl, lefts ...ast.Expr) {
	if fn != nil && fn.Recv == nil && fn.Name.Name == "init" {
		return
	}
	for _, left := range lefts {
		name := bottom(left)
		if name == nil {
			continue
		}
		v, isVar := p.info.Uses[name].(*types.Var)
		if isVar && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
			p.breach("purity", name, "%s belongs to the package; what is remembered is passed in and given back", name.Name)
		}
	}
}

// bottom is the name that an expression like (*a.b)[c] begins with.
func bottom(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.Ident:
			return x
		default:
			return nil
		}
	}
}
