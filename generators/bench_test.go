package generators

import (
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
)

// realistic is the generator of a run as the command line makes it.
func realistic(perSecond float64) Generator {
	ops := Mix(CAS(Zipfian(100, 0.9), 100), Register(Uniform(100), 100))
	return Phases(
		TimeLimit(100000*time.Hour, Any(
			Clients(Rate(perSecond, ops)),
			Nemesis(Stagger(10*time.Second, Count("inject", 0))),
			Nemesis(Stagger(10*time.Second, Count("inject", 0))),
		)),
		Nemesis(Once("cure", nil)),
		Clients(EachThread(Final(Once("read", nil)))),
	)
}

// BenchmarkTree is what the run loop does with the realistic generator for an
// event: it asks, follows the answer or a completion with Context.After, and
// tells. 100 clients are busy half of the time.
func BenchmarkTree(b *testing.B) {
	var nemeses []histories.Process
	for _, kind := range []string{"kill", "partition", "pause", "clock"} {
		nemeses = append(nemeses, histories.Named("nemesis/"+kind))
	}
	ctx := NewContext(1, []string{"n1", "n2", "n3"}, 100, nemeses, nil)
	g := realistic(50000)
	const latency = time.Millisecond
	var flying []Op
	events := 0
	b.ReportAllocs()
	for b.Loop() {
		op, rest := Ask(g, ctx)
		var ev Op
		switch {
		case op != nil && (len(flying) == 0 || op.Time <= flying[0].Time):
			g, ev = rest, *op
			ctx.Time = max(ctx.Time, ev.Time)
			done := ev
			done.Type, done.Time = histories.OK, ctx.Time.Add(latency)
			flying = append(flying, done)
		case len(flying) > 0:
			if op == nil {
				g = rest
			}
			ev, flying = flying[0], flying[1:]
		default:
			b.Fatal("the generator has ended")
		}
		ctx = ctx.After(ev)
		g = Tell(g, ctx, ev)
		events++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}

// BenchmarkReplay is a question to a recording of 100,000 operations.
func BenchmarkReplay(b *testing.B) {
	var ops []Op
	for i := range 100_000 {
		ops = append(ops, Op{Time: histories.Time(i), Process: histories.Process(i % 100), Type: histories.Invoke, F: "read"})
	}
	ctx := NewContext(1, []string{"n1"}, 100, nil, nil)
	whole := Replay(ops)
	g := whole
	b.ReportAllocs()
	for b.Loop() {
		if _, g = g.Op(ctx); g == nil {
			g = whole
		}
	}
}
