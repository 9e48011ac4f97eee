package primary

import (
	"context"
	"slices"
	"testing"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
	"github.com/torture-harness/torture/targets"
)

// An operation in eight goes astray, to any node; the others go where they are
// served.
func TestRoute(t *testing.T) {
	five := []string{"n1", "n2", "n3", "n4", "n5"}
	for _, test := range []struct {
		name, reads, f string
		process        histories.Process
		nodes          []string
		want           string
	}{
		{"a read goes to a replica", "replica", "read", 0, five, "n2"},
		{"another client's to another", "replica", "read", 7, five, "n5"},
		{"or to the primary, as asked", "primary", "read", 7, five, "n1"},
		{"or if there is no other", "replica", "read", 7, five[:1], "n1"},
		{"a write goes to the primary", "replica", "write", 3, five, "n1"},
		{"and a transaction", "primary", "txn", 3, five, "n1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := targets.Params{Options: node.Options{Flags: map[string]string{"reads": test.reads}}}
			const n = 10_000
			to := map[string]int{}
			for i := range n {
				to[route(p)(gen.Op{F: test.f, Process: test.process, Time: histories.Time(i) * 9_876_543}, test.nodes)]++
			}
			for _, node := range test.nodes {
				share, want := float64(to[node])/n, 1.0/8/float64(len(test.nodes))
				if node == test.want {
					want += 7.0 / 8
				}
				if share < want-0.01 || share > want+0.01 {
					t.Errorf("%s gets %.3f of them, want %.3f", node, share, want)
				}
			}
		})
	}
}

// Asking for a log is not for the checkers of objects; all else is, with the
// index that it has.
func TestWithoutLogs(t *testing.T) {
	call := func(p histories.Process, f string, typ histories.Type) histories.Op {
		return histories.Op{Process: p, Type: typ, F: f}
	}
	h, err := histories.Of(
		call(0, "read", histories.Invoke), call(1, "final", histories.Invoke), call(0, "read", histories.OK),
		call(1, "final", histories.OK), call(1, "read", histories.Invoke), call(1, "read", histories.OK),
	)
	if err != nil {
		t.Fatal(err)
	}
	var seen []int
	withoutLogs(checker.Func(func(_ context.Context, h histories.History) checker.Result {
		for i := range h.Len() {
			if h.Process(i).Client() {
				seen = append(seen, i)
			}
		}
		return checker.Result{}
	})).Check(context.Background(), h)
	if !slices.Equal(seen, []int{0, 2, 4, 5}) {
		t.Errorf("the checker saw ops %v, want 0, 2, 4, 5", seen)
	}
}
