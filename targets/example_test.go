package targets_test

// What CONTRIBUTING.md shows, so that it compiles and does what it says.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets"
)

// mirror answers reads and writes from its own memory and tells the others of
// its writes. It promises nothing that survives a partition.
type mirror struct{ values map[string]json.RawMessage }

type wrote struct {
	Key   string
	Value json.RawMessage
}

var messages = node.Messages(wrote{})

func newMirror(node.Options) node.Node { return &mirror{values: map[string]json.RawMessage{}} }

func (m *mirror) Start(*node.Env) {}

func (m *mirror) Request(env *node.Env, r node.Request) {
	switch key := string(r.Key); r.F {
	case "write":
		m.values[key] = r.Value
		env.BroadcastOthers(wrote{key, r.Value})
		env.Reply(r, r.Value)
	case "read":
		env.Reply(r, m.values[key])
	default:
		env.Fail(r, "mirror knows read and write")
	}
}

func (m *mirror) Receive(_ *node.Env, _ node.ID, msg any) {
	w := msg.(wrote)
	m.values[w.Key] = w.Value
}

func (m *mirror) Timer(*node.Env, string) {}

var mirrorTarget = targets.Target{
	Name: "mirror", Doc: "A register that every node keeps for itself.", Source: "an example", Nodes: 3,
	New: newMirror, Messages: messages,
	Faults: []nemesis.Kind{nemesis.Partition, nemesis.Kill},
	Workloads: []targets.Workload{{
		Name: "register",
		Doc:  "reads and writes of a few keys",
		Ops:  func(targets.Params) gen.Generator { return gen.Register(gen.Uniform(3), 100) },
		Checker: func(targets.Params) checker.Checker {
			return checker.Linearizable(checker.Register(checker.RegisterOptions{}), checker.LinearizableOptions{})
		},
	}},
}

// blink pauses one node for a second, every ten.
func blink(node string) gen.Generator {
	f := nemesis.Fault{ID: "blink-1", Kind: nemesis.Pause, Targets: []string{node}}
	return gen.Seq(gen.Sleep(10*time.Second), gen.Of(nemesis.InjectOp(f)), gen.Sleep(time.Second), gen.Of(nemesis.CureOp(f)))
}

// atMost finds reads of a number above a limit.
func atMost(limit int) checker.Checker {
	return checker.Func(func(_ context.Context, h histories.History) checker.Result {
		r := checker.Result{Checker: "at-most", Verdict: checker.Valid}
		for _, c := range h.Calls() {
			if c.Invoke.F != "read" || c.Complete.Type != histories.OK {
				continue
			}
			n, err := histories.Decode[int](c.Complete)
			if err != nil {
				return checker.Result{Checker: "at-most", Why: err.Error()} // unknown
			}
			if n > limit {
				r.Verdict = checker.Invalid
				r.Anomalies = append(r.Anomalies, checker.Anomaly{
					Kind: "above-limit", Ops: []int{c.Complete.Index},
					Why: fmt.Sprintf("process %s read %d, which is more than %d", c.Complete.Process, n, limit),
				})
			}
		}
		return r
	})
}

// The example target runs, and its lack of promises shows.
func TestExampleTarget(t *testing.T) {
	tr, err := run.NewTrial(mirrorTarget, histories.Manifest{Seed: 1, Nemesis: []string{"partition"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, r, err := tr.Simulate(context.Background())
	if err != nil || r.Verdict != checker.Invalid {
		t.Errorf("mirror under partition: %v %s, want invalid", err, r.Verdict)
	}
}

func TestExampleNemesisAndChecker(t *testing.T) {
	if blink("n1") == nil {
		t.Error("blink does nothing")
	}
	h, err := histories.Of(
		histories.Op{Process: 0, Type: histories.Invoke, F: "read"},
		histories.Op{Process: 0, Type: histories.OK, F: "read", Value: []byte("7")})
	if err != nil {
		t.Fatal(err)
	}
	if r := atMost(6).Check(context.Background(), h); r.Verdict != checker.Invalid {
		t.Errorf("7 is at most 6: %s", r.Verdict)
	}
}

// CONTRIBUTING.md shows this file's code, to the letter.
func TestContributingShowsWhatCompiles(t *testing.T) {
	doc, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(doc), "```go\n")[1:]
	for _, part := range parts {
		block, _, _ := strings.Cut(part, "```")
		if !strings.Contains(string(code), block) {
			t.Errorf("CONTRIBUTING.md shows what example_test.go does not have:\n%s", block)
		}
	}
	if len(parts) < 3 {
		t.Error("CONTRIBUTING.md has lost its examples")
	}
}
