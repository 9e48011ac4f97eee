package torture_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/torture-harness/torture/"

// A rule says what the packages under a directory may import of this module.
// The first rule that fits a package holds for it; tests are free.
type rule struct {
	dir   string
	may   []string // directories; "…" stands for everything but what not lists
	not   []string
	why   string
	world bool // it may use the network, files and the time of day
}

var rules = []rule{
	{dir: "node", why: "worlds, hosts and targets all import it: it is the contract between them"},
	{dir: "histories", may: []string{"node"}, why: "every part of torture, and every tool beside it, reads histories; it takes from node when values are equal", world: true},
	{dir: "generators", may: []string{"histories"}, why: "a generator plans operations, and knows neither worlds nor checkers"},
	{dir: "checker", may: []string{"histories", "checker", "node"}, why: "a history is judged by what it says, not by what made it; of node it knows when values are equal"},
	{dir: "nemesis", may: []string{"generators", "histories"}, why: "it describes faults; worlds carry them out"},
	{dir: "sim", may: []string{"node", "nemesis", "histories"}, why: "a world knows nothing of the loop that drives it, nor of the targets in it"},
	{dir: "host", may: []string{"node", "histories"}, why: "it is all that a node's container needs beside the node", world: true},
	{dir: "docker", may: []string{"…"}, not: []string{"run", "sim", "targets", "cmd"}, why: "a world knows nothing of the loop that drives it, nor of the targets in it", world: true},
	{dir: "targets", may: []string{"targets", "checker", "generators", "nemesis", "node", "histories"}, why: "a target declares, and leaves running to others"},
	{dir: "run", may: []string{"…"}, not: []string{"docker", "host", "report", "cmd"}, why: "the loop sees containers as a run.World only"},
	{dir: "", may: []string{"…"}, not: []string{"cmd"}, why: "cmd is the top", world: true},
}

func under(path, dir string) bool {
	return dir == "" || path == dir || strings.HasPrefix(path, dir+"/")
}

func ruleOf(path string) rule {
	return rules[slices.IndexFunc(rules, func(r rule) bool { return under(path, r.dir) })]
}

// TestImports enforces who imports whom.
func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, wrong := range wrongImports(p.path, p.Imports) {
			t.Error(wrong)
		}
	}
}

func wrongImports(path string, imports []string) (wrong []string) {
	r := ruleOf(path)
	for _, imp := range imports {
		of, ours := strings.CutPrefix(imp, module)
		fits := func(dir string) bool { return under(of, dir) }
		switch {
		case !ours:
			if root, _, _ := strings.Cut(imp, "/"); !r.world && (root == "net" || root == "os" || root == "syscall") {
				wrong = append(wrong, fmt.Sprintf("%s imports %s: what it does must follow from its arguments alone, or a run cannot be repeated", path, imp))
			}
		case slices.ContainsFunc(r.not, fits), !slices.Contains(r.may, "…") && !slices.ContainsFunc(r.may, fits):
			wrong = append(wrong, fmt.Sprintf("%s imports %s, and may not: %s", path, of, r.why))
		}
	}
	return wrong
}

// realTime are the functions of package time that are about real time.
var realTime = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// TestNoRealTime finds uses of real time in packages whose time is the run's.
func TestNoRealTime(t *testing.T) {
	for _, p := range packages(t) {
		if ruleOf(p.path).world {
			continue
		}
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			wrong, err := realTimeIn(file, nil)
			if err != nil {
				t.Error(err)
			}
			for _, w := range wrong {
				t.Error(w)
			}
		}
	}
}

// realTimeIn parses a file, or src in its place.
func realTimeIn(file string, src any) (wrong []string, err error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	name := ""
	for _, imp := range f.Imports {
		if path, _ := strconv.Unquote(imp.Path.Value); path == "time" {
			if name = "time"; imp.Name != nil {
				name = imp.Name.Name
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == name && slices.Contains(realTime, sel.Sel.Name) {
			wrong = append(wrong, fmt.Sprintf("%s: time.%s: here time is that of the run, or it cannot be repeated", fset.Position(sel.Pos()), sel.Sel.Name))
		}
		return true
	})
	return wrong, nil
}

// pkg is a package of this module, as go list tells of it.
type pkg struct {
	path       string // from the module's root
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) (all []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		if len(p.GoFiles) > 0 {
			p.path = strings.TrimPrefix(p.ImportPath, module)
			all = append(all, p)
		}
	}
	if len(all) < 8 {
		t.Fatalf("%v: %d packages only", cmd, len(all))
	}
	return all
}

// TestRules checks the checks.
func TestRules(t *testing.T) {
	for _, test := range []struct {
		path, imp string
		wrong     bool
	}{
		{"node", "encoding/json", false},
		{"node", module + "histories", true},
		{"node", "os", true},
		{"histories", "os", false},
		{"histories", module + "node", false},
		{"histories", module + "generators", true},
		{"checker", module + "node", false},
		{"checker", module + "sim", true},
		{"generators", module + "histories", false},
		{"generators", module + "nemesis", true},
		{"checker/elle", module + "checker", false},
		{"checker", module + "generators", true},
		{"checker", "net/http", true},
		{"nemesis", module + "sim", true},
		{"sim", module + "node", false},
		{"sim", module + "run", true},
		{"sim", "os/exec", true},
		{"host", "net", false},
		{"host", module + "sim", true},
		{"docker", module + "nemesis", false},
		{"docker", module + "run", true},
		{"docker", module + "targets/all", true},
		{"targets/raft", module + "node", false},
		{"targets/raft", module + "sim", true},
		{"run", module + "sim", false},
		{"run", module + "docker", true},
		{"run", "os", true},
		{"report", module + "cmd/torture", true},
		{"cmd/torture", module + "docker", false},
	} {
		if got := wrongImports(test.path, []string{test.imp}); (len(got) > 0) != test.wrong {
			t.Errorf("%s imports %s: got %q, want a complaint: %v", test.path, test.imp, got, test.wrong)
		}
	}
	for src, want := range map[string]int{
		`package x; import "time"; var a = time.Now`:                          1,
		`package x; import "time"; func f() { time.Sleep(1); time.Since(a) }`: 2,
		`package x; import clock "time"; var a = clock.Now()`:                 1,
		`package x; import "time"; const a = time.Second`:                     0,
		`package x; var time struct{ Now int }; var a = time.Now`:             0,
	} {
		if got, err := realTimeIn("x.go", src); err != nil || len(got) != want {
			t.Errorf("%s: got %q, %v, want %d complaints", src, got, err, want)
		}
	}
}
