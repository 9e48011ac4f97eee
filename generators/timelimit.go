package generators

import (
	"time"

	"github.com/torture-harness/torture/histories"
)

// waitF is the name of the sleep by which a generator has itself asked again.
const waitF = "wait"

// wait has a free process sleep for no time at all at the time at, so that the
// loop asks again then. nil if no process is free: then one is in flight, and
// its completion has the loop ask.
func wait(ctx Context, at histories.Time) *Op {
	return ctx.Fill(Op{Type: Sleeping, F: waitF, Value: integer(0), Time: at})
}

// waiting tells whether op comes from wait. It stands for pending: whoever
// counts, repeats or paces operations does not count it, and goes on with
// what remains.
func waiting(op *Op) bool { return op.Type == Sleeping && op.F == waitF }

const unset histories.Time = -1

// TimeLimit runs g for d, counted from the first time it is asked: no
// operation starts at the deadline or later, and those in flight then are left
// to complete.
//
// At the deadline TimeLimit ends even if g waits for an event that never
// comes, and not before it while g might still do something: if need be, a
// free process sleeps for no time at all then (or, if g's first operation lies
// in the future, at the beginning), which has the loop ask again.
func TimeLimit(d time.Duration, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &timeLimit{d, unset, g}
}

type timeLimit struct {
	d   time.Duration
	end histories.Time // unset: not begun
	g   Generator
}

func (t *timeLimit) with(end histories.Time, g Generator) Generator {
	switch {
	case g == nil:
		return nil
	case end == t.end && same(g, t.g):
		return t
	}
	return &timeLimit{t.d, end, g}
}

func (t *timeLimit) Op(ctx Context) (*Op, Generator) {
	begun, end := t.end != unset, t.end
	if !begun {
		end = plus(ctx.Time, t.d)
	}
	if ctx.Time >= end {
		return nil, nil
	}
	op, rest := t.g.Op(ctx)
	switch {
	case op == nil && rest == nil:
		return nil, nil
	case op != nil && op.Time < end && (begun || op.Time <= ctx.Time):
		return op, t.with(end, rest)
	case op != nil:
		rest = t.g // too late, or not yet
	}
	if !begun {
		if w := wait(ctx, ctx.Time); w != nil {
			return w, t.with(end, rest)
		}
	} else if w := wait(ctx, end); w != nil {
		return w, nil
	}
	return nil, t.with(end, rest)
}

func (t *timeLimit) Update(ctx Context, ev Op) Generator {
	return t.with(t.end, t.g.Update(ctx, ev))
}

func (t *timeLimit) String() string { return describe("TimeLimit", t.d, t.g) }
