package targets_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestNodesArePure checks the code of every node, that is all of a target's
// package but target.go and the tests: it computes, and does nothing else.
// Only so is a run of the simulator repeatable, and what it shows also true of
// the containers.
func TestNodesArePure(t *testing.T) {
	p := newPurist(t)
	for _, dir := range targetDirs(t) {
		files := nodeFiles(t, dir)
		if len(files) == 0 {
			t.Errorf("targets/%s has no code of a node", dir)
		}
		for _, wrong := range p.check("github.com/torture-harness/torture/targets/"+dir, libraries[dir], files) {
			t.Error(wrong)
		}
	}
}

// libraries are what the nodes of a target may import beside the standard
// library, whoever has read them having found them pure.
var libraries = map[string][]string{
	"raft": {"go.etcd.io/raft/v3", "go.etcd.io/raft/v3/raftpb", "go.etcd.io/raft/v3/tracker", "google.golang.org/protobuf/proto"},
}

// pureImports are the packages of the standard library that cannot reach the
// world, or that can only by what impureNames lists.
var pureImports = strings.Fields(`
	bytes cmp container/heap container/list encoding encoding/base64 encoding/binary encoding/hex encoding/json
	errors fmt hash hash/crc32 hash/fnv iter maps math math/bits math/rand/v2 slices sort strconv strings time
	unicode unicode/utf8
	github.com/torture-harness/torture/node`)

// impureNames are what a node must not use of the packages that it may import.
var impureNames = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "LoadLocation", "Local"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"math/rand/v2": {
		"ExpFloat64", "Float32", "Float64", "Int", "Int32", "Int32N", "Int64", "Int64N", "IntN", "N", "NormFloat64", "Perm",
		"Shuffle", "Uint", "Uint32", "Uint32N", "Uint64", "Uint64N",
	},
}

// purist checks packages of nodes. It type-checks them with the compiler's
// export data of their imports.
type purist struct {
	fset *token.FileSet
	imp  types.Importer
}

func newPurist(t *testing.T) *purist {
	t.Helper()
	exports := exportData(t, append(slices.Clone(pureImports), "./...", "math/rand", "os", "sync"))
	fset := token.NewFileSet()
	open := func(path string) (io.ReadCloser, error) {
		file, ok := exports[path]
		if !ok {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(file)
	}
	return &purist{fset, importer.ForCompiler(fset, "gc", open)}
}

// exportData compiles packages, if need be, and says where their types are.
func exportData(t *testing.T, packages []string) map[string]string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-export", "-e", "-f", "{{.ImportPath}} {{.Export}}"}, packages...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.String())
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			files[path] = file
		}
	}
	return files
}

// targetDirs are the directories of targets.
func targetDirs(t *testing.T) (dirs []string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "all" && e.Name() != "internal" && e.Name() != "testdata" && len(nodeFiles(t, e.Name())) > 0 {
			dirs = append(dirs, e.Name())
		}
	}
	return dirs
}

// nodeFiles are the files of a target's package that are its node.
func nodeFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return err
		case path == filepath.Join(dir, "target.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// check tells all that is impure in a package's files, sorted by place.
func (p *purist) check(path string, libraries []string, files map[string]string) []string {
	c := &impurities{fset: p.fset, libraries: libraries}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var parsed []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(p.fset, name, files[name], parser.SkipObjectResolution)
		if err != nil {
			return []string{err.Error()}
		}
		parsed = append(parsed, f)
	}
	for _, f := range parsed {
		c.imports(f)
	}
	if len(c.found) > 0 {
		return c.report() // the rest would only confuse
	}
	c.info = types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
	}
	conf := types.Config{Importer: p.imp}
	pkg, err := conf.Check(path, p.fset, parsed, &c.info)
	if err != nil {
		return []string{err.Error()}
	}
	c.pkg = pkg
	for _, f := range parsed {
		c.sorted = map[ast.Expr]bool{}
		ast.Inspect(f, c.visit)
	}
	return c.report()
}

// impurities collects what is impure in a package.
type impurities struct {
	fset      *token.FileSet
	libraries []string
	pkg       *types.Package
	info      types.Info
	sorted    map[ast.Expr]bool // iterations over maps whose order does not show
	found     []impurity
}

type impurity struct {
	at  token.Position
	why string
}

func (c *impurities) add(at ast.Node, format string, args ...any) {
	c.found = append(c.found, impurity{c.fset.Position(at.Pos()), fmt.Sprintf(format, args...)})
}

func (c *impurities) report() (lines []string) {
	slices.SortStableFunc(c.found, func(a, b impurity) int {
		return cmp.Or(cmp.Compare(a.at.Filename, b.at.Filename), cmp.Compare(a.at.Offset, b.at.Offset))
	})
	for _, f := range c.found {
		lines = append(lines, fmt.Sprintf("%s: %s", f.at, f.why))
	}
	return lines
}

func (c *impurities) imports(f *ast.File) {
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		switch {
		case spec.Name != nil && spec.Name.Name == ".":
			c.add(spec, "a dot import of %s hides what is used of it", path)
		case !slices.Contains(pureImports, path) && !slices.Contains(c.libraries, path):
			c.add(spec, "a node must not import %s: all it can do goes through node.Env, or a run cannot be repeated", path)
		}
	}
}

func (c *impurities) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.add(n, "a node starts no goroutine: the order in which goroutines run is nobody's to decide")
	case *ast.SelectStmt:
		c.add(n, "a node selects from no channel: a node handles one event at a time")
	case *ast.ChanType:
		c.add(n, "a node has no channel: a node handles one event at a time")
	case *ast.RangeStmt:
		if c.isMap(n.X) {
			c.add(n, "the order of a range over a map is random: range over slices.Sorted(maps.Keys(m))")
		}
	case *ast.CallExpr:
		c.call(n)
	case *ast.Ident:
		c.use(n)
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			c.assign(left)
		}
	case *ast.IncDecStmt:
		c.assign(n.X)
	}
	return true
}

func (c *impurities) isMap(x ast.Expr) bool {
	t := c.info.TypeOf(x)
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// call notes which iterators over maps are sorted at once, and finds those
// that are not.
func (c *impurities) call(call *ast.CallExpr) {
	switch c.callee(call) {
	case "slices.Sorted", "slices.SortedFunc":
		c.sorted[ast.Unparen(call.Args[0])] = true
	case "maps.Keys", "maps.Values", "maps.All":
		if !c.sorted[call] {
			c.add(call, "the order of %s is random: put it into slices.Sorted", c.callee(call))
		}
	}
}

// callee is the name of a called function of a package, or "".
func (c *impurities) callee(call *ast.CallExpr) string {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	f, ok := c.info.Uses[sel.Sel].(*types.Func)
	if !ok || f.Pkg() == nil || f.Signature().Recv() != nil {
		return ""
	}
	return f.Pkg().Path() + "." + f.Name()
}

// use finds names that reach the world.
func (c *impurities) use(id *ast.Ident) {
	obj := c.info.Uses[id]
	if obj == nil || obj.Pkg() == nil || obj.Parent() != obj.Pkg().Scope() {
		return
	}
	if slices.Contains(impureNames[obj.Pkg().Path()], obj.Name()) {
		c.add(id, "a node must not use %s.%s: time and chance come from node.Env, and output goes there", obj.Pkg().Name(), obj.Name())
	}
}

// assign finds assignments to variables of a package: all nodes of a
// simulation would share them, and no restart would clear them.
func (c *impurities) assign(left ast.Expr) {
	for {
		switch x := left.(type) {
		case *ast.ParenExpr:
			left = x.X
		case *ast.IndexExpr:
			left = x.X
		case *ast.StarExpr:
			left = x.X
		case *ast.SelectorExpr:
			if v, ok := c.info.Uses[x.Sel].(*types.Var); ok && !v.IsField() {
				left = x.Sel
			} else {
				left = x.X
			}
		case *ast.Ident:
			v, ok := c.info.Uses[x].(*types.Var)
			if ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
				c.add(x, "%s is a variable of package %s: all nodes share it, and it outlives their crashes", x.Name, v.Pkg().Name())
			}
			return
		default:
			return
		}
	}
}

// TestPurist checks the checker: it finds what it is to find, and nothing in
// code that is pure.
func TestPurist(t *testing.T) {
	p := newPurist(t)
	for _, test := range []struct {
		name, imports, body string
		want                string // in the only finding; empty: there is none
	}{
		{"nothing", "", "", ""},
		{"an import", `"os"`, `func f() { os.Exit(1) }`, "must not import os"},
		{"our own packages", `"github.com/torture-harness/torture/histories"`, `var x histories.Op`, "must not import github.com/torture-harness/torture/histories"},
		{"a library that is another target's", `"go.etcd.io/raft/v3"`, `var x raft.Config`, "must not import go.etcd.io/raft/v3"},
		{"a dot import", `. "time"`, `var x Duration`, "a dot import"},
		{"a goroutine", "", `func f() { go f() }`, "starts no goroutine"},
		{"a select", "", `func f() { select {} }`, "selects from no channel"},
		{"a channel", "", `func f() { _ = make(chan int) }`, "has no channel"},
		{"a range over a map", "", `func f(m map[int]int) { for range m {} }`, "range over a map"},
		{"a range over a map in disguise", "", `type set map[int]bool; func f(m struct{ s set }) { for range m.s {} }`, "range over a map"},
		{"a range over a slice", "", `func f(s []int) { for range s {} }`, ""},
		{"keys sorted", `"maps"; "slices"`, `func f(m map[int]int) { for range slices.Sorted(maps.Keys(m)) {} }`, ""},
		{"keys not sorted", `"maps"`, `func f(m map[int]int) { for range maps.Keys(m) {} }`, "maps.Keys is random"},
		{"keys collected", `"maps"; "slices"`, `func f(m map[int]int) []int { return slices.Collect(maps.Values(m)) }`, "maps.Values is random"},
		{"the time", `"time"`, `func f() time.Time { return time.Now() }`, "must not use time.Now"},
		{"the time, as a value", `"time"`, `var now = time.Now`, "must not use time.Now"},
		{"the time, by another name", `clock "time"`, `func f() time { return time(clock.Since(clock.Time{})) }; type time int`, "must not use time.Since"},
		{"a duration", `"time"`, `const d = time.Second`, ""},
		{"a method of that name", `"time"`, `type c struct{}; func (c) Now() int { return 0 }; func f(x c, d time.Duration) int { return x.Now() }`, ""},
		{"chance of one's own", `"math/rand/v2"`, `func f() int { return rand.IntN(3) }`, "must not use rand.IntN"},
		{"chance of the world's", `"math/rand/v2"`, `func f(r *rand.Rand) int { return r.IntN(3) }`, ""},
		{"a print", `"fmt"`, `func f() { fmt.Println() }`, "must not use fmt.Println"},
		{"a string", `"fmt"`, `func f() string { return fmt.Sprint(1) }`, ""},
		{"a shared variable", "", `var n int; func f() { n++ }`, "n is a variable of package x"},
		{"a shared map", "", `var m = map[int]struct{ a [2]int }{}; func f() { m[1] = m[2] }`, "m is a variable of package x"},
		{"a shared struct", "", `var s struct{ a [2]int }; func f() { (s.a[1]) = 1 }`, "s is a variable of package x"},
		{"a table", "", `var m = map[int]int{}; func f() int { n := m[1]; n++; return n }`, ""},
		{"what does not compile", "", `func f() { return 1 }`, "too many return values"},
		{"what does not parse", "", `func`, "expected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := "package x\nimport (" + test.imports + ")\n" + test.body
			got := p.check("x", nil, map[string]string{"x.go": src})
			switch {
			case test.want == "" && len(got) > 0:
				t.Errorf("%s\ngot  %q\nwant nothing", src, got)
			case test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
				t.Errorf("%s\ngot  %q\nwant one with %q", src, got, test.want)
			}
		})
	}
}
