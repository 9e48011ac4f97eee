package generators

import "slices"

// FlipFlop runs one operation of each of the gs in turn, until one whose turn
// it is has run out. One that is pending keeps the others waiting: the order
// is the point.
func FlipFlop(gs ...Generator) Generator {
	if len(gs) == 0 || gs[0] == nil {
		return nil
	}
	return &flipFlop{slices.Clone(gs), 0}
}

type flipFlop struct {
	gs   []Generator // never written
	turn int
}

func (f *flipFlop) with(turn, i int, g Generator) Generator {
	if turn == f.turn && same(f.gs[i], g) {
		return f
	}
	next := &flipFlop{f.gs, turn}
	if !same(f.gs[i], g) {
		next.gs = slices.Clone(f.gs)
		next.gs[i] = g
	}
	if next.gs[turn] == nil {
		return nil
	}
	return next
}

func (f *flipFlop) Op(ctx Context) (*Op, Generator) {
	op, rest := f.gs[f.turn].Op(ctx.At(uint64(f.turn)))
	if op == nil || waiting(op) {
		return op, f.with(f.turn, f.turn, rest)
	}
	return op, f.with((f.turn+1)%len(f.gs), f.turn, rest)
}

func (f *flipFlop) Update(ctx Context, ev Op) Generator {
	var next Generator = f
	for i, g := range f.gs {
		after := Tell(g, ctx.At(uint64(i)), ev)
		if same(g, after) {
			continue
		}
		if next = next.(*flipFlop).with(f.turn, i, after); next == nil {
			return nil
		}
	}
	return next
}

func (f *flipFlop) String() string { return describe("FlipFlop", described(f.gs)...) }
