package histories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"github.com/torture-harness/torture/node"
)

// Builder collects ops into a History. The zero Builder is ready. Not for
// concurrent use.
type Builder struct {
	// Compact accepts a client's completion without an invocation: an
	// operation that is instantaneous at its index.
	Compact bool

	c       columns
	arena   arena
	strings map[string]uint32
	keys    map[string]uint32
	open    pending
	scratch []byte
}

// Malformed is an op that cannot follow the ones before it.
type Malformed struct {
	Op, Other Op  // Other is the open invocation, if there is one
	OtherLine int // the line of the file that Other was read from, or 0
	Why       string
}

func (m *Malformed) Error() string {
	s := fmt.Sprintf("op %d (process %s, %s %s): %s", m.Op.Index, m.Op.Process, m.Op.Type, m.Op.F, m.Why)
	if m.OtherLine > 0 {
		s += fmt.Sprintf("; op %d is in line %d", m.Other.Index, m.OtherLine)
	}
	return s
}

// Add appends op, whose Index becomes its position, and copies what op points
// to. A Value or Key of null becomes nil; those of a call become canonical, so
// that they are equal iff their texts are (node.Canon). A completion without F
// has that of its invocation. It fails with *Malformed if a client overlaps
// itself, completes what it never invoked or something else than it invoked, or
// if op has a type, a value or a field that no file could hold; the Builder is
// then as before.
func (b *Builder) Add(op Op) error {
	r := row{
		time: op.Time, process: op.Process, typ: op.Type, final: op.Final, lamport: op.Lamport,
		value: notNull(op.Value), key: notNull(op.Key),
		f: b.intern(op.F), node: b.intern(op.Node), err: b.intern(op.Error),
	}
	if len(op.Ext) > 0 {
		if name := ownField(op.Ext); name != "" {
			op.Index = len(b.c.meta)
			return &Malformed{Op: op, Why: fmt.Sprintf("the further field %q has the name of one that every op has", name)}
		}
		b.scratch = appendMembers(b.scratch[:0], op.Ext)
		r.ext = b.scratch
	}
	return b.push(&r)
}

// row is an op on its way into the columns, its strings interned. Its slices
// are copied when it is pushed.
type row struct {
	time       Time
	process    Process
	typ        Type
	final      bool
	lamport    uint64
	f          uint32
	node, err  uint32
	value, key []byte
	ext        []byte // JSON members without braces, sorted by name
}

func (b *Builder) push(r *row) error {
	i := len(b.c.meta)
	if r.typ < Invoke || r.typ > Info {
		return &Malformed{Op: b.op(r), Why: fmt.Sprintf("%s is not a type of a history", r.typ)}
	}
	if i == math.MaxInt32 {
		return &Malformed{Op: b.op(r), Why: "a history holds at most 2147483647 ops"}
	}
	pair := int32(-1)
	other, busy := b.open.get(r.process)
	if called := r.typ == Invoke || busy || r.process.Client(); called && !r.process.Nemesis() {
		if err := r.canon(); err != nil {
			return &Malformed{Op: b.op(r), Why: err.Error()}
		}
	}
	switch {
	case r.typ == Invoke && busy:
		first := History{&b.c}.At(int(other))
		return &Malformed{Op: b.op(r), Other: first, Why: fmt.Sprintf("the process has invoked op %d (%s) and not completed it", other, first.F)}
	case r.typ == Invoke:
		b.open.set(r.process, int32(i))
	case busy:
		if r.process.Client() {
			if why := b.contradiction(int(other), r); why != "" {
				return &Malformed{Op: b.op(r), Other: History{&b.c}.At(int(other)), Why: why}
			}
		}
		pair = other
		b.open.clear(r.process)
		// A History taken before may be reading this; for it the call is
		// still open, since i is beyond its end.
		atomic.StoreInt32(&b.c.pair[other], int32(i))
	case r.process.Client() && !b.Compact:
		return &Malformed{Op: b.op(r), Why: "the process completes what it never invoked"}
	}
	meta := uint8(r.typ)
	if r.final {
		meta |= metaFinal
	}
	c := &b.c
	c.meta = append(c.meta, meta)
	c.f = append(c.f, r.f)
	c.proc = append(c.proc, r.process)
	c.time = append(c.time, r.time)
	c.pair = append(c.pair, pair)
	c.value = append(c.value, b.arena.put(c, r.value))
	c.node.put(i, r.node)
	c.err.put(i, r.err)
	c.lamport.put(i, r.lamport)
	if r.key != nil {
		c.key.put(i, b.internKey(r.key))
	}
	if r.ext != nil {
		c.ext.put(i, b.arena.put(c, r.ext))
	}
	return nil
}

// canon makes equal values and keys equal texts. What nodes record is not
// compared as a whole, and stays as it is.
func (r *row) canon() error {
	value, err := node.Canon(r.value)
	if err != nil {
		return fmt.Errorf("value %.80s: %w", r.value, err)
	}
	key, err := node.Canon(r.key)
	if err != nil {
		return fmt.Errorf("key %.80s: %w", r.key, err)
	}
	r.value, r.key = notNull(value), notNull(key)
	return nil
}

// contradiction tells how r cannot be the completion of op i, or "".
func (b *Builder) contradiction(i int, r *row) string {
	invoked := History{&b.c}
	if r.f == 0 {
		r.f = b.c.f[i]
	}
	if r.f != b.c.f[i] {
		return fmt.Sprintf("the process has invoked op %d, which is f %q", i, invoked.F(i))
	}
	if key := invoked.Key(i); r.key != nil && key != nil && !bytes.Equal(r.key, key) {
		return fmt.Sprintf("it is about key %.80s, and the process has invoked op %d, which is about key %.80s", r.key, i, key)
	}
	if r.typ == OK && b.string(r.f) == "txn" {
		if why := contradicts(invoked.Value(i), r.value); why != "" {
			return fmt.Sprintf("the process has invoked op %d, and completes %.200s", i, why)
		}
	}
	return ""
}

// op makes an op of r, for an error.
func (b *Builder) op(r *row) Op {
	return Op{
		Index: len(b.c.meta), Time: r.time, Process: r.process, Type: r.typ, F: b.string(r.f),
		Value: bytes.Clone(r.value), Key: bytes.Clone(r.key), Node: b.string(r.node), Final: r.final,
		Error: b.string(r.err), Lamport: r.lamport, Ext: members(bytes.Clone(r.ext)),
	}
}

func (b *Builder) string(id uint32) string {
	if id == 0 {
		return ""
	}
	return b.c.strings[id]
}

// intern returns the number of s; that of "" is 0.
func (b *Builder) intern(s string) uint32 {
	if s == "" {
		return 0
	}
	id, ok := b.strings[s]
	if !ok {
		id = b.newString(strings.Clone(s))
	}
	return id
}

func (b *Builder) internBytes(s []byte) uint32 {
	if len(s) == 0 {
		return 0
	}
	id, ok := b.strings[string(s)]
	if !ok {
		id = b.newString(string(s))
	}
	return id
}

func (b *Builder) newString(s string) uint32 {
	if b.strings == nil {
		b.strings = map[string]uint32{}
		b.c.strings = append(b.c.strings, "")
	}
	id := uint32(len(b.c.strings))
	b.c.strings = append(b.c.strings, s)
	b.strings[s] = id
	return id
}

func (b *Builder) internKey(k []byte) uint32 {
	id, ok := b.keys[string(k)]
	if !ok {
		if b.keys == nil {
			b.keys = map[string]uint32{}
			b.c.keys = append(b.c.keys, nil)
		}
		id = uint32(len(b.c.keys))
		b.c.keys = append(b.c.keys, bytes.Clone(k))
		b.keys[string(k)] = id
	}
	return id
}

// History returns the ops added so far, in constant time. It stays as it is
// when the Builder goes on, which may be while others read it.
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

// pending holds the open invocation of each process.
type pending struct {
	low  []int32 // of client p < lowMax: index+1, or 0
	rest map[Process]int32
}

const lowMax = 1 << 16

func (o *pending) get(p Process) (int32, bool) {
	if p >= 0 && p < lowMax {
		if int(p) >= len(o.low) || o.low[p] == 0 {
			return 0, false
		}
		return o.low[p] - 1, true
	}
	i, ok := o.rest[p]
	return i, ok
}

func (o *pending) set(p Process, i int32) {
	if p >= 0 && p < lowMax {
		for int(p) >= len(o.low) {
			o.low = append(o.low, 0)
		}
		o.low[p] = i + 1
		return
	}
	if o.rest == nil {
		o.rest = map[Process]int32{}
	}
	o.rest[p] = i
}

func (o *pending) clear(p Process) {
	if p >= 0 && p < lowMax {
		o.low[p] = 0
		return
	}
	delete(o.rest, p)
}

// notNull returns raw, or nil if it is JSON's null.
func notNull(raw json.RawMessage) []byte {
	if string(raw) == "null" {
		return nil
	}
	return raw
}
