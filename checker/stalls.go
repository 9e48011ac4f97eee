package checker

import (
	"context"
	"fmt"
	"time"

	"github.com/torture-harness/torture/histories"
)

// stallShare is the part of a run that stalls may take before a verdict speaks
// of them: one in so many.
const stallShare = 10

// Stalls finds nothing wrong with any history. It tells what was not looked at
// if the harness stood still for much of the run.
func Stalls() Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		r := Result{Checker: "stalls", Verdict: Valid}
		total, times := histories.Stalls(h)
		if times == 0 {
			return r
		}
		span := h.Time(h.Len() - 1).Duration()
		r.Stats = map[string]any{"stalls": times, "stood": total, "of": span}
		if total > span/stallShare {
			r.Unchecked = []string{fmt.Sprintf("how nodes fared in %v of %v: the harness itself stood still", total.Round(100*time.Millisecond), span.Round(100*time.Millisecond))}
		}
		return r
	})
}
