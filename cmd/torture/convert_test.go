package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

// A golden history has the same verdict and the same anomalies, of the same
// ops, after it has been EDN, compressed, and JSON Lines again.
func TestConvertGoldens(t *testing.T) {
	files, err := filepath.Glob("../../histories/golden/*.jsonl")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d golden histories, %v", len(files), err)
	}
	dir, judged := t.TempDir(), 0
	for _, file := range files {
		edn, back := filepath.Join(dir, "h.edn.gz"), filepath.Join(dir, "h.jsonl.zst")
		do(t, "convert", file, edn).want(t, exitValid, edn+": ")
		do(t, "convert", edn, back).want(t, exitValid)
		h, info, err := histories.ReadFile(file, histories.ReadOptions{Compact: true})
		if err != nil {
			t.Fatal(err)
		}
		var head struct {
			Checker string                     `json:"checker"`
			Opts    map[string]json.RawMessage `json:"opts"`
		}
		if info.Head != nil {
			if err := json.Unmarshal(info.Head, &head); err != nil {
				t.Fatal(err)
			}
		}
		c, err := checker.ByName(head.Checker, head.Opts)
		if err != nil {
			continue // a golden history of another package
		}
		judged++
		want := string(histories.Encode(c.Check(t.Context(), h)))
		for _, path := range []string{edn, back} {
			again, _, err := histories.ReadFile(path, histories.ReadOptions{Compact: true})
			if err != nil {
				t.Errorf("%s as %s: %v", file, path, err)
				continue
			}
			if got := string(histories.Encode(c.Check(t.Context(), again))); got != want {
				t.Errorf("%s as %s\n got %s\nwant %s", file, path, got, want)
			}
		}
	}
	if judged < 100 {
		t.Errorf("only %d golden histories were judged", judged)
	}
}

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.edn")
	in := write(t, "h.jsonl", good[:len(good)-10])
	do(t, "convert", in, out).want(t, exitValid, "h.jsonl: the last line is torn and was dropped", out+": 3 ops")
	if got := read(t, out); !strings.HasPrefix(got, "{:index 0, :time 1, :process 0, :type :invoke, :f :write, :value 1}\n") {
		t.Errorf("got %s", got)
	}
	got := decode[map[string]any](t, do(t, "convert", out, filepath.Join(dir, "h.jsonl"), "--json"))
	if got["ops"] != 3.0 || got["file"] != filepath.Join(dir, "h.jsonl") {
		t.Errorf("got %v", got)
	}
	tuples := write(t, "tuples.edn", `{:process 0 :type :ok :f :read :value [7 nil]}`)
	do(t, "convert", tuples, out, "--independent").want(t, exitValid, "1 op\n")
	if got := read(t, out); !strings.Contains(got, ":value nil, :key 7") {
		t.Errorf("got %s", got)
	}

	do(t, "convert", in, filepath.Join(dir, "h.txt")).want(t, exitUsage, "h.txt", "ends in .jsonl or .edn")
	do(t, "convert", in, filepath.Join(dir, "h.edn.bz2")).want(t, exitUsage, "h.edn.bz2", ".gz or .zst")
	do(t, "convert", "missing", out).want(t, exitUsage, "missing", "no such file")
	do(t, "convert", dir, out).want(t, exitUsage, dir, "is not the directory of a run")
	do(t, "convert", in).want(t, exitUsage, "IN", "OUT")
	do(t, "convert", in, filepath.Join(in, "h.edn")).want(t, exitFailed, "h.edn")
	if _, err := os.Stat(filepath.Join(dir, "h.txt")); err == nil {
		t.Error("it wrote what it refused")
	}
}

// A run's directory is converted with the records of its nodes, and judged as
// before.
func TestConvertRun(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "10s", "--store", store)
	dir, out := onlyRun(t, store), filepath.Join(t.TempDir(), "h.edn")
	do(t, "convert", dir, out).want(t, exitValid)
	do(t, "check", out, "--checker", "broadcast", "--option", "order=total").want(t, exitValid, "VALID")
}
