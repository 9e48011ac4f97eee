package primary

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
	"github.com/torture-harness/torture/targets"
)

func TestRoute(t *testing.T) {
	five := []string{"n1", "n2", "n3", "n4", "n5"}
	for _, test := range []struct {
		name, reads, f, value string
		process               histories.Process
		nodes                 []string
		want                  string
	}{
		{"a read goes to a replica", "replica", "read", "", 0, five, "n2"},
		{"another client's to another", "replica", "read", "", 7, five, "n5"},
		{"or to the primary, as asked", "primary", "read", "", 7, five, "n1"},
		{"or if there is no other", "replica", "read", "", 7, five[:1], "n1"},
		{"a write goes to the primary", "replica", "write", "17", 3, five, "n1"},
		{"but one in eight astray", "replica", "write", "24", 3, five, "n4"},
		{"a cas by what it writes", "primary", "cas", "[24,25]", 3, five, "n1"},
		{"a cas astray", "primary", "cas", "[25,32]", 3, five, "n5"},
		{"a transaction by its last number", "primary", "txn", `[["append",1,16],["r",8,null]]`, 3, five, "n2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := targets.Params{Options: node.Options{Flags: map[string]string{"reads": test.reads}}}
			op := gen.Op{F: test.f, Process: test.process, Value: json.RawMessage(test.value)}
			if got := route(p)(op, test.nodes); got != test.want {
				t.Errorf("%s %s by process %d, reads=%s: got %s, want %s", test.f, test.value, test.process, test.reads, got, test.want)
			}
		})
	}
}

func TestLastNumber(t *testing.T) {
	for in, want := range map[string]int{
		"": 1, "null": 1, "0": 0, "17": 17, "[1,20]": 20, `{"a":305,"b":null}`: 305, "12000000034": 34,
	} {
		if got := lastNumber(json.RawMessage(in)); got != want {
			t.Errorf("lastNumber(%s) = %d, want %d", in, got, want)
		}
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
