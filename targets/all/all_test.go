package all

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets"
)

var (
	first = flag.Uint64("first", 1, "the first seed")
	seeds = flag.Uint64("seeds", 0, "how many seeds every promise must hold for; 0: one run of each target's first promise")
	bugs  = flag.Bool("bugs", false, "search for every planted bug; else only for those that are found within 5 runs")
)

// TestPromises runs every target under what it promises to bear. Flags of which
// the promise says nothing are drawn from the seed.
//
//	go test ./targets/all -run TestPromises/raft -seeds 500
func TestPromises(t *testing.T) {
	for _, target := range Targets() {
		promises, n := target.Promises, *seeds
		if n == 0 {
			promises, n = promises[:min(1, len(promises))], 1
		}
		for _, p := range promises {
			t.Run(target.Name+"/"+p.Workload+"/"+flagsOf(p.When), func(t *testing.T) {
				t.Logf("%s", p.Guarantee)
				for seed := *first; seed < *first+n; seed++ {
					m := histories.Manifest{Seed: seed, Workload: p.Workload, Flags: drawn(target, p.When, seed), Nemesis: names(p.Under)}
					h, r := simulate(t, target, run.Draw(target, m))
					if r.Verdict == checker.Invalid || r.Verdict == checker.Unknown {
						t.Errorf("seed %d %s: %s %s (of %d ops)%s", seed, flagsOf(m.Flags), r.Verdict, r.Why, h.Len(), anomalies(r))
					}
					if r.Verdict == checker.Vacuous {
						t.Logf("seed %d %s: vacuous: %s", seed, flagsOf(m.Flags), r.Why)
					}
				}
			})
		}
	}
}

// TestBugs searches for every planted bug: an anomaly that it is declared to
// cause must show within the number of runs declared.
//
//	go test ./targets/all -run TestBugs -bugs
func TestBugs(t *testing.T) {
	for _, target := range Targets() {
		for _, b := range target.Bugs {
			t.Run(target.Name+"/"+b.Name, func(t *testing.T) {
				if !*bugs && b.Within > 5 {
					t.Skip("may take minutes: -bugs")
				}
				other := map[string]int{}
				for n := range uint64(b.Within) {
					m := histories.Manifest{Seed: *first + n, Bug: b.Name, Nemesis: names(b.Under)}
					_, r := simulate(t, target, run.Draw(target, m))
					for _, a := range r.Anomalies {
						if kind, _, _ := strings.Cut(a.Kind, ":"); slices.Contains(b.Anomalies, kind) {
							t.Logf("found in run %d: %s: %s", n+1, a.Kind, a.Why)
							return
						}
						other[a.Kind]++
					}
				}
				t.Errorf("not found in %d runs by one of %v; what was seen: %v", b.Within, b.Anomalies, other)
			})
		}
	}
}

// TestDeterminism runs a seed of every target twice: the histories are the
// same to the byte.
func TestDeterminism(t *testing.T) {
	for _, target := range Targets() {
		t.Run(target.Name, func(t *testing.T) {
			var texts [2][]byte
			for i := range texts {
				h, _ := simulate(t, target, run.Draw(target, histories.Manifest{Seed: *first, Nemesis: names(target.Faults)}))
				var b bytes.Buffer
				if err := histories.Write(&b, h); err != nil {
					t.Fatal(err)
				}
				texts[i] = b.Bytes()
			}
			if !bytes.Equal(texts[0], texts[1]) {
				a, b := bytes.Split(texts[0], []byte("\n")), bytes.Split(texts[1], []byte("\n"))
				i := 0
				for i < len(a) && i < len(b) && bytes.Equal(a[i], b[i]) {
					i++
				}
				t.Errorf("line %d differs:\n%s\n%s", i+1, a[min(i, len(a)-1)], b[min(i, len(b)-1)])
			}
		})
	}
}

func simulate(t *testing.T, target targets.Target, m histories.Manifest) (histories.History, checker.Result) {
	t.Helper()
	trial, err := run.NewTrial(target, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, r, err := trial.Simulate(context.Background())
	if err != nil {
		t.Errorf("faults %v: %v", m.Nemesis, err)
	}
	return h, r
}

// drawn completes flags with some value of each that it lacks.
func drawn(target targets.Target, flags map[string]string, seed uint64) map[string]string {
	all := map[string]string{}
	for i, f := range target.Flags {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		all[f.Name] = f.Values[r.IntN(len(f.Values))]
		if v, ok := flags[f.Name]; ok {
			all[f.Name] = v
		}
	}
	return all
}

func names(kinds []nemesis.Kind) (names []string) {
	for _, k := range kinds {
		names = append(names, string(k))
	}
	return names
}

func flagsOf(flags map[string]string) string {
	var all []string
	for k, v := range flags {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func anomalies(r checker.Result) string {
	var b strings.Builder
	for _, a := range r.Anomalies[:min(5, len(r.Anomalies))] {
		b.WriteString("\n  " + a.Kind + ": " + a.Why)
	}
	return b.String()
}

// TestDeclarations checks what can be checked of a target without running it.
func TestDeclarations(t *testing.T) {
	var seen []string
	for _, target := range Targets() {
		t.Run(target.Name, func(t *testing.T) {
			if slices.Contains(seen, target.Name) {
				t.Errorf("there are two of that name")
			}
			seen = append(seen, target.Name)
			if target.Doc == "" || target.Source == "" || target.Nodes < 1 || target.New == nil || target.Messages == nil {
				t.Errorf("a doc, a source, nodes, New or messages are missing")
			}
			if able := slices.Contains(target.Faults, nemesis.Membership); able != (target.Leave != "") || able != (target.Join != "") || able != (target.Members != "") {
				t.Errorf("membership among the faults, and operations that leave, join and list members: it has some, want all or none")
			}
			if _, err := target.LogPatterns(); err != nil {
				t.Error(err)
			}
			kinds := func(what string, under []nemesis.Kind) {
				for _, k := range under {
					if !slices.Contains(target.Faults, k) {
						t.Errorf("%s: fault %s is not among those that the target offers", what, k)
					}
				}
			}
			workload := func(what, name string) {
				if !slices.Contains(target.WorkloadNames(), name) {
					t.Errorf("%s: there is no workload %q", what, name)
				}
			}
			for _, p := range target.Promises {
				workload("promise", p.Workload)
				kinds("promise of "+p.Workload, p.Under)
				if err := target.CheckFlags(p.When); err != nil {
					t.Errorf("promise of %s: %v", p.Workload, err)
				}
			}
			for _, w := range target.WorkloadNames() {
				if !slices.ContainsFunc(target.Promises, func(p targets.Promise) bool { return p.Workload == w }) {
					t.Errorf("nothing is promised of workload %s", w)
				}
			}
			if err := target.CheckKinds(); err != nil {
				t.Error(err)
			}
			for _, p := range target.Permits {
				kinds("permit of "+p.Anomaly, p.Under)
				if err := target.CheckFlags(p.When); err != nil {
					t.Errorf("permit of %s: %v", p.Anomaly, err)
				}
			}
			for _, b := range target.Bugs {
				workload(b.Name, b.Workload)
				kinds(b.Name, b.Under)
				if err := target.CheckFlags(b.Flags); err != nil {
					t.Errorf("%s: %v", b.Name, err)
				}
				if b.Doc == "" || b.Within < 1 || len(b.Anomalies) == 0 {
					t.Errorf("%s: a doc, anomalies or a number of runs are missing", b.Name)
				}
			}
		})
	}
}

func TestNamed(t *testing.T) {
	for _, target := range Targets() {
		if got, err := Targets().Named(target.Name); err != nil || got.Name != target.Name {
			t.Errorf("Named(%q) = %q, %v", target.Name, got.Name, err)
		}
	}
	for name, want := range map[string]string{
		"totall": `there is no target "totall": did you mean total?`,
		"tota":   `did you mean total?`,
		"":       `there is no target "" (there are `,
		"zebra":  `there is no target "zebra" (there are `,
	} {
		if _, err := Targets().Named(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Named(%q): %v, want %q", name, err, want)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"raft", "raft", 0}, {"raft", "arft", 2}} {
		if got := edits(test.a, test.b); got != test.want {
			t.Errorf("edits(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
