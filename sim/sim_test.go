package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// echo is a node that shows what its world does to it: it stores what it is
// told, syncs when asked to, tells the others, and records what it hears.
type echo struct{}

type told struct{ N int }

var echoMessages = node.Messages(told{})

func (e *echo) Start(env *node.Env) {
	env.Record("start", env.Keys("n/"))
	env.After(100*time.Millisecond, "tick")
}

func (e *echo) Request(env *node.Env, r node.Request) {
	var n int
	if err := r.Decode(&n); err != nil {
		env.Fail(r, err.Error())
		return
	}
	switch r.F {
	case "panic":
		panic("as asked")
	case "write", "synced", "many":
		for i := range map[string]int{"write": 5, "synced": 5, "many": 20}[r.F] {
			env.Write(fmt.Sprintf("n/%03d.%d", n, i), n)
		}
		if r.F == "synced" {
			env.Sync()
		}
	case "tell":
		env.BroadcastOthers(told{n})
	case "storm":
		env.BroadcastOthers(told{-1})
	case "wall":
		env.Reply(r, env.Wall)
		return
	case "draw":
		env.Reply(r, env.Rand("draw").Uint64())
		return
	case "sleep":
		env.After(time.Duration(n), "alarm")
	case "silence":
		return
	}
	env.Reply(r, len(env.Keys("n/")), node.Ext{Name: "now", Value: env.Now})
}

func (e *echo) Receive(env *node.Env, from node.ID, m any) {
	env.Record("heard", fmt.Sprintf("%d from %s", m.(told).N, from))
	if m.(told).N < 0 {
		env.BroadcastOthers(m)
	}
}

func (e *echo) Timer(env *node.Env, name string) {
	env.Record(name, env.Now)
	env.After(100*time.Millisecond, name)
}

// bench drives a world by hand.
type bench struct {
	testing.TB
	*World
	process histories.Process
	log     []histories.Op
}

func cluster(t testing.TB, seed uint64, n int, change func(*Config)) *bench {
	cfg := Config{Seed: seed, New: func() node.Node { return &echo{} }, Messages: echoMessages}
	for i := range n {
		cfg.Nodes = append(cfg.Nodes, fmt.Sprintf("n%d", i+1))
	}
	if change != nil {
		change(&cfg)
	}
	b := &bench{TB: t, World: New(cfg)}
	t.Cleanup(func() { _ = b.Close() })
	b.run(100 * time.Millisecond)
	return b
}

// run lets time pass.
func (b *bench) run(d time.Duration) {
	b.Helper()
	until := b.Now().Add(d)
	for {
		op, ok, err := b.Wait(context.Background(), until)
		if err != nil {
			b.Fatal(err)
		}
		if !ok {
			return
		}
		op.Time = b.Now()
		b.log = append(b.log, op)
	}
}

// ask does an operation and returns its completion.
func (b *bench) ask(at, f string, v any) histories.Op {
	b.Helper()
	op := histories.Op{Process: b.process, Type: histories.Invoke, F: f, Node: at, Value: histories.Encode(v)}
	b.process++
	return b.finish(op)
}

func (b *bench) finish(op histories.Op) histories.Op {
	b.Helper()
	b.Invoke(op)
	for range 1000 {
		got, ok, err := b.Wait(context.Background(), b.Now().Add(20*time.Second))
		if err != nil || !ok {
			b.Fatalf("%s does not complete: %v", op.F, err)
		}
		got.Time = b.Now()
		b.log = append(b.log, got)
		if got.Process == op.Process {
			return got
		}
	}
	b.Fatal("too many records")
	panic("unreachable")
}

func (b *bench) inject(f nemesis.Fault) nemesis.Evidence {
	b.Helper()
	return b.evidence(nemesis.InjectOp(f))
}

func (b *bench) cureFault(f nemesis.Fault) nemesis.Evidence {
	b.Helper()
	return b.evidence(nemesis.CureOp(f))
}

func (b *bench) evidence(op histories.Op) nemesis.Evidence {
	b.Helper()
	got := b.finish(op)
	if got.Type != histories.OK {
		b.Fatalf("%s %s: %s %s %s", op.Process, op.F, got.Type, got.Error, got.Value)
	}
	e, err := histories.Decode[nemesis.Evidence](got)
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// records are the values of the records f of a process, in order.
func (b *bench) records(process, f string) (values []string) {
	for _, op := range b.log {
		if op.Process.String() == process && op.F == f {
			values = append(values, string(op.Value))
		}
	}
	return values
}

func fault(k nemesis.Kind, targets ...string) nemesis.Fault {
	return nemesis.Fault{ID: string(k) + "-1", Kind: k, Targets: targets}
}

// A killed process keeps its page cache; a machine without power keeps only
// what was synced, and sometimes more.
func TestKillKeepsAndPowerLoses(t *testing.T) {
	lost := 0
	for seed := range uint64(40) {
		b := cluster(t, seed, 1, nil)
		b.ask("n1", "synced", 1)
		b.ask("n1", "write", 2)
		for _, k := range []nemesis.Kind{nemesis.Kill, nemesis.Power} {
			b.inject(fault(k, "n1"))
			if got := b.ask("n1", "read", 0); got.Type != histories.Fail {
				t.Fatalf("seed %d: a node that is down answers %s %s", seed, got.Type, got.Value)
			}
			b.cureFault(fault(k, "n1"))
			keys := string(b.ask("n1", "read", 0).Value)
			switch {
			case k == nemesis.Kill && keys != "10":
				t.Fatalf("seed %d: %s keys after a kill, want 10", seed, keys)
			case k == nemesis.Power && keys < "5" && len(keys) == 1:
				t.Fatalf("seed %d: %s keys after power loss: synced ones are missing", seed, keys)
			case k == nemesis.Power && keys != "10":
				lost++
			}
		}
	}
	if lost == 0 || lost == 40 {
		t.Errorf("%d of 40 power losses lost something: want some, and not all", lost)
	}
}

// A crash comes between any two effects of a step, the first and the last too,
// however many there are.
func TestCrashBetweenEffects(t *testing.T) {
	left := map[string]bool{}
	for seed := range uint64(400) {
		b := cluster(t, seed, 1, nil)
		b.Invoke(nemesis.InjectOp(fault(nemesis.Kill, "n1")))
		b.Invoke(histories.Op{Process: 1, Type: histories.Invoke, F: "many", Node: "n1", Value: []byte("1")})
		b.run(50 * time.Millisecond)
		b.cureFault(fault(nemesis.Kill, "n1"))
		left[string(b.ask("n1", "read", 0).Value)] = true
	}
	for n := 1; n <= 20; n++ {
		if !left[fmt.Sprint(n)] {
			t.Errorf("no crash left %d of 20 writes: %v", n, left)
		}
	}
}

// Who comes back from a crash may die once more between the effects of its
// start, and is back when the cure completes all the same.
func TestCrashWhileStarting(t *testing.T) {
	again, starts := 0, 0
	for seed := range uint64(100) {
		b := cluster(t, seed, 1, nil)
		b.inject(fault(nemesis.Power, "n1"))
		b.cureFault(fault(nemesis.Power, "n1"))
		if got := b.ask("n1", "read", 0); got.Type != histories.OK {
			t.Fatalf("seed %d: after the cure a node answers %s %s", seed, got.Type, got.Error)
		}
		starts += len(b.records("n1", "start")) - 1
		switch crashes := b.records("n1", "crash"); {
		case len(crashes) == 2 && crashes[1] == `{"kind":"power"}`:
			again++
		case len(crashes) != 1:
			t.Fatalf("seed %d: crashes %v, want one or two by power", seed, crashes)
		}
	}
	if again < 10 || again > 50 || starts == 100 {
		t.Errorf("%d of 100 died again, after %d records that they had started", again, starts)
	}
}

// A cure that comes before its victim has died does not leave it dead.
func TestEarlyCure(t *testing.T) {
	for seed := range uint64(20) {
		b := cluster(t, seed, 1, nil)
		b.Invoke(nemesis.InjectOp(fault(nemesis.Kill, "n1")))
		b.Invoke(nemesis.CureOp(fault(nemesis.Kill, "n1")))
		b.run(time.Second)
		if got := b.ask("n1", "read", 0); got.Type != histories.OK {
			t.Fatalf("seed %d: n1 answers %s %s", seed, got.Type, got.Error)
		}
	}
}

func TestPartition(t *testing.T) {
	for _, held := range []bool{false, true} {
		b := cluster(t, 1, 3, nil)
		cut := fault(nemesis.Partition)
		cut.Params = nemesis.Params{Drop: map[string][]string{"n2": {"n1", "n2"}}, Held: held} // and itself, which nothing can cut
		if e := b.inject(cut); !e.Verified {
			t.Fatalf("not verified: %+v", e)
		}
		b.ask("n1", "tell", 7)
		b.ask("n2", "tell", 8)
		b.run(time.Second)
		if got := b.records("n2", "heard"); len(got) != 0 {
			t.Errorf("n2 hears %v through a cut", got)
		}
		if got := b.records("n1", "heard"); !slices.Equal(got, []string{`"8 from n2"`}) {
			t.Errorf("n1 hears %v; the cut is one-way", got)
		}
		if b.link(1, 1).fault.cut {
			t.Error("n2 is cut off from itself")
		}
		b.cureFault(cut)
		b.run(time.Second)
		if got := len(b.records("n2", "heard")); (got == 1) != held {
			t.Errorf("held %v: n2 has heard %d messages after the cure", held, got)
		}
		if got := b.records("world", "heal"); len(got) != 1 {
			t.Errorf("%d heal records, want 1", len(got))
		}
	}
}

// What a partition holds, and what was on its way when it began, arrives in the
// order in which it was sent, as on one TCP connection.
func TestHeldMessagesKeepTheirOrder(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	cut := fault(nemesis.Partition)
	cut.Params = nemesis.Params{Drop: map[string][]string{"n2": {"n1"}}, Held: true}
	var want []string
	for i := range 20 {
		switch i {
		case 10:
			b.Invoke(nemesis.InjectOp(cut))
		case 15:
			b.run(10 * time.Millisecond) // all has come as far as it can
			b.Invoke(nemesis.CureOp(cut))
		}
		b.Invoke(histories.Op{Process: histories.Process(i), Type: histories.Invoke, F: "tell", Node: "n1", Value: histories.Encode(i)})
		b.run(50 * time.Microsecond)
		want = append(want, fmt.Sprintf(`"%d from n1"`, i))
	}
	b.run(time.Second)
	if got := b.records("n2", "heard"); !slices.Equal(got, want) {
		t.Errorf("n2 hears %v", got)
	}
}

// Two leases on one node do not release each other's.
func TestLeasesAreAUnion(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	b.inject(fault(nemesis.Kill, "n1"))
	b.inject(fault(nemesis.Stop, "n1"))
	e := b.cureFault(fault(nemesis.Kill, "n1"))
	if !e.Verified || !slices.Equal(e.Holders, []string{"stop-1"}) {
		t.Errorf("evidence %+v: want stop-1 as the holder", e)
	}
	if got := b.ask("n1", "read", 0); got.Type != histories.Fail {
		t.Errorf("n1 is up while a lease keeps it down: %s", got.Type)
	}
	b.cureFault(fault(nemesis.Stop, "n1"))
	if got := b.ask("n1", "read", 0); got.Type != histories.OK {
		t.Errorf("n1 is down after the last cure: %s %s", got.Type, got.Error)
	}
}

func TestPauseHoldsAndResumes(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	b.inject(fault(nemesis.Pause, "n1"))
	before := len(b.records("n1", "tick"))
	if got := b.ask("n1", "write", 1); got.Type != histories.Info || got.Error != "timeout" {
		t.Errorf("a paused node answers: %s %s", got.Type, got.Error)
	}
	b.ask("n2", "tell", 3)
	b.run(time.Second)
	if got := b.records("n1", "heard"); len(got) != 0 || len(b.records("n1", "tick")) != before {
		t.Errorf("a paused node lives: %v", got)
	}
	b.cureFault(fault(nemesis.Pause, "n1"))
	if got := string(b.ask("n1", "read", 0).Value); got != "5" {
		t.Errorf("after the pause there are %s keys: what was sent to it meanwhile is done late", got)
	}
	if got := b.records("n1", "heard"); len(got) != 1 {
		t.Errorf("heard %v after the pause, want one message", got)
	}
}

func TestClock(t *testing.T) {
	for _, p := range []nemesis.Params{
		{Shape: "jump", Offset: nemesis.Duration(-time.Hour)},
		{Shape: "strobe", Offset: nemesis.Duration(time.Second), Period: nemesis.Duration(10 * time.Millisecond)},
		{Shape: "drift", Drift: 0.5},
	} {
		b := cluster(t, 1, 2, nil)
		f := fault(nemesis.Clock, "n1")
		f.Params = p
		ticks := func() int { return len(b.records("n1", "tick")) }
		wall := func() (w time.Duration) {
			_ = json.Unmarshal(b.ask("n1", "wall", 0).Value, &w)
			return w
		}
		before := wall()
		if e := b.inject(f); !e.Verified {
			t.Fatalf("%s is not verified: %+v", p.Shape, e)
		}
		if p.Shape == "jump" {
			if off := wall() - before; off > -59*time.Minute {
				t.Errorf("the wall clock jumped by %v, want about -1h", off)
			}
		}
		from := ticks()
		b.run(10 * time.Second)
		want := 100
		if p.Shape == "drift" {
			want = 150
		}
		if got := ticks() - from; got < want-5 || got > want+5 {
			t.Errorf("%s: %d ticks in 10s, want about %d", p.Shape, got, want)
		}
		if e := b.cureFault(f); !e.Verified {
			t.Errorf("%s is not gone: %+v", p.Shape, e)
		}
	}
}

// When a timer fires, its node's clock shows that it is due.
func TestTimersAreNotEarly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		c := clock{base: histories.Time(r.Int64N(1e12)), local: time.Duration(r.Int64N(1e13)), drift: -0.9 + 10*r.Float64()}
		due := c.local + time.Duration(r.Int64N(1e11))
		if got := c.now(c.when(due)); got < due || got > due+20 {
			t.Fatalf("clock %+v: due at %d, rings at %d", c, due, got)
		}
	}
}

// A timer of the longest Duration does not fire, and one of none does at once.
func TestLongTimer(t *testing.T) {
	b := cluster(t, 1, 1, nil)
	for _, c := range []struct{ after, rings int }{{math.MaxInt64, 0}, {0, 1}} {
		before := len(b.records("n1", "alarm"))
		b.ask("n1", "sleep", c.after)
		b.run(50 * time.Millisecond)
		if got := len(b.records("n1", "alarm")) - before; got != c.rings {
			t.Errorf("a timer of %d has fired %d times, want %d", c.after, got, c.rings)
		}
	}
}

func TestLinks(t *testing.T) {
	for _, f := range []nemesis.Fault{
		{Kind: nemesis.Loss, Params: nemesis.Params{Probability: 0.5}},
		{Kind: nemesis.Duplicate, Params: nemesis.Params{Probability: 0.5}},
		{Kind: nemesis.Reorder, Params: nemesis.Params{Probability: 0.3, Delay: nemesis.Duration(50 * time.Millisecond)}},
		{Kind: nemesis.Delay, Params: nemesis.Params{Delay: nemesis.Duration(300 * time.Millisecond), Jitter: nemesis.Duration(100 * time.Millisecond)}},
		{Kind: nemesis.Bandwidth, Params: nemesis.Params{Rate: 1000}},
	} {
		b := cluster(t, 1, 2, nil)
		f.ID, f.Targets = "x", []string{"n1"}
		if e := b.inject(f); !e.Verified {
			t.Fatalf("%s is not verified: %+v", f.Kind, e)
		}
		from := "n2"
		if f.Kind == nemesis.Bandwidth {
			from = "n1"
		}
		began := b.Now()
		for i := range 200 {
			b.ask(from, "tell", i)
		}
		b.run(5 * time.Second)
		heard := b.records(map[string]string{"n1": "n2", "n2": "n1"}[from], "heard")
		first, last := histories.Time(-1), histories.Time(0)
		for _, op := range b.log {
			if op.F == "heard" {
				if first < 0 {
					first = op.Time
				}
				last = op.Time
			}
		}
		switch f.Kind {
		case nemesis.Loss:
			if len(heard) < 60 || len(heard) > 140 {
				t.Errorf("%d of 200 messages survived a loss of 50%%", len(heard))
			}
		case nemesis.Duplicate:
			if len(heard) < 260 || len(heard) > 340 {
				t.Errorf("200 messages became %d at 50%% duplication", len(heard))
			}
		case nemesis.Delay:
			if first-began < histories.Time(200*time.Millisecond) {
				t.Errorf("the first message took %v, want at least 200ms", first-began)
			}
		case nemesis.Bandwidth:
			if last-began < histories.Time(time.Second) {
				t.Errorf("200 messages passed in %v at 1 kB/s", last-began)
			}
		}
		if e := b.cureFault(f); !e.Verified {
			t.Errorf("%s is not gone: %+v", f.Kind, e)
		}
	}
}

// A fault that is in force is seen, whatever the dice.
func TestLinkFaultsAreSeen(t *testing.T) {
	for seed := range uint64(200) {
		b := cluster(t, seed, 5, func(c *Config) { c.Swarm = true })
		for _, k := range []nemesis.Kind{nemesis.Loss, nemesis.Duplicate, nemesis.Reorder} {
			f := fault(k, b.Nodes()...)
			f.Params.Probability = 0.2
			if k == nemesis.Reorder {
				f.Params.Delay = nemesis.Duration(10 * time.Millisecond)
			}
			b.inject(f)
		}
	}
}

func TestClientCut(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	b.inject(fault(nemesis.Client, "n1"))
	if got := b.ask("n1", "write", 1); got.Type != histories.Info {
		t.Errorf("a node cut from clients answers: %s", got.Type)
	}
	b.ask("n2", "tell", 1)
	b.run(time.Second)
	if len(b.records("n1", "heard")) != 1 {
		t.Error("a client cut must not touch links between nodes")
	}
	b.cureFault(fault(nemesis.Client, "n1"))
	if got := b.ask("n1", "read", 0); got.Type != histories.OK || string(got.Value) != "0" {
		t.Errorf("after the cure: %s %s", got.Type, got.Value)
	}
}

func TestPanicIsRecordedAndEndsTheNode(t *testing.T) {
	b := cluster(t, 1, 1, nil)
	if got := b.ask("n1", "panic", 0); got.Type != histories.Info {
		t.Errorf("the client of a node that panics gets %s", got.Type)
	}
	if got := b.records("n1", "panic"); len(got) != 1 || !strings.Contains(got[0], "echo).Request sim_test.go:") || strings.Contains(got[0], "0x") {
		t.Errorf("panic records %v: want one that tells where, without addresses", got)
	}
	if len(b.records("n1", "crash")) != 1 {
		t.Error("a panic leaves a crash record")
	}
	if got := b.ask("n1", "read", 0); got.Type != histories.Fail {
		t.Errorf("a node that panicked answers %s", got.Type)
	}
}

func TestMessageStormIsNamed(t *testing.T) {
	b := cluster(t, 1, 4, nil)
	b.ask("n1", "storm", 0)
	var err error
	for err == nil && b.Now() < histories.Time(time.Minute) {
		_, _, err = b.Wait(context.Background(), b.Now().Add(time.Second))
	}
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("told")) {
		t.Errorf("error %v: want one that names the message told", err)
	}
}

// A draw depends on its name and time, not on what else is drawn, nor on what
// was drawn in an earlier tick.
func TestDrawsGoByNameAndTime(t *testing.T) {
	plain, busy := cluster(t, 3, 2, nil), cluster(t, 3, 2, nil)
	busy.ask("n2", "draw", 0)
	busy.ask("n1", "tell", 0)
	if a, b := plain.ask("n1", "draw", 0), busy.ask("n1", "draw", 0); string(a.Value) != string(b.Value) {
		t.Errorf("n1 draws %s, and %s when others drew before", a.Value, b.Value)
	}
	s, fresh := named(1, "x"), named(1, "x")
	at := histories.Time(5 * tick)
	first, second := s.draw(at), s.draw(at.Add(tick-1))
	if first == second {
		t.Error("two draws of a tick are the same")
	}
	if late := at.Add(tick); s.draw(late) != fresh.draw(late) {
		t.Error("a tick's first draw depends on the tick before")
	}
}

func TestOneSeedOneRun(t *testing.T) {
	play := func(seed uint64) string {
		b := cluster(t, seed, 3, func(c *Config) { c.Swarm = true })
		loss := fault(nemesis.Loss, "n1")
		loss.Params.Probability = 0.3
		b.inject(loss)
		for i := range 50 {
			b.ask(fmt.Sprintf("n%d", i%3+1), "tell", i)
		}
		b.inject(fault(nemesis.Power, "n2"))
		b.cureFault(fault(nemesis.Power, "n2"))
		b.run(time.Second)
		var out []byte
		for _, op := range b.log {
			out = histories.AppendJSON(out, op)
		}
		return string(out)
	}
	first, again := play(5), play(5)
	if first != again {
		t.Error("two runs of one seed differ")
	}
	if first == play(6) {
		t.Error("two seeds give the same run")
	}
}

func TestMembershipNeedsOperations(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	op := b.finish(nemesis.InjectOp(fault(nemesis.Membership, "n1")))
	if op.Type != histories.Fail || op.Error == "" {
		t.Errorf("membership without operations: %s %q", op.Type, op.Error)
	}
	b = cluster(t, 1, 3, func(c *Config) { c.Leave, c.Join = "leave", "join" })
	f := fault(nemesis.Membership, "n2")
	f.Targets = []string{"n2"}
	// echo cannot decode a name, and refuses: nobody leaves.
	if op := b.finish(nemesis.InjectOp(f)); op.Type != histories.Info {
		t.Errorf("membership that every node refuses: %s", op.Type)
	}
}

// BenchmarkEvents is the simulator's own speed: nodes that do next to nothing.
func BenchmarkEvents(b *testing.B) {
	for _, record := range []bool{false, true} {
		b.Run(fmt.Sprintf("records=%v", record), func(b *testing.B) {
			cfg := Config{Seed: 1, Nodes: []string{"n1", "n2", "n3", "n4", "n5"}, Messages: node.Messages(ball(0)),
				New: func() node.Node { return &player{record: record} }, MessagesMax: 1 << 30}
			w := New(cfg)
			defer w.Close()
			b.ReportAllocs()
			b.ResetTimer()
			for begin := w.Steps(); w.Steps()-begin < uint64(b.N); {
				if _, _, err := w.Wait(context.Background(), w.Now().Add(time.Millisecond)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// player passes each ball on to the next node.
type player struct{ record bool }

type ball uint8

func (b ball) AppendBinary(dst []byte) ([]byte, error) { return append(dst, byte(b)), nil }
func (b *ball) UnmarshalBinary(p []byte) error         { *b = ball(p[0]); return nil }

func (p *player) Start(env *node.Env) {
	for i := range 10 {
		env.Send(env.Peers[0], ball(i))
	}
}
func (p *player) Request(*node.Env, node.Request) {}
func (p *player) Receive(env *node.Env, _ node.ID, m any) {
	if p.record {
		env.Record("ball", int(m.(ball)))
	}
	env.Send(env.Peers[(slices.Index(env.Peers, env.ID)+1)%len(env.Peers)], m)
}
func (p *player) Timer(*node.Env, string) {}
