package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// Operations are counted once if they succeed while at least one verified fault
// of the kind is in force, however faults overlap.
func TestOperationsDuringFaultsAgreeWithDefinition(t *testing.T) {
	counts := map[bool]int{}
	random(t, 2000, func(t *testing.T, r *rand.Rand) {
		// Each fault is injected and cured by a nemesis of its own; what comes
		// when is random.
		type fault struct {
			step     int // of inject, injected, cure, cured
			verified bool
		}
		faults := make([]fault, 1+r.IntN(3))
		var ops []histories.Op
		want := 0
		for range 30 {
			i := r.IntN(len(faults) + 2)
			if i >= len(faults) {
				p := histories.Process(i)
				ops = append(ops, histories.Op{Process: p, Type: histories.Invoke, F: "read"}, histories.Op{Process: p, Type: histories.OK, F: "read"})
				if slices.ContainsFunc(faults, func(f fault) bool { return f.step == 2 && f.verified }) {
					want++
				}
				continue
			}
			f := &faults[i]
			if f.step == 4 {
				continue
			}
			op := histories.Op{Process: histories.Named(fmt.Sprint("nemesis/", i)), F: []string{"inject", "inject", "cure", "cure"}[f.step], Type: histories.Invoke}
			op.Value = raw(`{"id":"f%d","kind":"kill"}`, i)
			if f.step%2 == 1 {
				op.Type, op.Value = histories.OK, raw(`{"id":"f%d","kind":"kill","verified":%v}`, i, r.IntN(4) > 0)
				f.verified = f.step == 1 && string(op.Value[len(op.Value)-5:]) == "true}"
			}
			f.step++
			ops = append(ops, op)
		}
		h := historyOf(t, ops)
		res := Stats(StatsOptions{}).Check(t.Context(), h)
		table, _ := res.Stats["faults"].(map[string]any)
		if table == nil {
			return
		}
		if got := table["kill"].(map[string]int)["operations"]; got != want {
			t.Errorf("%d operations during faults, want %d%s", got, want, show(h))
		}
		counts[want > 0]++
	})
	if counts[true] < 100 || counts[false] < 100 {
		t.Errorf("%v", counts)
	}
}
