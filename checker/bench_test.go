package checker

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/torture-harness/torture/histories"
)

// registerHistory is n calls on a number of keys by ten clients, linearizable,
// every fourth a write of a new value.
func registerHistory(tb testing.TB, n, keys int) histories.History {
	r := newRand(1)
	var b histories.Builder
	add := func(op histories.Op) {
		if err := b.Add(op); err != nil {
			tb.Fatal(err)
		}
	}
	values := make([]int, keys)
	last := 0
	type call struct {
		key, value int
		write      bool
		busy       bool
	}
	open := make([]call, 10)
	name := func(c call) histories.Op {
		op := histories.Op{F: "read", Key: raw(`"k%d"`, c.key)}
		if c.write {
			op.F, op.Value = "write", raw("%d", c.value)
		}
		return op
	}
	for done := 0; done < n; {
		p := r.IntN(len(open))
		c := &open[p]
		if !c.busy {
			*c = call{key: r.IntN(keys), busy: true, write: r.IntN(4) == 0}
			if c.write {
				last++
				c.value = last
			}
			op := name(*c)
			op.Process, op.Type = histories.Process(p), histories.Invoke
			add(op)
			continue
		}
		c.busy = false // it takes effect as it ends
		done++
		op := name(*c)
		op.Process, op.Type = histories.Process(p), histories.OK
		if c.write {
			values[c.key] = c.value
		} else if op.Value = nil; values[c.key] != 0 {
			op.Value = raw("%d", values[c.key])
		}
		add(op)
	}
	return b.History()
}

// cpu is the processor time that the program has used, which says more than the
// time that passed where others use the machine too.
func cpu(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func bench(b *testing.B, c Checker, h histories.History, want Verdict) {
	b.Helper()
	b.ReportAllocs()
	runtime.GC()
	start := cpu(b)
	for b.Loop() {
		if r := c.Check(b.Context(), h); r.Verdict != want {
			b.Fatalf("%v %s %v", r.Verdict, r.Why, r.Anomalies)
		}
	}
	b.ReportMetric(float64(h.Len())*float64(b.N)/(cpu(b)-start), "ops/cpu-s")
}

func BenchmarkRegister(b *testing.B) {
	for _, size := range []struct{ n, keys int }{{1e5, 1}, {1e5, 100}, {1e6, 100}} {
		h := registerHistory(b, size.n, size.keys)
		b.Run(fmt.Sprintf("calls=%d/keys=%d", size.n, size.keys), func(b *testing.B) {
			bench(b, Linearizable(Register(RegisterOptions{}), LinearizableOptions{}), h, Valid)
		})
	}
}

// The same calls by the three ways to decide them, on one key.
func BenchmarkRegisterEngines(b *testing.B) {
	m := Register(RegisterOptions{})
	for _, n := range []int{1e3, 1e4} {
		_, parts, err := m.split(registerHistory(b, n, 1))
		if err != nil {
			b.Fatal(err)
		}
		engines := map[string]func() bool{
			"chains":    func() bool { w, fits := m.shape(parts[0]); return fits && w == nil },
			"search":    func() bool { return newSearch(m, parts[0], 1<<30).run(b.Context()).stuck < 0 },
			"porcupine": func() bool { ok, decided := depthFirst(b.Context(), m, parts[0], 1<<30); return ok && decided },
		}
		for _, name := range sortedKeys(engines) {
			b.Run(fmt.Sprintf("%s/calls=%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if !engines[name]() {
						b.Fatal("not linearizable")
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			})
		}
	}
}

func BenchmarkBroadcast(b *testing.B) {
	for _, order := range []string{"total", "fifo", "causal"} {
		const messages, nodes = 200_000, 5
		var h histories.Builder
		for i := range messages {
			record := func(n int, f string) {
				err := h.Add(histories.Op{Process: histories.Named(fmt.Sprintf("n%d", n+1)), Type: histories.Info, F: f, Value: raw(`{"id":"n%d.1.%d","seq":%d}`, i%nodes+1, i, i)})
				if err != nil {
					b.Fatal(err)
				}
			}
			record(i%nodes, "bcast")
			for n := range nodes {
				record((i+n)%nodes, "deliver")
			}
		}
		b.Run(fmt.Sprintf("order=%s/deliveries=%d", order, messages*nodes), func(b *testing.B) {
			bench(b, Broadcast(BroadcastOptions{Order: order}), h.History(), Valid)
		})
	}
}

func BenchmarkRaft(b *testing.B) {
	const entries, nodes = 111_111, 3
	var h histories.Builder
	record := func(n int, f, format string, args ...any) {
		err := h.Add(histories.Op{Process: histories.Named(fmt.Sprintf("n%d", n+1)), Type: histories.Info, F: f, Value: raw(format, args...)})
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range entries {
		term := i / 1000
		if i%1000 == 0 {
			record(term%nodes, "leader", `{"term":%d}`, term)
		}
		for n := range nodes {
			record((term+n)%nodes, "append", `{"term":%d,"idx":%d,"op":"n1.1.%d"}`, term, i+1, i)
		}
		for n := range nodes {
			record((term+n)%nodes, "commit", `{"idx":%d}`, i+1)
			record((term+n)%nodes, "apply", `{"idx":%d,"op":"n1.1.%d"}`, i+1, i)
		}
	}
	b.Run(fmt.Sprintf("records=%d", h.History().Len()), func(b *testing.B) { bench(b, Raft(RaftOptions{}), h.History(), Valid) })
}

func BenchmarkPrimaryReplica(b *testing.B) {
	const entries = 200_000
	var h histories.Builder
	for i := range entries {
		for n, f := range []string{"append", "apply", "apply", "apply", "apply"} {
			err := h.Add(histories.Op{Process: histories.Named(fmt.Sprintf("n%d", n+1)), Type: histories.Info, F: f, Value: raw(`{"term":1,"idx":%d,"op":"n1.1.%d"}`, i+1, i)})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run(fmt.Sprintf("records=%d", 5*entries), func(b *testing.B) { bench(b, PrimaryReplica(PrimaryReplicaOptions{}), h.History(), Valid) })
}

func BenchmarkStats(b *testing.B) {
	h := registerHistory(b, 5e5, 100)
	b.Run(fmt.Sprintf("ops=%d", h.Len()), func(b *testing.B) { bench(b, Stats(StatsOptions{}), h, Valid) })
}
