package checker

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/torture-harness/torture/histories"
)

// ObjectCall is a call of one of the models of small objects: queue, stack,
// mutex, counter. Values are JSON text; a call of unknown outcome may have
// returned any. Such calls are equal if nobody can tell one from another.
type ObjectCall struct {
	f       string
	arg     string            // of the invocation
	result  string            // of the completion
	number  int64             // arg or result of a counter
	unknown bool              // it has no result
	process histories.Process // of a mutex, whose holder matters
}

// String is the call as people write it.
func (c ObjectCall) String() string {
	s := c.f
	if c.arg != "null" {
		s += " " + c.arg
	}
	if takes := c.f == "dequeue" || c.f == "pop" || c.f == "read"; takes && !c.unknown {
		s += " → " + c.result
	}
	return s
}

func decodeObject(model string, fs ...string) func(histories.Call) (ObjectCall, error) {
	return func(c histories.Call) (ObjectCall, error) {
		if err := oneOf("f", c.Invoke.F, fs); err != nil {
			return ObjectCall{}, fmt.Errorf("op %d: a %s does not know it: %w", c.Invoke.Index, model, err)
		}
		if c.Complete.Type == histories.Info {
			return ObjectCall{f: c.Invoke.F, arg: text(c.Invoke.Value), unknown: true}, nil
		}
		return ObjectCall{f: c.Invoke.F, arg: text(c.Invoke.Value), result: text(c.Complete.Value)}, nil
	}
}

// container is a queue or a stack, whose state is the text of its elements,
// each followed by a newline, the oldest first.
func container(name, put, take, init string, next func(s string) (element, rest string)) Model[string, ObjectCall] {
	m := Model[string, ObjectCall]{
		Name:   name,
		Init:   init,
		Decode: decodeObject(name, put, take),
		Step: func(s string, c ObjectCall) (string, bool) {
			if c.f == put {
				return s + c.arg + "\n", true
			}
			if s == "" {
				return s, c.unknown || c.result == "null"
			}
			element, rest := next(s)
			return rest, c.unknown || c.result == element
		},
		Describe:      ObjectCall.String,
		DescribeState: func(s string) string { return "[" + strings.Join(strings.Fields(s), " ") + "]" },
	}
	m.at = func(init json.RawMessage) (Model[string, ObjectCall], error) {
		var held strings.Builder
		if !elements(init, func(e []byte) { held.WriteString(text(e) + "\n") }) {
			return m, fmt.Errorf("init %s: want the elements of a %s, the first that was put first: [1,2]", init, name)
		}
		return container(name, put, take, held.String(), next), nil
	}
	return m
}

// Queue is a first-in-first-out queue, empty at first: enqueue v, and
// dequeue → v, or null if it is empty.
func Queue() Model[string, ObjectCall] {
	m := container("queue", "enqueue", "dequeue", "", func(s string) (string, string) {
		element, rest, _ := strings.Cut(s, "\n")
		return element, rest
	})
	m.guess = func(part []span[ObjectCall]) json.RawMessage { return list(unput(part, "enqueue")) }
	return m
}

// Stack is a stack, empty at first: push v, and pop → v, or null if it is
// empty.
func Stack() Model[string, ObjectCall] {
	m := container("stack", "push", "pop", "", func(s string) (string, string) {
		i := strings.LastIndexByte(s[:len(s)-1], '\n') + 1
		return s[i : len(s)-1], s[:i]
	})
	m.guess = func(part []span[ObjectCall]) json.RawMessage {
		all := unput(part, "push")
		slices.Reverse(all)
		return list(all)
	}
	return m
}

// unput are the elements that were taken and never put, in the order in which
// their calls began.
func unput(part []span[ObjectCall], put string) (all []string) {
	there := map[string]bool{"null": true}
	for _, s := range part {
		if s.call.f == put {
			there[s.call.arg] = true
		}
	}
	for _, s := range part {
		if c := s.call; c.f != put && !c.unknown && !there[c.result] {
			all = append(all, c.result)
		}
	}
	return all
}

// list is a JSON array, or nil if it is empty.
func list(all []string) json.RawMessage {
	if len(all) == 0 {
		return nil
	}
	return json.RawMessage("[" + strings.Join(all, ",") + "]")
}

// Mutex is a lock, free at first: acquire and release, by whomever. It is
// Knossos' model; OwnerMutex knows who holds the lock.
func Mutex() Model[bool, ObjectCall] {
	m := Model[bool, ObjectCall]{
		Name:     "mutex",
		Decode:   decodeObject("mutex", "acquire", "release"),
		Step:     func(held bool, c ObjectCall) (bool, bool) { return !held, held == (c.f == "release") },
		Describe: ObjectCall.String,
		DescribeState: func(held bool) string {
			if held {
				return "held"
			}
			return "free"
		},
		guess: func([]span[ObjectCall]) json.RawMessage { return json.RawMessage("true") },
	}
	m.at = func(init json.RawMessage) (Model[bool, ObjectCall], error) {
		if s := text(init); s != "true" && s != "false" && s != "null" {
			return m, fmt.Errorf("init %s: want true if the mutex is held at first, or false", init)
		}
		other := m
		other.Init = text(init) == "true"
		return other, nil
	}
	return m
}

// OwnerMutex is a lock, free at first: acquire and release. Its state is 1 +
// the process that holds it, which alone may release it; 0 is free.
func OwnerMutex() Model[int, ObjectCall] {
	decode := decodeObject("owner-mutex", "acquire", "release")
	m := Model[int, ObjectCall]{
		Name: "owner-mutex",
		Decode: func(c histories.Call) (ObjectCall, error) {
			o, err := decode(c)
			o.process = c.Invoke.Process
			return o, err
		},
		Step: func(holder int, c ObjectCall) (int, bool) {
			if c.f == "acquire" {
				return int(c.process) + 1, holder == 0
			}
			return 0, holder == int(c.process)+1
		},
		Describe: ObjectCall.String,
		DescribeState: func(holder int) string {
			if holder == 0 {
				return "free"
			}
			return fmt.Sprintf("held by process %d", holder-1)
		},
		guess: func(part []span[ObjectCall]) json.RawMessage {
			for _, s := range part {
				if s.call.f == "release" {
					return json.RawMessage(strconv.Itoa(int(s.call.process)))
				}
			}
			return nil
		},
	}
	m.at = func(init json.RawMessage) (Model[int, ObjectCall], error) {
		other := m
		if null(init) {
			return other, nil
		}
		n, ok := integer(init)
		if !ok || n < 0 || n >= math.MaxInt32 {
			return m, fmt.Errorf("init %s: want the number of the process that holds the mutex at first, or null", init)
		}
		other.Init = int(n) + 1
		return other, nil
	}
	return m
}

// Counter is a number, 0 at first: add n, and read → number. It is one of 64
// bits: what goes beyond is lost in the same way on both sides.
func Counter() Model[int64, ObjectCall] {
	decode := decodeObject("counter", "add", "read")
	m := Model[int64, ObjectCall]{
		Name: "counter",
		Decode: func(c histories.Call) (ObjectCall, error) {
			o, err := decode(c)
			if err != nil {
				return o, err
			}
			raw, ok := []byte(o.arg), true
			if o.f == "read" {
				raw = []byte(o.result)
			}
			if o.number, ok = integer(raw); !ok && !(o.f == "read" && o.unknown) {
				return o, fmt.Errorf("op %d (%s): value %s: want a whole number of 64 bits", c.Invoke.Index, o.f, raw)
			}
			return o, nil
		},
		Step: func(n int64, c ObjectCall) (int64, bool) {
			if c.f == "add" {
				return n + c.number, true
			}
			return n, n == c.number
		},
		Reads:    func(c ObjectCall) bool { return c.f == "read" },
		Describe: ObjectCall.String,
		guess: func(part []span[ObjectCall]) json.RawMessage {
			for _, s := range part {
				if s.call.f == "read" {
					return json.RawMessage(s.call.result)
				}
			}
			return nil
		},
	}
	m.at = func(init json.RawMessage) (Model[int64, ObjectCall], error) {
		other, ok := m, true
		if other.Init, ok = integer(init); !ok {
			return m, fmt.Errorf("init %s: want the number that the counter is at first", init)
		}
		return other, nil
	}
	return m
}

// MultiRegister is a map of registers that transactions read and write
// atomically: txn [["r", key, value], ["w", key, value], …]. Registers hold
// null at first.
func MultiRegister() Model[string, MultiCall] { return multiRegister(nil) }

// multiRegister has registers that hold at first what init says of them, by
// the names of their keys.
func multiRegister(init map[string]string) Model[string, MultiCall] {
	first := func(key string) string {
		if v, ok := init[strings.TrimPrefix(keyName(key), ":")]; ok {
			return v
		}
		return "null"
	}
	return Model[string, MultiCall]{
		Name:   "multi-register",
		Decode: decodeMulti,
		Part:   func(histories.Op) string { return "" },
		Step: func(s string, c MultiCall) (string, bool) {
			held := map[string]string{}
			for line := range strings.Lines(s) {
				k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
				held[k] = v
			}
			for _, m := range c.mops {
				v, has := held[m.key]
				if !has {
					v = first(m.key)
				}
				switch {
				case m.write:
					held[m.key] = m.value
				case !c.unknown && v != m.value:
					return s, false
				}
			}
			var b strings.Builder
			for _, k := range sortedKeys(held) {
				b.WriteString(k + "\t" + held[k] + "\n")
			}
			return b.String(), true
		},
		Reads:    func(c MultiCall) bool { return !slices.ContainsFunc(c.mops, func(m mop) bool { return m.write }) },
		Describe: MultiCall.String,
		DescribeState: func(s string) string {
			return "{" + strings.ReplaceAll(strings.TrimSuffix(strings.ReplaceAll(s, "\t", ": "), "\n"), "\n", ", ") + "}"
		},
		at: func(init json.RawMessage) (Model[string, MultiCall], error) {
			var values map[string]json.RawMessage
			if err := json.Unmarshal(init, &values); err != nil {
				return Model[string, MultiCall]{}, fmt.Errorf(`init %s: want the values of registers at first: {"x":0,"y":0}`, init)
			}
			held := map[string]string{}
			for name, v := range values {
				held[name] = text(v)
			}
			return multiRegister(held), nil
		},
		guess: guessMulti,
	}
}

// guessMulti is, of every register, the first value read that nobody wrote.
func guessMulti(part []span[MultiCall]) json.RawMessage {
	wrote := map[string]map[string]bool{}
	for _, s := range part {
		for _, m := range s.call.mops {
			if wrote[m.key] == nil {
				wrote[m.key] = map[string]bool{"null": true}
			}
			if m.write {
				wrote[m.key][m.value] = true
			}
		}
	}
	init := map[string]json.RawMessage{}
	for _, s := range part {
		for _, m := range s.call.mops {
			name := strings.TrimPrefix(keyName(m.key), ":")
			if _, known := init[name]; !known && !m.write && !s.call.unknown && !wrote[m.key][m.value] {
				init[name] = json.RawMessage(m.value)
			}
		}
	}
	if len(init) == 0 {
		return nil
	}
	return histories.Encode(init)
}

// MultiCall is a transaction on a MultiRegister.
type MultiCall struct {
	mops    []mop
	unknown bool
}

type mop struct {
	write      bool
	key, value string
}

// String is the transaction as people write it.
func (c MultiCall) String() string {
	var all []string
	for _, m := range c.mops {
		sign := " → "
		if m.write {
			sign = " := "
		}
		all = append(all, m.key+sign+m.value)
	}
	return "txn " + strings.Join(all, ", ")
}

func decodeMulti(c histories.Call) (MultiCall, error) {
	m := MultiCall{unknown: c.Complete.Type == histories.Info}
	op := c.Invoke
	if c.Complete.Type == histories.OK {
		op = c.Complete
	}
	wrong := fmt.Errorf("op %d (%s): value %s: want a txn, a list of [\"r\" or \"w\", key, value]", op.Index, op.F, op.Value)
	var mops [][]json.RawMessage
	if err := json.Unmarshal(op.Value, &mops); err != nil || op.F != "txn" {
		return m, wrong
	}
	for _, raw := range mops {
		if m.unknown && len(raw) == 2 { // a read that was not answered
			raw = append(raw, nil)
		}
		if len(raw) != 3 {
			return m, wrong
		}
		kind := strings.Trim(string(raw[0]), `"`)
		if err := oneOf("operation", kind, []string{"r", "w", "read", "write"}); err != nil {
			return m, fmt.Errorf("op %d (txn): %w", op.Index, err)
		}
		m.mops = append(m.mops, mop{write: kind[0] == 'w', key: text(raw[1]), value: text(raw[2])})
	}
	return m, nil
}
