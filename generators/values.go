package generators

import "fmt"

// Sets is the workload of a set, for ever: add v, with every v a number of its
// own, and read for that share of the operations, from 0 to 1.
func Sets(reads float64) Generator { return newValues("Sets", "add", reads) }

// Broadcasts is the workload of a broadcast, for ever: broadcast v, with every
// v a number of its own, and read for that share of the operations, from 0 to
// 1.
func Broadcasts(reads float64) Generator { return newValues("Broadcasts", "broadcast", reads) }

func newValues(name, f string, reads float64) Generator {
	if !(reads >= 0 && reads <= 1) {
		panic(fmt.Sprintf("generators: %s: a share of %v reads: want 0 to 1", name, reads))
	}
	return &values{&valuesKind{name, f, int(reads * readsOf)}, 0, 1}
}

// readsOf is what shares of reads are counted in.
const readsOf = 1 << 20

type values struct {
	*valuesKind
	n    uint64 // operations so far
	next int    // the next value
}

type valuesKind struct {
	name, f string
	reads   int // of readsOf operations
}

func (g *values) Op(ctx Context) (*Op, Generator) {
	ctx = ctx.At(g.n)
	next := &values{g.valuesKind, g.n + 1, g.next}
	op := Op{F: "read"}
	if ctx.At(chance).below(readsOf) >= g.reads {
		op.F, op.Value = g.f, integer(int64(g.next))
		next.next++
	}
	filled := ctx.Fill(op)
	if filled == nil {
		return nil, g
	}
	return filled, next
}

func (g *values) Update(Context, Op) Generator { return g }

func (g *values) String() string {
	return describe(g.name, float64(g.reads)/readsOf)
}
