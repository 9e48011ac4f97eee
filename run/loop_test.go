package run_test

import (
	"context"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
)

// muddled is a world whose nodes answer every transaction with the same one.
type muddled struct {
	idle
	answer string
}

func (w *muddled) Invoke(op histories.Op) {
	op.Value = []byte(w.answer)
	w.idle.Invoke(op)
}

// A node that answers another operation than it was asked for is to blame, and
// the run goes on.
func TestAnswersAmiss(t *testing.T) {
	for answer, why := range map[string]string{
		`[["r",1,[]]]`:            "",
		`[["r",7,[]]]`:            `n1 answered op 0 with ["r",7,[]] where it invoked ["r",1,null]`,
		`[["r",1,[]],["r",1,[]]]`: "n1 answered op 0 with another number of operations",
		`[["append",1,5]]`:        `with ["append",1,5] where`,
		`"done"`:                  "which is no transaction",
	} {
		txn := gen.Limit(3, gen.Repeat(gen.Of(gen.Op{F: "txn", Value: []byte(`[["r", 1.0, null]]`)})))
		var b histories.Builder
		err := run.Loop(context.Background(), run.Plan{Clients: 1, Generator: gen.Clients(txn)}, &muddled{idle{nodes: []string{"n1"}}, answer}, b.Add)
		if err != nil {
			t.Errorf("%s: %v", answer, err)
			continue
		}
		h := b.History()
		r := checker.Contract().Check(t.Context(), h)
		if why == "" {
			if r.Verdict != checker.Valid || h.Len() != 6 {
				t.Errorf("%s: %v of %d ops: %+v", answer, r.Verdict, h.Len(), r.Anomalies)
			}
			continue
		}
		if r.Verdict != checker.Invalid || len(r.Anomalies) != 3 || !strings.Contains(r.Anomalies[0].Why, why) {
			t.Errorf("%s: %v %+v, want one anomaly a transaction that says %s", answer, r.Verdict, r.Anomalies, why)
		}
	}
}
