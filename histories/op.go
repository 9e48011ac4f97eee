// Package histories is the record of what happened: operations, in the order
// the harness saw them, and nothing that the harness did not see.
//
// The vocabulary and the field names are Jepsen's, so that a history.jsonl
// written here is readable by elle-cli and by anyone who knows the field.
package histories

import (
	"encoding/json"
	"fmt"
	"time"
)

// Time is nanoseconds since the run began: virtual in the simulator,
// monotonic on the control host in containers. Never wall-clock time.
type Time int64

// Add returns the time d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Duration is the time since the run began.
func (t Time) Duration() time.Duration { return time.Duration(t) }

// String renders t as a duration, e.g. 1.5s.
func (t Time) String() string { return time.Duration(t).String() }

// Type says what an Op tells us about the operation it belongs to. The zero
// Type is not valid in a history.
type Type uint8

const (
	Invoke Type = iota + 1 // the operation began
	OK                     // it took effect
	Fail                   // it did not, and never will
	Info                   // we cannot know: it may take effect at any later time
)

var typeNames = [...]string{"none", "invoke", "ok", "fail", "info"}

// String is the type's name in files: invoke, ok, fail or info.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// ParseType is the inverse of String, for the four types of a history.
func ParseType(s string) (Type, error) {
	for t := Invoke; t <= Info; t++ {
		if typeNames[t] == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("type %q: want invoke, ok, fail or info", s)
}

// MarshalText writes the name.
func (t Type) MarshalText() ([]byte, error) {
	if t < Invoke || t > Info {
		return nil, fmt.Errorf("%s is not a type of a history", t)
	}
	return []byte(typeNames[t]), nil
}

// UnmarshalText reads the name.
func (t *Type) UnmarshalText(b []byte) (err error) {
	*t, err = ParseType(string(b))
	return err
}

// Op is one event of a history: an invocation, a completion, or the record of
// something that a node or the world did.
//
// Values are kept encoded. An op is immutable, is on disk exactly what it is
// in memory, and a check of a stored history takes the same path as a live
// one.
type Op struct {
	Index   int             // position in the history, dense from 0: the order of things
	Time    Time            // for measurement only; never for order
	Process Process         // who
	Type    Type            // invoke, ok, fail, info
	F       string          // what: the operation's name
	Value   json.RawMessage // argument at invoke, result at completion; nil is null
	Key     json.RawMessage // the independent object it is about, or nil
	Node    string          // the node the client spoke to
	Final   bool            // part of the final phase, after the last cure
	Error   string          // why it failed, or why we cannot know

	// Lamport orders events of different machines: an event that could have
	// caused another has the smaller number. 0 where the file's order is exact
	// already, as in the simulator.
	Lamport uint64

	// Ext holds further fields, by name, inlined in JSON. Fields that torture
	// does not know survive being read and written.
	Ext map[string]json.RawMessage
}

// Encode is json.Marshal for values that the program itself made; a value that
// cannot be encoded is a bug in the program, and panics.
func Encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}

// Decode decodes an op's value as a T.
func Decode[T any](op Op) (T, error) {
	var v T
	if err := decode(op.Value, &v); err != nil {
		return v, fmt.Errorf("op %d (%s): value %s: %w", op.Index, op.F, op.Value, err)
	}
	return v, nil
}

// DecodeExt decodes the further field name of op as a T. ok tells whether op
// has it.
func DecodeExt[T any](op Op, name string) (v T, ok bool, err error) {
	raw, ok := op.Ext[name]
	if !ok {
		return v, false, nil
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, true, fmt.Errorf("op %d (%s): field %s %s: %w", op.Index, op.F, name, raw, err)
	}
	return v, true, nil
}

func decode(raw json.RawMessage, v any) error {
	if raw == nil {
		raw = json.RawMessage("null")
	}
	return json.Unmarshal(raw, v)
}

// Call is an invocation with its completion. An operation still open when the
// history ends has a completion of type Info whose Index is the history's
// length.
type Call struct {
	Invoke, Complete Op
}
