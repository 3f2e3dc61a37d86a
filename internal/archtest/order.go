// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// reason is how a line says why the order of a map does not matter there.
const reason = "// order:"

const byOrder = "the result may depend on the order of the map; sort the keys, or end the line with `" + reason + " why it does not`"

// mapRange refuses to range over a map unless the result is the same in any
// order. What it can see by itself: filling another map by the same key,
// counting, flags, least and greatest, and a list that is sorted afterwards.
func (p *purity) mapRange(n *ast.RangeStmt, fn *ast.FuncDecl) {
	if _, isMap := p.typeOf(n.X).(*types.Map); !isMap || p.explained(n) {
		return
	}
	o := ordered{purity: p, fn: fn, loop: n, key: p.objectOf(n.Key)}
	if !o.calm(n.Body) {
		p.breach("order", n, byOrder)
	}
}

// mapKeys refuses keys and values of a map as a sequence, unless they are
// sorted, counted or collected into a map at once.
func (p *purity) mapKeys(n *ast.CallExpr, above []ast.Node) {
	if !p.callTo(n, "maps", "Keys", "Values", "All") || p.explained(n) {
		return
	}
	if len(above) > 0 {
		outer, _ := above[len(above)-1].(*ast.CallExpr)
		if outer != nil && (p.callTo(outer, "slices", "Sorted", "SortedFunc", "SortedStableFunc") || p.callTo(outer, "maps", "Collect", "Insert")) {
			return
		}
	}
	p.breach("order", n, byOrder)
}

// explained tells whether the line, or the one above it, gives a reason.
func (p *purity) explained(n ast.Node) bool {
	at := p.tree.line(n)
	for _, group := range p.file.AST.Comments {
		for _, c := range group.List {
			l := p.tree.line(c)
			if (l == at || l == at-1) && len(strings.TrimSpace(strings.TrimPrefix(c.Text, reason))) > 0 && strings.HasPrefix(c.Text, reason) {
				return true
			}
		}
	}
	return false
}

// ordered is one loop over a map.
type ordered struct {
	*purity
	fn   *ast.FuncDecl
	loop *ast.RangeStmt
	key  types.Object
}

// calm tells whether a statement leaves the same behind in any order.
func (o ordered) calm(s ast.Stmt) bool {
	switch s := s.(type) {
	case nil, *ast.EmptyStmt, *ast.DeclStmt:
		return true
	case *ast.BlockStmt:
		return o.all(s.List)
	case *ast.IfStmt:
		return o.calm(s.Init) && o.calm(s.Body) && o.calm(s.Else)
	case *ast.ForStmt:
		return o.calm(s.Init) && o.calm(s.Post) && o.calm(s.Body)
	case *ast.RangeStmt:
		return o.calm(s.Body)
	case *ast.SwitchStmt:
		return o.calm(s.Init) && o.calm(s.Body)
	case *ast.CaseClause:
		return o.all(s.Body)
	case *ast.BranchStmt:
		return s.Tok == token.CONTINUE
	case *ast.IncDecStmt:
		return o.whole(s.X)
	case *ast.ReturnStmt:
		return !slices.ContainsFunc(s.Results, func(e ast.Expr) bool { return !o.constant(e) })
	case *ast.ExprStmt:
		call, isCall := s.X.(*ast.CallExpr)
		return isCall && o.builtinCall(call, "delete")
	case *ast.AssignStmt:
		return o.assign(s)
	}
	return false
}

func (o ordered) all(list []ast.Stmt) bool {
	return !slices.ContainsFunc(list, func(s ast.Stmt) bool { return !o.calm(s) })
}

func (o ordered) assign(s *ast.AssignStmt) bool {
	switch {
	case s.Tok == token.DEFINE:
		return true
	case s.Tok != token.ASSIGN:
		return o.whole(s.Lhs[0]) || o.local(s.Lhs[0])
	case len(s.Lhs) != len(s.Rhs):
		return !slices.ContainsFunc(s.Lhs, func(e ast.Expr) bool { return !o.local(e) })
	}
	for i, left := range s.Lhs {
		if !o.settles(left, s.Rhs[i]) {
			return false
		}
	}
	return true
}

// settles tells whether left = right ends the same whichever round is last.
func (o ordered) settles(left, right ast.Expr) bool {
	if o.local(left) || o.constant(right) || o.ownSlot(left) {
		return true
	}
	call, isCall := right.(*ast.CallExpr)
	if !isCall {
		return false
	}
	if o.builtinCall(call, "min") || o.builtinCall(call, "max") {
		return slices.ContainsFunc(call.Args, func(e ast.Expr) bool { return same(e, left) })
	}
	return o.builtinCall(call, "append") && same(call.Args[0], left) && o.sortedLater(left)
}

// ownSlot tells whether left is the slot of this round's own key in a map.
func (o ordered) ownSlot(left ast.Expr) bool {
	for {
		slot, isSlot := left.(*ast.IndexExpr)
		if !isSlot {
			return false
		}
		if id, isName := slot.Index.(*ast.Ident); isName && o.key != nil && o.objectOf(id) == o.key {
			return true
		}
		left = slot.X
	}
}

// sortedLater tells whether the function sorts this list after the loop.
func (o ordered) sortedLater(list ast.Expr) bool {
	found := false
	ast.Inspect(o.fn, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallExpr)
		if isCall && call.Pos() > o.loop.End() && len(call.Args) > 0 && same(call.Args[0], list) {
			found = found || o.callTo(call, "slices", "Sort", "SortFunc", "SortStableFunc") ||
				o.callTo(call, "sort", "Strings", "Ints", "Slice", "SliceStable")
		}
		return !found
	})
	return found
}

// local tells whether a name was declared inside the loop.
func (o ordered) local(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		obj := o.objectOf(e)
		return e.Name == "_" || obj != nil && obj.Pos() >= o.loop.Pos() && obj.Pos() < o.loop.End()
	case *ast.SelectorExpr:
		return o.local(e.X) && !o.pointer(e.X)
	}
	return false
}

func (p *purity) pointer(e ast.Expr) bool {
	_, is := p.typeOf(e).(*types.Pointer)
	return is
}

// whole tells whether an expression is a whole number: only for those is a
// sum the same in any order.
func (p *purity) whole(e ast.Expr) bool {
	b, isBasic := p.typeOf(e).(*types.Basic)
	return isBasic && b.Info()&types.IsInteger != 0
}

// constant tells whether an expression is the same in every round.
func (p *purity) constant(e ast.Expr) bool {
	tv := p.info.Types[e]
	if tv.Value != nil || tv.IsNil() {
		return true
	}
	lit, isLit := e.(*ast.CompositeLit)
	return isLit && len(lit.Elts) == 0
}

// typeOf is the underlying type of an expression.
func (p *purity) typeOf(e ast.Expr) types.Type {
	t := p.info.TypeOf(e)
	if t == nil {
		return nil
	}
	return t.Underlying()
}

func (p *purity) objectOf(e ast.Expr) types.Object {
	id, isName := e.(*ast.Ident)
	if !isName {
		return nil
	}
	return p.info.ObjectOf(id)
}

func (p *purity) builtinCall(call *ast.CallExpr, name string) bool {
	id, isName := call.Fun.(*ast.Ident)
	if !isName {
		return false
	}
	b, is := p.info.Uses[id].(*types.Builtin)
	return is && b.Name() == name
}

// callTo tells whether a call is to one of these functions of a package.
func (p *purity) callTo(call *ast.CallExpr, pkg string, names ...string) bool {
	fun := call.Fun
	if generic, is := fun.(*ast.IndexExpr); is {
		fun = generic.X
	}
	sel, isSel := fun.(*ast.SelectorExpr)
	if !isSel {
		return false
	}
	obj := p.info.Uses[sel.Sel]
	return obj != nil && obj.Pkg() != nil && obj.Pkg().Path() == pkg && slices.Contains(names, obj.Name())
}

// same tells whether two expressions are the same words.
func same(a, b ast.Expr) bool { return types.ExprString(a) == types.ExprString(b) }
