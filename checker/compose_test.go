package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/torture-harness/torture/histories"
)

func gives(name string, v Verdict, anomalies ...Anomaly) Checker {
	return Func(func(context.Context, histories.History) Result {
		r := Result{Checker: name, Verdict: v, Anomalies: anomalies}
		if v == Unknown || v == Vacuous {
			r.Why = "because of " + name
		}
		return r
	})
}

func TestAll(t *testing.T) {
	bad := Anomaly{Kind: "lost", Ops: []int{1}, Why: "it is lost"}
	for _, test := range []struct {
		name  string
		parts []Checker
		want  Verdict
		why   string
	}{
		{"nothing", nil, Vacuous, "nothing to check"},
		{"valid", []Checker{gives("a", Valid), gives("b", Valid)}, Valid, ""},
		{"unknown beats valid", []Checker{gives("a", Valid), gives("b", Unknown)}, Unknown, "b: because of b"},
		{"unknown beats vacuous", []Checker{gives("a", Unknown), gives("b", Vacuous)}, Unknown, "a: because of a"},
		{"invalid beats all", []Checker{gives("a", Vacuous), gives("b", Invalid, bad), gives("c", Unknown)}, Invalid, ""},
	} {
		r := All("all", test.parts...).Check(t.Context(), histories.History{})
		if r.Verdict != test.want || !strings.Contains(r.Why, test.why) || (test.why == "") != (r.Why == "") {
			t.Errorf("%s: %v %q, want %v %q", test.name, r.Verdict, r.Why, test.want, test.why)
		}
		if len(r.Parts) != len(test.parts) {
			t.Errorf("%s: %d parts, want %d", test.name, len(r.Parts), len(test.parts))
		}
		found := bad
		found.Part = "b"
		if r.Verdict == Invalid && !reflect.DeepEqual(r.Anomalies, []Anomaly{found}) {
			t.Errorf("%s: anomalies %v", test.name, r.Anomalies)
		}
	}
}

// An anomaly is told once, and with the part that found it; what an unknown part
// would have looked at was not.
func TestAllMovesUpWhatPartsFound(t *testing.T) {
	part := func(r Result) Checker {
		return Func(func(context.Context, histories.History) Result { return r })
	}
	inner := All("register",
		part(Result{Checker: "linearizable", Verdict: Invalid, Anomalies: []Anomaly{{Kind: "nonlinearizable", Ops: []int{3}, Why: "w"}}, Truncated: map[string]int{"nonlinearizable": 2}, Checked: []string{"keys"}}),
		part(Result{Checker: "raft", Verdict: Unknown, Why: "gave up", Checked: []string{"terms"}, Unchecked: []string{"reads"}}))
	r := All("raft/register", inner, part(Result{Checker: "stats", Verdict: Valid, Checked: []string{"keys"}})).Check(t.Context(), histories.History{})
	want := []Anomaly{{Kind: "nonlinearizable", Ops: []int{3}, Why: "w", Part: "register/linearizable"}}
	if !reflect.DeepEqual(r.Anomalies, want) || r.Truncated["nonlinearizable"] != 2 {
		t.Errorf("%+v %v, want %+v and 2 more", r.Anomalies, r.Truncated, want)
	}
	if !slices.Equal(r.Checked, []string{"keys"}) || !slices.Equal(r.Unchecked, []string{"reads", "terms"}) {
		t.Errorf("checked %q, unchecked %q", r.Checked, r.Unchecked)
	}
	var below func(Result)
	below = func(r Result) {
		for _, p := range r.Parts {
			if p.Anomalies != nil || p.Truncated != nil || p.Checked != nil || p.Unchecked != nil {
				t.Errorf("told twice: %+v", p)
			}
			below(p)
		}
	}
	below(r)
}

func TestAllKeepsFilesOfTheSameName(t *testing.T) {
	drawn := func(name, content string) Checker {
		return Func(func(context.Context, histories.History) Result {
			return Result{Checker: name, Verdict: Invalid, Files: map[string][]byte{"x.html": []byte(content)}, Anomalies: []Anomaly{{Kind: name, Ops: []int{0}, Why: "w", File: "x.html"}}}
		})
	}
	r := All("outer", All("inner", drawn("a", "A")), drawn("b", "B")).Check(t.Context(), histories.History{})
	for i, want := range []string{"A", "B"} {
		if got := string(r.Files[r.Anomalies[i].File]); got != want {
			t.Errorf("anomaly %d has the file %q, want %q", i, got, want)
		}
	}
}

func TestSafe(t *testing.T) {
	boom := Func(func(context.Context, histories.History) Result { panic("boom") })
	r := All("all", boom, gives("b", Valid)).Check(t.Context(), histories.History{})
	if r.Verdict != Unknown || !strings.Contains(r.Why, "boom") || !strings.Contains(r.Why, "compose_test.go") {
		t.Errorf("%v %s", r.Verdict, r.Why)
	}
	if strings.Contains(r.Why, "0x") {
		t.Errorf("the reason has an address, and so differs between runs: %s", r.Why)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := Safe("s", gives("b", Valid)).Check(ctx, histories.History{}); r.Verdict != Unknown {
		t.Errorf("after the context ended: %v", r.Verdict)
	}
}

// A model that panics does so in another goroutine.
func TestPanickingModelIsUnknown(t *testing.T) {
	m := Register(RegisterOptions{})
	m.shape = func([]span[RegisterCall]) (*witness, bool) { panic("boom") }
	h := historyOf(t, parseRegister(t, "0w1 0!"))
	r := Safe("s", Linearizable(m, LinearizableOptions{})).Check(t.Context(), h)
	if r.Verdict != Unknown || !strings.Contains(r.Why, "boom") {
		t.Errorf("%v %s", r.Verdict, r.Why)
	}
}

func TestFindings(t *testing.T) {
	f := find("set")
	for i := 100; i > 0; i-- {
		f.addf("lost", []int{i}, "op %d", i)
	}
	f.addf("unexpected", []int{500}, "op 500")
	r := f.result("")
	if r.Anomalies[0].Kind != "unexpected" || r.Anomalies[1].Kind != "lost" {
		t.Errorf("the gravest kind is not first: %v", r.Anomalies)
	}
	var lost []int
	for _, a := range r.Anomalies[1:] {
		lost = append(lost, a.Ops[0])
	}
	if len(lost) != CasesMax || lost[0] != 1 || !slices.IsSorted(lost) || lost[CasesMax-1] != CasesMax {
		t.Errorf("want the first %d ops in order, got %v", CasesMax, lost)
	}
	if r.Truncated["lost"] != 100-CasesMax || len(r.Truncated) != 1 {
		t.Errorf("truncated %v", r.Truncated)
	}
	part := Func(func(context.Context, histories.History) Result { return r })
	if all := All("all", part, part).Check(t.Context(), histories.History{}); all.Truncated["lost"] != 2*(100-CasesMax) || len(all.Truncated) != 1 {
		t.Errorf("truncated in all %v", all.Truncated)
	}
	g := find("set")
	for i := range 100 {
		g.addf("lost", []int{i}, "op %d", i)
		g.add(Anomaly{Kind: "revived", Ops: []int{7}, Why: fmt.Sprint("no ", 200-i)})
	}
	r = g.result("")
	if r.Truncated["lost"] != 100-CasesMax || r.Truncated["revived"] != 100-CasesMax || r.Anomalies[0].Why != "no 101" || r.Anomalies[CasesMax].Ops[0] != 0 {
		t.Errorf("%+v %v", r.Anomalies, r.Truncated)
	}
	defer func() {
		if recover() == nil {
			t.Error("a kind that is not on the checker's list was accepted")
		}
	}()
	f.addf("nonsense", nil, "")
}

// A checker has the same bytes for the same history, whatever the machine.
func TestResultsAreDeterministic(t *testing.T) {
	histories := goldens(t)
	encode := func() (all []string) {
		for _, g := range histories {
			r := g.check(t)
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatalf("%s: %v", g.file, err)
			}
			for _, name := range sortedKeys(r.Files) {
				b = append(b, r.Files[name]...)
			}
			all = append(all, string(b))
		}
		return all
	}
	was := runtime.GOMAXPROCS(1)
	one := encode()
	runtime.GOMAXPROCS(2)
	two := encode()
	runtime.GOMAXPROCS(was)
	for i := range one {
		if one[i] != two[i] {
			t.Errorf("%s: %s\n%s", histories[i].file, one[i], two[i])
		}
	}
}

func TestResultSurvivesJSON(t *testing.T) {
	for _, g := range goldens(t) {
		r := g.check(t)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("%s: %v", g.file, err)
		}
		var back Result
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%s: %v", g.file, err)
		}
		if back.Verdict != r.Verdict || !reflect.DeepEqual(back.Anomalies, r.Anomalies) || back.Why != r.Why {
			t.Errorf("%s: %+v, after JSON %+v", g.file, r, back)
		}
	}
}

// No checker panics, or finds a history valid of which it saw nothing.
func TestEmptyHistoryIsNeverValid(t *testing.T) {
	for _, name := range Names() {
		if slices.Contains([]string{"contract", "panics", "recovery", "storm", "unhandled-exceptions"}, name) {
			continue // silence is what they want
		}
		c, err := ByName(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := c.Check(t.Context(), histories.History{})
		if r.Verdict != Vacuous || r.Why == "" {
			t.Errorf("%s: %v %q", name, r.Verdict, r.Why)
		}
	}
}

// A history of anything is judged without a panic.
func TestAnyHistory(t *testing.T) {
	values := []string{`null`, `1`, `-1`, `"m1"`, `[1,2]`, `[]`, `{}`, `{"id":"m1"}`, `{"id":null}`, `{"idx":1,"op":"a","term":1}`, `{"idx":-4,"op":"a"}`,
		`{"idx":99999999999,"term":9,"op":7}`, `{"idx":0,"op":"b","term":0}`, `[["append","x",1]]`, `[["r","x",[1]]]`, `[["r","x"]]`, `{"ops":["a"]}`, `{"ops":3}`, `{"hash":"e"}`, `{"term":3,"for":"n1"}`,
		`{"id":"f1","kind":"kill","verified":true}`, `{"role":"primary"}`, `[{"a":[1,{"b":2}]},"]}"]`}
	fs := []string{"read", "write", "cas", "add", "txn", "broadcast", "bcast", "deliver", "append", "apply", "truncate", "commit", "vote", "leader", "snapshot", "crash", "restart",
		"promote", "final-log", "inject", "cure", "heal", "panic", "role", "sent", "message-storm", "livelock", "answered-twice"}
	process := []histories.Process{0, 1, 2, histories.Named("n1"), histories.Named("n2"), histories.World, histories.Named("nemesis/kill")}
	for _, name := range Names() {
		seeds := newRand(3)
		for range 400 {
			b := histories.Builder{Compact: true}
			for range 1 + seeds.IntN(14) {
				op := histories.Op{Process: process[seeds.IntN(len(process))], Type: histories.Type(1 + seeds.IntN(4)), F: fs[seeds.IntN(len(fs))],
					Value: raw("%s", values[seeds.IntN(len(values))]), Final: seeds.IntN(5) == 0, Node: "n1",
					Ext: map[string]json.RawMessage{"op": raw(`"a"`), "idx": raw("%d", seeds.IntN(3))}}
				_ = b.Add(op) // what cannot follow is left out
			}
			c, err := ByName(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			h := b.History()
			r := c.Check(t.Context(), h)
			if strings.Contains(r.Why, "panicked") {
				t.Fatalf("%s: %s%s", name, r.Why, show(h))
			}
			if r.Verdict == Unknown && r.Why == "" || r.Verdict == Invalid && len(r.Anomalies) == 0 {
				t.Errorf("%s: %+v", name, r)
			}
			for _, a := range r.Anomalies {
				checkAnomaly(t, r, a, h)
			}
		}
	}
}

func TestByName(t *testing.T) {
	for _, test := range []struct{ name, opts, want string }{
		{"nonsense", `{}`, "linearizable"},
		{"linearizable", `{"model":"nonsense"}`, "cas-register"},
		{"linearizable", `{"mode":"register"}`, "model"},
		{"linearizable", `{"model":"queue","init":5}`, "init"},
		{"linearizable", `{"model":"counter","mismatch":true}`, "mismatch"},
		{"broadcast", `{"order":7}`, "order"},
	} {
		var opts map[string]json.RawMessage
		if err := json.Unmarshal([]byte(test.opts), &opts); err != nil {
			t.Fatal(err)
		}
		_, err := ByName(test.name, opts)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: error %v, want one that names %s", test.name, test.opts, err, test.want)
		}
	}
	for _, model := range Models() {
		c, err := ByName("linearizable", map[string]json.RawMessage{"model": raw("%q", model)})
		if err != nil {
			t.Fatal(err)
		}
		if r := c.Check(t.Context(), histories.History{}); r.Stats["model"] == nil {
			t.Errorf("model %s: %+v", model, r)
		}
	}
	bad, err := ByName("broadcast", map[string]json.RawMessage{"order": raw(`"sideways"`)})
	if err != nil {
		t.Fatal(err)
	}
	if r := bad.Check(t.Context(), histories.History{}); r.Verdict != Unknown || !strings.Contains(r.Why, "causal") {
		t.Errorf("%v %s", r.Verdict, r.Why)
	}
}

func TestEveryCheckerHasKinds(t *testing.T) {
	for _, name := range Names() {
		if _, ok := kindsOf[name]; !ok {
			t.Errorf("%s has no list of kinds", name)
		}
	}
}

func TestMatchLogs(t *testing.T) {
	log := strings.Repeat("all is well\n", 3) + "panic: index out of range\n" + strings.Repeat("x", 3*logLineMax) + "\nWARNING: DATA RACE\nnothing"
	found, matched, err := MatchLogs("n1", strings.NewReader(log), LogPatterns)
	if err != nil || matched != 2 || len(found) != 2 {
		t.Fatalf("%v %d %v", found, matched, err)
	}
	for i, want := range []string{"n1, line 4 of its log: panic: index", "n1, line 6 of its log: WARNING: DATA RACE"} {
		if !strings.HasPrefix(found[i].Why, want) || found[i].Kind != "log-pattern" {
			t.Errorf("%+v, want %s", found[i], want)
		}
	}
	many, matched, err := MatchLogs("n1", strings.NewReader(strings.Repeat("fatal error: x\n", 100)), LogPatterns)
	if err != nil || len(many) != CasesMax || matched != 100 {
		t.Errorf("%d found, %d matched, %v", len(many), matched, err)
	}
	r := Logs(2, 3, many, matched-len(many)).Check(t.Context(), histories.History{})
	if want := []string{"the logs of 2 nodes"}; !slices.Equal(r.Checked, want) {
		t.Errorf("looked at %q, want %q", r.Checked, want)
	}
	if want := []string{"the log of 1 node: not there, or not to be read"}; !slices.Equal(r.Unchecked, want) {
		t.Errorf("not looked at %q, want %q", r.Unchecked, want)
	}
	if r.Verdict != Invalid || r.Truncated["log-pattern"] != 100-CasesMax {
		t.Errorf("%+v", r)
	}
	if r := Logs(0, 0, nil, 0).Check(t.Context(), histories.History{}); r.Verdict != Valid || len(r.Checked)+len(r.Unchecked) > 0 {
		t.Errorf("no log: %+v", r)
	}
	broken := errors.New("broken disk")
	_, _, err = MatchLogs("n1", io.MultiReader(strings.NewReader("ok\n"), iotest.ErrReader(broken)), LogPatterns)
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// A line is reported once, by its number, whichever and however many patterns
// match it.
func TestMatchLogsAgreesWithDefinition(t *testing.T) {
	words := []string{"all is well", "panic: ", "fatal error: ", "DATA RACE", "Assertion failed", "corrupt page", "\n", "\n", "\n"}
	random(t, 200, func(t *testing.T, r *rand.Rand) {
		log := ""
		for range r.IntN(30) {
			log += words[r.IntN(len(words))] + " "
		}
		var want, got []string
		for i, line := range strings.Split(log, "\n") {
			if slices.ContainsFunc(LogPatterns, func(p *regexp.Regexp) bool { return p.MatchString(line) }) {
				want = append(want, fmt.Sprintf("n1, line %d of its log: %s", i+1, strings.TrimSpace(line)))
			}
		}
		found, matched, err := MatchLogs("n1", strings.NewReader(log), LogPatterns)
		for _, a := range found {
			got = append(got, a.Why)
		}
		if err != nil || matched != len(want) || !slices.Equal(got, want[:min(len(want), CasesMax)]) {
			t.Errorf("%q, %d matched, %v: want %q", got, matched, err, want)
		}
	})
}

func TestExceptions(t *testing.T) {
	for _, g := range goldens(t) {
		if g.Example == "d-ex-1" {
			b, _ := json.Marshal(g.check(t).Stats)
			if got, want := string(b), `{"classes":{"EOF":{"count":1,"example":2},"Timeout":{"count":2,"example":0}}}`; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			return
		}
	}
	t.Error("no golden history d-ex-1")
}

// Only what is not known has an exception to tell.
func TestFailuresAreNoExceptions(t *testing.T) {
	ops := parseRegister(t, "0w1 0x 1w2 1? 2w3")
	ops[3].Error = "timeout"
	b, _ := json.Marshal(Exceptions().Check(t.Context(), historyOf(t, ops)).Stats)
	if got, want := string(b), `{"classes":{"timeout":{"count":1,"example":3}}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPanics(t *testing.T) {
	record := func(f, value string) histories.Op {
		return histories.Op{Process: histories.Named("n1"), Type: histories.Info, F: f, Value: raw("%s", value)}
	}
	h := historyOf(t, []histories.Op{
		record("panic", `{"error":"boom\nat line 7"}`), record("crash", `{"kind":"panic"}`), record("restart", `{}`), // one panic
		record("crash", `{"kind":"panic"}`), record("restart", `{}`), // another, of which only the crash is on record
		record("panic", `7`), record("crash", `{"kind":"kill"}`), record("crash", `{"kind":"power"}`), record("crash", `{"kind":"stop"}`), record("crash", `{}`),
		record("crash", `{"kind":"exit status 3"}`),
		{Process: 0, Type: histories.Invoke, F: "crash", Value: raw(`{"kind":"mine"}`)}, // a client's operation is none
	})
	r := Panics().Check(t.Context(), h)
	var got []string
	for _, a := range r.Anomalies {
		got = append(got, fmt.Sprint(a.Kind, a.Ops, " ", a.Why))
	}
	want := []string{
		"node-panic[0] op 0: n1 panicked: boom", "node-panic[3] op 3: n1 panicked", "node-panic[5] op 5: n1 panicked: 7",
		"unplanned-crash[10] op 10: n1 ended, and no fault asked it to: exit status 3",
	}
	if !slices.Equal(got, want) || r.Stats["crashes"] != 7 {
		t.Errorf("%q and %v crashes, want %q", got, r.Stats["crashes"], want)
	}
}

func TestVerdictText(t *testing.T) {
	for v := Unknown; v <= Vacuous; v++ {
		b, err := v.MarshalText()
		var back Verdict
		if err != nil || back.UnmarshalText(b) != nil || back != v {
			t.Errorf("%v: %s, %v", v, b, back)
		}
	}
	var v Verdict
	if err := v.UnmarshalText([]byte("good")); err == nil {
		t.Error("good is no verdict")
	}
	if fmt.Sprint(Verdict(0)) != "unknown" {
		t.Error("the zero verdict must be unknown")
	}
}
