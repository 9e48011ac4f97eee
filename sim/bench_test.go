package sim

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/node"
)

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
