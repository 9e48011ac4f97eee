package docker

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/torture-harness/torture/histories"
)

// BenchmarkCluster starts and removes five nodes.
func BenchmarkCluster(b *testing.B) {
	cfg := config(b, 5)
	cfg.Log = zap.NewNop()
	var up, down time.Duration
	for b.Loop() {
		begun := time.Now()
		w, err := New(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		up += time.Since(begun)
		begun = time.Now()
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		down += time.Since(begun)
	}
	b.ReportMetric(up.Seconds()/float64(b.N), "s-up/op")
	b.ReportMetric(down.Seconds()/float64(b.N), "s-down/op")
}

// BenchmarkOps is operations of ten clients that do not rest.
func BenchmarkOps(b *testing.B) {
	cfg := config(b, 3)
	cfg.Log = zap.NewNop()
	d := start(b, cfg)
	invoke := func(p histories.Process) {
		op := histories.Op{Process: p, Type: histories.Invoke, F: "read", Node: cfg.Nodes[int(p)%3]}
		d.w.Stamp(&op)
		d.w.Invoke(op)
	}
	b.ResetTimer()
	for p := range 10 {
		invoke(histories.Process(p))
	}
	for range b.N {
		op, ok, err := d.w.Wait(b.Context(), d.w.Now().Add(5*time.Second))
		if !ok || err != nil || op.Type != histories.OK {
			b.Fatal(op, ok, err)
		}
		invoke(op.Process)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
