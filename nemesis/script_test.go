package nemesis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
)

// What a plan did can be done again as a script, op by op.
func TestScriptRepeatsAPlan(t *testing.T) {
	for seed := range uint64(20) {
		p := Plan{Kinds: Kinds, Interval: 2 * time.Second, Nodes: names(5), TimeLimit: 30 * time.Second}
		first := newWorld(t, seed, p).run(p.Generator(), time.Hour)
		if err := CheckScript(first, p.Nodes); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, seed, p)
		w.nemeses = ScriptProcesses(first)
		second := w.run(Script(first, 0), time.Hour)
		if transcript(first) != transcript(second) {
			t.Fatalf("seed %d: planned\n%s\nplayed\n%s", seed, transcript(first), transcript(second))
		}
	}
}

func at(seconds float64, op histories.Op) histories.Op {
	op.Time = histories.Time(seconds * 1e9)
	return op
}

func kill(id string, targets ...string) Fault {
	return Fault{ID: id, Kind: Kill, Targets: targets}
}

func TestScript(t *testing.T) {
	pause := Fault{ID: "p", Kind: Pause, Targets: []string{"n2"}}
	ops := []histories.Op{
		at(5, CureOp(kill("a"))),
		at(1, InjectOp(kill("a", "n1"))),
		at(3, InjectOp(pause)),
		at(2, InjectOp(kill("b", "n2"))),
		{Process: 0, Type: histories.Invoke, F: "read"},
		at(1.1, histories.Op{Process: Kill.Process(), Type: histories.OK, F: Inject}),
	}
	for _, c := range []struct {
		name    string
		latency time.Duration
		until   float64
		fail    string
		want    string
	}{
		{"cures what is left when it ends", 0, 0, "", "1 +a, 2 +b, 3 +p, 5 -a, 5 -b, 5 -p"},
		{"cures what is left at the limit", 0, 9, "", "1 +a, 2 +b, 3 +p, 5 -a, 9 -b, 9 -p"},
		{"injects nothing after the limit", 0, 2.5, "", "1 +a, 2 +b, 2.5 -a, 2.5 -b"},
		{"waits for its own process only", 3 * time.Second, 0, "", "1 +a, 3 +p, 4 +b, 7 -a, 7 -p, 10 -b"},
		{"leaves alone what never came about", 0, 9, "b", "1 +a, 2 +b, 3 +p, 5 -a, 9 -p"},
	} {
		w := newWorld(t, 1, Plan{Nodes: names(3)})
		w.nemeses = ScriptProcesses(ops)
		w.latency = latency(c.latency)
		w.outcome = outcomeFailing(c.fail)
		var got []string
		for _, op := range w.run(Script(ops, histories.Time(c.until*1e9)), time.Hour) {
			if f, _ := histories.Decode[Fault](op); op.Type == histories.Invoke {
				sign := map[string]string{Inject: "+", Cure: "-"}[op.F]
				got = append(got, fmt.Sprintf("%g %s%s", time.Duration(op.Time).Seconds(), sign, f.ID))
			}
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: got %s, want %s", c.name, s, c.want)
		}
	}
	if g := Script(nil, 0); g != nil {
		t.Errorf("an empty script is %v, want nil", g)
	}
}

func TestCheckScript(t *testing.T) {
	a := kill("a", "n1")
	for _, c := range []struct {
		name string
		ops  []histories.Op
		err  string
	}{
		{"good", []histories.Op{InjectOp(a), CureOp(a)}, ""},
		{"no such node", []histories.Op{InjectOp(kill("a", "n9"))}, `no node "n9"`},
		{"no targets", []histories.Op{InjectOp(kill("a")), CureOp(a)}, "kill needs targets"},
		{"no id", []histories.Op{CureOp(Fault{Kind: Kill})}, "no id"},
		{"twice", []histories.Op{InjectOp(a), InjectOp(a)}, "fault a is injected twice"},
		{"cured before", []histories.Op{at(2, InjectOp(a)), at(1, CureOp(a))}, "fault a is cured, and was not injected before"},
		{"of another kind", []histories.Op{InjectOp(a), CureOp(Fault{ID: "a", Kind: Pause})}, "fault a is a kill, and cured as a pause"},
		{"no kind", []histories.Op{{Process: histories.Named("nemesis"), Type: histories.Invoke, F: Cure, Value: []byte(`{"id":"a"}`)}}, `fault "" is unknown`},
		{"no fault", []histories.Op{{Process: histories.Named("nemesis"), Type: histories.Invoke, F: Inject, Value: []byte(`7`)}}, "value 7"},
	} {
		err := CheckScript(c.ops, names(3))
		if !says(err, c.err) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.err)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: there is one thing wrong, and not\n%v", c.name, err)
		}
	}
	if got := ScriptProcesses([]histories.Op{InjectOp(a), CureOp(a)}); !slices.Equal(got, []histories.Process{Kill.Process()}) {
		t.Errorf("processes: %v", got)
	}
}
