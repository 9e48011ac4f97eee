package raft

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/torture-harness/torture/node"
)

// operation reads a client's operation as a command, without a name as yet. It
// fails on what the machine could not carry out.
func operation(r node.Request) (command, error) {
	c := command{f: r.F}
	var err error
	if c.key, err = canon(r.Key); err != nil {
		return c, fmt.Errorf("key %s: %w", r.Key, err)
	}
	if c.value, err = canon(r.Value); err != nil {
		return c, fmt.Errorf("value %s: %w", r.Value, err)
	}
	switch c.f {
	case "read", "write", "add":
	case "cas":
		var pair []json.RawMessage
		if json.Unmarshal([]byte(c.value), &pair) != nil || len(pair) != 2 {
			return c, fmt.Errorf("cas of %s: want [old, new]", r.Value)
		}
	case "txn":
		var ops [][]json.RawMessage
		if err := json.Unmarshal([]byte(c.value), &ops); err != nil {
			return c, fmt.Errorf("txn of %s: want a list of operations: %w", r.Value, err)
		}
		for _, op := range ops {
			if len(op) != 3 || string(op[0]) != `"append"` && string(op[0]) != `"r"` {
				return c, fmt.Errorf(`txn of %s: want ["append", key, value] or ["r", key, null]`, r.Value)
			}
		}
	case Leave, Join:
	default:
		return c, fmt.Errorf("operation %q is unknown", c.f)
	}
	return c, nil
}

// readOnly tells whether c has no effect.
func (c command) readOnly() bool {
	if c.f != "txn" {
		return c.f == "read"
	}
	for _, op := range txnOf(c.value) {
		if op.f != "r" {
			return false
		}
	}
	return true
}

// canon is the one way to write a JSON value. No value is null.
func canon(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "null", nil
	}
	b, err := node.Canon(raw)
	if err == nil && !utf8.Valid(b) {
		err = errors.New("it is not valid UTF-8")
	}
	return string(b), err
}

func casOf(value string) (from, to string) {
	var pair [2]json.RawMessage
	decode(value, &pair)
	return string(pair[0]), string(pair[1])
}

// txnOp is one operation of a transaction; key and value are canonical JSON.
type txnOp struct{ f, key, value string }

func txnOf(value string) []txnOp {
	var raw [][3]json.RawMessage
	decode(value, &raw)
	ops := make([]txnOp, len(raw))
	for i, op := range raw {
		ops[i] = txnOp{strings.Trim(string(op[0]), `"`), string(op[1]), string(op[2])}
	}
	return ops
}

func txnText(ops []txnOp) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, op := range ops {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`["` + op.f + `",` + op.key + `,` + op.value + `]`)
	}
	b.WriteByte(']')
	return b.String()
}

// decode reads what operation has found to be in order.
func decode(s string, v any) {
	if err := json.Unmarshal([]byte(s), v); err != nil {
		panic(err)
	}
}
