package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/targets"
	"github.com/torture-harness/torture/targets/all"
)

// A hunt stops at what it looks for, brings it as a run, and shrinks it.
func TestHunt(t *testing.T) {
	store := t.TempDir()
	d := do(t, "hunt", "total", "--bug", "local-first", "--seeds", "20", "--time-limit", "10s", "--workers", "1", "--store", store)
	d.want(t, exitInvalid, "hunting total in the simulator: 20 seeds from 0 on, 1 worker at a time", "1 invalid",
		"  invalid: seed ", "total-order", "whole run: "+store, "shrunk to ", "INVALID", "torture replay "+store)
	runs, err := os.ReadDir(store)
	if err != nil || len(runs) != 2 || runs[1].Name() != runs[0].Name()+"-shrunk" {
		t.Fatalf("store: %v, %v", runs, err)
	}
	do(t, "replay", filepath.Join(store, runs[1].Name()), "--store", t.TempDir()).want(t, exitInvalid)

	d = do(t, "hunt", "total", "--bug", "local-first", "--seeds", "20", "--time-limit", "10s", "--workers", "1", "--store", store, "--json", "--no-shrink")
	found := decode[tally](t, d)
	if d.code != exitInvalid || found.Invalid != 1 || len(found.Found) != 1 || found.Run == nil || found.Shrunk != nil || found.Run.Verdict != checker.Invalid {
		t.Errorf("hunt --json: exit %d, %+v", d.code, found)
	}
}

// The first seed that fails is the one that is brought, whichever worker is
// quicker.
func TestHuntBringsTheFirst(t *testing.T) {
	for range 5 {
		d := do(t, "hunt", "total", "--bug", "local-first", "--seeds", "20", "--first", "3", "--time-limit", "5s", "--workers", "4", "--no-shrink", "--json", "--store", t.TempDir())
		found := decode[tally](t, d)
		if d.code != exitInvalid || len(found.Found) == 0 || found.Found[0].Seed != 3 || found.Run == nil || found.Run.Manifest.Seed != 3 || found.Seeds > 4 {
			t.Fatalf("exit %d, %+v: want seed 3, and no seeds begun after it was found", d.code, found)
		}
	}
}

func TestHuntValid(t *testing.T) {
	store := t.TempDir()
	d := do(t, "hunt", "total", "--nemesis", "none", "--time-limit", "5s", "--seeds", "4", "--first", "9", "--workers", "2", "--twice", "2", "--json", "--store", store)
	h := decode[tally](t, d)
	if d.code != exitValid || h.Seeds != 4 || h.Valid != 4 || h.Twice != 2 || h.Steps == 0 || h.Virtual < 20*time.Second {
		t.Errorf("exit %d, %+v", d.code, h)
	}
	if left, _ := os.ReadDir(store); len(left) > 0 {
		t.Errorf("the store holds %v", left)
	}
	// Time is up before the seeds are done.
	d = do(t, "hunt", "total", "--nemesis", "none", "--time-limit", "5s", "--seeds", "1000000", "--for", "1s", "--json")
	if h = decode[tally](t, d); h.Seeds >= 1000000 || h.Failed > 0 {
		t.Errorf("hunt --for 1s: exit %d, %+v", d.code, h)
	}
	// One seed may not take for ever.
	do(t, "hunt", "raft", "--time-limit", "10h", "--seeds", "1", "--first", "42", "--seed-limit", "100ms").
		want(t, exitFailed, "seed 42: it is not over after 100ms")
}

// A hunt keeps no run of a seed that was vacuous, but says how to have it.
func TestHuntVacuous(t *testing.T) {
	d := do(t, "hunt", "primary", "--reads", "primary", "--nemesis", "kill", "--targets", "primaries", "--time-limit", "5s", "--seeds", "1", "--first", "3")
	d.want(t, exitVacuous, "1 vacuous", "vacuous: seed 3: stats: 0 operations succeeded while a fault of kind kill")
	_, command, ok := strings.Cut(d.out, "to look at one, and be told what to change: torture ")
	if !ok {
		t.Fatalf("no command:\n%s", d.out)
	}
	args := strings.Fields(strings.Replace(command, "--seed N", "--seed 3", 1))
	store := t.TempDir()
	do(t, append(args, "--store", store)...).want(t, exitVacuous, "0 operations succeeded while a fault of kind kill")
	kept, err := histories.Open(onlyRun(t, store))
	if err != nil {
		t.Fatal(err)
	}
	again := do(t, "hunt", "primary", "--reads", "primary", "--nemesis", "kill", "--targets", "primaries", "--time-limit", "5s", "--seeds", "1", "--first", "3", "--json")
	if ops := decode[tally](t, again).Ops; ops != kept.History.Len() {
		t.Errorf("the hunt had %d operations, the run %d", ops, kept.History.Len())
	}
}

// What is printed to be run again is for a shell.
func TestQuoted(t *testing.T) {
	for s, want := range map[string]string{
		"7": "7", "": "''", "partition,kill": "partition,kill", "runs/a b": "'runs/a b'",
		"!primaries": "'!primaries'", "n1|n2; kill=one": "'n1|n2; kill=one'", "it's": `'it'\''s'`,
	} {
		if got := quoted(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		out, err := exec.Command("sh", "-c", "printf %s "+quoted(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("a shell reads %q as %q, %v", s, out, err)
		}
	}
}

// A worker that dies takes its seed with it, not the hunt.
func TestHuntWorkerDies(t *testing.T) {
	p := start(t, self(t), nil, "hunt", "raft", "--time-limit", "10h", "--seeds", "1000", "--first", "42", "--workers", "1", "--store", t.TempDir())
	worker := workerOf(t, child(t, p.Process.Pid))
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t).want(t, exitFailed, "seed 42: the worker that simulated it died (signal: killed; out of memory?)", "1 seed: 0 valid", "1 failed")
}

// Ctrl-C goes to the hunt and to its workers alike.
func TestHuntInterrupted(t *testing.T) {
	p := start(t, self(t), nil, "hunt", "raft", "--time-limit", "10h", "--seeds", "1000", "--workers", "1", "--store", t.TempDir())
	worker := workerOf(t, child(t, p.Process.Pid))
	eventually(t, "the worker ignores SIGINT", func() bool { return ignores(t, worker, syscall.SIGINT) })
	for _, pid := range []int{worker, p.Process.Pid} {
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	p.wait(t).want(t, exitUnknown, "0 seeds: 0 valid, 0 invalid, 0 vacuous, 0 unknown, 0 failed", "interrupted: 1000 of 1000 seeds were not begun or not finished")
}

// What ends a job may signal all of its processes: the workers leave it to the
// hunt.
func TestHuntTerminated(t *testing.T) {
	p := start(t, self(t), nil, "hunt", "raft", "--time-limit", "10h", "--seeds", "1000", "--workers", "1", "--json", "--store", t.TempDir())
	worker := workerOf(t, child(t, p.Process.Pid))
	eventually(t, "the worker ignores SIGTERM", func() bool { return ignores(t, worker, syscall.SIGTERM) })
	for _, pid := range []int{worker, p.Process.Pid} {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	d := p.wait(t)
	h := decode[tally](t, d)
	if d.code != exitUnknown || h.State != histories.Interrupted || h.Verdict != checker.Unknown || h.Failed != 0 || h.Asked != 1000 {
		t.Errorf("exit %d, %+v", d.code, h)
	}
}

// A selftest that is interrupted has not shown that every bug is found.
func TestSelftestInterrupted(t *testing.T) {
	p := start(t, self(t), nil, "selftest", "--workers", "1")
	workerOf(t, child(t, p.Process.Pid))
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(t).want(t, exitUnknown, "interrupted: not every bug was tried")
}

// A store in which nothing can be kept is noticed before the first seed.
func TestHuntStoreUnwritable(t *testing.T) {
	store := filepath.Join(write(t, "file", ""), "runs")
	d := do(t, "hunt", "total", "--bug", "local-first", "--seeds", "5", "--store", store)
	d.want(t, exitFailed, "torture failed: --store "+store)
	if strings.Contains(d.String(), "hunting") || d.out != "" {
		t.Errorf("the hunt began:\n%s", d)
	}
}

// What cannot be kept after all is still a find, with the seed and the command
// that brings it back.
func TestHuntCannotKeep(t *testing.T) {
	args := []string{"hunt", "total", "--bug", "local-first", "--seeds", "20", "--time-limit", "10s", "--workers", "1", "--twice", "0", "--store", t.TempDir()}
	d := start(t, self(t), []string{envFileSize + "=30000"}, args...).wait(t)
	d.want(t, exitInvalid, "invalid: seed ", "is not kept: ", "file too large", "to do it again: torture run total --bug local-first --time-limit 10s --world sim --swarm --seed ")
	_, command, _ := strings.Cut(d.errors, "to do it again: torture ")
	command, _, _ = strings.Cut(command, "\n")
	do(t, append(strings.Fields(command), "--store", t.TempDir())...).want(t, exitInvalid, "total-order")
}

// With --keep-going, each find is kept, and the first is shrunk.
func TestHuntKeepsEach(t *testing.T) {
	store := t.TempDir()
	d := do(t, "hunt", "total", "--bug", "local-first", "--seeds", "4", "--time-limit", "5s", "--workers", "2", "--keep-going", "--json", "--store", store)
	h := decode[tally](t, d)
	if d.code != exitInvalid || h.Verdict != checker.Invalid || h.Seeds != 4 || len(h.Found) < 2 || h.Shrunk == nil || h.Run == nil || h.Run.Manifest.Seed != h.Found[0].Seed {
		t.Fatalf("exit %d, %+v", d.code, h)
	}
	for _, f := range h.Found {
		opened, err := histories.Open(f.Run)
		if err != nil || opened.Manifest.Seed != f.Seed || filepath.Dir(f.Run) != store {
			t.Errorf("seed %d is kept in %s: %+v, %v", f.Seed, f.Run, opened, err)
		}
	}
	if runs, _ := os.ReadDir(store); len(runs) != len(h.Found)+1 {
		t.Errorf("the store has %d runs, and %d were found", len(runs), len(h.Found))
	}
	// What is shrunk is not shrunk in vain.
	do(t, "shrink", h.Run.Run).want(t, exitUsage, h.Run.Run+"-shrunk is there already")
}

// Each planted bug is found, or selftest says which is not.
func TestSelftest(t *testing.T) {
	d := do(t, "selftest", "total", "--json")
	test := decode[selftest](t, d)
	if d.code != exitValid || len(test.Bugs) != 3 || test.Verdict != checker.Valid || test.State != histories.Complete {
		t.Errorf("selftest: exit %d, %+v", d.code, test)
	}
	for _, p := range test.Bugs {
		if p.Target != "total" || !p.Found || len(p.Kinds) == 0 || p.Seeds == 0 {
			t.Errorf("selftest: %+v", p)
		}
	}
}

// A bug that is not found by what it is declared to cause is shown with what was
// found instead.
func TestSelftestSaysWhatItFoundInstead(t *testing.T) {
	target, err := all.Targets().Named("primary")
	if err != nil {
		t.Fatal(err)
	}
	bug, _ := target.Bug("replica-accepts-writes")
	bug.Anomalies, bug.Within = []string{"G1a"}, 2
	p, err := plant(t.Context(), target, bug, 0, 1)
	if err != nil || p.Found || !p.Tried || !slices.Contains(p.Kinds, "replica-wrote") {
		t.Errorf("%+v, %v", p, err)
	}
	var out strings.Builder
	test := selftest{}
	test.add(p)
	test.say(&out)
	if !strings.Contains(out.String(), "others: ") || test.Verdict != checker.Invalid {
		t.Errorf("%v %s", test.Verdict, out.String())
	}
}

// A misspelt anomaly would leave a bug unfound, whatever was found.
func TestSelftestRefusesMisspeltAnomalies(t *testing.T) {
	target := plainTarget
	target.Bugs = []targets.Bug{{Name: "b", Workload: "register", Anomalies: []string{"stale-raed"}, Within: 1}}
	var out, errs bytes.Buffer
	a := &app{stdout: &out, stderr: &errs, args: []string{"selftest", "plain"}, own: []targets.Target{target}}
	if code := a.execute(); code != exitFailed || !strings.Contains(errs.String(), `target plain, bug b: no checker reports an anomaly "stale-raed"`) {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
}

// ignores tells whether a process has got as far as to ignore a signal.
func ignores(t *testing.T, pid int, s syscall.Signal) bool {
	t.Helper()
	for line := range strings.Lines(read(t, "/proc", strconv.Itoa(pid), "status")) {
		if mask, ok := strings.CutPrefix(line, "SigIgn:"); ok {
			bits, _ := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return bits&(1<<(s-1)) != 0
		}
	}
	return false
}

// workerOf waits for a worker of a hunt, which may have other children for an
// instant.
func workerOf(t *testing.T, hunt int) (pid int) {
	t.Helper()
	eventually(t, "the hunt has a worker", func() bool {
		pid = child(t, hunt)
		args, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		return err == nil && strings.Contains(string(args), "hunt-worker")
	})
	return pid
}

// child waits for the child of a process.
func child(t *testing.T, parent int) (pid int) {
	t.Helper()
	eventually(t, "the process has a child", func() bool {
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		return slices.ContainsFunc(stats, func(path string) bool {
			b, err := os.ReadFile(path)
			if err != nil {
				return false
			}
			// pid (name) state ppid …
			fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
			if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
				return false
			}
			pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return true
		})
	})
	return pid
}

// eventually waits until a condition holds, and gives up after a minute.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not true within a minute: %s", what)
		}
	}
}
