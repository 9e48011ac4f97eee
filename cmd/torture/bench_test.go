package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
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
// same requests. The ratio is the figure; the rest is the machine's. CPU time
// an operation says where the difference goes: to this process or to the nodes.
func BenchmarkContainers(b *testing.B) {
	if os.Getenv("TORTURE_DOCKER") == "" {
		b.Skip("containers are tried only with TORTURE_DOCKER=1")
	}
	program, err := static()
	if err != nil {
		b.Fatal(err)
	}
	const clients = 20
	for _, name := range []string{"raft", "primary"} {
		b.Run(name, func(b *testing.B) {
			t, err := all.Targets().Named(name)
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
				Timeout: 5 * time.Second, Primary: t.Primary, Log: zap.NewNop(), Binary: program,
			})
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()

			plan := tr.Plan(w.Now())
			plan.Deadline = 0
			var sent []histories.Op
			plan.Generator = gen.Clients(gen.Limit(b.N, gen.Register(gen.Uniform(10), 1000)))
			warm := histories.Op{F: "write", Key: []byte(`0`), Value: []byte(`0`)}
			eventually(b, "a leader answers", func() bool {
				led := 0
				for _, warm.Node = range tr.Nodes {
					led += bareLoad(w, []histories.Op{warm}, 1)
				}
				return led > 0
			})
			meter := newMeter(b, m.ID)
			b.ResetTimer()
			err = run.Loop(context.Background(), plan, w, func(op histories.Op) error {
				if op.Type == histories.Invoke {
					sent = append(sent, op)
				} else if op.Process.Client() && op.Type == histories.OK {
					meter.oks++
				}
				return store.Record(op)
			})
			loop := meter.report("loop")
			b.StopTimer()
			if err != nil {
				b.Fatal(err)
			}
			meter.start()
			meter.oks = bareLoad(w, sent, clients)
			b.ReportMetric(loop/meter.report("bare"), "loop/bare")
		})
	}
}

// A meter takes the time and CPU time of a span: of this process, and of the
// nodes of a run.
type meter struct {
	b           *testing.B
	cli         *client.Client
	run         string
	begun       time.Time
	self, nodes time.Duration
	oks         int
}

func newMeter(b *testing.B, run string) *meter {
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cli.Close() })
	m := &meter{b: b, cli: cli, run: run}
	m.start()
	return m
}

func (m *meter) start() {
	m.oks, m.begun = 0, time.Now()
	m.self, m.nodes = m.used()
}

// used is the CPU time used so far.
func (m *meter) used() (self, nodes time.Duration) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		m.b.Fatal(err)
	}
	self = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	list, err := m.cli.ContainerList(m.b.Context(), container.ListOptions{Filters: filters.NewArgs(
		filters.Arg("label", "torture.run="+m.run), filters.Arg("label", "torture.role=node"))})
	if err != nil || len(list) == 0 {
		m.b.Fatalf("%d nodes: %v", len(list), err)
	}
	for _, c := range list {
		answer, err := m.cli.ContainerStatsOneShot(m.b.Context(), c.ID)
		if err != nil {
			m.b.Fatal(err)
		}
		var stats container.StatsResponse
		if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
			m.b.Fatal(err)
		}
		answer.Body.Close()
		nodes += time.Duration(stats.CPUStats.CPUUsage.TotalUsage)
	}
	return self, nodes
}

// report reports a span since start, and returns how many operations a second
// were ok.
func (m *meter) report(name string) float64 {
	rate := float64(m.oks) / time.Since(m.begun).Seconds()
	self, nodes := m.used()
	if m.oks == 0 {
		m.b.Fatalf("%s: no operation succeeded", name)
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 / float64(m.oks) }
	m.b.ReportMetric(rate, name+"-ops/s")
	m.b.ReportMetric(ms(self-m.self), name+"-self-ms/op")
	m.b.ReportMetric(ms(nodes-m.nodes), name+"-nodes-ms/op")
	return rate
}

// bareLoad sends the requests of ops by as many goroutines as there were
// clients, and returns how many were answered ok.
func bareLoad(w *docker.World, ops []histories.Op, clients int) int {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport}
	var next, oks atomic.Int64
	var wait sync.WaitGroup
	for range clients {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(ops) {
					return
				}
				body := fmt.Sprintf(`{"f":%q,"key":%s,"value":%s}`, ops[i].F, ops[i].Key, or(ops[i].Value, "null"))
				resp, err := client.Post("http://"+w.Address(ops[i].Node)+"/op", "application/json", strings.NewReader(body))
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
	return int(oks.Load())
}

func or(raw []byte, other string) string {
	if raw == nil {
		return other
	}
	return string(raw)
}

// BenchmarkSimulated is a whole simulated run of each target as a hunt draws it: virtual seconds and
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
				res := new(app).simulateSeed(b.Context(), seedRequest{Manifest: run.Draw(t, base)})
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
