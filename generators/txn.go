package generators

import (
	"encoding/json"
	"strconv"
)

// microOpsMax is the longest transaction of Appends.
const microOpsMax = 4

// Appends is the workload of transactions over lists (Elle's list-append), for
// ever: txn with 1 to 4 micro-operations, ["append",k,v] as often as
// ["r",k,null]. Keys are numbers, keys.N at a time, chosen by keys, and each is
// given up for a fresh one after opsPerKey micro-operations (0: never). No
// element is appended twice: they are 1, 2, 3, ….
func Appends(keys KeyDist, opsPerKey int) Generator {
	keys.validate()
	return &appends{objects{dist: keys, perKey: opsPerKey}, 0, 1}
}

type appends struct {
	objects
	txns uint64 // so far
	next int    // the next element
}

func (g *appends) Op(ctx Context) (*Op, Generator) {
	ctx = ctx.At(g.txns)
	op := ctx.Fill(Op{F: "txn"})
	if op == nil {
		return nil, g
	}
	rnd := ctx.Rand()
	next := &appends{g.objects, g.txns + 1, g.next}
	txn := append(make(json.RawMessage, 0, 64), '[')
	for i := range 1 + rnd.IntN(microOpsMax) {
		if i > 0 {
			txn = append(txn, ',')
		}
		key, place := next.choose(rnd)
		element := 0
		if rnd.IntN(2) == 0 {
			element = next.next
			next.next++
		}
		txn = appendMicroOp(txn, key, element)
		next.objects = next.used(place, element)
	}
	op.Value = append(txn, ']')
	return op, next
}

// appendMicroOp appends to txn the appending of element, or if that is 0 a
// read.
func appendMicroOp(txn []byte, key, element int) []byte {
	if element == 0 {
		txn = append(txn, `["r",`...)
		txn = strconv.AppendInt(txn, int64(key), 10)
		return append(txn, `,null]`...)
	}
	txn = append(txn, `["append",`...)
	txn = strconv.AppendInt(txn, int64(key), 10)
	txn = append(txn, ',')
	txn = strconv.AppendInt(txn, int64(element), 10)
	return append(txn, ']')
}

func (g *appends) Update(Context, Op) Generator { return g }

func (g *appends) String() string { return describe("Appends", g.dist.N, g.perKey) }
