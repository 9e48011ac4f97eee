package docker

import (
	"sync/atomic"
	"testing"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// The world is healed when every cure was carried out and seen, not when it was
// asked for.
func TestHealedWhenCured(t *testing.T) {
	var fails, silent atomic.Bool
	w := fakeWorld(t, nil, func(node string, r agent.Request) agent.Response {
		if r.Rules != nil && fails.Load() {
			return agent.Response{Error: "no"}
		}
		return through(node, r, !silent.Load())
	})
	f := fault("l", nemesis.Loss, nemesis.Params{Probability: 0.5}, "n1")
	heals := func(op histories.Op) (n int) {
		w.Invoke(op)
		w.working.Wait()
		for op, ok := w.out.take(); ok; op, ok = w.out.take() {
			if op.F == "heal" {
				n++
			}
		}
		return n
	}
	heals(nemesis.InjectOp(f))
	fails.Store(true)
	if n := heals(nemesis.CureOp(f)); n != 0 {
		t.Error("healed by a cure that was not carried out")
	}
	g := f
	g.ID = "g"
	fails.Store(false)
	heals(nemesis.InjectOp(g))
	if n := heals(nemesis.CureOp(g)); n != 0 {
		t.Error("healed while a cure was not carried out")
	}
	if n := heals(nemesis.CureOp(f)); n != 1 {
		t.Errorf("%d heals after the last cure, want 1", n)
	}
	heals(nemesis.InjectOp(f))
	silent.Store(true)
	if n := heals(nemesis.CureOp(f)); n != 0 {
		t.Error("healed by a cure after which nothing arrives")
	}
	silent.Store(false)
	if n := heals(nemesis.CureOp(f)); n != 1 {
		t.Errorf("%d heals when the cure was seen at last, want 1", n)
	}
	heals(nemesis.InjectOp(f))
	fails.Store(true)
	err := w.Heal(t.Context())
	if op, ok := w.out.take(); err == nil || ok {
		t.Errorf("Heal that could not be carried out: %v, record %+v", err, op)
	}
}
