package main

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
	"github.com/torture-harness/torture/targets"
	"github.com/torture-harness/torture/targets/total"
)

// envSpoil says, for a hunt's workers too, what is wrong with target total.
const envSpoil = "TORTURE_TEST_SPOIL"

// spoil makes a mistake in target total, as its author might, for as long as the
// test lasts.
func spoil(t *testing.T, mistake string) {
	t.Helper()
	sound := total.Target
	t.Cleanup(func() { total.Target = sound })
	t.Setenv(envSpoil, mistake)
	enactSpoil(mistake)
}

func enactSpoil(mistake string) {
	target := &total.Target
	target.Workloads = slices.Clone(target.Workloads)
	w := &target.Workloads[0]
	switch mistake {
	case "":
	case "checker panics":
		w.Checker = func(targets.Params) checker.Checker {
			return checker.Func(func(context.Context, histories.History) checker.Result { panic("the checker is wrong") })
		}
	case "generator panics":
		ops := w.Ops
		w.Ops = func(p targets.Params) gen.Generator {
			return gen.Seq(gen.Limit(50, ops(p)), explosive{})
		}
	case "impure generator":
		n := 0
		w.Ops = func(targets.Params) gen.Generator {
			return gen.Func("broadcast", func(gen.Context) any { n++; return n })
		}
	case "route panics":
		target.Route = func(targets.Params) gen.Route {
			return func(gen.Op, []string) string { panic("the route is wrong") }
		}
	case "clock":
		sound := target.New
		target.New = func(o node.Options) node.Node { return &glancing{Node: sound(o)} }
	default:
		panic("no such mistake: " + mistake)
	}
}

// explosive is a generator that panics when it is asked.
type explosive struct{}

func (explosive) Op(gen.Context) (*gen.Op, gen.Generator)    { panic("the generator is wrong") }
func (e explosive) Update(gen.Context, gen.Op) gen.Generator { return e }

// glancing is a node that looks at a clock of its own, and tells of it.
type glancing struct{ node.Node }

var glances atomic.Int64

func (g *glancing) Request(env *node.Env, r node.Request) {
	if glances.Add(1)%40 == 0 {
		env.Record("glance", json.RawMessage(histories.Encode(time.Now().UnixNano())))
	}
	g.Node.Request(env, r)
}

// A checker that panics decides nothing, whatever else there is to say; the hunt
// names the seeds and the reason.
func TestCheckerPanics(t *testing.T) {
	spoil(t, "checker panics")
	args := []string{"total", "--nemesis", "kill", "--time-limit", "500ms", "--store", t.TempDir()} // vacuous too
	do(t, append([]string{"run", "--world", "sim", "--seed", "1"}, args...)...).want(t, exitUnknown, "UNKNOWN", "the checker panicked: the checker is wrong", "spoil_test.go")
	hunt := append([]string{"hunt", "--seeds", "2", "--workers", "1", "--first", "5"}, args...)
	do(t, hunt...).want(t, exitUnknown, "unknown: seed 5: ", "unknown: seed 6: ", "the checker panicked: the checker is wrong")
	h := decode[tally](t, do(t, append(hunt, "--json")...))
	if h.Verdict != checker.Unknown || h.State != histories.Complete || len(h.WhyUnknown) != 2 || h.WhyUnknown[1].Seed != 6 || !strings.Contains(h.WhyUnknown[1].Why, "the checker is wrong") {
		t.Errorf("%+v", h)
	}
}

// A panic of what is not the system under test is torture's failure; what was
// recorded before is kept, with a result that says where it was.
func TestGeneratorOrRoutePanics(t *testing.T) {
	for mistake, word := range map[string]string{"generator panics": "the generator is wrong", "route panics": "the route is wrong"} {
		t.Run(mistake, func(t *testing.T) {
			spoil(t, mistake)
			store := t.TempDir()
			args := []string{"total", "--nemesis", "none", "--time-limit", "5s", "--store", store}
			d := do(t, append([]string{"run", "--world", "sim", "--seed", "1"}, args...)...)
			d.want(t, exitFailed, "torture failed: op ", word, "spoil_test.go:", "UNKNOWN")
			dir := onlyRun(t, store)
			opened, err := histories.Open(dir)
			if err != nil || !opened.Complete || mistake == "generator panics" && opened.History.Len() < 50 {
				t.Errorf("opened: %+v, %v", opened, err)
			}
			do(t, "list", "--store", store).want(t, exitValid, "unknown (failed)")
			if o := decode[outcome](t, do(t, "check", dir, "--json")); o.State != histories.Failed || !strings.Contains(o.Error, word) {
				t.Errorf("%s, %q", o.State, o.Error)
			}
			h := decode[tally](t, do(t, append([]string{"hunt", "--seeds", "1", "--first", "9", "--json"}, args...)...))
			if h.Failed != 1 || h.State != histories.Failed || h.Verdict != checker.Unknown || len(h.WhyFailed) != 1 || h.WhyFailed[0].Seed != 9 || !strings.Contains(h.WhyFailed[0].Why, word) {
				t.Errorf("%+v", h)
			}
		})
	}
}

// A node that looks at a clock does not repeat itself, and that is said with the
// first event that differs: by a replay, and by a hunt that runs a seed twice.
func TestNotDeterministic(t *testing.T) {
	spoil(t, "clock")
	store := t.TempDir()
	args := []string{"total", "--nemesis", "none", "--time-limit", "5s", "--store", store}
	do(t, append([]string{"run", "--world", "sim", "--seed", "1"}, args...)...).want(t, exitValid)
	dir := onlyRun(t, store)
	d := do(t, "replay", dir, "--store", t.TempDir())
	d.want(t, exitFailed, "torture failed: the replay is not the run "+dir, "and is now", `"f":"glance"`, "a clock", "UNKNOWN")
	if strings.Contains(d.out, "VALID") {
		t.Errorf("a replay of another history:\n%s", d.out)
	}
	hunt := append([]string{"hunt", "--seeds", "1", "--twice", "1"}, args...)
	do(t, hunt...).want(t, exitFailed, "failed: seed 0: it is not deterministic: run twice, op ", `"f":"glance"`)
}

// A generator that answers differently when it is asked again is named.
func TestImpureGenerator(t *testing.T) {
	spoil(t, "impure generator")
	const said = ": generator Func(broadcast): asked twice at 0s, it first answered "
	args := []string{"total", "--nemesis", "none", "--time-limit", "5s", "--store", t.TempDir()}
	do(t, append([]string{"run", "--world", "sim", "--seed", "1"}, args...)...).want(t, exitFailed, "torture failed: op ", said, "UNKNOWN")
	do(t, append([]string{"hunt", "--seeds", "1", "--twice", "1"}, args...)...).want(t, exitFailed, "failed: seed 0: op ", said)
}

// A replay says that it is what it repeats; that of another build's run may be
// something else, and says so.
func TestReplayOfAnotherBuild(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "5s", "--store", store)
	dir := onlyRun(t, store)
	do(t, "replay", dir, "--store", t.TempDir()).want(t, exitValid, "note: the history is that of "+dir+", event by event")

	history := strings.SplitAfter(read(t, dir, "history.jsonl"), "\n")
	put(t, dir+"/history.jsonl", strings.Join(history[:100], ""))
	if err := recorded(dir, nil); err != nil { // as if there had never been more
		t.Fatal(err)
	}
	do(t, "replay", dir, "--store", t.TempDir()).want(t, exitFailed, "the history had 100 events; now op 100 follows")
	manifest := read(t, dir, "run.json")
	put(t, dir+"/run.json", strings.Replace(manifest, build(), "another", 1))
	o := decode[outcome](t, do(t, "replay", dir, "--json", "--store", t.TempDir()))
	if o.Verdict != checker.Valid || o.Repeats == nil || o.Repeats.Identical || !strings.Contains(o.Repeats.Differs, "op 100 follows") {
		t.Errorf("%s, %+v", o.Verdict, o.Repeats)
	}
	do(t, "replay", dir, "--store", t.TempDir()).want(t, exitValid, "note: this is not the history of "+dir+", which another build of torture recorded: ")

	// Of a run that was cut short, what there is must be the same.
	put(t, dir+"/run.json", manifest)
	if err := os.Remove(dir + "/result.json"); err != nil {
		t.Fatal(err)
	}
	do(t, "replay", dir, "--store", t.TempDir()).want(t, exitValid, "event by event")
}
