package histories

import (
	"encoding/json"
	"iter"
	"sync/atomic"
)

// History is a run's ops in index order. It is immutable, and safe for
// concurrent use. The zero History is empty.
//
// It is stored in columns. At makes an op of a row; whoever reads millions of
// ops reads the columns that it needs: Type, Process, F, Value and so on, each
// of op i. The bytes and strings they return are the history's own and must
// not be modified.
type History struct{ c *columns }

// Len is the number of ops.
func (h History) Len() int {
	if h.c == nil {
		return 0
	}
	return len(h.c.meta)
}

// At returns the op of index i.
func (h History) At(i int) Op {
	return Op{
		Index: i, Time: h.Time(i), Process: h.Process(i), Type: h.Type(i), F: h.F(i), Value: h.Value(i),
		Key: h.Key(i), Node: h.Node(i), Final: h.Final(i), Error: h.Error(i), Lamport: h.Lamport(i),
		Ext: members(h.c.bytes(h.c.ext.at(i))),
	}
}

// Time is when op i happened.
func (h History) Time(i int) Time { return h.c.time[i] }

// Process is who did op i.
func (h History) Process(i int) Process { return h.c.proc[i] }

// Type is the type of op i.
func (h History) Type(i int) Type { return Type(h.c.meta[i] & metaType) }

// F is the name of op i's operation.
func (h History) F(i int) string { return h.string(h.c.f[i]) }

// Value is the value of op i; nil is null.
func (h History) Value(i int) json.RawMessage { return h.c.bytes(h.c.value[i]) }

// Key is the independent object of op i, or nil.
func (h History) Key(i int) json.RawMessage { return h.key(h.c.key.at(i)) }

// KeyID is the place of op i's key in Keys, or -1 if it has none.
func (h History) KeyID(i int) int { return int(h.c.key.at(i)) - 1 }

// Keys returns the different keys, as they are spelt, in the order of their
// first appearance.
func (h History) Keys() []json.RawMessage {
	if h.c == nil || len(h.c.keys) == 0 {
		return nil
	}
	return h.c.keys[1:len(h.c.keys):len(h.c.keys)]
}

// Node is the node that op i's client spoke to, or "".
func (h History) Node(i int) string { return h.string(h.c.node.at(i)) }

// Final tells whether op i is part of the final phase.
func (h History) Final(i int) bool { return h.c.meta[i]&metaFinal != 0 }

// Error is why op i failed or is unknown, or "".
func (h History) Error(i int) string { return h.string(h.c.err.at(i)) }

// Lamport is the logical time of op i, or 0.
func (h History) Lamport(i int) uint64 { return h.c.lamport.at(i) }

// Ext is the further field name of op i, or nil.
func (h History) Ext(i int, name string) json.RawMessage {
	return member(h.c.bytes(h.c.ext.at(i)), name)
}

// Pair returns the index of the other half of op i's call, or -1: the op is a
// mere record, a completion without an invocation (in a compact history), or
// an invocation that never completed.
func (h History) Pair(i int) int {
	j := int(atomic.LoadInt32(&h.c.pair[i]))
	if j >= h.Len() {
		return -1
	}
	return j
}

func (h History) string(id uint32) string {
	if id == 0 {
		return ""
	}
	return h.c.strings[id]
}

func (h History) key(id uint32) json.RawMessage {
	if id == 0 {
		return nil
	}
	k := h.c.keys[id]
	return k[:len(k):len(k)]
}

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

// Calls returns the clients' calls in the order of their invocations. A
// completion without an invocation, as compact histories have them, is a call
// whose invocation is the same op with type Invoke.
func (h History) Calls() []Call { return h.calls(Process.Client) }

// NemesisCalls returns the calls of nemesis processes in the order of their
// invocations.
func (h History) NemesisCalls() []Call { return h.calls(Process.Nemesis) }

func (h History) calls(of func(Process) bool) []Call {
	var calls []Call
	for i := range h.Len() {
		if p := h.Process(i); !of(p) {
			continue
		}
		j := h.Pair(i)
		switch {
		case h.Type(i) == Invoke && j >= 0:
			calls = append(calls, Call{h.At(i), h.At(j)})
		case h.Type(i) == Invoke:
			calls = append(calls, Call{h.At(i), h.stillOpen(i)})
		case j < 0 && h.Process(i).Client():
			op := h.At(i)
			op.Type = Invoke
			calls = append(calls, Call{op, h.At(i)})
		}
	}
	return calls
}

// stillOpen is the completion of the invocation i that never came.
func (h History) stillOpen(i int) Op {
	op := h.At(i)
	op.Index, op.Time = h.Len(), h.Time(h.Len()-1)
	op.Type, op.Value, op.Error = Info, nil, "still open when the history ended"
	return op
}
