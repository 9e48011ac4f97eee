package generators

import (
	"encoding/json"
	"strconv"
)

// Register is the workload of many registers: read (value null) and write v,
// as often the one as the other, for ever. Key is "k0", "k1", …; of keys.N at
// a time, chosen by keys, and each given up for a fresh one after opsPerKey
// operations (0: never). No value is written twice: they are 1, 2, 3, ….
func Register(keys KeyDist, opsPerKey int) Generator {
	return newRegister("Register", keys, opsPerKey)
}

// CAS is Register with compare-and-set, cas [old, new], for a third of the
// operations. old is what was last proposed for the key, and so is often there.
// A register that nothing was written to is written to first.
func CAS(keys KeyDist, opsPerKey int) Generator { return newRegister("CAS", keys, opsPerKey) }

func newRegister(name string, keys KeyDist, opsPerKey int) Generator {
	keys.validate()
	return &register{name, objects{dist: keys, perKey: opsPerKey}, 1}
}

type register struct {
	name string // Register or CAS
	objects
	next int // the next value to write
}

func (g *register) Op(ctx Context) (*Op, Generator) {
	ctx = ctx.At(g.n)
	rnd := ctx.Rand()
	key, place := g.choose(rnd)
	op := Op{Key: keyName(key)}
	wrote := 0
	kinds := 2
	if g.name == "CAS" {
		kinds = 3
	}
	switch kind, old := rnd.IntN(kinds), g.last(place); {
	case kind == 0:
		op.F = "read"
	case kind == 2 && old != 0:
		wrote = g.next
		op.F, op.Value = "cas", pair(old, wrote)
	default:
		wrote = g.next
		op.F, op.Value = "write", integer(int64(wrote))
	}
	filled := ctx.Fill(op)
	if filled == nil {
		return nil, g
	}
	next := &register{g.name, g.used(place, wrote), g.next}
	if wrote != 0 {
		next.next++
	}
	return filled, next
}

func (g *register) Update(Context, Op) Generator { return g }

func (g *register) String() string { return describe(g.name, g.dist.N, g.perKey) }

// pair is [a, b].
func pair(a, b int) json.RawMessage {
	s := append(make([]byte, 0, 16), '[')
	s = strconv.AppendInt(s, int64(a), 10)
	s = append(s, ',')
	s = strconv.AppendInt(s, int64(b), 10)
	return append(s, ']')
}
