package checker

import (
	"encoding/json"
	"fmt"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
)

// RegisterOptions adapt the register. The zero value is a register that holds
// null at first.
type RegisterOptions struct {
	// Init is the value before the first write; nil is null.
	Init json.RawMessage `json:"init,omitempty"`
	// Mismatch makes a cas that failed with this error an observation: at some
	// moment between its ends the register did not hold the value expected.
	Mismatch Mismatch `json:"mismatch,omitempty"`
}

// Mismatch is the error of a cas that found another value than it expected, or
// AnyError; "" is that of none.
type Mismatch string

// AnyError says that a cas fails only if it found another value.
const AnyError Mismatch = "*"

// UnmarshalJSON reads the text of the error, or true for AnyError.
func (m *Mismatch) UnmarshalJSON(b []byte) error {
	var any bool
	if json.Unmarshal(b, &any) == nil {
		if *m = ""; any {
			*m = AnyError
		}
		return nil
	}
	return json.Unmarshal(b, (*string)(m))
}

// RegisterCall is a read, a write or a cas of a register, its values as JSON
// text.
type RegisterCall struct {
	kind registerKind
	old  string // what a cas expects
	val  string // what is read or written
}

type registerKind uint8

const (
	registerRead registerKind = iota + 1
	registerWrite
	registerCAS
	registerMismatch // a cas that found another value
)

// Register is a register with the operations read() → v, write(v) and
// cas([old, new]), one register for each key. Values are compared as
// node.Canon does.
//
// If the values written are all different, which a good workload sees to, the
// check takes linear time (checks of chains of values); otherwise it is a
// search.
func Register(o RegisterOptions) Model[string, RegisterCall] {
	initial := "null"
	if o.Init != nil {
		initial = text(o.Init)
	}
	m := Model[string, RegisterCall]{
		Name:          "register",
		Init:          initial,
		Decode:        decodeRegister,
		Step:          func(s string, c RegisterCall) (string, bool) { return c.step(s) },
		Reads:         RegisterCall.reads,
		Describe:      RegisterCall.String,
		DescribeState: func(s string) string { return s },
		useless:       uselessRegister,
		shape:         func(part []span[RegisterCall]) (*witness, bool) { return registerShape(part, initial) },
	}
	if o.Mismatch != "" {
		m.Observes = func(c histories.Call) bool {
			return c.Invoke.F == "cas" && (o.Mismatch == AnyError || c.Complete.Error == string(o.Mismatch))
		}
	}
	m.at = func(init json.RawMessage) (Model[string, RegisterCall], error) {
		return Register(RegisterOptions{Init: init, Mismatch: o.Mismatch}), nil
	}
	m.guess = guessRegister
	return m
}

// guessRegister is the first value read that nobody put.
func guessRegister(part []span[RegisterCall]) json.RawMessage {
	put := map[string]bool{}
	for _, s := range part {
		if !s.call.reads() {
			put[s.call.val] = true
		}
	}
	for _, s := range part {
		if v := s.call.val; s.call.kind == registerRead && !put[v] && v != "null" {
			return json.RawMessage(v)
		}
	}
	return nil
}

// registerShape decides by chains. They know nothing of mismatches: what is
// wrong without those is wrong, and its witness is the better one; what is
// right without them must be searched.
func registerShape(part []span[RegisterCall], initial string) (w *witness, fits bool) {
	var rest []span[RegisterCall]
	var place []int
	for i, s := range part {
		if s.call.kind != registerMismatch {
			rest, place = append(rest, s), append(place, i)
		}
	}
	if len(rest) == len(part) {
		return chains(part, initial)
	}
	if w, _ = chains(rest, initial); w == nil {
		return nil, false
	}
	for i, s := range w.spans {
		w.spans[i] = place[s]
	}
	return w, true
}

func decodeRegister(c histories.Call) (RegisterCall, error) {
	switch c.Invoke.F {
	case "read":
		return RegisterCall{kind: registerRead, val: text(c.Complete.Value)}, nil
	case "write":
		return RegisterCall{kind: registerWrite, val: text(c.Invoke.Value)}, nil
	case "cas":
		var pair [2]string
		n := 0
		array := elements(c.Invoke.Value, func(e []byte) {
			if n < 2 {
				pair[n] = text(e)
			}
			n++
		})
		if !array || n != 2 {
			return RegisterCall{}, fmt.Errorf("op %d (cas): value %s: want [old, new]", c.Invoke.Index, c.Invoke.Value)
		}
		kind := registerCAS
		if c.Complete.Type == histories.Fail {
			kind = registerMismatch
		}
		return RegisterCall{kind: kind, old: pair[0], val: pair[1]}, nil
	}
	return RegisterCall{}, fmt.Errorf("op %d: f %q: a register has read, write and cas", c.Invoke.Index, c.Invoke.F)
}

// text is raw as all equal values are written; nothing is null. What is no JSON
// equals itself alone.
func text(raw []byte) string {
	if len(raw) == 0 {
		return "null"
	}
	if canonical, err := node.Canon(raw); err == nil {
		raw = canonical
	}
	return string(raw)
}

func (c RegisterCall) step(s string) (string, bool) {
	switch c.kind {
	case registerRead:
		return s, s == c.val
	case registerMismatch:
		return s, s != c.old
	case registerCAS:
		return c.val, s == c.old
	}
	return c.val, true
}

func (c RegisterCall) reads() bool { return c.kind == registerRead || c.kind == registerMismatch }

// String is the call as people write it.
func (c RegisterCall) String() string {
	switch c.kind {
	case registerRead:
		return "read → " + c.val
	case registerCAS:
		return "cas " + c.old + " to " + c.val
	case registerMismatch:
		return "cas " + c.old + " to " + c.val + " → mismatch"
	}
	return "write " + c.val
}

// uselessRegister finds the updates of unknown outcome whose value no call
// reads or expects. Leaving one out of an order of the calls leaves the others
// as legal as they were; the exception is a mismatch, which such a value may
// explain.
func uselessRegister(part []span[RegisterCall]) []bool {
	observers := map[string]int{}
	watch := func(c RegisterCall, by int) {
		switch c.kind {
		case registerRead:
			observers[c.val] += by
		case registerCAS:
			observers[c.old] += by
		}
	}
	for _, s := range part {
		if s.call.kind == registerMismatch {
			return nil
		}
		watch(s.call, 1)
	}
	drop := make([]bool, len(part))
	for again := true; again; {
		again = false
		for i, s := range part {
			if !drop[i] && s.open() && observers[s.call.val] == 0 {
				drop[i], again = true, true
				watch(s.call, -1)
			}
		}
	}
	return drop
}
