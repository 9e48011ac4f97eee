package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets/all"
)

// What the environment asks of the test program when it is torture.
const (
	envHang     = "TORTURE_TEST_HANG"      // a run that hangs, in this store
	envFileSize = "TORTURE_TEST_FILE_SIZE" // no file may be larger, in bytes
	envCrash    = "TORTURE_TEST_CRASH"     // Go's runtime is to end the process
)

func enactEnvironment(line *lifeline) {
	enactSpoil(os.Getenv(envSpoil))
	if store := os.Getenv(envHang); store != "" {
		hang(store, line)
	}
	if os.Getenv(envCrash) != "" {
		go func() { panic("where nobody recovers") }()
		select {}
	}
	if size, err := strconv.ParseUint(os.Getenv(envFileSize), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ) // so that writing fails instead
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: size}); err != nil {
			panic(err)
		}
	}
}

// hang does a run whose nodes never return from a request.
func hang(store string, line *lifeline) {
	target, err := all.Targets().Named("total")
	if err != nil {
		panic(err)
	}
	sound := target.New
	target.New = func(o node.Options) node.Node { return hanging{sound(o)} }
	tr, err := run.NewTrial(target, histories.Manifest{}, nil)
	if err != nil {
		panic(err)
	}
	a := &app{stdout: os.Stdout, stderr: os.Stderr, interrupts: hearInterrupts(line), store: store, patience: 200 * time.Millisecond}
	o, err := a.conduct(context.Background(), tr, nil)
	fmt.Printf("the run is over: %v, %v\n", o, err)
	os.Exit(exitValid)
}

type hanging struct{ node.Node }

func (hanging) Request(*node.Env, node.Request) { select {} }

// A run that hangs ends as torture's failure, and leaves what it takes to see
// why: the goroutines, and the history so far.
func TestWatchdog(t *testing.T) {
	store := t.TempDir()
	start(t, self(t), []string{envHang + "=" + store}, "hang").wait(t).want(t, exitFailed, "the run hangs", "goroutines.txt")
	dir := onlyRun(t, store)
	if dump := read(t, dir, "goroutines.txt"); !strings.Contains(dump, "hanging.Request") || !strings.Contains(dump, "run.Loop") {
		t.Errorf("goroutines.txt does not show where the run hangs:\n%.2000s", dump)
	}
	opened, err := histories.Open(dir)
	if err != nil || opened.History.Len() == 0 || opened.Complete {
		t.Errorf("opened: %+v, %v", opened, err)
	}
	do(t, "check", dir).want(t, exitUnknown, "the run was killed")
}

// The watchdog grants what a run may well spend in silence.
func TestHangLimit(t *testing.T) {
	for _, test := range []struct {
		m    histories.Manifest
		want time.Duration // at least
	}{
		{histories.Manifest{Rate: 100}, time.Minute},
		{histories.Manifest{Rate: 100, Recovery: time.Hour}, time.Hour},
		{histories.Manifest{Rate: 100, Timeout: time.Hour}, time.Hour},
		{histories.Manifest{Rate: 100, End: time.Hour}, time.Hour},
		{histories.Manifest{Rate: 1e-3}, time.Hour},
		{histories.Manifest{Rate: 1e-300}, time.Hour},
		{histories.Manifest{Rate: 100, Recovery: math.MaxInt64, Timeout: math.MaxInt64, End: math.MaxInt64}, 48 * time.Hour},
	} {
		if got := hangLimit(test.m); got < test.want || test.m.Recovery < math.MaxInt64 && got > 48*time.Hour {
			t.Errorf("%+v: %v, want %v at least", test.m, got, test.want)
		}
	}
}

// longRun begins a run that will not end by itself, and waits until it has
// recorded something.
func longRun(t *testing.T, store string, more ...string) (p *process, dir string) {
	t.Helper()
	args := append([]string{"run", "total", "--world", "sim", "--seed", "1", "--time-limit", "1000h", "--store", store}, more...)
	p = start(t, self(t), nil, args...)
	eventually(t, "the run has recorded something", func() bool {
		files, _ := filepath.Glob(filepath.Join(store, "*", "history.jsonl"))
		if len(files) != 1 {
			return false
		}
		dir = filepath.Dir(files[0])
		info, err := os.Stat(files[0])
		return err == nil && info.Size() > 1<<20
	})
	return p, dir
}

// Ctrl-C stops a run; what there is is checked, and the directory is complete.
// It is never valid, and every later look at it knows why.
func TestInterrupt(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		store := t.TempDir()
		p, dir := longRun(t, store)
		if err := p.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		const why = "the run was interrupted before its end"
		p.wait(t).want(t, exitUnknown, "interrupted: ", "UNKNOWN", why, "run     "+dir, "torture replay "+dir)
		opened, err := histories.Open(dir)
		if err != nil || !opened.Complete || opened.Torn != 0 || opened.History.Len() < 1000 {
			t.Errorf("%v: %+v, %v", s, opened, err)
		}
		if page := read(t, dir, "report.html"); !strings.Contains(page, "</html>") || !strings.Contains(page, why) {
			t.Errorf("%v: no report, or it does not say that the run was interrupted", s)
		}
		do(t, "list", "--store", store).want(t, exitValid, "unknown (interrupted)")
		for range 2 {
			do(t, "check", dir).want(t, exitUnknown, why)
			if o := decode[outcome](t, do(t, "check", dir, "--json")); o.State != histories.Interrupted || o.Verdict != checker.Unknown || o.Version != histories.ResultVersion {
				t.Errorf("%v: %s, %s, version %d", s, o.State, o.Verdict, o.Version)
			}
		}
	}
}

// A run that failed is judged, also if it was interrupted meanwhile.
func TestInterruptedFailure(t *testing.T) {
	target, err := all.Targets().Named("total")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sound := target.New
	target.New = func(o node.Options) node.Node {
		if cancel(); ctx.Err() != nil {
			panic("a node that cannot be made")
		}
		return sound(o)
	}
	tr, err := run.NewTrial(target, histories.Manifest{World: "sim", Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	a := &app{stdout: &out, stderr: &errs, store: t.TempDir()}
	o, err := a.conduct(ctx, tr, nil)
	if o == nil || o.State == histories.Complete || o.Verdict == checker.Valid || strings.Contains(errs.String(), "not judged") {
		t.Errorf("%+v, %v\n%s", o, err, &errs)
	}
}

// A broken promise is one, also if the run was interrupted after it.
func TestInterruptInvalid(t *testing.T) {
	store := t.TempDir()
	p, dir := longRun(t, store, "--bug", "local-first")
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(t).want(t, exitInvalid, "INVALID", "note: the run was interrupted")
	do(t, "list", "--store", store).want(t, exitValid, "invalid (interrupted)")
	do(t, "check", dir).want(t, exitInvalid, "INVALID", "note: the run was interrupted")
}

// No target's checkers take what an interrupted run lacks, such as its final
// operations, for an anomaly.
func TestInterruptedIsNoAnomaly(t *testing.T) {
	for _, target := range all.Targets() {
		for _, w := range target.WorkloadNames() {
			tr, err := run.NewTrial(target, histories.Manifest{Workload: w, Seed: 1, Nemesis: []string{"kill", "partition"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			world := tr.Simulated()
			var b histories.Builder
			err = run.Loop(ctx, tr.Plan(world.Now()), world, func(op histories.Op) error {
				if op.Time > histories.Time(10*time.Second) {
					cancel()
				}
				return b.Add(op)
			})
			world.Close()
			if r := tr.Checker().Check(t.Context(), b.History()); r.Verdict == checker.Invalid || b.History().Len() < 1000 {
				t.Errorf("%s %s, cut at 10s (%v): %d events, %s: %+v", target.Name, w, err, b.History().Len(), r.Verdict, r.Anomalies)
			}
		}
	}
}

// A run that is killed leaves a directory that opens and can be checked. Its parent
// is left to say so.
func TestKilled(t *testing.T) {
	store := t.TempDir()
	p, dir := longRun(t, store)
	if err := syscall.Kill(child(t, p.Process.Pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t).want(t, exitFailed, "torture failed: it crashed (signal: killed; out of memory?)", "torture check "+dir)
	opened, err := histories.Open(dir)
	if err != nil || opened.Complete || opened.History.Len() < 1000 {
		t.Fatalf("opened: %+v, %v", opened, err)
	}
	do(t, "list", "--store", store).want(t, exitValid, "not checked")
	do(t, "check", dir).want(t, exitUnknown, "the run was killed")
	do(t, "list", "--store", store).want(t, exitValid, "unknown (killed)")
	if opened, err = histories.Open(dir); err != nil || !opened.Complete {
		t.Errorf("after check: %+v, %v", opened, err)
	}
}

// A disk that is full ends the run, and keeps what there was.
func TestDiskFull(t *testing.T) {
	full := func(t *testing.T, d done, store, word string) {
		t.Helper()
		d.want(t, exitFailed, "torture failed: ", "history.jsonl", word)
		dir := onlyRun(t, store)
		opened, err := histories.Open(dir)
		if err != nil || opened.History.Len() < 1000 {
			t.Fatalf("opened: %+v, %v", opened, err)
		}
		// Where there is room it can be checked.
		elsewhere := filepath.Join(t.TempDir(), "copy")
		for _, name := range []string{"run.json", "history.jsonl"} {
			put(t, filepath.Join(elsewhere, name), read(t, dir, name))
		}
		do(t, "check", elsewhere).want(t, exitUnknown, "the run was killed")
		do(t, "list", "--store", store).want(t, exitValid, filepath.Base(dir))
	}
	args := []string{"run", "total", "--world", "sim", "--seed", "1", "--time-limit", "1000h", "--store"}
	t.Run("limit", func(t *testing.T) {
		store := t.TempDir()
		d := start(t, self(t), []string{envFileSize + "=1000000"}, append(args, store)...).wait(t)
		full(t, d, store, "file too large")
	})
	t.Run("tmpfs", func(t *testing.T) {
		store := t.TempDir()
		mountSmall(t, store)
		full(t, do(t, append(args, store)...), store, "no space left on device")
	})
}
