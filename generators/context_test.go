package generators

import (
	"errors"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

var kill = histories.Named("nemesis/kill")

func invoke(p histories.Process) Op { return Op{Process: p, Type: histories.Invoke, F: "f"} }

func completion(p histories.Process, t histories.Type) Op { return Op{Process: p, Type: t, F: "f"} }

func TestContext(t *testing.T) {
	fresh := NewContext(1, []string{"n1", "n2"}, 2, []histories.Process{kill}, nil)
	ctx := fresh.After(invoke(1))
	if !fresh.AllFree() || ctx.AllFree() || ctx.Busy() != 1 {
		t.Errorf("after an invocation %d are busy, before %d", ctx.Busy(), fresh.Busy())
	}
	if ctx.FillFor(Op{F: "f"}, 1) != nil {
		t.Error("process 1 is busy")
	}
	crashed := ctx.After(completion(1, histories.Info)).Renew(1)
	if crashed.FillFor(Op{F: "f"}, 1) != nil {
		t.Error("process 1 has crashed")
	}
	op := crashed.FillFor(Op{F: "f"}, 3)
	if op == nil || op.Node != "n2" || op.Type != histories.Invoke {
		t.Errorf("process 3 follows 1: %v", op)
	}
	if crashed.Renew(kill).FillFor(Op{F: "f"}, kill) == nil {
		t.Error("a nemesis is not renewed")
	}
	late := crashed.After(Op{Process: 1, Type: histories.Invoke, Time: 5})
	if late.Busy() != 0 || late.Time != 5 {
		t.Errorf("an event of a process that is gone makes %d threads busy, and the time %v", late.Busy(), late.Time)
	}
	if got := ctx.After(completion(histories.World, histories.Info)); got.Busy() != 1 {
		t.Error("a record changes who is busy")
	}
	if op := fresh.Fill(Op{F: "inject", Process: kill}); op == nil || op.Process != kill || op.Node != "" {
		t.Errorf("an operation of a named process: %v", op)
	}
	if op := fresh.After(invoke(kill)).Fill(Op{F: "inject", Process: kill}); op != nil {
		t.Errorf("that process is busy: %v", op)
	}
	if op := fresh.Fill(Op{F: "f", Time: 50, Node: "n9"}); op.Time != 50 || op.Node != "n9" {
		t.Errorf("what the template has is kept: %v", op)
	}
	if (Context{}).Fill(Op{F: "f"}) != nil || !(Context{}).AllFree() {
		t.Error("the zero context has no threads")
	}
	routed := NewContext(1, []string{"n1", "n2"}, 2, nil, func(op Op, nodes []string) string {
		if op.F == "write" {
			return nodes[1]
		}
		return ""
	})
	for f, want := range map[string]string{"write": "n2", "read": "n1"} {
		if op := routed.FillFor(Op{F: f}, 0); op.Node != want {
			t.Errorf("%s goes to %s: want %s", f, op.Node, want)
		}
	}
}

// TestContextIsPure: a random walk through contexts, compared with sets kept
// by hand, leaves all earlier contexts as they were.
func TestContextIsPure(t *testing.T) {
	const clients = 130
	r := rand.New(rand.NewPCG(5, 5))
	ctx := NewContext(1, nil, clients, []histories.Process{kill}, nil)
	process := map[int]histories.Process{clients: kill}
	for i := range clients {
		process[i] = histories.Process(i)
	}
	busy := map[int]bool{}
	type snapshot struct {
		ctx  Context
		busy int
		free []histories.Process
	}
	var past []snapshot
	free := func(c Context) (ps []histories.Process) {
		for i := range c.free.all() {
			ps = append(ps, c.processes[i])
		}
		return ps
	}
	for range 3000 {
		i := r.IntN(clients + 1)
		p := process[i]
		switch {
		case !busy[i]:
			ctx = ctx.After(invoke(p))
			busy[i] = true
		case r.IntN(3) > 0:
			ctx = ctx.After(completion(p, histories.OK))
			delete(busy, i)
		default:
			ctx = ctx.After(completion(p, histories.Info)).Renew(p)
			delete(busy, i)
			if p.Client() {
				process[i] += clients
			}
		}
		if ctx.Busy() != len(busy) {
			t.Fatalf("%d busy: want %d", ctx.Busy(), len(busy))
		}
		q, ok := ctx.At(uint64(r.Uint32())).SomeFree()
		thread, _ := ctx.crew.thread(q)
		if ok != (len(busy) <= clients) || ok && (busy[thread] || process[thread] != q) {
			t.Fatalf("process %s is free: %v", q, ok)
		}
		past = append(past, snapshot{ctx, ctx.Busy(), free(ctx)})
	}
	for _, s := range past {
		if s.ctx.Busy() != s.busy || !slices.Equal(free(s.ctx), s.free) {
			t.Fatal("a context has changed")
		}
	}
}

func TestRandRepeats(t *testing.T) {
	ctx := NewContext(1, nil, 1, nil, nil)
	draw := func(c Context) [3]uint64 { r := c.Rand(); return [3]uint64{r.Uint64(), r.Uint64(), r.Uint64()} }
	seen := map[[3]uint64]bool{}
	for i := range uint64(100) {
		for j := range uint64(100) {
			c := ctx.At(i).At(j)
			first, again := draw(c), draw(c)
			if first != again {
				t.Fatal("one place, two answers")
			}
			seen[first] = true
		}
	}
	if len(seen) != 10000 {
		t.Errorf("%d different places of 10000", len(seen))
	}
	if other := NewContext(2, nil, 1, nil, nil); draw(other) == draw(ctx) {
		t.Error("the seed changes nothing")
	}
}

// TestThreadSets compares sets with maps.
func TestThreadSets(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for range 200 {
		n := 1 + r.IntN(200)
		a, b := make(threads, (n+63)/64), make(threads, (n+63)/64)
		inA, both := map[int]bool{}, []int{}
		for i := range n {
			x, y := r.IntN(2) == 0, r.IntN(2) == 0
			if x {
				a = a.with(i, true)
				inA[i] = true
			}
			if y {
				b.set(i)
			}
			if x && y {
				both = append(both, i)
			}
		}
		if !slices.Equal(slices.Collect(a.all()), slices.Sorted(maps.Keys(inA))) {
			t.Fatal("all")
		}
		if a.countAnd(b) != len(both) {
			t.Fatal("countAnd")
		}
		for k, i := range both {
			if a.selectAnd(b, k) != i || !a.has(i) || a.with(i, false).has(i) {
				t.Fatal("selectAnd")
			}
		}
		all := slices.Collect(a.all())
		if len(all) > 0 {
			k := r.IntN(len(all))
			if got := slices.Collect(a.from(k)); !slices.Equal(got, slices.Concat(all[k:], all[:k])) {
				t.Fatalf("from %d of %v: %v", k, all, got)
			}
			for range a.from(k) {
				break
			}
		}
	}
}

// TestVector compares vectors with maps, and old ones with what they were.
func TestVector(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var v vector[int]
	old, want := []vector[int]{}, []map[int]int{}
	now := map[int]int{}
	for range 500 {
		i := r.IntN(1 << r.IntN(18))
		now[i] = r.IntN(1000)
		v = v.with(i, now[i])
		old, want = append(old, v), append(want, maps.Clone(now))
	}
	for k := range old {
		for i := range now {
			if got := old[k].at(i); got != want[k][i] {
				t.Fatalf("vector %d, element %d: %d, want %d", k, i, got, want[k][i])
			}
		}
		if old[k].at(1<<30) != 0 {
			t.Fatal("an element that was never set")
		}
	}
}

func TestCheck(t *testing.T) {
	ctx := NewContext(1, []string{"n1"}, 2, nil, nil).After(invoke(1))
	ctx.Time = 100
	good := Op{Process: 0, Type: histories.Invoke, F: "read", Time: 100}
	if err := Check(ctx, good); err != nil {
		t.Error(err)
	}
	with := func(f func(*Op)) Op { op := good; f(&op); return op }
	for want, op := range map[string]Op{
		"f is empty":                 with(func(op *Op) { op.F = "" }),
		"type is ok":                 with(func(op *Op) { op.Type = histories.OK }),
		"type is none":               with(func(op *Op) { op.Type = 0 }),
		"process 1 is busy":          with(func(op *Op) { op.Process = 1 }),
		"thread runs process 0 now":  with(func(op *Op) { op.Process = 2 }),
		"nemesis/kill is not among":  with(func(op *Op) { op.Process = kill }),
		"before the run's beginning": with(func(op *Op) { op.Time = -1 }),
		`sleep for "1s"`:             with(func(op *Op) { op.Type, op.Value = Sleeping, histories.Encode("1s") }),
		"want nanoseconds":           with(func(op *Op) { op.Type, op.Value = Sleeping, integer(-1) }),
		"want a string":              with(func(op *Op) { op.Type, op.Value = Logging, integer(1) }),
	} {
		err := Check(ctx, op)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v: want %q in it", op, err, want)
		}
	}
	// All problems at once.
	err := Check(ctx, Op{Process: 1, Type: histories.Invoke, Time: -3})
	for _, want := range []string{"f is empty", "busy", "beginning"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q in it", err, want)
		}
	}
}

// TestValidate: what is wrong is said of the generator that is wrong.
func TestValidate(t *testing.T) {
	oops := errors.New("oops")
	for _, c := range []struct {
		name string
		g    Generator
		want string
	}{
		{"malformed", Map(func(op Op) Op { op.F = ""; return op }, Once("a", nil)), "generator Map(Once(a, null)): operation"},
		{"panics", Map(func(op Op) Op { panic(oops) }, Once("a", nil)), "panic when asked at 0s: oops"},
		{"panics, no error", Map(func(op Op) Op { panic(7) }, Once("a", nil)), "panic when asked at 0s: 7"},
		{"panics later", OnUpdate(func(Generator, Context, Op) Generator { panic(oops) }, Count("a", 1)), "panic when told of a at 0s: oops"},
		{"nested", Validate(Map(func(op Op) Op { op.F = ""; return op }, Once("a", nil))), "generator Map(Once"},
	} {
		func() {
			defer func() {
				broken, ok := recover().(*Broken)
				if !ok || !strings.Contains(broken.Error(), c.want) {
					t.Errorf("%s: %v: want %q in it", c.name, broken, c.want)
				}
				if ok && strings.Contains(c.want, "oops") && !errors.Is(broken, oops) {
					t.Errorf("%s: the cause is lost", c.name)
				}
			}()
			newSimulation().run(Validate(c.g))
		}()
	}
}

// TestIdleUpdates: events that concern nobody change nothing, and cost nothing
// but the context.
func TestIdleUpdates(t *testing.T) {
	g := realistic(1000)
	ctx := NewContext(1, []string{"n1", "n2", "n3"}, 100, []histories.Process{kill}, nil)
	for range 200 {
		op, rest := Ask(g, ctx)
		if op == nil {
			break
		}
		ctx.Time = max(ctx.Time, op.Time)
		g, ctx = rest, ctx.After(*op)
		g = Tell(g, ctx, *op)
	}
	ev := completion(7, histories.OK)
	g = Tell(g, ctx, ev)
	if allocs := testing.AllocsPerRun(100, func() {
		if after := Tell(g, ctx, ev); !same(after, g) {
			t.Errorf("%s has become %s", Describe(g), Describe(after))
		}
	}); allocs > 0 {
		t.Errorf("an event that concerns nobody takes %v allocations", allocs)
	}
}

// foreign is a generator of another package, which cannot be compared.
type foreign struct {
	left []string
}

func (f foreign) Op(ctx Context) (*Op, Generator) {
	op := ctx.Fill(Op{F: f.left[0]})
	switch {
	case op == nil:
		return nil, f
	case len(f.left) == 1:
		return op, nil
	}
	return op, foreign{f.left[1:]}
}

func (f foreign) Update(Context, Op) Generator { return f }

// TestForeignGenerators: combinators take any generator for a child.
func TestForeignGenerators(t *testing.T) {
	g := func() Generator { return foreign{[]string{"a", "b"}} }
	s := newSimulation()
	s.clients, s.doubt = 2, true
	s.run(Phases(
		TimeLimit(1000, Any(g(), Limit(3, Cycle(g())), Mix(g(), Final(g())))),
		EachThread(UntilOK(g())), FlipFlop(g(), g()), Cache(5, g()), Reserve(g(), Share{1, g()}), Stagger(5, IgnoreUpdates(g()))))
	got := map[string]int{}
	for _, op := range s.invocations() {
		got[op.F]++
	}
	if s.end != "end" || !reflect.DeepEqual(got, map[string]int{"a": 13, "b": 10}) {
		t.Errorf("%s: %v", s.end, got)
	}
}

// TestArgumentsAreCopied: what the caller does with a slice later changes
// nothing.
func TestArgumentsAreCopied(t *testing.T) {
	for name, of := range map[string]func(...Generator) Generator{"Seq": Seq, "Phases": Phases, "Mix": Mix, "Any": Any, "FlipFlop": FlipFlop} {
		gs := []Generator{Once("a", nil), Once("a", nil)}
		g := of(gs...)
		gs[0], gs[1] = nil, Once("b", nil)
		s := newSimulation()
		s.run(g)
		if got := s.invocations(); len(got) != 2 || got[0].F != "a" || got[1].F != "a" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestReplayUnknownNemesis: an operation that nobody could ever run is not
// left out in silence.
func TestReplayUnknownNemesis(t *testing.T) {
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "no process nemesis/kill") {
			t.Errorf("recovered %v", p)
		}
	}()
	Replay([]Op{{Process: kill, Type: histories.Invoke, F: "inject"}}).Op(NewContext(1, nil, 1, nil, nil))
}
