package generators

import (
	"reflect"

	"github.com/torture-harness/torture/histories"
)

// Map changes each operation of g by f, which may not change who runs it.
func Map(f func(Op) Op, g Generator) Generator { return newMapped("Map", f, g) }

// FMap renames operations: those whose F is in names. (Events reach g as they
// are.)
func FMap(names map[string]string, g Generator) Generator {
	return newMapped("FMap", func(op Op) Op {
		if f, ok := names[op.F]; ok {
			op.F = f
		}
		return op
	}, g)
}

// Final marks g's operations as those of the final phase.
func Final(g Generator) Generator {
	return newMapped("Final", func(op Op) Op {
		op.Final = true
		return op
	}, g)
}

func newMapped(name string, f func(Op) Op, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &mapped{name, f, g}
}

type mapped struct {
	name string
	f    func(Op) Op
	g    Generator
}

func (m *mapped) with(g Generator) Generator {
	if same(g, m.g) {
		return m
	}
	return newMapped(m.name, m.f, g)
}

func (m *mapped) Op(ctx Context) (*Op, Generator) {
	op, rest := m.g.Op(ctx)
	if op != nil && operation(op) {
		changed := m.f(*op)
		if ctx.doubt {
			if again := m.f(*op); !reflect.DeepEqual(changed, again) {
				panic(&Broken{Describe(m), impure(ctx, answer(&changed), answer(&again))})
			}
		}
		op = &changed
	}
	return op, m.with(rest)
}

func (m *mapped) Update(ctx Context, ev Op) Generator { return m.with(m.g.Update(ctx, ev)) }

func (m *mapped) notBefore() histories.Time { return notBefore(m.g) }

func (m *mapped) String() string { return describe(m.name, m.g) }

// Filter drops the operations of g that keep does not want, each at its time.
// A g that goes on for ever, at once, without an operation that is wanted goes
// on for ever.
func Filter(keep func(Op) bool, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &filter{keep, g}
}

type filter struct {
	keep func(Op) bool
	g    Generator
}

func (f *filter) with(g Generator) Generator {
	if same(g, f.g) {
		return f
	}
	return Filter(f.keep, g)
}

// Op never drops what it does not also have taken: were an operation dropped
// and the next one, in the future, only promised, then g would begin at the
// same place again, and a paced g would promise for ever.
func (f *filter) Op(ctx Context) (*Op, Generator) {
	dropped := false
	for g := f.g; g != nil; dropped = true {
		op, rest := g.Op(ctx)
		switch {
		case op == nil:
			return nil, f.with(rest)
		case op.Time > ctx.Time && dropped:
			return wait(ctx, ctx.Time), f.with(g)
		case !operation(op) || f.keep(*op):
			return op, f.with(rest)
		case op.Time > ctx.Time:
			return wait(ctx, op.Time), f.with(rest)
		}
		g = rest
	}
	return nil, nil
}

func (f *filter) Update(ctx Context, ev Op) Generator { return f.with(f.g.Update(ctx, ev)) }

func (f *filter) String() string { return describe("Filter", f.g) }
