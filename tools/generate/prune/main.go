// Command prune cuts a file that openapi-gen wrote down to the definitions that some kinds need.
//
//	prune FILE PACKAGE.KIND...
//
// rewrites FILE so that it defines the named kinds and what they refer to, nothing else. A kind of "*"
// names all of a package. It exists because openapi-gen takes whole packages, and k8s.io/api/core/v1
// is large.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"log"
	"os"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: prune FILE PACKAGE.KIND...")
	}
	if err := prune(os.Args[1], os.Args[2:]); err != nil {
		log.Fatal("prune: ", err)
	}
}

func prune(path string, kinds []string) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	s := read(file)
	for _, kind := range kinds {
		if !s.keepKind(kind) {
			return fmt.Errorf("%s has no definition of %s", path, kind)
		}
	}
	s.cut(file)
	var out bytes.Buffer
	if err := format.Node(&out, set, file); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// source is the generated file, taken apart. A type is written "import path.Name".
type source struct {
	imports map[string]string            // local name → import path
	table   *ast.CompositeLit            // the map that GetOpenAPIDefinitions returns
	entries map[string]*ast.KeyValueExpr // type → its line in the table
	funcs   map[string]*ast.FuncDecl     // function → declaration
	kept    map[string]bool              // types to keep
}

func read(file *ast.File) *source {
	s := &source{imports: map[string]string{}, entries: map[string]*ast.KeyValueExpr{}, funcs: map[string]*ast.FuncDecl{}, kept: map[string]bool{}}
	for _, i := range file.Imports {
		s.imports[i.Name.Name], _ = strconv.Unquote(i.Path.Value)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			s.funcs[f.Name.Name] = f
		}
	}
	result := s.funcs["GetOpenAPIDefinitions"].Body.List[0].(*ast.ReturnStmt).Results[0]
	s.table = result.(*ast.CompositeLit)
	for _, e := range s.table.Elts {
		entry := e.(*ast.KeyValueExpr)
		s.entries[s.types(entry.Key)[0]] = entry
	}
	return s
}

// types are those whose OpenAPIModelName is asked for below n.
func (s *source) types(n ast.Node) []string {
	var found []string
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok {
			if t, ok := lit.Type.(*ast.SelectorExpr); ok {
				found = append(found, s.imports[t.X.(*ast.Ident).Name]+"."+t.Sel.Name)
			}
		}
		return true
	})
	return found
}

func (s *source) keepKind(kind string) bool {
	pkg, all := strings.CutSuffix(kind, ".*")
	if !all {
		return s.keep(kind)
	}
	found := false
	for t := range s.entries {
		if strings.HasPrefix(t, pkg+".") {
			found = s.keep(t) || found
		}
	}
	return found
}

// keep marks a type and all it refers to, and says whether it is defined here.
func (s *source) keep(t string) bool {
	entry, ok := s.entries[t]
	if !ok || s.kept[t] {
		return ok
	}
	s.kept[t] = true
	for _, needed := range s.types(s.body(entry)) {
		s.keep(needed)
	}
	return true
}

func (s *source) body(entry *ast.KeyValueExpr) *ast.FuncDecl {
	return s.funcs[entry.Value.(*ast.CallExpr).Fun.(*ast.Ident).Name]
}

// cut removes what is not kept: lines of the table, functions, imports.
func (s *source) cut(file *ast.File) {
	gone := map[ast.Decl]bool{}
	var table []ast.Expr
	for _, e := range s.table.Elts {
		if entry := e.(*ast.KeyValueExpr); s.kept[s.types(entry.Key)[0]] {
			table = append(table, e)
		} else {
			gone[s.body(entry)] = true
		}
	}
	s.table.Elts = table
	var decls []ast.Decl
	for _, d := range file.Decls {
		if !gone[d] {
			decls = append(decls, d)
		}
	}
	file.Decls = decls
	s.cutImports(file)
	s.cutComments(file)
}

func (s *source) cutImports(file *ast.File) {
	used := map[string]bool{}
	for _, d := range file.Decls[1:] {
		ast.Inspect(d, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok {
					used[id.Name] = true
				}
			}
			return true
		})
	}
	decl := file.Decls[0].(*ast.GenDecl)
	var specs []ast.Spec
	for _, spec := range decl.Specs {
		if used[spec.(*ast.ImportSpec).Name.Name] {
			specs = append(specs, spec)
		}
	}
	decl.Specs = specs
}

// cutComments keeps those before the imports: the others belong to functions, which may be gone.
func (s *source) cutComments(file *ast.File) {
	var comments []*ast.CommentGroup
	for _, c := range file.Comments {
		if c.End() < file.Decls[0].Pos() {
			comments = append(comments, c)
		}
	}
	file.Comments = comments
}
