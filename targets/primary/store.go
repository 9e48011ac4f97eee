package primary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/torture-harness/torture/node"
)

// store is a log, on disk, and what it amounts to.
type store struct {
	log   []entry
	last  uint64          // all entries up to here are in log
	held  map[uint64]bool // entries in log beyond last: only a planted bug leaves any
	cells map[string]cell // by key
}

// entry is what one operation did. It holds effects, not the operation, so
// that to repeat it takes no decisions.
type entry struct {
	Idx     uint64   `json:"i"` // from 1
	Op      string   `json:"o"` // name of the operation, unique
	Changes []change `json:"c"`
}

// writtenAt tells whether a client gave the operation to this node.
func (e entry) writtenAt(id node.ID) bool { return strings.HasPrefix(e.Op, string(id)+".") }

// change is a register's new value, or another element at the end of a list.
type change struct {
	Key    string          `json:"k"`
	Value  json.RawMessage `json:"v"`
	Append bool            `json:"a,omitempty"`
}

// does is what e changes, as its record has it.
func (e entry) does() (all [][3]any) {
	for _, c := range e.Changes {
		f := "w"
		if c.Append {
			f = "append"
		}
		all = append(all, [3]any{f, orNull(json.RawMessage(c.Key)), c.Value})
	}
	return all
}

// cell is the state of a key: a register or a list, by what was written to it.
type cell struct {
	value json.RawMessage
	list  []json.RawMessage
	idx   uint64 // the entry that wrote it last
	op    string
}

func newStore() store { return store{held: map[uint64]bool{}, cells: map[string]cell{}} }

// load reads the log from disk.
func (s *store) load(env *node.Env) {
	for _, key := range env.Keys("log/") {
		var e entry
		env.Read(key, &e)
		s.apply(e)
		s.last = e.Idx
	}
}

// put adds entries to the log, on disk in one piece with where the piece
// begins. It does not sync.
func (s *store) put(env *node.Env, entries []entry) {
	changes := []node.Change{node.Put("mark", entries[0].Idx)}
	for _, e := range entries {
		changes = append(changes, node.Put(fmt.Sprintf("log/%010d", e.Idx), e))
		s.apply(e)
		s.held[e.Idx] = true
	}
	env.Batch(changes...)
	for s.held[s.last+1] {
		s.last++
		delete(s.held, s.last)
	}
}

// has tells whether the log has an entry idx.
func (s *store) has(idx uint64) bool { return idx <= s.last || s.held[idx] }

func (s *store) apply(e entry) {
	s.log = append(s.log, e)
	for _, ch := range e.Changes {
		c := s.cells[ch.Key]
		c.idx, c.op = e.Idx, e.Op
		if ch.Append {
			c.list = append(c.list, ch.Value)
		} else {
			c.value = ch.Value
		}
		s.cells[ch.Key] = c
	}
}

var errMismatch = errors.New("mismatch")

// execute says what r changes and what its client is told, and does nothing
// yet. An error means that it changes nothing.
func (s *store) execute(r node.Request) (changes []change, result any, err error) {
	key := string(r.Key)
	switch r.F {
	case "write":
		return []change{{Key: key, Value: orNull(r.Value)}}, r.Value, nil
	case "cas":
		var v [2]json.RawMessage
		if err := r.Decode(&v); err != nil {
			return nil, nil, fmt.Errorf("cas: want [old, new]: %w", err)
		}
		if !bytes.Equal(orNull(s.cells[key].value), orNull(v[0])) {
			return nil, nil, errMismatch
		}
		return []change{{Key: key, Value: orNull(v[1])}}, r.Value, nil
	case "add":
		return []change{{Key: key, Value: orNull(r.Value), Append: true}}, r.Value, nil
	case "txn":
		return s.transact(r)
	}
	return nil, nil, fmt.Errorf("there is no operation %q", r.F)
}

// transact is a transaction of appends to lists and reads of them, which see
// the transaction's own appends.
func (s *store) transact(r node.Request) (changes []change, result any, err error) {
	var ops [][3]json.RawMessage
	if err := r.Decode(&ops); err != nil {
		return nil, nil, fmt.Errorf("txn: want [[f, key, value], …]: %w", err)
	}
	for i, op := range ops {
		key := string(op[1])
		switch string(op[0]) {
		case `"append"`:
			changes = append(changes, change{Key: key, Value: orNull(op[2]), Append: true})
		case `"r"`:
			seen := slices.Clone(s.cells[key].list)
			for _, ch := range changes {
				if ch.Key == key {
					seen = append(seen, ch.Value)
				}
			}
			ops[i][2] = list(seen)
		default:
			return nil, nil, fmt.Errorf("txn: there is no micro-operation %s", op[0])
		}
	}
	return changes, ops, nil
}

func orNull(v json.RawMessage) json.RawMessage {
	if len(v) == 0 {
		return json.RawMessage("null")
	}
	return v
}

// list is the JSON array of elements.
func list(elements []json.RawMessage) json.RawMessage {
	out := []byte{'['}
	for i, e := range elements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	return append(out, ']')
}
