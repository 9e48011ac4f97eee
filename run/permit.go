package run

import (
	"context"
	"slices"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets"
)

// permitted has c's anomalies be permitted that the target permits under these
// flags and the faults that the history tells of.
func permitted(t targets.Target, flags map[string]string, c checker.Checker) checker.Checker {
	return checker.Func(func(ctx context.Context, h histories.History) checker.Result {
		var kinds []string
		for _, p := range t.Permits {
			if targets.Holds(p.When, flags) && (len(p.Under) == 0 || injected(h, p.Under)) {
				kinds = append(kinds, p.Anomaly)
			}
		}
		return checker.Permit(c, kinds...).Check(ctx, h)
	})
}

// injected tells whether a fault of one of kinds was injected.
func injected(h histories.History, kinds []nemesis.Kind) bool {
	for i := range h.Len() {
		by := func(k nemesis.Kind) bool { return h.Process(i) == k.Process() }
		if h.F(i) == nemesis.Inject && slices.ContainsFunc(kinds, by) {
			return true
		}
	}
	return false
}
