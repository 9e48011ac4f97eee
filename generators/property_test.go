package generators

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
)

// TestRandomTrees runs random trees of all that is here: none may break a rule
// of the simulation, and none may care for being asked other things.
func TestRandomTrees(t *testing.T) {
	trees := 250
	if testing.Short() {
		trees = 100
	}
	for seed := range uint64(trees) {
		r := rand.New(rand.NewPCG(seed, 0))
		// Spans in resonance can wait for ever: hence the limit.
		text := "TimeLimit(20000*ns, " + randomTree(r, 4) + ")"
		var ops [2][]Op
		var end [2]string
		for i := range 2 {
			s := newSimulation()
			s.seed, s.clients, s.max, s.doubt = seed, 1+int(seed%5), 40, i == 1
			s.nodes = []string{"n1", "n2"}
			s.nemeses = []histories.Process{histories.Named("nemesis/kill"), histories.Named("nemesis/pause")}
			s.outcomes = []histories.Type{histories.OK, histories.OK, histories.Fail, histories.Info, histories.OK}
			s.hint = func(string) {}
			func() {
				defer func() {
					if p := recover(); p != nil {
						t.Fatalf("seed %d, %s: %v", seed, text, p)
					}
				}()
				g, err := s.parse(text)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				s.run(g)
			}()
			ops[i], end[i] = s.ops, s.end
		}
		if !reflect.DeepEqual(ops[0], ops[1]) || end[0] != end[1] {
			t.Fatalf("seed %d, %s: differs when asked other things", seed, text)
		}
	}
}

// randomTree is the text of a generator.
func randomTree(r *rand.Rand, depth int) string {
	leaves := []string{
		`Once("a", 1)`, `Count("c", 1)`, `Func("roll", dice)`, `Sleep(7*ns)`, `Log("x")`, `Of(at100)`, `nil`,
		`Register(Uniform(3), 2)`, `CAS(Zipfian(3, 0.5), 3)`, `Sets(0.5)`, `Appends(Sequential(2), 4)`, `Broadcasts(0.1)`,
		`Replay(recorded)`, `SequentialKeys(KeysNamed("k"), twoOf)`, `ConcurrentKeys(2, KeysOf("a", "b", "c"), twoOf)`,
	}
	if depth == 0 || r.IntN(8) == 0 {
		return leaves[r.IntN(len(leaves))]
	}
	unary := []string{
		`Limit(%d, %s)`, `ConcurrencyLimit(%d, %s)`, `ProcessLimit(%d, %s)`, `RepeatN(%d, %s)`, `CycleN(%d, %s)`,
		`TimeLimit(%d7*ns, %s)`, `Stagger(%d0*ns, %s)`, `Delay(%d0*ns, %s)`, `Rate(%d0000000, %s)`, `RateFixed(%d0000000, %s)`,
		`Cache(%d0*ns, %s)`,
	}
	plain := []string{
		`Repeat(%s)`, `Cycle(%s)`, `Load(3, phases, %s)`, `Synchronize(%s)`, `Clients(%s)`, `Nemesis(%s)`, `OnThreads(odd, %s)`, `EachThread(%s)`,
		`EachProcess(%s)`, `UntilOK(%s)`, `Until(failed, %s)`, `OnUpdate(cautious, %s)`, `IgnoreUpdates(%s)`, `Map(doubled, %s)`, `FMap(swapped, %s)`,
		`Final(%s)`, `Validate(%s)`, `Trace("t", log, %s)`, `Limit(20, Filter(even, Limit(30, %s)))`,
	}
	binary := []string{
		`Seq(%s, %s)`, `Phases(%s, %s)`, `Then(%s, %s)`, `Mix(%s, %s)`, `Any(%s, %s)`, `ShortestAny(%s, %s)`, `FlipFlop(%s, %s)`,
		`MixWeighted(Weighted{1, %s}, Weighted{3, %s})`, `Reserve(%s, Share{2, %s})`,
		`CycleTimes(Span{13*ns, %s}, Span{20*ns, %s})`, `Any(Clients(%s), Nemesis(%s))`,
	}
	sub := func() string { return randomTree(r, depth-1) }
	switch k := r.IntN(len(unary) + len(plain) + len(binary)); {
	case k < len(unary):
		return fmt.Sprintf(unary[k], 1+r.IntN(9), sub())
	case k < len(unary)+len(plain):
		return fmt.Sprintf(plain[k-len(unary)], sub())
	default:
		return fmt.Sprintf(binary[k-len(unary)-len(plain)], sub(), sub())
	}
}

// TestMixNeverJams: whatever a mixture has that is pending, late or exhausted,
// the one that can run runs whenever a process is free.
func TestMixNeverJams(t *testing.T) {
	stuck := []Generator{
		Nemesis(Once("nobody", nil)), // there is no nemesis
		Of(Op{F: "late", Time: 1 << 40}),
		Delay(time.Hour, Count("slow", 1)),
		Limit(1, Count("short", 1)),
		Synchronize(Nemesis(Once("nobody", nil))),
		Mix(Nemesis(Once("nobody", nil)), Of(Op{F: "late", Time: 1 << 40})),
		Filter(func(Op) bool { return false }, Limit(10, Count("dropped", 1))),
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		gs := []Generator{Count("run", 1)}
		for range r.IntN(6) {
			gs = append(gs, stuck[r.IntN(len(stuck))])
		}
		r.Shuffle(len(gs), reflect.Swapper(gs))
		s := newSimulation()
		s.seed, s.clients, s.max = seed, 2, 60
		s.run(Mix(gs...))
		if want := histories.Time(280); s.end != "stopped" || s.at > want+20 {
			t.Errorf("seed %d: %s: 60 operations of 10ns on 2 clients: %s at %v", seed, Describe(Mix(gs...)), s.end, s.at)
		}
	}
}

// TestReserveCounts compares nested reservations with the ranges that they
// mean, worked out by hand.
func TestReserveCounts(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		clients := 1 + r.IntN(12)
		want := map[string][]int{} // f → its threads
		g := randomReserve(r, 3, seq0(clients), want)
		s := newSimulation()
		s.seed, s.clients, s.max = seed, clients, 400
		s.outcomes = []histories.Type{histories.OK, histories.Info}
		s.run(TimeLimit(100, g))
		got := map[string][]int{}
		for _, op := range s.invocations() {
			got[op.F] = append(got[op.F], int(op.Process)%clients)
		}
		for f := range got {
			slices.Sort(got[f])
			got[f] = slices.Compact(got[f])
		}
		for f, ts := range want {
			if len(ts) == 0 {
				delete(want, f)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d, %d clients, %s:\n got %v\nwant %v", seed, clients, Describe(g), got, want)
		}
	}
}

// randomReserve is a Reserve over the given threads, with leaves whose names
// are their paths.
func randomReserve(r *rand.Rand, depth int, threads []int, want map[string][]int) Generator {
	if depth == 0 || r.IntN(3) == 0 {
		f := fmt.Sprint("f", len(want))
		want[f] = threads
		return Count(f, 1)
	}
	var shares []Share
	for range r.IntN(3) {
		n := r.IntN(5)
		k := min(n, len(threads))
		shares = append(shares, Share{n, randomReserve(r, depth-1, threads[:k], want)})
		threads = threads[k:]
	}
	return Reserve(randomReserve(r, depth-1, threads, want), shares...)
}

// TestProcessLimitMovesNobody: when ProcessLimit has retired threads, those
// that are left do what they did before, in shares and in groups of keys; and
// it ends though whole groups are retired.
func TestProcessLimitMovesNobody(t *testing.T) {
	keyed := ConcurrentKeys(2, KeysNamed("k"), func(any) Generator { return Limit(9, Count("w", 1)) })
	shares := Reserve(Count("c", 1), Share{2, Count("a", 1)}, Share{3, Count("b", 1)})
	share := func(thread int) string { return string("aabbbccc"[thread]) }
	for seed := range uint64(50) {
		for name, g := range map[string]Generator{"shares": shares, "keys": keyed} {
			s := newSimulation()
			s.seed, s.clients, s.max = seed, 8, 1000
			s.outcomes = []histories.Type{histories.OK, histories.OK, histories.Info, histories.OK, histories.OK}
			s.run(ProcessLimit(20, g))
			group := map[string]int{}
			for _, op := range s.invocations() {
				thread := int(op.Process) % 8
				if name == "shares" && op.F != share(thread) {
					t.Fatalf("seed %d: %s on thread %d: want %s", seed, show(&op), thread, share(thread))
				}
				if at, ok := group[string(op.Key)]; name == "keys" && ok && at != thread/2 {
					t.Fatalf("seed %d: %s in group %d: its key is of group %d", seed, show(&op), thread/2, at)
				}
				group[string(op.Key)] = thread / 2
			}
			if s.end != "end" || len(s.crashed) != 20 {
				t.Errorf("seed %d, %s: %s after %d crashes: want an end after 20", seed, name, s.end, len(s.crashed))
			}
		}
	}
}

func seq0(n int) (s []int) {
	for i := range n {
		s = append(s, i)
	}
	return s
}

// TestCycleTimesKeepsState: each generator goes on where it stopped, in its
// own spans only.
func TestCycleTimesKeepsState(t *testing.T) {
	s := newSimulation()
	s.clients, s.max = 3, 3000
	s.run(TimeLimit(1000, CycleTimes(Span{30, Count("a", 0)}, Span{45, Count("b", 0)})))
	next := map[string]int{}
	for _, op := range s.invocations() {
		if n, _ := histories.Decode[int](op); n != next[op.F] {
			t.Fatalf("%s at %v: want %d", show(&op), op.Time, next[op.F])
		}
		next[op.F]++
		if inA := op.Time%75 < 30; inA != (op.F == "a") {
			t.Errorf("%s: not its span", show(&op))
		}
	}
	if next["a"] < 100 || next["b"] < 150 {
		t.Errorf("%v operations: want about 130 and 190", next)
	}
}

// TestEachProcess: every process does the whole, unless it crashes first.
func TestEachProcess(t *testing.T) {
	for seed := range uint64(50) {
		s := newSimulation()
		s.seed, s.clients, s.max, s.once = seed, 3, 1000, true
		r := rand.New(rand.NewPCG(seed, 3))
		for range 60 {
			s.outcomes = append(s.outcomes, []histories.Type{histories.OK, histories.Fail, histories.Info}[r.IntN(3)])
		}
		s.run(EachProcess(Limit(4, Count("a", 1))))
		did := map[histories.Process]int{}
		for _, op := range s.invocations() {
			if did[op.Process]++; string(op.Value) != fmt.Sprint(did[op.Process]) {
				t.Fatalf("seed %d: %s: process %s did %d before", seed, show(&op), op.Process, did[op.Process]-1)
			}
		}
		for p, n := range did {
			if n != 4 && !s.crashed[p] {
				t.Errorf("seed %d: process %s did %d of 4 operations", seed, p, n)
			}
			if next := p + 3; s.crashed[p] && did[next] == 0 {
				t.Errorf("seed %d: nobody did anything after process %s crashed", seed, p)
			}
		}
		if s.end != "end" {
			t.Errorf("seed %d: %s", seed, s.end)
		}
	}
}

// TestFair: chance gives each its share, within five standard deviations.
func TestFair(t *testing.T) {
	const n = 20000
	f := func(name string) Generator { return Count(name, 0) }
	for _, c := range []struct {
		name string
		g    Generator
		want map[string]float64
	}{
		{"any", Any(f("a"), f("b"), f("c")), map[string]float64{"a": 1. / 3, "b": 1. / 3, "c": 1. / 3}},
		{"any, one late", Any(f("a"), Of(Op{F: "late", Time: 1 << 50}), f("c")), map[string]float64{"a": .5, "c": .5}},
		{"mix", Mix(f("a"), f("b"), f("c"), f("d")), map[string]float64{"a": .25, "b": .25, "c": .25, "d": .25}},
		{"weights", MixWeighted(Weighted{1, f("a")}, Weighted{2, f("b")}, Weighted{7, f("c")}), map[string]float64{"a": .1, "b": .2, "c": .7}},
		{"nested", Mix(f("a"), Mix(f("b"), f("c"))), map[string]float64{"a": .5, "b": .25, "c": .25}},
		{"shares", Delay(20, Reserve(f("c"), Share{7, f("a")}, Share{2, f("b")})), map[string]float64{"a": .7, "b": .2, "c": .1}},
		{"reads of a set", Sets(0.2), map[string]float64{"read": .2, "add": .8}},
		{"register", Register(Uniform(3), 0), map[string]float64{"read": .5, "write": .5}},
	} {
		s := newSimulation()
		s.clients, s.max = 10, n
		s.run(c.g)
		got := map[string]int{}
		for _, op := range s.invocations() {
			got[op.F]++
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", c.name, got)
		}
		for f, p := range c.want {
			if off := math.Abs(float64(got[f]) - p*n); off > 5*math.Sqrt(p*(1-p)*n) {
				t.Errorf("%s: %d operations %s of %d: want about %v", c.name, got[f], f, n, p*n)
			}
		}
	}
}

// TestProcessesAreChosenFairly: no free process is favoured.
func TestProcessesAreChosenFairly(t *testing.T) {
	s := newSimulation()
	s.clients, s.max = 70, 21000
	s.run(Delay(20, Count("a", 1))) // all are free each time
	got := map[histories.Process]float64{}
	for _, op := range s.invocations() {
		got[op.Process]++
	}
	for p := range histories.Process(70) {
		if math.Abs(got[p]-300) > 5*math.Sqrt(300) {
			t.Errorf("process %s ran %v operations: want about 300", p, got[p])
		}
	}
}

// arrivalsOf are the times at which the operations should have begun.
func arrivalsOf(t *testing.T, s *simulation) (times []histories.Time) {
	t.Helper()
	for _, op := range s.invocations() {
		arrival, late, err := histories.DecodeExt[histories.Time](op, Arrival)
		switch {
		case err != nil:
			t.Fatal(err)
		case late && arrival >= op.Time:
			t.Errorf("%s: not late at all", show(&op))
		case !late:
			arrival = op.Time
		}
		times = append(times, arrival)
	}
	return times
}

// TestRateIsOpen: when operations arrive has nothing to do with how long
// others take, how they end, or how many clients there are.
func TestRateIsOpen(t *testing.T) {
	for _, g := range []Generator{
		Rate(1e6, Limit(500, Count("a", 1))),
		RateFixed(1e6, Limit(500, Count("a", 1))),
		Rate(1e6, Limit(500, CAS(Zipfian(9, .9), 7))),
	} {
		var first []histories.Time
		for _, c := range []struct {
			clients  int
			latency  time.Duration
			outcomes []histories.Type
		}{
			{1000, 1, nil},
			{50, time.Microsecond, nil},
			{1, 5 * time.Microsecond, nil},
			{3, 20 * time.Microsecond, []histories.Type{histories.Info, histories.Fail}},
		} {
			s := newSimulation()
			s.clients, s.outcomes, s.max = c.clients, c.outcomes, 1000
			s.latency = func(op Op) time.Duration { return c.latency * time.Duration(1+op.Time%3) }
			s.run(Any(Clients(g), Nemesis(Stagger(300, Count("other", 1)))))
			got := arrivalsOf(t, s)
			if first == nil {
				first = got
			}
			if len(got) != 500 || !reflect.DeepEqual(got, first) {
				t.Errorf("%s, %+v: arrivals differ", Describe(g), c)
			}
		}
	}
}

// TestRateIsPoisson: the gaps are exponential. Mean and deviation are the
// gap, a share of 1/e is longer than the mean, and neighbours do not depend on
// each other.
func TestRateIsPoisson(t *testing.T) {
	s := newSimulation()
	s.clients, s.max = 100, 20001
	s.latency = func(Op) time.Duration { return 1 }
	s.run(Rate(1e6, Count("a", 1)))
	times := arrivalsOf(t, s)
	var gaps []float64
	for i := range times[1:] {
		gaps = append(gaps, float64(times[i+1]-times[i])/1000)
	}
	n := float64(len(gaps))
	var sum, squares, long, lagged float64
	for i, gap := range gaps {
		sum += gap
		squares += (gap - 1) * (gap - 1)
		if gap > 1 {
			long++
		}
		if i > 0 {
			lagged += (gap - 1) * (gaps[i-1] - 1)
		}
	}
	for _, c := range []struct {
		name              string
		got, want, within float64
	}{
		{"mean", sum / n, 1, 5 / math.Sqrt(n)},
		{"variance", squares / n, 1, 5 * math.Sqrt(8/n)},
		{"share of long gaps", long / n, 1 / math.E, 5 * .48 / math.Sqrt(n)},
		{"autocovariance", lagged / n, 0, 5 / math.Sqrt(n)},
	} {
		if math.Abs(c.got-c.want) > c.within {
			t.Errorf("%s of the gaps: %v: want %v ± %v", c.name, c.got, c.want, c.within)
		}
	}
}

// TestStagger: gaps are uniform in [0, 2·mean).
func TestStagger(t *testing.T) {
	s := newSimulation()
	s.clients, s.max = 10, 20000
	s.latency = func(Op) time.Duration { return 0 }
	s.run(Stagger(1000, Count("a", 1)))
	ops := s.invocations()
	var sum, sumSquares float64
	for i := range ops[1:] {
		gap := float64(ops[i+1].Time - ops[i].Time)
		if gap < 0 || gap >= 2000 {
			t.Fatalf("a gap of %v", gap)
		}
		sum, sumSquares = sum+gap, sumSquares+gap*gap
	}
	n := float64(len(ops) - 1)
	mean := sum / n
	deviation := math.Sqrt(sumSquares/n - mean*mean)
	if math.Abs(mean-1000) > 25 || math.Abs(deviation-2000/math.Sqrt(12)) > 15 {
		t.Errorf("mean %v, deviation %v: want 1000 and 577", mean, deviation)
	}
}

// TestTimeLimitHolds: nothing begins at the deadline or later, whatever is
// inside; and the limit ends no later than what was in flight then.
func TestTimeLimitHolds(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 4))
		text := randomTree(r, 3)
		s := newSimulation()
		s.seed, s.clients, s.max, s.hint = seed, 3, 200, func(string) {}
		s.nemeses = []histories.Process{histories.Named("nemesis/kill")}
		g, err := s.parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		s.run(Seq(Limit(3, Count("before", 1)), TimeLimit(95, g), Once("after", nil)))
		begin := slices.IndexFunc(s.ops, func(op Op) bool { return op.F != "before" })
		if begin < 0 {
			t.Fatalf("seed %d, %s: nothing came after", seed, text)
		}
		// The limit is asked as the third operation has been taken, at 0.
		for _, op := range s.ops {
			if op.Type == histories.Invoke && op.F != "before" && op.F != "after" && op.Time >= 95 {
				t.Errorf("seed %d, %s: %s", seed, text, show(&op))
			}
		}
		after := slices.IndexFunc(s.ops, func(op Op) bool { return op.F == "after" })
		if s.end == "end" && (after < 0 || s.ops[after].Time > 110) {
			t.Errorf("seed %d, %s: what comes after the limit: op %d", seed, text, after)
		}
		if s.end == "stuck" {
			t.Errorf("seed %d, %s: stuck at %v", seed, text, s.at)
		}
	}
}

// TestTimeLimitPromises: nor is anything promised for the deadline or later,
// should the loop take a promise without asking again.
func TestTimeLimitPromises(t *testing.T) {
	for _, at := range []histories.Time{99, 100, 101} {
		ctx := NewContext(1, nil, 1, nil, nil)
		op, rest := TimeLimit(100, Of(Op{F: "a", Time: at})).Op(ctx)
		if !waiting(op) || op.Time != 0 {
			t.Fatalf("%v: %s: want a wait, so that the beginning is known", at, show(op))
		}
		ctx.Time = 50
		op, rest = rest.Op(ctx)
		if at < 100 != operation(op) || op.Time != min(at, 100) || rest != nil {
			t.Errorf("%v: promised %s", at, show(op))
		}
	}
}

// TestPlacesAreApart: what one part of a tree does leaves what another draws
// alone.
func TestPlacesAreApart(t *testing.T) {
	dice := Func("roll", func(ctx Context) any { return ctx.Rand().IntN(1000) })
	var first []string
	for _, other := range []Generator{nil, Count("x", 1), Mix(dice, Count("y", 1)), Stagger(17, Count("z", 1)), Repeat(Once("w", nil))} {
		s := newSimulation()
		s.clients, s.max, s.outcomes = 4, 300, []histories.Type{histories.OK, histories.Info}
		s.run(TimeLimit(200, Any(OnThreads(func(t Thread) bool { return t.Index < 2 }, Limit(30, dice)), OnThreads(func(t Thread) bool { return t.Index > 1 }, FMap(map[string]string{"roll": "r"}, other)))))
		var got []string
		for _, op := range s.invocations() {
			if op.F == "roll" {
				got = append(got, string(op.Value))
			}
		}
		if first == nil {
			first = got
		}
		if len(got) != 30 || !slices.Equal(got, first) {
			t.Errorf("beside %s: %v, want %v", Describe(other), got, first)
		}
	}
}

// TestReplayReproduces: a recording, played with the same outcomes, is the
// same run.
func TestReplayReproduces(t *testing.T) {
	for seed := range uint64(20) {
		record := func(g Generator) *simulation {
			s := newSimulation()
			s.seed, s.clients, s.max, s.nodes = seed, 5, 2000, []string{"n1", "n2", "n3"}
			s.nemeses = []histories.Process{histories.Named("nemesis/kill"), histories.Named("nemesis/pause")}
			s.latency = func(op Op) time.Duration {
				return time.Duration(10 + mix64(uint64(op.Time), uint64(op.Process))%2000)
			}
			s.outcomes = []histories.Type{histories.OK, histories.OK, histories.Info, histories.Fail, histories.OK, histories.OK, histories.OK}
			return s.run(g)
		}
		first := record(Phases(
			TimeLimit(50*time.Microsecond, Any(
				Clients(Rate(1e7, Mix(CAS(Zipfian(5, .9), 9), Appends(Uniform(4), 9)))),
				Nemesis(EachThread(Stagger(2*time.Microsecond, FlipFlop(Count("inject", 1), Count("cure", 1))))))),
			Clients(EachThread(Final(Once("read", nil)))),
		))
		second := record(Replay(first.ops))
		a, b := first.invocations(), second.invocations()
		if len(a) < 50 || !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: %d operations recorded, %d replayed", seed, len(a), len(b))
		}
		// Slower: late, but all of it, and in order on each thread.
		slow := newSimulation()
		slow.clients, slow.nodes, slow.max = 5, []string{"n1"}, 2000
		slow.nemeses = []histories.Process{histories.Named("nemesis/kill"), histories.Named("nemesis/pause")}
		slow.latency = func(Op) time.Duration { return 5 * time.Microsecond }
		slow.run(Replay(first.ops))
		if got, want := byThread(slow.invocations(), 5), byThread(a, 5); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: threads do something else when slow", seed)
		}
	}
}

func byThread(ops []Op, clients int) map[string][]string {
	did := map[string][]string{}
	for _, op := range ops {
		thread := op.Process.String()
		if op.Process.Client() {
			thread = fmt.Sprint(int(op.Process) % clients)
		}
		did[thread] = append(did[thread], fmt.Sprint(op.F, string(op.Value), string(op.Key), op.Node, op.Final))
	}
	return did
}

// TestConcurrencyLimitHolds, with crashes.
func TestConcurrencyLimitHolds(t *testing.T) {
	s := newSimulation()
	s.clients, s.max, s.outcomes = 9, 500, []histories.Type{histories.OK, histories.Info}
	s.run(Stagger(2, ConcurrencyLimit(4, Count("a", 1))))
	if s.busyMax != 4 {
		t.Errorf("%d operations at once: want 4", s.busyMax)
	}
}
