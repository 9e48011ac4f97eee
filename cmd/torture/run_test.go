package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/targets"
	"github.com/torture-harness/torture/targets/all"
)

// A run says what it is, what came of it, where it is and how to repeat it; and
// repeating it gives the same history, byte by byte.
func TestRunAndReplay(t *testing.T) {
	store := t.TempDir()
	d := do(t, "run", "total", "--world", "sim", "--seed", "11", "--nemesis", "kill", "--store", store)
	dir := onlyRun(t, store)
	d.want(t, exitValid, "total in the simulator, seed 11: 5 nodes, 10 clients, faults: kill\n", "VALID", "seed 11",
		"run     "+dir, "report  "+filepath.Join(dir, "report.html"), "repeat  torture replay "+dir+"\n")
	if n := strings.Count(d.errors, "\n"); n != 1 {
		t.Errorf("stderr has %d lines, want one that says what begins:\n%s", n, d.errors)
	}
	first := read(t, dir, "history.jsonl")
	if page := read(t, dir, "report.html"); !strings.Contains(page, "</html>") {
		t.Errorf("report.html is no page: %.200s", page)
	}

	again := decode[outcome](t, do(t, "replay", dir, "--store", filepath.Join(store, "again"), "--json"))
	if again.Verdict != checker.Valid || again.Manifest.Seed != 11 {
		t.Errorf("replay: %s, seed %d", again.Verdict, again.Manifest.Seed)
	}
	if second := read(t, again.Run, "history.jsonl"); second != first {
		t.Errorf("the replay's history differs: %d bytes, %d", len(first), len(second))
	}

	opened, err := histories.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m := opened.Manifest; m.Seed != 11 || m.Target != "total" || !slices.Contains(m.Args, "--nemesis") || !opened.Complete {
		t.Errorf("run.json: %+v", m)
	}

	// Checking it again writes the same result.
	result := read(t, dir, "result.json")
	if again := do(t, "check", dir); again.code != exitValid || again.out != d.out || read(t, dir, "result.json") != result {
		t.Errorf("check says, exit %d,\n%s\nwant\n%s", again.code, again.out, d.out)
	}
	do(t, "check", dir, "--checker", "set").want(t, exitUsage, "--checker is for files")
	do(t, "shrink", dir).want(t, exitUsage, dir+" is valid")
	do(t, "list", "--store", store).want(t, exitValid, filepath.Base(dir), "valid", "total/broadcast", "again")
}

// A broken promise ends with the anomaly, the ops that show it, and how to
// repeat it; shrinking it leaves a schedule that fails again.
func TestRunInvalid(t *testing.T) {
	store := t.TempDir()
	d := do(t, "run", "total", "--world", "sim", "--seed", "1", "--bug", "local-first", "--nemesis", "delay,kill", "--time-limit", "10s", "--store", store)
	dir := onlyRun(t, store)
	d.want(t, exitInvalid, "INVALID", "bug local-first", "total-order", "  op ", "deliver", "run     "+dir, "torture replay "+dir)
	if n := strings.Count(d.out, "\n"); n > 45 {
		t.Errorf("%d lines are too many to read:\n%s", n, d.out)
	}
	do(t, "replay", dir, "--times", "2", "--store", filepath.Join(store, "again")).want(t, exitInvalid, "2 of 2 replays were invalid")

	small := decode[outcome](t, do(t, "shrink", dir, "--json"))
	if small.Run != dir+"-shrunk" || small.Verdict != checker.Invalid || small.Ops > 60 {
		t.Errorf("shrunk: %+v", small)
	}
	do(t, "replay", small.Run, "--store", filepath.Join(store, "small")).want(t, exitInvalid)
	do(t, "replay", filepath.Join(small.Run, "schedule.jsonl"), "--store", filepath.Join(store, "schedule")).want(t, exitInvalid)
}

// Faults under which a target promises less are named.
func TestOutsidePromise(t *testing.T) {
	args := []string{"run", "raft", "--world", "sim", "--seed", "1", "--nemesis", "clock", "--time-limit", "5s", "--store", t.TempDir()}
	d := do(t, append(args, "--reads", "lease")...)
	if note := "note: raft promises less under clock"; !strings.Contains(d.out, note) {
		t.Errorf("no %q in\n%s", note, d)
	}
	if d := do(t, args...); strings.Contains(d.out, "note:") {
		t.Errorf("a note where nothing is to be noted:\n%s", d)
	}
	// All faults are all that are within the promise.
	d = do(t, "run", "raft", "--world", "sim", "--reads", "lease", "--time-limit", "1s", "--store", t.TempDir())
	if begin, _, _ := strings.Cut(d.errors, "\n"); strings.Contains(begin, "clock") || !strings.Contains(begin, "partition") {
		t.Errorf("faults: %s", begin)
	}
}

// Too little is not valid.
func TestVacuous(t *testing.T) {
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "kill", "--time-limit", "500ms", "--store", t.TempDir()).
		want(t, exitVacuous, "VACUOUS", "kind kill")
}

// What a program may read is JSON.
func TestJSON(t *testing.T) {
	t.Setenv("DOCKER_HOST", nowhere)
	store := t.TempDir()
	d := do(t, "run", "total", "--world", "sim", "--seed", "3", "--nemesis", "none", "--store", store, "--json")
	o := decode[outcome](t, d)
	if d.code != exitValid || o.Verdict != checker.Valid || o.Manifest.Seed != 3 || o.Ops == 0 || o.Run != onlyRun(t, store) || o.Repeat == "" {
		t.Errorf("run: exit %d, %+v", d.code, o)
	}
	if again := decode[outcome](t, do(t, "check", o.Run, "--json")); again.Verdict != o.Verdict || again.Ops != o.Ops {
		t.Errorf("check of a run: %+v", again)
	}
	file := filepath.Join(o.Run, "history.jsonl")
	if r := decode[checker.Result](t, do(t, "check", file, "--checker", "panics", "--json")); r.Verdict != checker.Valid {
		t.Errorf("check of a file: %+v", r)
	}
	if list := decode[[]histories.Summary](t, do(t, "list", "--store", store, "--json")); len(list) != 1 || list[0].Verdict != "valid" {
		t.Errorf("list: %+v", list)
	}
	d = do(t, "list", "--store", filepath.Join(store, "none"), "--json")
	if list := decode[[]histories.Summary](t, d); list == nil || len(list) > 0 {
		t.Errorf("list of nothing: %s", d.out)
	}
	if views := decode[[]targetView](t, do(t, "targets", "--json")); len(views) != len(all.Targets().Names()) {
		t.Errorf("targets: %d", len(views))
	}
	target, _ := all.Targets().Named("raft")
	view := decode[targetView](t, do(t, "targets", "show", "raft", "--json"))
	if view.Name != "raft" || len(view.Promises) == 0 || len(view.Bugs) == 0 || view.Workloads[0] != (workloadView{"register", target.Workloads[0].Doc, targets.MinOps{Sim: 100, Containers: 20}}) {
		t.Errorf("targets show: %+v", view)
	}
	doctor := decode[map[string]any](t, do(t, "doctor", "--json"))
	if doctor["simulator"] == nil || doctor["engine"] != nil || !strings.Contains(fmt.Sprint(doctor["why"]), nowhere) {
		t.Errorf("doctor without an engine: %v", doctor)
	}
}

// targets show leaves nothing out.
func TestTargets(t *testing.T) {
	list := do(t, "targets")
	for _, target := range all.Targets() {
		list.want(t, exitValid, target.Name, target.Doc)
		d := do(t, "targets", "show", target.Name)
		d.want(t, exitValid, target.Source, "WORKLOADS", "PROMISES", "BUGS (--bug)", "FAULTS (--nemesis)")
		d.want(t, exitValid, append(target.BugNames(), target.WorkloadNames()...)...)
	}
}

// nowhere is an address at which no engine answers.
const nowhere = "tcp://127.0.0.1:1"

// Without an engine auto is the simulator, and docker fails before it begins.
func TestNoEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", nowhere)
	store := t.TempDir()
	d := do(t, "run", "total", "--world", "docker", "--store", store)
	d.want(t, exitFailed, "torture failed: no docker engine answers at "+nowhere)
	if left, _ := os.ReadDir(store); len(left) > 0 || d.out != "" {
		t.Errorf("left %v and said %q", left, d.out)
	}
	do(t, "clean").want(t, exitFailed, nowhere)
	do(t, "doctor").want(t, exitValid, "simulator   yes", "containers  no: no docker engine answers at "+nowhere)

	d = do(t, "run", "total", "--seed", "1", "--nemesis", "none", "--store", store)
	d.want(t, exitValid, "in the simulator, since no docker engine answers at "+nowhere, "total in the simulator, seed 1")
	do(t, "replay", onlyRun(t, store), "--world", "docker", "--store", store).want(t, exitFailed, "no docker engine answers")
}

// The same seed gives the same history, whatever the target and the faults.
func TestDeterminism(t *testing.T) {
	seeds := uint64(5)
	if testing.Short() {
		seeds = 1
	}
	for _, target := range all.Targets() {
		base := histories.Manifest{Target: target.Name, World: "sim", TimeLimit: 6 * time.Second}
		for _, k := range possible("sim", target) {
			base.Nemesis = append(base.Nemesis, string(k))
		}
		for seed := range seeds {
			m := seeded(target, base, true)(seed)
			first := new(app).simulateSeed(context.Background(), seedRequest{Manifest: m})
			second := new(app).simulateSeed(context.Background(), seedRequest{Manifest: m})
			if first.Hash != second.Hash || first.Ops < 100 || first.Error != "" {
				t.Errorf("%s, seed %d: %+v, then %+v", target.Name, seed, first, second)
			}
		}
	}
}
