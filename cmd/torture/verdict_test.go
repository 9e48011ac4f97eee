package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/targets"
	"github.com/torture-harness/torture/targets/all"
	"github.com/torture-harness/torture/targets/total"
)

// A vacuous verdict says which flags to change, and a change of them helps.
func TestVacuousAdvice(t *testing.T) {
	store := t.TempDir()
	args := []string{"run", "total", "--world", "sim", "--seed", "1", "--nemesis", "kill,pause", "--store", store}
	d := do(t, append(args, "--time-limit", "1s")...)
	d.want(t, exitVacuous, "VACUOUS", "\ntry     ", "a longer --time-limit (now 1s)", "a higher --rate (now 100/s)", "fewer kinds of faults in --nemesis (now 2)")
	o := decode[outcome](t, do(t, "check", onlyRun(t, store), "--json"))
	if !slices.Contains(o.Advice, "a longer --time-limit (now 1s)") {
		t.Errorf("advice: %q", o.Advice)
	}
	do(t, append(args, "--time-limit", "40s")...).want(t, exitValid, "VALID")

	// What nobody was left to answer asks for more nodes.
	do(t, "run", "raft", "--world", "sim", "--seed", "1", "--nodes", "2", "--nemesis", "kill", "--store", store).
		want(t, exitVacuous, "more --nodes (now 2)")
}

// A cluster too small for a minority has a budget that fits it, and no fault of
// which nothing could be shown.
func TestSmallClusters(t *testing.T) {
	d := do(t, "run", "total", "--world", "sim", "--seed", "1", "--nodes", "2", "--nemesis", "pause,kill", "--store", t.TempDir(), "--json")
	d.want(t, d.code, "a minority of 2 nodes is none: --budget 1")
	if o := decode[outcome](t, d); o.Manifest.Budget != "1" || o.Verdict == checker.Invalid {
		t.Errorf("budget %s: %s", o.Manifest.Budget, o.Verdict)
	}
	d = do(t, "run", "raft", "--world", "sim", "--seed", "1", "--nodes", "1", "--store", t.TempDir())
	d.want(t, exitValid, "a cluster of 1 node: without ", "faults: clock\n", "VALID")
	// Who asks for it gets it.
	d = do(t, "run", "raft", "--world", "sim", "--seed", "1", "--nodes", "2", "--nemesis", "kill", "--budget", "0", "--store", t.TempDir())
	d.want(t, exitUsage, "budget (0: 0)")
}

// How much must have happened is the workload's to say, and targets show tells.
func TestMinOps(t *testing.T) {
	args := []string{"run", "total", "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "500ms", "--store", t.TempDir()}
	do(t, args...).want(t, exitVacuous, "want 100")
	do(t, "targets", "show", "total").want(t, exitValid, "vacuous below 100 operations, in containers 20", "So many must succeed")
	sound := total.Target
	t.Cleanup(func() { total.Target = sound })
	total.Target.Workloads = slices.Clone(sound.Workloads)
	total.Target.Workloads[0].MinOps = targets.MinOps{Sim: 7, Containers: 3}
	do(t, args...).want(t, exitValid, "VALID")
	do(t, "targets", "show", "total").want(t, exitValid, "vacuous below 7 operations, in containers 3")
}

// Every result tells what was looked at, and where somebody might think that
// more was, what was not: on the terminal, in result.json and in the report.
func TestResultsTellWhatWasChecked(t *testing.T) {
	for _, target := range all.Targets() {
		for _, w := range target.WorkloadNames() {
			store := t.TempDir()
			d := do(t, "run", target.Name, "--workload", w, "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "5s", "--store", store)
			d.want(t, exitValid, "\nlooked  ")
			dir := onlyRun(t, store)
			var kept struct {
				Version int
				Result  checker.Result
			}
			if err := json.Unmarshal([]byte(read(t, dir, "result.json")), &kept); err != nil {
				t.Fatal(err)
			}
			r, page := kept.Result, read(t, dir, "report.html")
			if kept.Version != 1 || len(r.Checked) < 3 {
				t.Errorf("%s %s: version %d, checked %q", target.Name, w, kept.Version, r.Checked)
			}
			text := strings.Join(strings.Fields(d.out), " ")
			for _, phrase := range slices.Concat(r.Checked, r.Unchecked) {
				if !strings.Contains(text, phrase) || !strings.Contains(page, strings.ReplaceAll(phrase, "'", "&#39;")) {
					t.Errorf("%s %s: %q is not on the terminal, or not in the report:\n%s", target.Name, w, phrase, d.out)
				}
			}
		}
	}
}

// result.json holds each anomaly once, with the part that found it.
func TestAnomaliesOnce(t *testing.T) {
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--bug", "local-first", "--nemesis", "delay", "--time-limit", "5s", "--store", store)
	text := read(t, onlyRun(t, store), "result.json")
	o := decode[outcome](t, done{out: text})
	seen := map[string]bool{}
	for _, a := range o.Result.Anomalies {
		line := string(mustJSON(t, a.Why))
		if n := strings.Count(text, line); n != 1 && !seen[line] {
			t.Errorf("%s stands %d times in result.json", line, n)
		}
		seen[line] = true
		if a.Part == "" {
			t.Errorf("%s: no part", a.Why)
		}
	}
	if len(seen) < 2 {
		t.Errorf("%d anomalies", len(seen))
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// All JSON that torture writes has its names in one case.
func TestJSONCase(t *testing.T) {
	t.Setenv("DOCKER_HOST", nowhere)
	store := t.TempDir()
	run := do(t, "run", "total", "--world", "sim", "--seed", "3", "--bug", "local-first", "--time-limit", "10s", "--nemesis", "kill,delay", "--store", store, "--json")
	dir := decode[outcome](t, run).Run
	texts := map[string]string{
		"run":          run.out,
		"run.json":     read(t, dir, "run.json"),
		"result.json":  read(t, dir, "result.json"),
		"list":         do(t, "list", "--store", store, "--json").out,
		"replay":       do(t, "replay", dir, "--store", store, "--json").out,
		"shrink":       do(t, "shrink", dir, "--json").out,
		"hunt":         do(t, "hunt", "total", "--seeds", "2", "--time-limit", "1s", "--store", store, "--json").out,
		"selftest":     do(t, "selftest", "total", "--json").out,
		"targets":      do(t, "targets", "--json").out,
		"targets show": do(t, "targets", "show", "primary", "--json").out,
		"doctor":       do(t, "doctor", "--json").out,
		"prune":        do(t, "prune", "--keep", "9", "--store", store, "--json").out,
		"check FILE":   do(t, "check", filepath.Join(dir, "history.jsonl"), "--checker", "stats", "--json").out,
	}
	kebab := regexp.MustCompile(`^[a-z0-9.]+(-[a-z0-9.]+)*(:.*)?$`)
	for name, text := range texts {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%s: %v\n%.300s", name, err, text)
		}
		var walk func(path string, v any)
		walk = func(path string, v any) {
			switch v := v.(type) {
			case map[string]any:
				for k, below := range v {
					if !kebab.MatchString(k) {
						t.Errorf("%s: %s/%s", name, path, k)
					}
					walk(path+"/"+k, below)
				}
			case []any:
				for _, below := range v {
					walk(path, below)
				}
			}
		}
		walk("", v)
	}
}

// Where nobody sees a line that is drawn again and again, a hunt tells from time
// to time how far it is.
func TestHeartbeat(t *testing.T) {
	d := do(t, "hunt", "total", "--nemesis", "none", "--time-limit", "5s", "--seeds", "1000000", "--for", "3s", "--heartbeat", "300ms", "--workers", "1", "--store", t.TempDir())
	beats := regexp.MustCompile(`(?m)^\d+ of 1000000 seeds: \d+ valid, .*, [123]s left$`).FindAllString(d.errors, -1)
	if len(beats) < 2 {
		t.Errorf("%d heartbeats:\n%s", len(beats), d)
	}
	d = do(t, "hunt", "total", "--nemesis", "none", "--time-limit", "5s", "--seeds", "2", "--heartbeat", "0", "--store", t.TempDir())
	if n := strings.Count(d.errors, "\n"); n != 1 {
		t.Errorf("%d lines on stderr, want one:\n%s", n, d)
	}
	if elapsed := (&tally{Asked: 10, Seeds: 4, Elapsed: 2 * time.Second}).progress(0); !strings.Contains(elapsed, "4 of 10 seeds: ") || !strings.HasSuffix(elapsed, ", 3s left") {
		t.Errorf("progress: %s", elapsed)
	}
}
