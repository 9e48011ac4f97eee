package checker

import (
	"encoding/json"
	"fmt"
	"slices"
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
func container(name, put, take string, next func(s string) (element, rest string)) Model[string, ObjectCall] {
	return Model[string, ObjectCall]{
		Name:   name,
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
}

// Queue is a first-in-first-out queue, empty at first: enqueue v, and
// dequeue → v, or null if it is empty.
func Queue() Model[string, ObjectCall] {
	return container("queue", "enqueue", "dequeue", func(s string) (string, string) {
		element, rest, _ := strings.Cut(s, "\n")
		return element, rest
	})
}

// Stack is a stack, empty at first: push v, and pop → v, or null if it is
// empty.
func Stack() Model[string, ObjectCall] {
	return container("stack", "push", "pop", func(s string) (string, string) {
		i := strings.LastIndexByte(s[:len(s)-1], '\n') + 1
		return s[i : len(s)-1], s[:i]
	})
}

// Mutex is a lock, free at first: acquire and release. Its state is 1 + the
// process that holds it, which alone may release it; 0 is free.
func Mutex() Model[int, ObjectCall] {
	decode := decodeObject("mutex", "acquire", "release")
	return Model[int, ObjectCall]{
		Name: "mutex",
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
	}
}

// Counter is a number, 0 at first: add n, and read → number.
func Counter() Model[int64, ObjectCall] {
	decode := decodeObject("counter", "add", "read")
	return Model[int64, ObjectCall]{
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
				return o, fmt.Errorf("op %d (%s): value %s: want a whole number", c.Invoke.Index, o.f, raw)
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
	}
}

// MultiRegister is a map of registers that transactions read and write
// atomically: txn [["r", key, value], ["w", key, value], …]. Registers hold
// null at first.
func MultiRegister() Model[string, MultiCall] {
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
					v = "null"
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
	}
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
