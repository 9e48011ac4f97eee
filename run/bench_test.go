package run_test

import (
	"context"
	"fmt"
	"testing"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
)

// idle is a world in which every operation is over at once: what is left is
// the loop.
type idle struct {
	nodes []string
	done  []histories.Op
	now   histories.Time
}

func (w *idle) Nodes() []string            { return w.nodes }
func (w *idle) Primaries() []string        { return nil }
func (w *idle) Now() histories.Time        { return w.now }
func (w *idle) Stamp(*histories.Op)        {}
func (w *idle) Heal(context.Context) error { return nil }
func (w *idle) Close() error               { return nil }

func (w *idle) Invoke(op histories.Op) {
	op.Type = histories.OK
	w.done = append(w.done, op)
}

func (w *idle) Wait(_ context.Context, until histories.Time) (histories.Op, bool, error) {
	if len(w.done) > 0 {
		op := w.done[0]
		w.done = append(w.done[:0], w.done[1:]...)
		w.now += 100
		return op, true, nil
	}
	w.now = max(w.now, until)
	return histories.Op{}, false, nil
}

// BenchmarkLoop is the loop with its store on and a client that does nothing:
// recorded operations (events of the history) a second.
func BenchmarkLoop(b *testing.B) {
	for _, clients := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			store, err := histories.Create(b.TempDir()+"/run", histories.Manifest{ID: "bench"})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			plan := run.Plan{Seed: 1, Clients: clients, Generator: gen.Phases(gen.Clients(
				gen.TimeLimit(1<<62, gen.Limit(b.N/2, gen.Rate(1e9, gen.Register(gen.Uniform(10), 100))))))}
			b.ReportAllocs()
			b.ResetTimer()
			if err := run.Loop(context.Background(), plan, &idle{nodes: []string{"n1", "n2", "n3"}}, store.Record); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// odd gives an operation of a process that does not exist.
type odd struct{}

func (odd) Op(gen.Context) (*gen.Op, gen.Generator) {
	return &gen.Op{Process: 77, Type: histories.Invoke, F: "read"}, nil
}
func (o odd) Update(gen.Context, gen.Op) gen.Generator { return o }
