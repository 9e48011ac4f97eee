package sim

import (
	"context"
	"encoding/json"
	"fmt"
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
type echo struct{ spin time.Duration }

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
	case "again":
		env.Reply(r, n)
		env.Fail(r, "no")
		env.Reply(r, 5)
		return
	case "stray":
		env.Reply(node.Request{ID: 1000}, n)
	case "spin":
		e.spin = time.Duration(n)
		env.After(0, "spin")
	case "twice":
		env.Reply(r, json.RawMessage(`{"a":1,"a":2}`))
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
	if name == "spin" {
		env.After(e.spin, name)
		return
	}
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

// short is evidence in few words, what is not as it should be with an exclamation
// mark.
func short(e nemesis.Evidence) string {
	var all []string
	for _, c := range e.Checks {
		s := c.Node
		if c.Peer != "" {
			s += "<" + c.Peer
		}
		s += " " + c.Want + ": " + c.Got
		if !c.OK {
			s += "!"
		}
		all = append(all, s)
	}
	if len(e.Holders) > 0 {
		all = append(all, fmt.Sprint(e.Holders))
	}
	return strings.Join(all, "; ")
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

// A node takes and gives values that are written in one way.
func TestValuesAreCanonical(t *testing.T) {
	w := cluster(t, 1, 1, nil)
	if got := w.ask("n1", "sleep", json.RawMessage(`1.0e1`)); got.Type != histories.OK {
		t.Errorf("the node did not take 1.0e1 for 10: %s", got.Error)
	}
	got := w.ask("n1", "sleep", json.RawMessage(`{"a":1,"a":2}`))
	if want := `not understood: value {"a":1,"a":2}: member "a" appears twice`; got.Type != histories.Fail || got.Error != want {
		t.Errorf("a doubled member: %s %q, want a failure %q", got.Type, got.Error, want)
	}
	got = w.ask("n1", "twice", 1)
	if want := `member "a" appears twice`; got.Type != histories.Info || !strings.Contains(got.Error, want) {
		t.Errorf("an answer with a doubled member: %s %q, want info and %q", got.Type, got.Error, want)
	}
}

func TestPanicIsRecordedAndEndsTheNode(t *testing.T) {
	b := cluster(t, 1, 1, nil)
	if got := b.ask("n1", "panic", 0); got.Type != histories.Info {
		t.Errorf("the client of a node that panics gets %s", got.Type)
	}
	if got := b.records("n1", "panic"); len(got) != 1 || !strings.Contains(got[0], `"sim.(*echo).Request (sim/sim_test.go:`) || strings.Contains(got[0], "0x") {
		t.Errorf("panic records %v: want one that tells where, without addresses", got)
	}
	if len(b.records("n1", "crash")) != 1 {
		t.Error("a panic leaves a crash record")
	}
	if got := b.ask("n1", "read", 0); got.Type != histories.Fail {
		t.Errorf("a node that panicked answers %s", got.Type)
	}
}

// A world in which messages breed says so, once, and by whom.
func TestMessageStormIsNamed(t *testing.T) {
	b := cluster(t, 1, 4, nil)
	b.Invoke(histories.Op{Type: histories.Invoke, F: "storm", Node: "n1", Value: histories.Encode(0)})
	b.untilEnd("message-storm", `{"messages":100001,"most":"n`, `'s told"}`)
	if len(b.records("n1", "sent")) < 100 {
		t.Errorf("n1 recorded %d times that it had sent messages: want more than 100", len(b.records("n1", "sent")))
	}
}

// A timer that sets itself anew for now, for ever, ends the world too, and so
// does one that lets hardly any time pass.
func TestLivelockIsNamed(t *testing.T) {
	for _, pause := range []int{0, 1, 10_000} {
		b := cluster(t, 1, 2, nil)
		b.Invoke(histories.Op{Type: histories.Invoke, F: "spin", Node: "n2", Value: histories.Encode(pause)})
		if got := b.untilEnd("livelock", `{"handler":"Timer spin","times":20001}`); got.Node != "n2" {
			t.Errorf("caught in a livelock is %s, want n2", got.Node)
		}
	}
}

// untilEnd lets time pass until the world has recorded why it ends.
func (b *bench) untilEnd(f string, value ...string) histories.Op {
	b.Helper()
	for range 1_000_000 {
		op, ok, err := b.Wait(context.Background(), b.Now().Add(time.Second))
		if err != nil || !ok {
			b.Fatalf("no record %s: %v", f, err)
		}
		b.log = append(b.log, op)
		if op.Process != histories.World {
			continue
		}
		for _, part := range value {
			if op.F != f || !strings.Contains(string(op.Value), part) {
				b.Errorf("the world records %s %s, want %s %s", op.F, op.Value, f, value)
			}
		}
		return op
	}
	b.Fatalf("no record %s", f)
	panic("unreachable")
}

// An answer to a request that has one is recorded, and so is one to a request
// that never was; not what an earlier life was asked.
func TestAnswers(t *testing.T) {
	b := cluster(t, 1, 1, nil)
	b.ask("n1", "again", 3)
	b.ask("n1", "stray", 4)
	if got, want := b.records("n1", "answered-twice"), []string{`{"request":1,"type":"fail","error":"no"}`, `{"request":1,"type":"ok","value":5}`}; !slices.Equal(got, want) {
		t.Errorf("answered twice: %v, want %v", got, want)
	}
	if got, want := b.records("n1", "answered-unasked"), []string{`{"request":1000,"type":"ok","value":4}`}; !slices.Equal(got, want) {
		t.Errorf("answered unasked: %v, want %v", got, want)
	}
	b.inject(fault(nemesis.Kill, "n1"))
	b.cureFault(fault(nemesis.Kill, "n1"))
	b.ask("n1", "stray", 5)
	if got := len(b.records("n1", "answered-unasked")); got != 1 {
		t.Errorf("%d answers to requests of nobody, want still 1: it may be of an earlier life", got)
	}
}

// Others may see which handler is under way, and whether it is still the same.
func TestHandling(t *testing.T) {
	inside, out := make(chan bool), make(chan bool)
	b := cluster(t, 1, 2, func(c *Config) {
		sound := c.New
		c.New = func() node.Node { return &waiting{sound(), inside, out} }
	})
	if n, handler, step := b.Handling(); n != "" || handler != "" || step != 0 {
		t.Errorf("between steps %s is in %s, step %d", n, handler, step)
	}
	over := make(chan bool)
	go func() {
		defer close(over)
		for range 2 {
			b.Invoke(histories.Op{Type: histories.Invoke, F: "wait", Node: "n2", Value: histories.Encode(0)})
		}
	}()
	var steps [2]uint64
	for i := range steps {
		<-inside
		n, handler, step := b.Handling()
		if n != "n2" || handler != "Request wait" {
			t.Errorf("%s is in %s: want n2 in Request wait", n, handler)
		}
		if _, _, still := b.Handling(); still != step {
			t.Errorf("step %d became %d while a node was in it", step, still)
		}
		steps[i] = step
		out <- true
	}
	<-over
	if steps[0] == steps[1] {
		t.Error("two steps have one number")
	}
}

// waiting is a node whose requests wait for the test.
type waiting struct {
	node.Node
	inside, out chan bool
}

func (w *waiting) Request(*node.Env, node.Request) {
	w.inside <- true
	<-w.out
}
