package histories

import (
	"fmt"
	"iter"
)

// History is a run's ops in index order. It is immutable, and safe for
// concurrent use. The zero History is empty.
type History struct{ c *columns }

type columns struct {
	ops  []Op
	pair []int32
}

// Builder collects ops into a History. The zero Builder is ready. Not for
// concurrent use.
type Builder struct {
	c    columns
	open map[Process]int32
}

// Malformed is an op that cannot follow the ones before it.
type Malformed struct {
	Op, Other Op // Other is the open invocation, if there is one
	Why       string
}

func (m *Malformed) Error() string {
	return fmt.Sprintf("op %d (process %s, %s %s): %s", m.Op.Index, m.Op.Process, m.Op.Type, m.Op.F, m.Why)
}

// Add appends op, whose Index becomes its position. It fails with *Malformed
// if a client overlaps itself, or completes what it never invoked.
func (b *Builder) Add(op Op) error {
	if b.open == nil {
		b.open = map[Process]int32{}
	}
	op.Index = len(b.c.ops)
	i, busy := b.open[op.Process]
	pair := int32(-1)
	switch {
	case op.Type == Invoke && busy:
		return &Malformed{op, b.c.ops[i], fmt.Sprintf("the process has invoked op %d (%s) and not completed it", i, b.c.ops[i].F)}
	case op.Type == Invoke:
		b.open[op.Process] = int32(op.Index)
	case busy:
		pair = i
		b.c.pair[i] = int32(op.Index)
		delete(b.open, op.Process)
	case op.Process.Client():
		return &Malformed{Op: op, Why: "the process completes what it never invoked"}
	}
	b.c.ops = append(b.c.ops, op)
	b.c.pair = append(b.c.pair, pair)
	return nil
}

// History returns the ops added so far. The Builder may go on.
func (b *Builder) History() History {
	c := b.c
	return History{&c}
}

// Of makes a history of ops, with indices anew.
func Of(ops ...Op) (History, error) {
	var b Builder
	for _, op := range ops {
		if err := b.Add(op); err != nil {
			return History{}, err
		}
	}
	return b.History(), nil
}

// Len is the number of ops.
func (h History) Len() int {
	if h.c == nil {
		return 0
	}
	return len(h.c.ops)
}

// At returns the op of index i.
func (h History) At(i int) Op { return h.c.ops[i] }

// Pair returns the index of the other half of op i's call, or -1: the op is a
// mere record, or an invocation that never completed.
func (h History) Pair(i int) int { return int(h.c.pair[i]) }

// All ranges over the ops in order.
func (h History) All() iter.Seq2[int, Op] {
	return func(yield func(int, Op) bool) {
		for i := range h.Len() {
			if !yield(i, h.At(i)) {
				return
			}
		}
	}
}

// Calls returns the clients' calls in the order of their invocations.
func (h History) Calls() []Call { return h.calls(Process.Client) }

// NemesisCalls returns the calls of nemesis processes in the order of their
// invocations.
func (h History) NemesisCalls() []Call { return h.calls(Process.Nemesis) }

func (h History) calls(of func(Process) bool) []Call {
	var calls []Call
	for i := range h.Len() {
		op := h.At(i)
		if op.Type != Invoke || !of(op.Process) {
			continue
		}
		c := Call{Invoke: op}
		if j := h.Pair(i); j >= 0 {
			c.Complete = h.At(j)
		} else {
			c.Complete = op
			c.Complete.Index, c.Complete.Time = h.Len(), h.At(h.Len()-1).Time
			c.Complete.Type, c.Complete.Value, c.Complete.Error = Info, nil, "still open when the history ended"
		}
		calls = append(calls, c)
	}
	return calls
}
