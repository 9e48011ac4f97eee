package generators

import "slices"

// Seq runs everything of the first generator, then of the second, and so on.
// The second may begin while operations of the first are in flight: see
// Phases. Only the generator whose turn it is learns of events.
func Seq(gs ...Generator) Generator { return seqFrom(slices.Clone(gs), 0) }

// seqFrom is what remains of gs from the i-th on.
func seqFrom(gs []Generator, i int) Generator {
	for i < len(gs) && gs[i] == nil {
		i++
	}
	if i == len(gs) {
		return nil
	}
	return &seq{gs, i, gs[i]}
}

type seq struct {
	gs   []Generator // shared, never written
	i    int         // whose turn it is
	head Generator   // what remains of gs[i]
}

// with is s with head in place of what remained of gs[i].
func (s *seq) with(head Generator) Generator {
	switch {
	case head == nil:
		return seqFrom(s.gs, s.i+1)
	case same(head, s.head):
		return s
	}
	return &seq{s.gs, s.i, head}
}

func (s *seq) Op(ctx Context) (*Op, Generator) {
	for {
		op, rest := s.head.Op(ctx.At(uint64(s.i)))
		if op != nil || rest != nil {
			return op, s.with(rest)
		}
		next := seqFrom(s.gs, s.i+1)
		if next == nil {
			return nil, nil
		}
		s = next.(*seq)
	}
}

func (s *seq) Update(ctx Context, ev Op) Generator {
	return s.with(s.head.Update(ctx.At(uint64(s.i)), ev))
}

func (s *seq) String() string {
	return describe("Seq", append([]any{s.head}, described(s.gs[s.i+1:])...)...)
}

// Synchronize begins g once nothing is in flight. Until then g learns of
// nothing.
func Synchronize(g Generator) Generator {
	if g == nil {
		return nil
	}
	return &synchronize{g}
}

type synchronize struct{ g Generator }

func (s *synchronize) Op(ctx Context) (*Op, Generator) {
	if !ctx.AllFree() {
		return nil, s
	}
	return s.g.Op(ctx)
}

func (s *synchronize) Update(Context, Op) Generator { return s }

func (s *synchronize) String() string { return describe("Synchronize", s.g) }

// Phases runs the gs one after another, each once all is quiet.
func Phases(gs ...Generator) Generator {
	quiet := make([]Generator, len(gs))
	for i, g := range gs {
		quiet[i] = Synchronize(g)
	}
	return Seq(quiet...)
}

// Then runs a and, once all is quiet, b. (Jepsen's then has them the other way
// round, for its pipelines.)
func Then(a, b Generator) Generator { return Seq(a, Synchronize(b)) }
