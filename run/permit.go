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
// flags and the faults that the history tells of: what came before the first of
// those is not theirs.
func permitted(t targets.Target, flags map[string]string, c checker.Checker) checker.Checker {
	return checker.Func(func(ctx context.Context, h histories.History) checker.Result {
		since := map[string]int{} // of an anomaly, the op from which on it is permitted
		for _, p := range t.Permits {
			if !targets.Holds(p.When, flags) {
				continue
			}
			from := firstOf(h, p.Under)
			if had, ok := since[p.Anomaly]; !ok || from < had {
				since[p.Anomaly] = from
			}
		}
		return checker.Permit(c, func(a checker.Anomaly) bool {
			from, ok := since[a.Kind]
			return ok && len(a.Ops) > 0 && slices.Max(a.Ops) >= from
		}).Check(ctx, h)
	})
}

// firstOf is the index of the first injection of a fault of one of kinds; h.Len()
// if there is none, and 0 if there are no kinds.
func firstOf(h histories.History, kinds []nemesis.Kind) int {
	if len(kinds) == 0 {
		return 0
	}
	for i := range h.Len() {
		by := func(k nemesis.Kind) bool { return h.Process(i) == k.Process() }
		if h.F(i) == nemesis.Inject && slices.ContainsFunc(kinds, by) {
			return i
		}
	}
	return h.Len()
}
