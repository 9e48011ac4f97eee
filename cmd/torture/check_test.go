package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// good is a history of a register that is linearizable.
const good = `{"index":0,"time":1,"process":0,"type":"invoke","f":"write","value":1}
{"index":1,"time":2,"process":0,"type":"ok","f":"write","value":1}
{"index":2,"time":3,"process":1,"type":"invoke","f":"read","value":null}
{"index":3,"time":4,"process":1,"type":"ok","f":"read","value":1}
`

func TestCheckFile(t *testing.T) {
	edn := `{:process 0, :type :invoke, :f :write, :value 1, :index 0, :time 1}
{:process 0, :type :ok, :f :write, :value 1, :index 1, :time 2}
{:process 1, :type :invoke, :f :read, :value nil, :index 2, :time 3}
{:process 1, :type :ok, :f :read, :value 2, :index 3, :time 4}
`
	for _, test := range []struct {
		name, file, content string
		args                string
		code                int
		want                []string
	}{
		{"valid", "h.jsonl", good, "--checker linearizable", exitValid, []string{"VALID"}},
		{"torn", "h.jsonl", good[:len(good)-10], "--checker linearizable", exitValid, []string{"VALID", "h.jsonl: the last line is torn and was dropped"}},
		{"EDN", "h.edn", edn, "--checker linearizable", exitInvalid, []string{"INVALID", "nonlinearizable", "read 2"}},
		{"EDN with other numbers", "h.edn", strings.ReplaceAll(edn, ":index ", ":index 7"), "--checker linearizable", exitInvalid, []string{"h.edn: the index of 4 ops is not the place in the file", "op 3"}},
		{"EDN with tuples", "h.edn", strings.ReplaceAll(strings.ReplaceAll(edn, ":value 1", ":value [7 1]"), ":value 2", ":value [7 2]"),
			"--checker linearizable --independent", exitInvalid, []string{"INVALID", "read 7 2"}},
		{"option", "h.jsonl", good, "--checker linearizable --option model=cas-register", exitValid, nil},
		{"unknown option", "h.jsonl", good, "--checker linearizable --option nope=1", exitUsage, []string{"nope"}},
		{"unknown model", "h.jsonl", good, "--checker linearizable --option model=nope", exitUsage, []string{"nope", "cas-register"}},
		{"no option", "h.jsonl", good, "--checker linearizable --option model", exitUsage, []string{"--option model: want name=value"}},
		{"no checker", "h.jsonl", good, "", exitUsage, []string{"h.jsonl is a file", "--checker", "linearizable, panics"}},
		{"unknown checker", "h.jsonl", good, "--checker lineariseable", exitUsage, []string{"lineariseable", "linearizable"}},
		{"no process", "h.jsonl", good + `{"type":"ok"}` + "\n", "--checker linearizable", exitUsage, []string{"h.jsonl:5: field process"}},
		{"bad type", "h.jsonl", strings.Replace(good, `"ok"`, `"fine"`, 1), "--checker linearizable", exitUsage, []string{"h.jsonl:2: field type", "fine"}},
		{"bad time", "h.jsonl", strings.Replace(good, `"time":3`, `"time":"late"`, 1), "--checker linearizable", exitUsage, []string{"h.jsonl:3: field time", "late"}},
		{"torn in the middle", "h.jsonl", good[:40] + "\n" + good, "--checker linearizable", exitUsage, []string{"h.jsonl:1", "cut off"}},
		{"completion of nothing", "h.jsonl", good[strings.Index(good, "\n")+1:], "--checker linearizable", exitUsage, []string{"h.jsonl:1"}},
		{"bad EDN", "h.edn", strings.Replace(edn, ":ok", ":fine", 1), "--checker linearizable", exitUsage, []string{"h.edn:2: field type", "fine"}},
		{"neither", "h.jsonl", "\x7fELF\x00\x01\n\n\x00\x02", "--checker linearizable", exitUsage, []string{"h.jsonl:1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, test.file, test.content)
			d := do(t, append([]string{"check", path}, strings.Fields(test.args)...)...)
			d.want(t, test.code, test.want...)
		})
	}
}

// All golden histories, with the checkers and verdicts that they ask for, are
// tested with the checkers; here it is that check opens files of every kind.
func TestCheckDirectory(t *testing.T) {
	for name, want := range map[string]string{
		"nothing":       "is not the directory of a run",
		"torn manifest": "run.json",
		"no target":     `run.json: there is no target "nothing"`,
		"corrupt":       "history.jsonl:2: field type",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			manifest := `{"version":1,"id":"x","target":"total","world":"sim","nodes":5}`
			switch name {
			case "nothing":
				manifest = ""
			case "torn manifest":
				manifest = manifest[:20]
			case "no target":
				manifest = strings.Replace(manifest, "total", "nothing", 1)
			case "corrupt":
				put(t, filepath.Join(dir, "history.jsonl"), strings.Replace(good, `"ok"`, `"fine"`, 1))
			}
			if manifest != "" {
				put(t, filepath.Join(dir, "run.json"), manifest)
			}
			do(t, "check", dir).want(t, exitUsage, dir, want)
			do(t, "replay", dir, "--store", t.TempDir()).want(t, exitUsage, dir, want)
		})
	}
}

// A run that was killed while it wrote has a torn last line.
func TestCheckTorn(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "10s", "--store", store)
	dir := onlyRun(t, store)
	path := filepath.Join(dir, "history.jsonl")
	h := read(t, path)
	put(t, path, h[:len(h)-7])
	for range 2 { // whatever is judged is a part, and stays one
		do(t, "check", dir).want(t, exitUnknown, "torn and was dropped", "UNKNOWN", "has lost its result.json or the end of its history")
	}
	opened, err := histories.Open(dir)
	if err != nil || opened.Torn != 1 || opened.History.Len() != strings.Count(h, "\n")-1 {
		t.Errorf("opened: %+v, %v", opened, err)
	}
}

// A result that cannot be kept is told all the same.
func TestCheckReadOnly(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--store", store)
	dir := onlyRun(t, store)
	if err := os.Remove(filepath.Join(dir, "result.json")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "result.json", "in-the-way"), "") // even root cannot replace this
	do(t, "check", dir).want(t, exitFailed, "UNKNOWN", "has lost its result.json", "file exists")
}

// Broken directories are listed with the reason.
func TestListBroken(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "10s", "--store", store)
	name := filepath.Base(onlyRun(t, store))
	if err := os.Remove(filepath.Join(store, name, "result.json")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(store, "torn", "run.json"), "{")
	put(t, filepath.Join(store, "empty", "file"), "")
	put(t, filepath.Join(store, "file"), "")
	do(t, "list", "--store", store).want(t, exitValid, "torn ", "empty ", "broken: ", "is not the directory of a run", name+"  not checked")
	runs := decode[[]histories.Summary](t, do(t, "list", "--store", store, "--json"))
	if len(runs) != 3 {
		t.Errorf("runs: %+v", runs)
	}
	for _, r := range runs {
		if broken := r.Name != name; (r.Error != "") != broken {
			t.Errorf("%s: error %q", r.Name, r.Error)
		}
	}
}

// put makes a file with all its folders.
func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
