package checker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/torture-harness/torture/histories"
)

const goldenDir = "../histories/golden"

// golden is a history with what is expected of it, in its first line.
type golden struct {
	Example   string                     `json:"example"`
	Checker   string                     `json:"checker"`
	Opts      map[string]json.RawMessage `json:"opts"`
	Valid     any                        `json:"valid"`     // true, false or "unknown"
	Verdict   *Verdict                   `json:"verdict"`   // if it is not what valid says
	Anomalies []string                   `json:"anomalies"` // all kinds that are found
	Permitted []string                   `json:"permitted"` // all kinds that are found and permitted

	file    string
	history histories.History
}

func (g golden) want() Verdict {
	switch {
	case g.Verdict != nil:
		return *g.Verdict
	case g.Valid == true:
		return Valid
	case g.Valid == false:
		return Invalid
	}
	return Unknown
}

// goldens reads the golden histories that this package can check.
func goldens(t testing.TB) []golden {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden histories in %s (%v)", goldenDir, err)
	}
	var all []golden
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := bytes.Cut(b, []byte("\n"))
		g := golden{file: filepath.Base(file)}
		if err := json.Unmarshal(head, &g); err != nil || g.Example == "" {
			continue // of another package
		}
		if !slices.Contains(Names(), g.Checker) {
			continue
		}
		if g.history, _, err = histories.Read(bytes.NewReader(body), file, histories.ReadOptions{Compact: true}); err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

func (g golden) check(t testing.TB) Result {
	t.Helper()
	c, err := ByName(g.Checker, g.Opts)
	if err != nil {
		t.Fatalf("%s: %v", g.file, err)
	}
	return c.Check(t.Context(), g.history)
}

// kindsIn lists the kinds of anomaly in r, sorted.
func kindsIn(r Result) []string { return kindsOfAll(r.Anomalies) }

func kindsOfAll(all []Anomaly) []string {
	found := map[string]bool{}
	for _, a := range all {
		found[a.Kind] = true
	}
	return sortedKeys(found)
}

func TestGolden(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Example, func(t *testing.T) {
			if g.Example+".jsonl" != g.file {
				t.Errorf("the file %s holds the example %s", g.file, g.Example)
			}
			r := g.check(t)
			if r.Verdict != g.want() {
				t.Errorf("verdict %v, want %v: %s %+v", r.Verdict, g.want(), r.Why, r.Anomalies)
			}
			// Recovery looks at the nodes that there are in the end, and storm at
			// messages that were counted, if at any.
			idle := g.Checker == "recovery" || g.Checker == "storm" && len(r.Unchecked) > 0
			if told := len(r.Checked) + len(r.Unchecked); !idle && (told == 0 || r.Verdict != Unknown && len(r.Checked) == 0) || r.Verdict == Unknown && len(r.Checked) > 0 {
				t.Errorf("%v: says that it looked at %q, and not at %q", r.Verdict, r.Checked, r.Unchecked)
			}
			want := slices.Sorted(slices.Values(g.Anomalies))
			if got := kindsIn(r); !slices.Equal(got, want) {
				t.Errorf("anomalies %q, want %q: %+v", got, want, r.Anomalies)
			}
			if got := kindsOfAll(r.Permitted); !slices.Equal(got, slices.Sorted(slices.Values(g.Permitted))) {
				t.Errorf("permitted %q, want %q: %+v", got, g.Permitted, r.Permitted)
			}
			for _, a := range slices.Concat(r.Anomalies, r.Permitted) {
				t.Logf("%s %v %s", a.Kind, a.Ops, a.Why)
				checkAnomaly(t, r, a, g.history)
			}
		})
	}
}

// testdata/golden.txt is what is told of each golden history: the verdict, what
// was counted, and the anomalies with the ops that show them.
func TestGoldenTranscripts(t *testing.T) {
	untold := map[string]golden{}
	for _, g := range goldens(t) {
		untold[g.Example] = g
	}
	datadriven.RunTest(t, "testdata/golden.txt", func(t *testing.T, d *datadriven.TestData) string {
		g, ok := untold[d.Cmd]
		if !ok {
			t.Fatalf("%s: no golden history %s, or it was told before", d.Pos, d.Cmd)
		}
		delete(untold, d.Cmd)
		r := g.check(t)
		out := r.Verdict.String()
		if r.Verdict == Unknown || r.Verdict == Vacuous {
			out += ": " + r.Why
		}
		stats, err := json.Marshal(r.Stats)
		if err != nil {
			t.Fatal(err)
		}
		out += "\n" + string(stats)
		for _, a := range r.Permitted {
			out += fmt.Sprintf("\npermitted: %s %v %s", a.Kind, a.Ops, a.Why)
		}
		for _, a := range r.Anomalies {
			out += fmt.Sprintf("\n%s %v %s", a.Kind, a.Ops, a.Why)
		}
		return out + "\n"
	})
	for _, name := range sortedKeys(untold) {
		t.Errorf("testdata/golden.txt does not tell of %s: add the lines %s and ----, and run the test with -rewrite", name, name)
	}
}

var saidOps = regexp.MustCompile(`\bops? (\d+)`)

// checkAnomaly fails if a is not something to show to people.
func checkAnomaly(t testing.TB, r Result, a Anomaly, h histories.History) {
	t.Helper()
	if a.Why == "" || strings.Contains(a.Why, "%!") || strings.Contains(a.Why, "\n") {
		t.Errorf("%s: bad sentence %q", a.Kind, a.Why)
	}
	for _, said := range saidOps.FindAllStringSubmatch(a.Why, -1) {
		if op, _ := strconv.Atoi(said[1]); r.Checker != "logs" && !slices.Contains(a.Ops, op) {
			t.Errorf("%s: the sentence tells of op %d, which is not one of %v: %s", a.Kind, op, a.Ops, a.Why)
		}
	}
	for _, op := range a.Ops {
		if op < 0 || op >= h.Len() {
			t.Errorf("%s: op %d is not in the history", a.Kind, op)
		}
	}
	if a.File != "" && len(r.Files[a.File]) == 0 {
		t.Errorf("%s: file %s is not there", a.Kind, a.File)
	}
	if r.Verdict == Invalid && len(a.Ops) == 0 && r.Checker != "logs" {
		t.Errorf("%s names no op: %s", a.Kind, a.Why)
	}
}

// Every kind of anomaly that a checker knows is provoked by a golden history.
func TestEveryKindHasAGoldenHistory(t *testing.T) {
	provoked := map[string]bool{}
	for _, g := range goldens(t) {
		for _, kind := range g.Anomalies {
			family, _, _ := strings.Cut(kind, ":")
			provoked[g.Checker+" "+family] = true
		}
	}
	for _, name := range Names() {
		for _, kind := range Kinds(name) {
			if !provoked[name+" "+kind] {
				t.Errorf("no golden history makes %s report %s", name, kind)
			}
		}
	}
}
