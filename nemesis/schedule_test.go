package nemesis

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
)

var (
	rewrite = flag.Bool("rewrite", false, "write the transcripts anew")
	seeds   = flag.Int("seeds", 25, "random schedules for each property")
)

var competing = []Kind{Kill, Stop, Power, Pause, Partition, Membership}

// The schedules of a few seeds, to be read. A change of them means that the
// seeds of all recorded runs mean something else.
func TestTranscripts(t *testing.T) {
	all := Plan{Kinds: Kinds, Interval: 3 * time.Second, Nodes: names(5), TimeLimit: 15 * time.Second}
	one := Plan{Kinds: []Kind{Kill, Partition}, Interval: 2 * time.Second, Nodes: names(3), TimeLimit: 20 * time.Second}
	one.Targets = must(ParseTargets("primaries; partition=one", one.Nodes))
	fails := one
	fails.Targets = Targets{}
	for _, c := range []struct {
		name string
		plan Plan
		seed uint64
		fail bool
	}{{"all", all, 1, false}, {"primaries", one, 2, false}, {"unconfirmed", fails, 3, true}} {
		w := newWorld(t, c.seed, c.plan)
		if c.fail {
			w.outcome = func(r *rand.Rand, _ histories.Op) histories.Type { return histories.OK + histories.Type(r.IntN(3)) }
		}
		got := transcript(w.run(c.plan.Generator(), time.Hour))
		file := filepath.Join("testdata", c.name+".txt")
		if *rewrite {
			if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s\n(-rewrite, if it is meant to)", c.name, got, want)
		}
	}
}

// randomPlan draws plans of every sort.
func randomPlan(r *rand.Rand) Plan {
	for {
		p := Plan{Interval: time.Duration(1+r.IntN(5)) * time.Second, Nodes: names(1 + r.IntN(7))}
		for _, k := range Kinds {
			if r.IntN(2) == 0 {
				p.Kinds = append(p.Kinds, k)
			}
		}
		p.Budget = must(ParseBudget([]string{"", "all", "1", "2", "3"}[r.IntN(5)]))
		words := append(append([]string{"", "", "!primaries", "n1", "partition=n1|n2,n3; primaries"}, nodeWords...), shapeWords...)
		p.Targets, _ = ParseTargets(words[r.IntN(len(words))], p.Nodes)
		if r.IntN(2) == 0 {
			p.TimeLimit = time.Duration(r.IntN(60)) * time.Second
		}
		if p.Validate() == nil && len(p.Kinds) > 0 {
			return p
		}
	}
}

// Whatever the plan, whatever becomes of injections and cures: never are more
// nodes unable to answer than the budget allows; no halting fault hits a node
// that another holds, unless that is being cured; a plan with a limit injects nothing after it, and leaves
// nothing in force.
func TestScheduleKeepsToItsBudget(t *testing.T) {
	injected := 0
	for seed := range uint64(*seeds) * 5 {
		r := rand.New(rand.NewPCG(seed, 2))
		p := randomPlan(r)
		w := newWorld(t, seed, p)
		clumsy := r.IntN(3) == 0
		w.outcome = func(r *rand.Rand, _ histories.Op) histories.Type {
			if clumsy && r.IntN(3) == 0 {
				return histories.Fail + histories.Type(r.IntN(2))
			}
			return histories.OK
		}
		var last []Fault
		w.check = func(now histories.Time, inForce []Fault, curing map[string]bool) {
			last = slices.Clone(inForce)
			if got, most := Unable(p.Nodes, inForce...), p.Budget.Of(len(p.Nodes)); got > most {
				t.Fatalf("seed %d: at %s %d nodes are unable, over the budget of %d: %+v", seed, now, got, most, inForce)
			}
			held := map[string]string{}
			for _, f := range inForce {
				for _, n := range f.Targets {
					if f.Kind.halting() && held[n] != "" && !curing[held[n]] && !curing[f.ID] {
						t.Fatalf("seed %d: at %s %s and %s both hold %s", seed, now, held[n], f.ID, n)
					}
					if f.Kind.halting() {
						held[n] = f.ID
					}
				}
			}
		}
		ops := w.run(p.Generator(), 2*time.Minute)
		for _, op := range ops {
			if op.F != Inject || op.Type != histories.Invoke {
				continue
			}
			injected++
			if p.TimeLimit > 0 && op.Time >= histories.Time(p.TimeLimit) {
				t.Fatalf("seed %d: injected at %s, after the limit of %s", seed, op.Time, p.TimeLimit)
			}
		}
		inForce := map[histories.Process]histories.Time{}
		for _, op := range ops {
			switch {
			case p.TimeLimit == 0 || clumsy:
			case op.F == Inject && op.Type == histories.OK:
				inForce[op.Process] = op.Time
			case op.F == Cure && op.Type == histories.Invoke && op.Time > max(inForce[op.Process], histories.Time(p.TimeLimit)):
				t.Fatalf("seed %d: %s is cured at %s, in force since %s, the limit being %s", seed, op.Process, op.Time, inForce[op.Process], p.TimeLimit)
			}
		}
		if p.TimeLimit > 0 && !clumsy && len(last) > 0 {
			t.Fatalf("seed %d: left in force after the limit: %+v", seed, last)
		}
	}
	if injected < *seeds*25 {
		t.Errorf("only %d faults in %d schedules", injected, *seeds*5)
	}
}

// Kinds that compete for the budget all get their turn.
func TestScheduleIsFair(t *testing.T) {
	for _, c := range []struct {
		name   string
		kinds  []Kind
		budget string
	}{{"all", Kinds, ""}, {"competing", competing, ""}, {"one at a time", competing, "1"}} {
		p := Plan{Kinds: c.kinds, Interval: 3 * time.Second, Nodes: names(5), Budget: must(ParseBudget(c.budget)), TimeLimit: time.Minute}
		want, runs := 2, *seeds
		if c.budget == "1" {
			want = 1 // six kinds take turns of about three seconds
		}
		starved := 0
		for seed := range uint64(runs) {
			counts := map[Kind]int{}
			for _, op := range newWorld(t, seed, p).run(p.Generator(), time.Hour) {
				if op.F == Inject && op.Type == histories.OK {
					f, _ := Decode(op)
					counts[f.Kind]++
				}
			}
			for _, k := range c.kinds {
				if counts[k] < want {
					starved++
					t.Logf("%s: seed %d: %v", c.name, seed, counts)
					break
				}
			}
		}
		if starved*100 > max(runs, 100) {
			t.Errorf("%s: in %d of %d schedules some kind was injected less than %d times", c.name, starved, runs, want)
		}
	}
}

// Under the default budget and mix, every shape and every number of victims
// that it allows comes up, also where kinds compete.
func TestScheduleVaries(t *testing.T) {
	p := Plan{Kinds: Kinds, Interval: 3 * time.Second, Nodes: names(5), TimeLimit: time.Minute}
	seen := map[string]int{}
	for seed := range uint64(30) {
		for _, op := range newWorld(t, seed, p).run(p.Generator(), time.Hour) {
			if f, err := Decode(op); err == nil && op.F == Inject && op.Type == histories.Invoke {
				seen[fmt.Sprintf("%s %s", f.Kind, f.Params.Shape)]++
				seen[fmt.Sprintf("%s of %d", f.Kind, len(f.Targets))]++
				seen[fmt.Sprintf("%s held %v", f.Kind, f.Params.Held)]++
			}
		}
	}
	want := []string{"partition held true", "partition held false", "clock jump", "clock strobe", "clock drift", "loss of 5", "delay of 3", "clock of 5"}
	for _, w := range append([]string{"one", "minority", "primaries"}, shapeWords...) {
		want = append(want, "partition "+w)
	}
	for _, k := range []Kind{Kill, Stop, Power, Pause, Membership} {
		want = append(want, string(k)+" of 1", string(k)+" of 2")
	}
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("%s: %d times", w, seen[w])
		}
	}
}

// What one kind does, while nothing stands in its way, does not depend on
// which others there are, so that a run can be shrunk by leaving kinds out.
func TestKindsAreIndependent(t *testing.T) {
	of := func(kinds ...Kind) string {
		p := Plan{Kinds: kinds, Interval: 2 * time.Second, Nodes: names(5), TimeLimit: time.Minute}
		w := newWorld(t, 7, p)
		w.latency = func(*rand.Rand) time.Duration { return time.Millisecond }
		ops := slices.DeleteFunc(w.run(p.Generator(), time.Hour), func(op histories.Op) bool { return op.Process != Loss.Process() })
		return transcript(ops)
	}
	alone, together := of(Loss), of(Kinds...)
	if alone != together {
		t.Errorf("loss alone\n%s\nloss with all\n%s", alone, together)
	}
}

// A schedule is a phase like any other: what comes next begins once all is
// cured.
func TestScheduleIsAPhase(t *testing.T) {
	p := Plan{Kinds: competing, Interval: time.Second, Nodes: names(3), TimeLimit: 10 * time.Second}
	w := newWorld(t, 1, p)
	ops := w.run(gen.Phases(p.Generator(), gen.Once("recover", Fault{ID: "after"})), time.Hour)
	open := 0
	for _, op := range ops[:len(ops)-2] {
		switch {
		case op.Type == histories.Invoke && op.F == Inject:
			open++
		case op.Type != histories.Invoke && op.F == Cure:
			open--
		}
	}
	f, _ := histories.Decode[Fault](ops[len(ops)-1])
	if open != 0 || f.ID != "after" {
		t.Errorf("%d faults in force when the phase ended with %s", open, f.ID)
	}
}

// A fault that needs the whole budget gets its turn among small ones that
// come all the time.
func TestLargeFaultsGetTheirTurn(t *testing.T) {
	p := Plan{Kinds: competing, Interval: 2 * time.Second, Nodes: names(5), TimeLimit: time.Minute}
	p.Targets = must(ParseTargets("kill=n1,n2; one", p.Nodes))
	for seed := range uint64(*seeds) {
		kills := 0
		for _, op := range newWorld(t, seed, p).run(p.Generator(), time.Hour) {
			if op.Process == Kill.Process() && op.F == Inject && op.Type == histories.OK {
				kills++
			}
		}
		if kills < 3 {
			t.Errorf("seed %d: %d kills in a minute", seed, kills)
		}
	}
}

// A schedule counts from its start, whenever it is asked.
func TestScheduleStarts(t *testing.T) {
	p := Plan{Kinds: []Kind{Kill, Loss}, Interval: time.Second, Nodes: names(3), TimeLimit: 10 * time.Second}
	first := newWorld(t, 1, p).run(p.Generator(), time.Hour)
	p.Start = histories.Time(time.Minute)
	second := newWorld(t, 1, p).run(p.Generator(), time.Hour)
	for i := range second {
		second[i].Time -= p.Start
	}
	if len(first) == 0 || transcript(first) != transcript(second) {
		t.Errorf("from the beginning\n%s\na minute later\n%s", transcript(first), transcript(second))
	}
}

// Primaries are hit once there are some, although nothing else happens.
func TestScheduleWaitsForPrimaries(t *testing.T) {
	p := Plan{Kinds: []Kind{Kill}, Interval: time.Second, Nodes: names(3), TimeLimit: time.Minute}
	p.Targets = must(ParseTargets("primaries", p.Nodes))
	w := newWorld(t, 1, p)
	w.primaries = func(now histories.Time) []string {
		if now < histories.Time(20*time.Second) {
			return nil
		}
		return []string{"n2", "gone"}
	}
	ops := w.run(p.Generator(), time.Hour)
	if len(ops) == 0 {
		t.Fatal("no fault at all")
	}
	f, err := Decode(ops[0])
	if err != nil || !slices.Equal(f.Targets, []string{"n2"}) || ops[0].Time > histories.Time(22*time.Second) {
		t.Errorf("the first fault is %+v at %s, want a kill of n2 after 20s", f, ops[0].Time)
	}
}

// Cures that are never confirmed are given up, some time after the limit.
func TestScheduleGivesUp(t *testing.T) {
	p := Plan{Kinds: []Kind{Kill, Loss}, Interval: time.Second, Nodes: names(3), TimeLimit: 2 * time.Second}
	w := newWorld(t, 1, p)
	w.outcome = func(_ *rand.Rand, op histories.Op) histories.Type {
		if op.F == Cure {
			return histories.Info
		}
		return histories.OK
	}
	ops := w.run(p.Generator(), time.Hour)
	cures := 0
	for _, op := range ops {
		if op.F == Cure && op.Type == histories.Invoke {
			cures++
		}
	}
	if last := ops[len(ops)-1]; cures != 2*curesMax || last.Time > histories.Time(20*time.Second) {
		t.Errorf("%d cures of 2 faults until %s, want %d", cures, last.Time, 2*curesMax)
	}
}

func TestNoKindsNoGenerator(t *testing.T) {
	if g := (Plan{Interval: time.Second, Nodes: names(3)}).Generator(); g != nil {
		t.Errorf("got %v, want nil", g)
	}
}

// What a schedule costs each event of a run that does not concern it, while
// most kinds wait for the budget.
func BenchmarkAsk(b *testing.B) {
	p := Plan{Kinds: Kinds, Interval: 3 * time.Second, Nodes: names(5)}
	ctx := gen.NewContext(1, p.Nodes, 10, p.Processes(), nil)
	g := p.Generator()
	for range 1000 { // nothing is ever cured
		op, rest := g.Op(ctx)
		if op == nil {
			break
		}
		ctx, g = ctx.After(*op), rest
		if op.Type == gen.Sleeping {
			done := *op
			done.Type = histories.OK
			ctx = ctx.After(done)
		}
	}
	ev := histories.Op{Process: 1, Type: histories.OK, F: "read"}
	b.ReportAllocs()
	for b.Loop() {
		g = g.Update(ctx, ev)
		_, g = g.Op(ctx)
	}
}
