package run

import (
	"slices"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// Schedule is what a history's run was asked to do: its invocations. Faults that
// a simulated node died of say where it did, so that it does there again.
func Schedule(h histories.History) []histories.Op {
	var ops []histories.Op
	deaths := map[string]map[string][]nemesis.Place{} // by fault, and by node
	for _, op := range h.All() {
		switch {
		case op.Type == histories.Invoke:
			op.Ext, op.Lamport = nil, 0
			ops = append(ops, op)
		case op.F == "crash" && !op.Process.Client():
			d, err := histories.Decode[struct {
				Fault string         `json:"fault"`
				At    *nemesis.Place `json:"at"`
			}](op)
			if err != nil || d.At == nil {
				continue // of a world that does not choose
			}
			if deaths[d.Fault] == nil {
				deaths[d.Fault] = map[string][]nemesis.Place{}
			}
			node := op.Process.String()
			deaths[d.Fault][node] = append(deaths[d.Fault][node], *d.At)
		}
	}
	for i, op := range ops {
		if op.F != nemesis.Inject || !op.Process.Nemesis() {
			continue
		}
		if f, err := nemesis.Decode(op); err == nil && f.Params.At == nil && deaths[f.ID] != nil {
			f.Params.At = deaths[f.ID]
			ops[i].Value = histories.Encode(f)
		}
	}
	return ops
}

// WithoutPlaces is a schedule for a world that cannot choose where a node dies:
// there it dies when it is struck.
func WithoutPlaces(script []histories.Op) []histories.Op {
	script = slices.Clone(script)
	for i, op := range script {
		if op.F != nemesis.Inject || !op.Process.Nemesis() {
			continue
		}
		if f, err := nemesis.Decode(op); err == nil && f.Params.At != nil {
			f.Params.At = nil
			script[i].Value = histories.Encode(f)
		}
	}
	return script
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
