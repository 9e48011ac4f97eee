package raft

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// machine is the replicated state: registers, lists and the sessions of those
// who propose. Nodes that have applied the same entries have equal machines,
// and equal bytes of them. Keys are JSON texts, and so are values.
type machine struct {
	registers map[string]string
	lists     map[string]string // an open JSON array: [1,2,3
	sessions  map[string]*session
	history   uint64 // a hash of the names of all entries applied, in order
	// membership is the index of the last change of membership that was granted.
	membership uint64
}

// reply is what came of a command: a value, or why it had no effect.
type reply struct {
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
}

func newMachine() *machine {
	return &machine{registers: map[string]string{}, lists: map[string]string{}, sessions: map[string]*session{}}
}

// apply carries out c, unless it has been before: then the reply is the one it
// had. A planted bug applies it again.
func (m *machine) apply(c command, again bool) reply {
	s := m.session(c.origin)
	if r, done := s.done(c); done && !again {
		return r
	}
	r := m.do(c)
	s.keep(c, r)
	return r
}

// do is the effect of a command, and what it returns. A command that only
// reads may be done without having been committed.
func (m *machine) do(c command) reply {
	switch c.f {
	case "read":
		return reply{Value: json.RawMessage(m.read(c.key))}
	case "write":
		m.registers[c.key] = c.value
	case "cas":
		from, to := casOf(c.value)
		if m.read(c.key) != from {
			return reply{Error: "mismatch"}
		}
		m.registers[c.key] = to
	case "add":
		m.append(c.key, c.value)
	case "txn":
		ops := txnOf(c.value)
		for i, op := range ops {
			if op.f == "append" {
				m.append(op.key, op.value)
			} else {
				ops[i].value = m.list(op.key)
			}
		}
		return reply{Value: json.RawMessage(txnText(ops))}
	default:
		panic("raft: committed command " + c.f + " is unknown")
	}
	return reply{Value: json.RawMessage(c.value)}
}

// read is the register of that name, or the set: it is the object that has no
// name.
func (m *machine) read(key string) string {
	if key == "null" {
		if set := m.list(key); set != "null" {
			return set
		}
		return "[]"
	}
	if v, ok := m.registers[key]; ok {
		return v
	}
	return "null"
}

func (m *machine) list(key string) string {
	if open, ok := m.lists[key]; ok {
		return open + "]"
	}
	return "null"
}

func (m *machine) append(key, value string) {
	if open, ok := m.lists[key]; ok {
		m.lists[key] = open + "," + value
	} else {
		m.lists[key] = "[" + value
	}
}

// note takes the name of an applied entry into the history.
func (m *machine) note(name string) { m.history = hash(m.history, name) }

// hash continues a hash with s: FNV-1a (Fowler, Noll, Vo), of 64 bits.
func hash[T string | []byte](h uint64, s T) uint64 {
	if h == 0 {
		h = 14695981039346656037
	}
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// image is a machine as a snapshot holds it.
type image struct {
	Registers map[string]json.RawMessage `json:"registers"`
	Lists     map[string]json.RawMessage `json:"lists"`
	Sessions  map[string]*session        `json:"sessions"`
	History   uint64                     `json:"history"`
	Members   uint64                     `json:"membership"`
}

// encode is the machine's bytes. A planted bug leaves out every second register
// and list.
func (m *machine) encode(drop bool) []byte {
	i := image{map[string]json.RawMessage{}, map[string]json.RawMessage{}, m.sessions, m.history, m.membership}
	for k, key := range slices.Sorted(maps.Keys(m.registers)) {
		if !drop || k%2 == 0 {
			i.Registers[key] = json.RawMessage(m.registers[key])
		}
	}
	for k, key := range slices.Sorted(maps.Keys(m.lists)) {
		if !drop || k%2 == 0 {
			i.Lists[key] = json.RawMessage(m.list(key))
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // values stay as they are written
	if err := e.Encode(i); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// restore is the inverse of encode.
func restore(b []byte) *machine {
	i := image{Sessions: map[string]*session{}}
	if err := json.Unmarshal(b, &i); err != nil {
		panic(err)
	}
	m := newMachine()
	m.sessions, m.history, m.membership = i.Sessions, i.History, i.Members
	for _, key := range slices.Sorted(maps.Keys(i.Registers)) {
		m.registers[key] = string(i.Registers[key])
	}
	for _, key := range slices.Sorted(maps.Keys(i.Lists)) {
		list := string(i.Lists[key])
		m.lists[key] = list[:len(list)-1]
	}
	return m
}
