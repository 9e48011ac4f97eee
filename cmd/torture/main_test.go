package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test program be torture itself when it is given a command,
// as a hunt's workers are, and the tests of what signals do.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(supervised(os.Args[1:], func(line *lifeline) int {
			enactEnvironment(line)
			return testApp(os.Args[1:]).executeAlone(line)
		}))
	}
	code := m.Run()
	if builtDir != "" {
		os.RemoveAll(builtDir)
	}
	os.Exit(code)
}

// builtDir is where the container tests keep the torture that they built, or "".
var builtDir string

// done is what a command came to.
type done struct {
	args        []string
	code        int
	out, errors string
}

// do executes a command in this process, with a store of the test.
func do(t *testing.T, args ...string) done {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(args, &out, &errs)
	return done{args, code, out.String(), errs.String()}
}

// start begins a command in a process of its own.
func start(t *testing.T, program string, env []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program, args...)}
	p.Stdout, p.Stderr = &p.out, &p.errs
	p.Env = append(os.Environ(), env...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

type process struct {
	*exec.Cmd
	out, errs bytes.Buffer // to be read after wait
}

// wait returns what the command came to. A process that a signal has killed
// has the code -1.
func (p *process) wait(t *testing.T) done {
	t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return done{p.Args[1:], p.ProcessState.ExitCode(), p.out.String(), p.errs.String()}
}

// self is the test program, which is torture if it is given a command.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// want checks the exit code and that all words are in what was printed.
func (d done) want(t *testing.T, code int, words ...string) {
	t.Helper()
	if d.code != code {
		t.Errorf("torture %s: exit %d, want %d\n%s", strings.Join(d.args, " "), d.code, code, d)
	}
	for _, w := range words {
		if !strings.Contains(d.out+d.errors, w) {
			t.Errorf("torture %s: does not say %q:\n%s", strings.Join(d.args, " "), w, d)
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(d.out + d.errors) {
		if strings.HasPrefix(line, "torture") && seen[line] {
			t.Errorf("torture %s: says twice: %s", strings.Join(d.args, " "), line)
		}
		seen[line] = true
	}
}

func (d done) String() string { return "stdout:\n" + d.out + "stderr:\n" + d.errors }

// decode reads what --json printed.
func decode[T any](t *testing.T, d done) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(d.out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil || dec.More() {
		t.Fatalf("torture %s: stdout is not one JSON value: %v\n%s", strings.Join(d.args, " "), err, d)
	}
	return v
}

// onlyRun is the directory of the one run in a store.
func onlyRun(t *testing.T, store string) string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(store, "*", "run.json"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("runs in %s: %v, %v; want one", store, dirs, err)
	}
	return filepath.Dir(dirs[0])
}

// write makes a file of the test.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
