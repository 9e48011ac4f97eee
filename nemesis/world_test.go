package nemesis

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
)

// world is a small simulated interpreter: it runs a generator of faults for
// some time, with injections and cures that take a while and come out as
// outcome says.
type world struct {
	testing.TB
	seed      uint64
	nodes     []string
	nemeses   []histories.Process
	primaries func(histories.Time) []string
	latency   func(*rand.Rand) time.Duration
	outcome   func(r *rand.Rand, op histories.Op) histories.Type
	// check sees the faults that may be in force after every step, and which of
	// them, by id, are being cured, or were to be.
	check func(now histories.Time, inForce []Fault, curing map[string]bool)
}

func newWorld(t testing.TB, seed uint64, p Plan) *world {
	return &world{
		TB: t, seed: seed, nodes: p.Nodes, nemeses: p.Processes(),
		primaries: func(now histories.Time) []string {
			leader := int(now/histories.Time(5*time.Second)) % (len(p.Nodes) + 1)
			return p.Nodes[min(leader, len(p.Nodes)):min(leader+1, len(p.Nodes))]
		},
		latency: func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(200 * time.Millisecond))) },
		outcome: func(*rand.Rand, histories.Op) histories.Type { return histories.OK },
		check:   func(histories.Time, []Fault, map[string]bool) {},
	}
}

// run returns what was invoked and completed until the generator ran out, or
// until the time given.
func (w *world) run(g gen.Generator, until time.Duration) []histories.Op {
	r := rand.New(rand.NewPCG(w.seed, 1))
	ctx := gen.NewContext(w.seed, w.nodes, 0, w.nemeses, nil)
	var history, flying []histories.Op
	var inForce []Fault
	cures := map[string]bool{}
	for steps := 0; ; steps++ {
		if steps > 1e5 {
			w.Fatalf("seed %d: the generator does not let time pass beyond %s", w.seed, ctx.Time)
		}
		ctx.Primaries = w.primaries(ctx.Time)
		op, rest := gen.Ask(g, ctx)
		again, _ := gen.Ask(g, ctx)
		if (op == nil) != (again == nil) || op != nil && (op.Time != again.Time || op.Process != again.Process || !bytes.Equal(op.Value, again.Value)) {
			w.Fatalf("seed %d: asked twice, the generator said\n%v\n%v", w.seed, op, again)
		}
		if op == nil && rest == nil {
			g = nil
		}
		slices.SortStableFunc(flying, func(a, b histories.Op) int { return int(a.Time - b.Time) })
		switch {
		case len(flying) > 0 && (op == nil || flying[0].Time <= op.Time):
			done := flying[0]
			flying = flying[1:]
			ctx = ctx.After(done)
			f, _ := histories.Decode[Fault](done)
			if done.F == Inject && done.Type == histories.Fail || done.F == Cure && done.Type == histories.OK {
				inForce = slices.DeleteFunc(inForce, func(o Fault) bool { return o.ID == f.ID })
			}
			g = gen.Tell(g, ctx, done)
			history = append(history, done)
		case op == nil && len(flying) == 0 && g != nil:
			w.Fatalf("seed %d: at %s the generator waits, and nothing will happen", w.seed, ctx.Time)
		case op == nil:
			return history
		case op.Time >= histories.Time(until):
			return history
		case op.Type == gen.Sleeping:
			g, ctx.Time = rest, max(ctx.Time, op.Time)
		default:
			ctx = ctx.After(*op)
			g = gen.Tell(rest, ctx, *op)
			history = append(history, *op)
			if f, _ := Decode(*op); op.F == Cure {
				cures[f.ID] = true
			}
			if op.F == Inject {
				f, err := Decode(*op)
				if err := errors.Join(err, f.On(w.nodes)); err != nil {
					w.Fatalf("seed %d: %v", w.seed, err)
				}
				inForce = append(inForce, f)
			}
			done := *op
			done.Time, done.Type = op.Time.Add(w.latency(r)), w.outcome(r, *op)
			flying = append(flying, done)
		}
		w.check(ctx.Time, inForce, cures)
	}
}

// names are n nodes.
func names(n int) []string {
	var nodes []string
	for i := range n {
		nodes = append(nodes, fmt.Sprintf("n%d", i+1))
	}
	return nodes
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// transcript prints what was invoked.
func transcript(ops []histories.Op) string {
	s := ""
	for _, op := range ops {
		if op.Type == histories.Invoke {
			s += fmt.Sprintf("%9.3fs %-6s %s\n", time.Duration(op.Time).Seconds(), op.F, op.Value)
		} else if op.Type != histories.OK {
			s += fmt.Sprintf("%9.3fs %-6s … %s\n", time.Duration(op.Time).Seconds(), op.F, op.Type)
		}
	}
	return s
}

func latency(d time.Duration) func(*rand.Rand) time.Duration {
	return func(*rand.Rand) time.Duration { return d }
}

// outcomeFailing lets the fault of that id fail, and all else succeed.
func outcomeFailing(id string) func(*rand.Rand, histories.Op) histories.Type {
	return func(_ *rand.Rand, op histories.Op) histories.Type {
		if f, _ := histories.Decode[Fault](op); id != "" && f.ID == id {
			return histories.Fail
		}
		return histories.OK
	}
}
