package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
	"github.com/torture-harness/torture/targets"
	"github.com/torture-harness/torture/targets/unruly"
)

// envOwn asks the test program to know of the tests' own targets as well.
const envOwn = "TORTURE_TEST_OWN"

// plain answers reads and writes from its own memory.
type plain struct{ values map[string]json.RawMessage }

func (plain) Start(*node.Env)                 {}
func (plain) Receive(*node.Env, node.ID, any) {}
func (plain) Timer(*node.Env, string)         {}
func (p plain) Request(env *node.Env, r node.Request) {
	if r.F == "write" {
		p.values[string(r.Key)] = r.Value
	}
	env.Reply(r, p.values[string(r.Key)])
}

// plainTarget declares no more than a target must: there is no bug, no flag,
// no promise and no final phase.
var plainTarget = targets.Target{
	Name: "plain", Doc: "A register that every node keeps for itself.", Source: "a test", Nodes: 3,
	New:      func(node.Options) node.Node { return plain{map[string]json.RawMessage{}} },
	Messages: node.Messages(),
	Faults:   []nemesis.Kind{nemesis.Partition},
	Workloads: []targets.Workload{{
		Name: "register",
		Ops:  func(targets.Params) gen.Generator { return gen.Register(gen.Uniform(3), 100) },
		Checker: func(targets.Params) checker.Checker {
			return checker.Linearizable(checker.Register(checker.RegisterOptions{}), checker.LinearizableOptions{})
		},
	}},
}

// shortPatience is with handlers of the tests' own targets, some of which never
// come back.
const shortPatience = time.Second

var ownTargets = []targets.Target{plainTarget, unruly.Target}

// doOwn is do with the tests' own targets.
func doOwn(t *testing.T, args ...string) done {
	t.Helper()
	t.Setenv(envOwn, "1") // for the workers of a hunt
	var out, errs bytes.Buffer
	a := &app{stdout: &out, stderr: &errs, args: args, own: ownTargets, handlers: shortPatience}
	return done{args, a.execute(), out.String(), errs.String()}
}

// Every command bears a target that declares no more than it must.
func TestPlainTarget(t *testing.T) {
	store := t.TempDir()
	in := func(args ...string) []string { return append(args, "--store", store) }

	doOwn(t, in("run", "plain", "--world", "sim", "--seed", "1", "--time-limit", "5s")...).
		want(t, exitInvalid, "plain in the simulator, seed 1", "INVALID  plain/register", "stale-read")
	dir := onlyRun(t, store)
	doOwn(t, in("check", dir)...).want(t, exitInvalid, "stale-read")
	doOwn(t, in("shrink", dir)...).want(t, exitInvalid, "shrunk")
	doOwn(t, in("replay", dir)...).want(t, exitInvalid, "stale-read")
	doOwn(t, in("list")...).want(t, exitValid, filepath.Base(dir), "plain/register")
	doOwn(t, in("hunt", "plain", "--seeds", "3", "--workers", "1", "--time-limit", "5s")...).want(t, exitInvalid, "invalid: seed 0", "shrunk to")

	for _, command := range []string{"run", "hunt"} {
		help := doOwn(t, command, "plain", "--help")
		help.want(t, exitValid, "Examples:\n  torture "+command+" plain", "--bug string", "none is known")
		if strings.Contains(help.out, "plain --bug") || strings.Contains(help.out, "BUG") || strings.Contains(help.out, "FAULTS") {
			t.Errorf("an example has what the target lacks:\n%s", help)
		}
		doOwn(t, in(command, "plain", "--bug", "nope")...).want(t, exitUsage, `target plain has no bug "nope": it has none`)
		doOwn(t, "__complete", command, "plain", "--bug", "").want(t, exitValid)
	}
	doOwn(t, "targets").want(t, exitValid, "plain", plainTarget.Doc)
	doOwn(t, "targets", "show", "plain").want(t, exitValid, "WORKLOADS", "FAULTS")
	view := decode[targetView](t, doOwn(t, "targets", "show", "plain", "--json"))
	if view.Bugs == nil || view.Promises == nil || view.Name != "plain" {
		t.Errorf("targets show plain --json: %+v", view)
	}
	// What plants no bug is not shown to be worth anything.
	doOwn(t, "selftest", "plain").want(t, exitVacuous, "0 of 0 planted bugs found")
}

// Nor does a target need faults.
func TestTargetWithoutFaults(t *testing.T) {
	calm := plainTarget
	calm.Faults = nil
	var out bytes.Buffer
	showTarget(&out, calm)
	if strings.Contains(out.String(), "FAULTS") {
		t.Errorf("it shows faults that are not there:\n%s", &out)
	}
	if got, want := targetExamples("run", calm, "--seed 7", "--bug BUG", "--nemesis FAULTS"), "  torture run plain --seed 7"; got != want {
		t.Errorf("examples %q, want %q", got, want)
	}
}

// testApp is torture as the environment wants it.
func testApp(args []string) *app {
	a := &app{args: args}
	if os.Getenv(envOwn) != "" || args[0] == "node" { // in its container
		a.own = ownTargets
		a.handlers = shortPatience
	}
	return a
}
