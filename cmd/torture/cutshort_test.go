package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

// Of a run that was cut short, what is judged is a consistent cut.
func TestKnown(t *testing.T) {
	const (
		n1 = `{"time":1,"process":"n1","type":"info","f":"started","lamport":1}` + "\n"
		n2 = `{"time":2,"process":"n2","type":"info","f":"started","lamport":2}` + "\n"
		n3 = `{"time":3,"process":"n1","type":"info","f":"bcast","lamport":3}` + "\n"
		n4 = `{"time":4,"process":"n2","type":"info","f":"deliver","lamport":4}` + "\n"
		n5 = `{"time":5,"process":"n2","type":"info","f":"deliver","lamport":5}` + "\n"
		w6 = `{"time":6,"process":"world","type":"info","f":"heal","lamport":6}` + "\n"
		c7 = `{"time":7,"process":"n1","type":"info","f":"crash","lamport":7}` + "\n"
		r8 = `{"time":8,"process":"n1","type":"info","f":"restart","lamport":8}` + "\n"
		n9 = `{"time":9,"process":"n2","type":"info","f":"deliver","lamport":9}` + "\n"
	)
	for _, test := range []struct {
		name, history string
		want          int
	}{
		{"nothing", "", 0},
		{"all are up to the same", n1 + n2, 1},
		{"the least of the last", n1 + n2 + n3 + n4 + n5 + w6, 3},
		{"one said nothing", n1 + n3, 0},
		{"one has ended", n1 + n2 + n3 + n4 + c7 + n9, 6},
		{"one has ended and begun again", n1 + n2 + n3 + c7 + r8 + n9, 5},
	} {
		h, _, err := histories.Read(strings.NewReader(test.history), "test.jsonl", histories.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		cut := known(h, []string{"n1", "n2"})
		if cut.Len() != test.want {
			t.Errorf("%s: %d events of %d, want %d", test.name, cut.Len(), h.Len(), test.want)
		}
		for i := range cut.Len() {
			if got, want := histories.Encode(cut.At(i)), histories.Encode(h.At(i)); string(got) != string(want) {
				t.Errorf("%s: op %d is %s, want %s", test.name, i, got, want)
			}
		}
	}
}

// A check does not forget that torture failed.
func TestCheckFailedRun(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--store", store)
	dir := onlyRun(t, store)
	result := filepath.Join(dir, "result.json")
	put(t, result, strings.Replace(read(t, result), `"state": "complete"`, `"state": "failed", "error": "the engine is gone"`, 1))
	for range 2 {
		do(t, "check", dir).want(t, exitUnknown, "UNKNOWN", "torture failed before the end of the run")
		if o := decode[outcome](t, do(t, "check", dir, "--json")); o.Error != "the engine is gone" || o.Verdict != checker.Unknown {
			t.Errorf("%s, error %q", o.Verdict, o.Error)
		}
	}
}

// What is missing of a run makes no verdict of what is there, whatever it is: its
// result, or one that can be read, or the end of its history.
func TestCheckPart(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"no result": func(dir string) error { return os.Remove(filepath.Join(dir, "result.json")) },
		"a torn result": func(dir string) error {
			return os.Truncate(filepath.Join(dir, "result.json"), 100)
		},
		"a result of another torture": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "result.json"), []byte(`{"version":99,"verdict":"valid","state":"complete"}`), 0o644)
		},
		"the end of the history is gone": func(dir string) error {
			path := filepath.Join(dir, "history.jsonl")
			h, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.Truncate(path, int64(bytes.LastIndexByte(h[:len(h)-1], '\n')+1))
		},
	} {
		store := t.TempDir()
		do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "10s", "--store", store).want(t, exitValid)
		dir := onlyRun(t, store)
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if d := do(t, "check", dir); d.code != exitUnknown || !strings.Contains(d.out, "whether the history is all of it is not known") {
				t.Errorf("%s: exit %d\n%s", name, d.code, d)
			}
		}
	}
}

// A run whose verdict was not waited for is known to be whole: a check gives it.
func TestRecordedNotJudged(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "10s", "--store", store).want(t, exitValid)
	dir := onlyRun(t, store)
	if err := recorded(dir, nil); err != nil {
		t.Fatal(err)
	}
	do(t, "list", "--store", store).want(t, exitValid, "not checked")
	do(t, "check", dir).want(t, exitValid, "VALID")
	if err := recorded(dir, errors.New("the engine is gone")); err != nil {
		t.Fatal(err)
	}
	do(t, "check", dir).want(t, exitUnknown, "torture failed before the end of the run")
}
