package generators

import "github.com/torture-harness/torture/histories"

// EachThread gives every thread its own copy of g, which sees that thread
// alone. Who is asked first is left to chance.
func EachThread(g Generator) Generator { return newEach("EachThread", false, g) }

// EachProcess is EachThread with a copy for every process: the process that
// follows a crashed one begins g anew. It ends when all copies have run out
// and nothing is in flight that could still crash.
func EachProcess(g Generator) Generator { return newEach("EachProcess", true, g) }

func newEach(name string, processes bool, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &each{name, processes, g, vector[own]{}, 0}
}

type each struct {
	name      string
	processes bool
	whole     Generator
	copies    vector[own] // by thread
	n         uint64      // operations so far
}

// own is a thread's copy.
type own struct {
	begun   bool // else: the whole
	process histories.Process
	g       Generator
}

// of returns thread i's copy and the context in which it lives.
func (e *each) of(ctx Context, i int) (Generator, Context) {
	p := ctx.processes[i]
	in := ctx.within(ctx.crew.alone[i]).At(uint64(i))
	if e.processes {
		in = in.At(uint64(p))
	}
	c := e.copies.at(i)
	if !c.begun || e.processes && c.process != p {
		return e.whole, in
	}
	return c.g, in
}

// with is e with g as thread i's copy.
func (e *each) with(ctx Context, i int, g Generator, n uint64) Generator {
	next := *e
	next.copies, next.n = e.copies.with(i, own{true, ctx.processes[i], g}), n
	return &next
}

func (e *each) Op(ctx Context) (*Op, Generator) {
	if ctx.view.size == 0 {
		return nil, nil
	}
	var (
		best     *Op
		bestRest Generator
		bestAt   int
		left     bool
		rest     Generator = e
		turn               = ctx.At(chance).At(e.n).below(ctx.view.size)
	)
	for i := range ctx.view.threads.from(turn) {
		g, in := e.of(ctx, i)
		if g == nil {
			continue
		}
		if !ctx.free.has(i) {
			left = true
			continue
		}
		op, r := g.Op(in)
		left = left || op != nil || r != nil
		switch {
		case op == nil:
			if !same(g, r) {
				rest = rest.(*each).with(ctx, i, r, e.n)
			}
		case best == nil || op.Time < best.Time:
			best, bestRest, bestAt = op, r, i
		}
		if best != nil && best.Time <= ctx.Time {
			break
		}
	}
	switch {
	case best != nil:
		return best, rest.(*each).with(ctx, bestAt, bestRest, e.n+1)
	case !left && (!e.processes || ctx.AllFree()):
		return nil, nil
	}
	return nil, rest
}

func (e *each) Update(ctx Context, ev Op) Generator {
	i, ok := ctx.thread(ev.Process)
	if !ok || ctx.processes[i] != ev.Process {
		return e
	}
	g, in := e.of(ctx, i)
	after := Tell(g, in, ev)
	if same(g, after) {
		return e
	}
	return e.with(ctx, i, after, e.n)
}

func (e *each) String() string { return describe(e.name, e.whole) }
