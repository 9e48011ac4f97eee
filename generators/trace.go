package generators

import "fmt"

// Trace hands log a line for every question to g, with the answer, and for
// every event. What is logged changes nothing; who asks often logs often.
func Trace(name string, log func(line string), g Generator) Generator {
	if g == nil {
		return nil
	}
	return &trace{name, log, g}
}

type trace struct {
	name string
	log  func(string)
	g    Generator
}

func (t *trace) with(g Generator) Generator {
	if same(g, t.g) {
		return t
	}
	return Trace(t.name, t.log, g)
}

func (t *trace) Op(ctx Context) (*Op, Generator) {
	op, rest := t.g.Op(ctx)
	answer := "pending"
	switch {
	case op != nil:
		answer = fmt.Sprintf("process %s %s %s at %v", op.Process, op.F, value(*op), op.Time)
	case rest == nil:
		answer = "exhausted"
	}
	t.log(fmt.Sprintf("%v %s: asked %s: %s", ctx.Time, t.name, Describe(t.g), answer))
	return op, t.with(rest)
}

func (t *trace) Update(ctx Context, ev Op) Generator {
	g := t.g.Update(ctx, ev)
	t.log(fmt.Sprintf("%v %s: told process %s %s %s %s: %s", ctx.Time, t.name, ev.Process, ev.Type, ev.F, value(ev), Describe(g)))
	return t.with(g)
}

func value(op Op) string {
	if op.Value == nil {
		return "null"
	}
	return string(op.Value)
}

func (t *trace) String() string { return describe("Trace", t.name, t.g) }
