//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What somebody has put into a run's directory in place of its files is told
// by its kind: no command waits for it, follows it, or copies what it leads to.
func TestForeignFilesInARun(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--nemesis", "none", "--time-limit", "3s", "--store", store).want(t, exitValid)
	dir := onlyRun(t, store)
	secret := write(t, "secret", "the secret of somebody\n")
	if err := os.MkdirAll(filepath.Join(dir, "nodes", "n1"), 0o777); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "nodes", "n1", "log")
	if err := os.Symlink(secret, log); err != nil {
		t.Fatal(err)
	}
	do(t, "check", dir).want(t, exitUnknown, log+": it is a symbolic link")
	if page := read(t, dir, "report.html"); strings.Contains(page, "the secret of somebody") || !strings.Contains(page, "this log cannot be read") {
		t.Error("the report does not refuse a log that is a link")
	}
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	// Results are written in place of a link, and not into what it leads to.
	for _, name := range []string{"result.json", "report.html"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	do(t, "list", "--store", store).want(t, exitValid, "result.json: it is a symbolic link")
	do(t, "check", dir).want(t, exitUnknown, "has lost its result.json")
	if got := read(t, secret); got != "the secret of somebody\n" {
		t.Errorf("what the link leads to became %q", got)
	}
	for _, name := range []string{"result.json", "history.jsonl", "run.json"} {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		do(t, "list", "--store", store).want(t, exitValid, name+": it is a named pipe")
		if name == "result.json" {
			continue // check writes it anew
		}
		for _, command := range []string{"check", "replay", "shrink"} {
			do(t, command, dir).want(t, exitUsage, name+": it is a named pipe")
		}
	}
}

// A file that the user names may be a pipe.
func TestCheckOfAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	go os.WriteFile(path, []byte(`{"process":0,"type":"invoke","f":"read"}`+"\n"+`{"process":0,"type":"ok","f":"read"}`+"\n"), 0)
	do(t, "check", path, "--checker", "linearizable").want(t, exitValid)
}
