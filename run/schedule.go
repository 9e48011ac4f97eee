package run

import (
	"slices"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// Schedule is what a history's run was asked to do: its invocations.
func Schedule(h histories.History) []histories.Op {
	var ops []histories.Op
	for _, op := range h.All() {
		if op.Type == histories.Invoke {
			op.Ext, op.Lamport = nil, 0
			ops = append(ops, op)
		}
	}
	return ops
}

// faultIDs names the faults of a script.
func faultIDs(script []histories.Op) (ids []string) {
	for _, op := range script {
		if op.F == nemesis.Inject && op.Process.Nemesis() {
			ids = append(ids, faultID(op))
		}
	}
	return ids
}

// withoutFaults is script without the injections and cures of some faults.
func withoutFaults(script []histories.Op, ids []string) []histories.Op {
	return slices.DeleteFunc(slices.Clone(script), func(op histories.Op) bool {
		return op.Process.Nemesis() && slices.Contains(ids, faultID(op))
	})
}

func faultID(op histories.Op) string {
	f, err := histories.Decode[nemesis.Fault](op)
	if err != nil {
		return ""
	}
	return f.ID
}
