package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
)

// Go ends a program that it cannot go on with by exit code 2, which is no verdict
// then.
func TestCrashIsNoVerdict(t *testing.T) {
	start(t, self(t), []string{envCrash + "=1"}, "list").wait(t).
		want(t, exitFailed, "where nobody recovers", "torture failed: it crashed (exit status 2)")
	// Nor is one without enough descriptors to begin with.
	start(t, "/bin/sh", nil, "-c", `ulimit -n 8; exec "$0" list --store /`, self(t)).wait(t).
		want(t, exitFailed, "torture failed: it cannot start itself", "16 descriptors")
	start(t, "/bin/sh", nil, "-c", `ulimit -n 16; exec "$0" list --store "$1"`, self(t), t.TempDir()).wait(t).want(t, exitValid, "no runs")
}

// A run whose parent is gone ends as if it were asked to.
func TestParentKilled(t *testing.T) {
	store := t.TempDir()
	p, dir := longRun(t, store)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run is judged", func() bool {
		opened, err := histories.Open(dir)
		return err == nil && opened.Complete
	})
	do(t, "check", dir).want(t, exitUnknown, "the run was interrupted before its end")
}

// Nor do the workers of a hunt outlive it.
func TestHuntKilled(t *testing.T) {
	p := start(t, self(t), nil, "hunt", "raft", "--time-limit", "10h", "--workers", "1", "--store", t.TempDir())
	hunt := child(t, p.Process.Pid)
	worker := workerOf(t, hunt)
	if err := syscall.Kill(hunt, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t).want(t, exitFailed, "torture failed: it crashed (signal: killed; out of memory?)")
	eventually(t, "the worker is gone", func() bool { return syscall.Kill(worker, 0) == syscall.ESRCH || zombie(t, worker) })
}

func zombie(t *testing.T, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || strings.Contains(string(b), ") Z ")
}

// What signals do to a process that does a command.
func TestInterrupts(t *testing.T) {
	const inOrder = "interrupted: torture ends in order; once more, and it leaves at once\n"
	at := time.Unix(1000, 0)
	for _, test := range []struct {
		name string
		held bool
		asks []time.Duration
		want []int // exit codes
		said string
	}{
		{"nothing to end in order", false, []time.Duration{0}, []int{exitUnknown}, "interrupted; torture clean x removes what is left\n"},
		{"in order", true, []time.Duration{0}, nil, inOrder},
		{"several within a second are one", true, []time.Duration{0, time.Millisecond, 999 * time.Millisecond}, nil, inOrder},
		{"twice", true, []time.Duration{0, time.Millisecond, time.Second}, []int{exitFailed},
			inOrder + "interrupted twice: torture leaves at once; torture clean x removes what is left\n"},
	} {
		var codes []int
		var said bytes.Buffer
		i := &interrupts{stderr: &said, exit: func(code int) { codes = append(codes, code) }}
		ctx, stop := context.Background(), func() {}
		if test.held {
			ctx, stop = i.until(ctx)
		}
		i.leaves("torture clean x removes what is left")
		for _, after := range test.asks {
			i.ask(at.Add(after))
		}
		if !slices.Equal(codes, test.want) || test.held == (ctx.Err() == nil) || said.String() != test.said {
			t.Errorf("%s: exits %v, want %v; ctx: %v; said:\n%s", test.name, codes, test.want, ctx.Err(), &said)
		}
		stop()
	}
}

// What ends a job may signal the parent, the child, and both.
func TestInterruptedAsOne(t *testing.T) {
	p, dir := longRun(t, t.TempDir())
	inner := child(t, p.Process.Pid)
	for _, pid := range []int{p.Process.Pid, inner, p.Process.Pid} {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	p.wait(t).want(t, exitUnknown, "interrupted: torture ends in order", "UNKNOWN", "run     "+dir)
}

// Any command can be interrupted, whatever it waits for.
func TestInterruptAnything(t *testing.T) {
	deaf, err := net.Listen("unix", filepath.Join(t.TempDir(), "engine"))
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	asked := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := deaf.Accept()
			if err != nil {
				return
			}
			asked <- conn // and never answered
		}
	}()
	store := t.TempDir()
	for _, args := range []string{
		"check - --checker linearizable", "convert - " + store + "/h.edn",
		"doctor", "clean", "clean x", "clean --all", "run total --world docker --store " + store,
	} {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := &process{Cmd: exec.Command(self(t), strings.Fields(args)...)}
		p.Stdin, p.Stdout, p.Stderr = in, &p.out, &p.errs
		p.Env = append(os.Environ(), "DOCKER_HOST=unix://"+deaf.Addr().String())
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Process.Kill() })
		if strings.Contains(args, " - ") {
			// More than a pipe holds: when it is written, it is being read.
			if _, err := out.WriteString(strings.Repeat(`{"type":"invoke","process":0,"f":"read","value":null}`+"\n"+`{"type":"ok","process":0,"f":"read","value":null}`+"\n", 10_000)); err != nil {
				t.Fatal(err)
			}
		} else {
			<-asked
		}
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.wait(t).want(t, exitUnknown, "interrupted")
		in.Close()
		out.Close()
	}
	if left, _ := filepath.Glob(store + "/*"); len(left) > 0 {
		t.Errorf("it has left %v", left)
	}
}

// Who prints to nobody ends quietly, as the shell knows it of others.
func TestNobodyReads(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	defer out.Close()
	p := &process{Cmd: exec.Command(self(t), "targets")}
	p.Stdout, p.Stderr = out, &p.errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if d := p.wait(t); d.code != exitPipe || d.errors != "" {
		t.Errorf("exit %d\n%s", d.code, d)
	}
	// What it prints first is to stderr: the run is cut short, and ends in order.
	store := t.TempDir()
	p = &process{Cmd: exec.Command(self(t), "run", "total", "--world", "sim", "--time-limit", "1000h", "--store", store)}
	p.Stdout, p.Stderr = &p.out, out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if d := p.wait(t); d.code != exitPipe || d.out != "" && !strings.Contains(d.out, "UNKNOWN") {
		t.Errorf("exit %d\n%s", d.code, d)
	}
}

// Nor does what cannot be written pass for said.
func TestNowhereToPrint(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	p := &process{Cmd: exec.Command(self(t), "targets", "--json")}
	p.Stdout, p.Stderr = full, &p.errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.wait(t).want(t, exitFailed, "torture failed: ", "no space left on device")
}

// A shrink that is interrupted before it has anything is no failure.
func TestShrinkInterrupted(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--bug", "local-first", "--time-limit", "10s", "--store", store).want(t, exitInvalid)
	tr, opened, err := (&app{}).openTrial(onlyRun(t, store))
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 2} { // while it is judged, and while it is played again
		ctx, cancel := context.WithCancel(t.Context())
		var errs bytes.Buffer
		a := &app{stderr: &errs, store: store}
		counted := *tr
		counted.Target.New = func(o node.Options) node.Node {
			cancel()
			return tr.Target.New(o)
		}
		if cut == 1 {
			cancel()
		}
		_, err := a.shrink(ctx, &counted, opened.History, onlyRun(t, store), time.Minute)
		if exitCode(err, &errs) != exitUnknown || !strings.Contains(errs.String(), "interrupted: nothing is shrunk") {
			t.Errorf("cut %d: %v\n%s", cut, err, &errs)
		}
		cancel()
	}
}
