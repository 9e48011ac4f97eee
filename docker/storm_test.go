package docker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// Faults of all kinds come and go at once, on nodes chosen at random and with
// no regard for each other: each is seen in force and over, or held by others,
// and in the end the cluster is well.
func TestStorm(t *testing.T) {
	const faults = 60
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	cfg := config(t, 4)
	d := start(t, cfg)
	open := map[histories.Process]bool{}
	held := map[nemesis.Kind]nemesis.Fault{}
	next := func(n int) (op histories.Op, ok bool) {
		f := oneOfEach[draw.IntN(len(oneOfEach))]
		if open[f.Kind.Process()] {
			return op, false
		}
		if f, ok := held[f.Kind]; ok {
			delete(held, f.Kind)
			return nemesis.CureOp(f), true
		}
		f.ID = fmt.Sprintf("%s-%d", f.ID, n)
		if f.Kind != nemesis.Partition {
			f.Targets = nil
			for _, i := range draw.Perm(len(cfg.Nodes))[:1+draw.IntN(2)] {
				f.Targets = append(f.Targets, cfg.Nodes[i])
			}
		}
		held[f.Kind] = f
		return nemesis.InjectOp(f), true
	}
	unseen, again := 0, map[histories.Process]int{}
	for n := 0; n < 2*faults || len(open) > 0; {
		if n < 2*faults {
			if op, ok := next(n); ok {
				n++
				open[op.Process] = true
				d.w.Stamp(&op)
				d.w.Invoke(op)
			}
		}
		op, ok, err := d.w.Wait(t.Context(), d.w.Now().Add(50*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if ok && op.Process.Nemesis() {
			delete(open, op.Process)
			switch {
			case op.Type == histories.OK:
			case op.Process == nemesis.Membership.Process(): // nobody may be left who could be asked
			case op.F == nemesis.Inject && strings.HasPrefix(op.Error, "hidden by "):
			case op.F == nemesis.Inject:
				unseen++
				t.Logf("%s %s: %s: %s", op.Process, op.F, op.Error, op.Value)
			case again[op.Process] < 1: // as a schedule does
				again[op.Process]++
				f, err := nemesis.Decode(op)
				if err != nil {
					t.Fatal(err)
				}
				cure := nemesis.CureOp(f)
				open[op.Process] = true
				d.w.Stamp(&cure)
				d.w.Invoke(cure)
			default:
				t.Errorf("%s %s: %s: %s", op.Process, op.F, op.Error, op.Value)
			}
		}
	}
	// A machine that has no time for its nodes hides a fault now and then.
	if unseen > faults/30 {
		t.Errorf("%d of %d faults were not seen at their victims", unseen, faults)
	}
	if err := d.w.Heal(t.Context()); err != nil {
		t.Error(err)
	}
	for _, n := range cfg.Nodes {
		if op := d.do(n, "read", nil); op.Type != histories.OK {
			t.Errorf("read of %s after the storm: %+v", n, op)
		}
	}
}
