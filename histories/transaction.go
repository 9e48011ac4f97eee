package histories

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/torture-harness/torture/node"
)

// A transaction is an operation whose value lists micro-operations:
//
//	[["append", k, element], ["r", k, list or null], ["w", k, value], …]
//
// Its f is txn. Elle's histories leave f out, or say read, write or append
// where all micro-operations are that, and leave the place of a read's result
// out until there is one: ["r", k]. All that is read as the form above.

// transaction makes a transaction of a client's op that is one and does not say
// so, and completes its reads.
func (r *reader) transaction() {
	p := &r.p
	if !p.process.Client() {
		return
	}
	switch string(p.f) {
	case "txn":
		if p.typ != OK { // which has all its results
			p.placeReads()
		}
	case "", "read", "write", "append":
		switch {
		case isTransaction(p.value):
			p.f = []byte("txn")
			p.placeReads()
			r.txns = true
		case r.txns && p.value == nil && len(p.f) > 0 && p.typ != Invoke:
			if open, busy := r.b.open.get(p.process); busy && r.b.string(r.b.c.f[open]) == "txn" {
				p.f = []byte("txn")
			}
		}
	}
}

// isTransaction tells whether value is a list of micro-operations, and not an
// empty one.
func isTransaction(value []byte) bool {
	if len(value) < len(`[["r",0]]`) || value[0] != '[' || value[skipSpace(value, 1)] != '[' {
		return false
	}
	all := true
	eachElement(value, func(mop []byte) {
		name, _, _, n := microOp(mop)
		all = all && (n == 2 || n == 3) && (string(name) == `"r"` || string(name) == `"w"` || string(name) == `"append"`)
	})
	return all
}

// placeReads makes ["r", k, null] of each ["r", k].
func (r *record) placeReads() {
	short := false
	eachElement(r.value, func(mop []byte) {
		name, _, _, n := microOp(mop)
		short = short || n == 2 && string(name) == `"r"`
	})
	if !short {
		return
	}
	out := []byte{'['}
	eachElement(r.value, func(mop []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, mop...)
		if name, _, _, n := microOp(mop); n == 2 && string(name) == `"r"` {
			out = append(out[:len(out)-1], ",null]"...)
		}
	})
	r.value = append(out, ']')
}

// AnswersAnother tells how value, the answer to the operation that invoked began,
// is that to another one, or "": a transaction is answered by its own
// operations, with the results of its reads.
func AnswersAnother(invoked Op, value json.RawMessage) string {
	if invoked.F != "txn" {
		return ""
	}
	asked, err := node.Canon(invoked.Value) // as the node was given it
	if err != nil || !isTransaction(asked) {
		return ""
	}
	answer, err := node.Canon(value)
	if err != nil || !isTransaction(answer) {
		return fmt.Sprintf("%.200s, which is no transaction", value)
	}
	return contradicts(asked, answer)
}

// contradicts tells how the value of a transaction's completion contradicts
// that of its invocation, or "": the operations are not the same, or what they
// write is not. Only results may differ.
func contradicts(invoked, completed []byte) string {
	if !isTransaction(invoked) || !isTransaction(completed) {
		return ""
	}
	var asked [][]byte
	eachElement(invoked, func(mop []byte) { asked = append(asked, mop) })
	why, i := "", 0
	eachElement(completed, func(mop []byte) {
		if i < len(asked) && why == "" {
			name, key, value, n := microOp(mop)
			wantName, wantKey, wantValue, wantN := microOp(asked[i])
			write := string(wantName) != `"r"`
			if !bytes.Equal(name, wantName) || !bytes.Equal(key, wantKey) || write && (n != wantN || !bytes.Equal(value, wantValue)) {
				why = string(mop) + " where it invoked " + string(asked[i])
			}
		}
		i++
	})
	if why == "" && i != len(asked) {
		why = "another number of operations than it invoked"
	}
	return why
}

// microOp returns the parts of a micro-operation, and how many it has.
func microOp(mop []byte) (name, key, value []byte, n int) {
	if mop[0] != '[' {
		return nil, nil, nil, 0
	}
	eachElement(mop, func(e []byte) {
		switch n {
		case 0:
			name = e
		case 1:
			key = e
		case 2:
			value = e
		}
		n++
	})
	return name, key, value, n
}

// eachElement calls yield for each element of value, if that is an array. The
// parser has accepted it.
func eachElement(value []byte, yield func(element []byte)) {
	if len(value) == 0 || value[0] != '[' {
		return
	}
	i := skipSpace(value, 1)
	if value[i] == ']' {
		return
	}
	for {
		end, _ := skipValue(value, i, 0)
		yield(value[i:end:end])
		if i = skipSpace(value, end); value[i] != ',' {
			return
		}
		i = skipSpace(value, i+1)
	}
}
