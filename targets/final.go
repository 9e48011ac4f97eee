package targets

import (
	"time"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
)

// FinalOp is an operation of the final phase, which one node is asked until it
// has answered.
type FinalOp struct {
	gen.Op
	// Refusal is the error by which the node must decline the operation, if its
	// configuration has it do so: that is an answer as good as ok.
	Refusal string
}

// answered tells whether the completion ev answers f.
func (f FinalOp) answered(ev gen.Op) bool {
	return ev.Type == histories.OK || ev.Type == histories.Fail && f.Refusal != "" && ev.Error == f.Refusal
}

// FinalPhase asks all of nodes at once, and each of them one of its operations
// of w after the other: a node that does not answer keeps no other waiting. Who
// runs it limits its time. It is nil if w has no final operations.
func (w Workload) FinalPhase(p Params) gen.Generator {
	if w.Final == nil {
		return nil
	}
	var all []gen.Generator
	for _, node := range p.Nodes {
		var each []gen.Generator
		for _, f := range w.Final(p, node) {
			op := f.Op
			op.Node, op.Final = node, true
			each = append(each, gen.Until(f.answered, gen.Delay(100*time.Millisecond, gen.Repeat(gen.Of(op)))))
		}
		all = append(all, gen.Seq(each...))
	}
	return gen.Any(all...)
}

// Refusals lists the errors that each node may answer in the final phase of w.
func (w Workload) Refusals(p Params) map[string][]string {
	refusals := map[string][]string{}
	if w.Final == nil {
		return refusals
	}
	for _, node := range p.Nodes {
		for _, f := range w.Final(p, node) {
			if f.Refusal != "" {
				refusals[node] = append(refusals[node], f.Refusal)
			}
		}
	}
	return refusals
}
