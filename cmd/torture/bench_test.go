package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/torture-harness/torture/docker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets/all"
)

// BenchmarkContainers is what the loop costs: operations a second of a cluster
// in containers, by twenty clients that do not rest, once through the loop with
// its history store on, and once by a bare HTTP load generator that sends the
// same requests. The ratio is the figure; the rest is the machine's.
func BenchmarkContainers(b *testing.B) {
	if os.Getenv("TORTURE_DOCKER") == "" {
		b.Skip("containers are tried only with TORTURE_DOCKER=1")
	}
	const clients = 20
	for _, name := range []string{"raft", "primary"} {
		b.Run(name, func(b *testing.B) {
			t, err := all.Named(name)
			if err != nil {
				b.Fatal(err)
			}
			m := histories.Manifest{ID: fmt.Sprintf("bench-%s-%d", name, time.Now().UnixNano()), World: "docker", Clients: clients}
			if name == "primary" {
				m.Flags = map[string]string{"reads": "primary"}
			}
			tr, err := run.NewTrial(t, m, nil)
			if err != nil {
				b.Fatal(err)
			}
			store, err := histories.Create(b.TempDir()+"/run", tr.Manifest)
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			w, err := docker.New(b.Context(), docker.Config{
				RunID: m.ID, Dir: string(store.Dir), Nodes: tr.Nodes, Target: name, Options: tr.Options(),
				Timeout: 5 * time.Second, Primary: t.Primary, Log: zap.NewNop(), Binary: buildStatic(b),
			})
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			time.Sleep(2 * time.Second) // a leader is elected

			plan := tr.Plan(w.Now())
			plan.Deadline = 0
			var sent []histories.Op
			plan.Generator = gen.Clients(gen.Limit(b.N, gen.Register(gen.Uniform(10), 1000)))
			oks := 0
			b.ResetTimer()
			begun := time.Now()
			err = run.Loop(context.Background(), plan, w, func(op histories.Op) error {
				if op.Type == histories.Invoke {
					sent = append(sent, op)
				} else if op.Process.Client() && op.Type == histories.OK {
					oks++
				}
				return store.Record(op)
			})
			loop := float64(oks) / time.Since(begun).Seconds()
			b.StopTimer()
			if err != nil {
				b.Fatal(err)
			}
			bare := bareLoad(b, w, sent, clients)
			b.ReportMetric(loop, "loop-ops/s")
			b.ReportMetric(bare, "bare-ops/s")
			b.ReportMetric(loop/bare, "loop/bare")
		})
	}
}

// buildStatic builds torture as containers need it.
func buildStatic(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "torture")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// bareLoad sends the requests of ops by as many goroutines as there were
// clients, and returns how many were answered ok a second.
func bareLoad(b *testing.B, w *docker.World, ops []histories.Op, clients int) float64 {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	var next, oks atomic.Int64
	var wait sync.WaitGroup
	begun := time.Now()
	for range clients {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(ops) {
					return
				}
				body := fmt.Sprintf(`{"f":%q,"key":%s,"value":%s}`, ops[i].F, ops[i].Key, or(ops[i].Value, "null"))
				resp, err := client.Post("http://"+w.Address(ops[i].Node)+"/op", "application/json", bytes.NewReader([]byte(body)))
				if err != nil {
					continue
				}
				answer, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if bytes.Contains(answer, []byte(`"type":"ok"`)) {
					oks.Add(1)
				}
			}
		})
	}
	wait.Wait()
	if oks.Load() == 0 {
		b.Fatal("the bare load generator got no answer")
	}
	return float64(oks.Load()) / time.Since(begun).Seconds()
}

func or(raw []byte, other string) string {
	if raw == nil {
		return other
	}
	return string(raw)
}

// BenchmarkSimulated is a whole simulated run of each target, 5 nodes and 10
// clients at 100 operations a second under drawn faults: virtual seconds and
// node events a second of one core.
func BenchmarkSimulated(b *testing.B) {
	for _, t := range all.Targets() {
		b.Run(t.Name, func(b *testing.B) {
			var virtual time.Duration
			var steps uint64
			for i := 0; b.Loop(); i++ {
				base := histories.Manifest{Target: t.Name, World: "sim", Seed: uint64(i)}
				for _, k := range possible("sim", t) {
					base.Nemesis = append(base.Nemesis, string(k))
				}
				res := simulateSeed(b.Context(), run.Swarm(base))
				if res.Error != "" {
					b.Fatal(res.Error)
				}
				virtual += res.Virtual
				steps += res.Steps
			}
			b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "virtual-s/s")
			b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "seeds/s")
		})
	}
}
