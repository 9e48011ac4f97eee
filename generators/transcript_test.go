package generators

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/torture-harness/torture/histories"
)

// TestTranscripts runs every generator of testdata against simulated threads.
// A command is
//
//	run [clients=1] [nemeses=a,b] [nodes=2] [outcomes=ok,fail,info [once]] [latency=10ns] [max=30] [seed=1]
//	Clients(Limit(3, Once("read", nil)))
//
// and its output what was invoked, when and by whom, beside what was not ok.
// Outcomes are of clients' operations in turn: over and over, or once and then
// ok. go test -rewrite writes anew.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, transcript)
	})
}

func transcript(t *testing.T, d *datadriven.TestData) string {
	calm, doubtful := simulationOf(t, d), simulationOf(t, d)
	doubtful.doubt = true
	var hints []string
	calm.hint = func(line string) { hints = append(hints, line+"\n") }
	doubtful.hint = func(string) {}

	var texts [2]string
	for i, s := range []*simulation{calm, doubtful} {
		g, err := s.parse(d.Input)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		texts[i] = s.run(g).transcript()
	}
	if texts[0] != texts[1] {
		d.Fatalf(t, "a generator of which much else was asked behaves differently:\n%s\ninstead of\n%s", texts[1], texts[0])
	}
	return strings.Join(hints, "") + texts[0]
}

func simulationOf(t *testing.T, d *datadriven.TestData) *simulation {
	s := newSimulation()
	if d.Cmd != "run" {
		d.Fatalf(t, "command %s: want run", d.Cmd)
	}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "clients":
			a.Scan(t, 0, &s.clients)
		case "max":
			a.Scan(t, 0, &s.max)
		case "seed":
			a.Scan(t, 0, &s.seed)
		case "nemeses":
			for _, name := range strings.Split(a.Vals[0], ",") {
				s.nemeses = append(s.nemeses, histories.Named("nemesis/"+name))
			}
		case "nodes":
			var n int
			a.Scan(t, 0, &n)
			for i := range n {
				s.nodes = append(s.nodes, fmt.Sprintf("n%d", i+1))
			}
		case "outcomes":
			for _, v := range strings.Split(a.Vals[0], ",") {
				outcome, err := histories.ParseType(v)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				s.outcomes = append(s.outcomes, outcome)
			}
		case "once":
			s.once = true
		case "latency":
			latency, err := time.ParseDuration(a.Vals[0])
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			s.latency = func(Op) time.Duration { return latency }
		default:
			d.Fatalf(t, "argument %s: not of this language", a.Key)
		}
	}
	return s
}

func (s *simulation) transcript() string {
	var b strings.Builder
	for _, op := range s.ops {
		slept := op.Type == histories.Info && (op.F == "sleep" || op.F == waitF)
		if op.Type != histories.OK && !slept {
			b.WriteString(show(&op) + "\n")
		}
	}
	fmt.Fprintf(&b, "%v %s\n", s.at, s.end)
	return b.String()
}

// TestTranscriptsComplete fails for an exported generator without transcript.
func TestTranscriptsComplete(t *testing.T) {
	all := ""
	files, err := filepath.Glob("testdata/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata: %v, %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, source := range sources {
		f, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || fn.Name.Name == "Ask" || fn.Name.Name == "Tell" {
				continue
			}
			if r := fn.Type.Results; r == nil || fmt.Sprint(r.List[0].Type) != "Generator" {
				continue
			}
			n++
			if !strings.Contains(all, fn.Name.Name+"(") {
				t.Errorf("%s (%s) has no transcript in testdata", fn.Name.Name, source)
			}
		}
	}
	if n < 40 {
		t.Errorf("found %d generators: this test looks in the wrong place", n)
	}
}
