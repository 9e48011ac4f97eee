package checker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// nodes numbers the nodes of a history in the order of their first record. A
// node is a named process that is neither a nemesis nor the world.
type nodes struct {
	number map[histories.Process]int32
	names  []string
}

const notNode = -1

// of returns the number of p, or notNode.
func (n *nodes) of(p histories.Process) int32 {
	if p.Client() {
		return notNode
	}
	i, known := n.number[p]
	if known {
		return i
	}
	if n.number == nil {
		n.number = map[histories.Process]int32{}
	}
	i = notNode
	if p != histories.World && !p.Nemesis() {
		i = int32(len(n.names))
		n.names = append(n.names, p.String())
	}
	n.number[p] = i
	return i
}

// named returns the number of the node of that name, or notNode if it has not
// recorded anything so far.
func (n *nodes) named(name string) int32 { return int32(slices.Index(n.names, name)) }

// dictionary numbers texts in the order of their first use.
type dictionary struct {
	number map[string]int32
	texts  []string
}

func (d *dictionary) of(text []byte) int32 {
	if i, known := d.number[string(text)]; known {
		return i
	}
	if d.number == nil {
		d.number = map[string]int32{}
	}
	i := int32(len(d.texts))
	d.texts = append(d.texts, string(text))
	d.number[d.texts[i]] = i
	return i
}

// ending is how a history ends: whether all was well again and enough time
// given for a promise about the end to be judged.
type ending struct {
	// judged tells whether such promises can be judged: there is a final
	// phase and no fault is in force any more; or there are no clients at
	// all, and the records alone are the history.
	judged bool
	// from is the index of the first final op, or the history's length. What
	// began after it need not be over at the end.
	from int
}

func endingOf(h histories.History) ending {
	e := ending{from: h.Len()}
	clients, faults, healed := false, -1, -1
	for i := range h.Len() {
		switch p := h.Process(i); {
		case p.Client():
			clients = true
			if h.Final(i) && e.from == h.Len() {
				e.from = i
			}
		case p == histories.World && h.F(i) == "heal":
			healed = i
		case h.Type(i) == histories.Invoke && h.F(i) == "inject":
			faults = i
		}
	}
	e.judged = !clients || e.from < h.Len() && faults < e.from && (faults < 0 || faults < healed && healed < e.from)
	return e
}

// name is the text of i as people know it: m1 without its quotes.
func (d *dictionary) name(i int32) string { return keyName(d.texts[i]) }

// missing is the error of a record without a field that it must have.
func missing(op histories.Op, what string) error {
	return fmt.Errorf("op %d (%s by %s): value %s: %s", op.Index, op.F, op.Process, op.Value, what)
}

// marks is a set of numbers that is emptied at once.
type marks struct {
	at  []int32
	now int32
}

// empty makes room for the numbers below n and leaves none marked.
func (m *marks) empty(n int) {
	for len(m.at) < n {
		m.at = append(m.at, 0)
	}
	m.now++
}

func (m *marks) set(i int32)      { m.at[i] = m.now }
func (m *marks) has(i int32) bool { return m.at[i] == m.now }

// eachCall calls yield for every client's call, in the order of their
// invocations, with the indices of its ends and its outcome. The end of a call
// that never completed is never. In a compact history a completion without an
// invocation is a call that begins and ends at its index.
func eachCall(h histories.History, yield func(begin, end int, outcome histories.Type)) {
	for i := range h.Len() {
		if !h.Process(i).Client() {
			continue
		}
		j := h.Pair(i)
		switch {
		case h.Type(i) != histories.Invoke && j < 0:
			yield(i, i, h.Type(i))
		case h.Type(i) == histories.Invoke && j >= 0:
			yield(i, j, h.Type(j))
		case h.Type(i) == histories.Invoke:
			yield(i, never, histories.Info)
		}
	}
}

// table maps small whole numbers, of which most up to the greatest are used, to
// values. Numbers that lie far off are kept apart, so that a malformed history
// does not fill the memory.
type table[T any] struct {
	near []T
	far  map[uint64]T
}

const tableGap = 1 << 12

func (t *table[T]) get(i uint64) (v T) {
	if i < uint64(len(t.near)) {
		return t.near[i]
	}
	return t.far[i]
}

func (t *table[T]) put(i uint64, v T) {
	if n := uint64(len(t.near)); i >= n+tableGap || i >= n && len(t.far) > 0 {
		if t.far == nil {
			t.far = map[uint64]T{}
		}
		t.far[i] = v
		return
	}
	for i >= uint64(len(t.near)) {
		var zero T
		t.near = append(t.near, zero)
	}
	t.near[i] = v
}

// cut forgets the values of all numbers greater than i.
func (t *table[T]) cut(i uint64) {
	t.near = t.near[:min(uint64(len(t.near)), i+1)]
	maps.DeleteFunc(t.far, func(j uint64, _ T) bool { return j > i })
}
