package generators

import (
	"slices"

	"github.com/torture-harness/torture/histories"
)

// UntilOK runs g until one of the operations that it ran is ok.
func UntilOK(g Generator) Generator {
	return newUntil(&untilRule{"UntilOK", func(ev Op) bool { return ev.Type == histories.OK }, false}, nil, g)
}

// Until runs g's operations, one at a time, until one has a completion of which
// enough says that it will do. What others have in flight does not matter to it
// (to ConcurrencyLimit it does).
func Until(enough func(completion Op) bool, g Generator) Generator {
	return newUntil(&untilRule{"Until", enough, true}, nil, g)
}

func newUntil(rule *untilRule, open []histories.Process, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &until{rule, open, g}
}

type until struct {
	*untilRule
	open []histories.Process // with an operation of g in flight; never written
	g    Generator
}

type untilRule struct {
	name   string
	enough func(Op) bool
	alone  bool // one operation at a time
}

func (u *until) with(g Generator) Generator {
	if same(g, u.g) {
		return u
	}
	return newUntil(u.untilRule, u.open, g)
}

func (u *until) Op(ctx Context) (*Op, Generator) {
	if u.alone && len(u.open) > 0 {
		return nil, u
	}
	op, rest := u.g.Op(ctx)
	if op == nil || !operation(op) {
		return op, u.with(rest)
	}
	if rest == nil {
		return op, nil
	}
	return op, newUntil(u.untilRule, append(u.open[:len(u.open):len(u.open)], op.Process), rest)
}

func (u *until) Update(ctx Context, ev Op) Generator {
	g := u.g.Update(ctx, ev)
	i := slices.Index(u.open, ev.Process)
	switch {
	case i < 0 || ev.Type == histories.Invoke:
		return u.with(g)
	case u.enough(ev):
		return nil
	}
	return newUntil(u.untilRule, slices.Concat(u.open[:i], u.open[i+1:]), g)
}

func (u *until) String() string { return describe(u.name, u.g) }

// OnUpdate puts f in charge of g's updates: what f returns goes on in place of
// g. f passes the event to g with Tell, or keeps it from g.
func OnUpdate(f func(g Generator, ctx Context, event Op) Generator, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &onUpdate{f, g}
}

type onUpdate struct {
	f func(Generator, Context, Op) Generator
	g Generator
}

func (o *onUpdate) with(g Generator) Generator {
	if same(g, o.g) {
		return o
	}
	return OnUpdate(o.f, g)
}

func (o *onUpdate) Op(ctx Context) (*Op, Generator) {
	op, rest := o.g.Op(ctx)
	return op, o.with(rest)
}

func (o *onUpdate) Update(ctx Context, ev Op) Generator { return o.with(o.f(o.g, ctx, ev)) }

func (o *onUpdate) String() string { return describe("OnUpdate", o.g) }

// IgnoreUpdates keeps all events from g.
func IgnoreUpdates(g Generator) Generator {
	if g == nil {
		return nil
	}
	return &ignoreUpdates{g}
}

type ignoreUpdates struct{ g Generator }

func (i *ignoreUpdates) Op(ctx Context) (*Op, Generator) {
	op, rest := i.g.Op(ctx)
	if same(rest, i.g) {
		return op, i
	}
	return op, IgnoreUpdates(rest)
}

func (i *ignoreUpdates) Update(Context, Op) Generator { return i }

func (i *ignoreUpdates) String() string { return describe("IgnoreUpdates", i.g) }
