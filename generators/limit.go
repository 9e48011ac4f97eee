package generators

import "github.com/torture-harness/torture/histories"

// Limit runs at most n operations of g, sleeping and logging included.
func Limit(n int, g Generator) Generator {
	if n <= 0 || g == nil {
		return nil
	}
	return &limit{n, g}
}

type limit struct {
	n int
	g Generator
}

func (l *limit) with(n int, g Generator) Generator {
	if n == l.n && same(g, l.g) {
		return l
	}
	return Limit(n, g)
}

func (l *limit) Op(ctx Context) (*Op, Generator) {
	op, rest := l.g.Op(ctx)
	if op == nil || waiting(op) {
		return op, l.with(l.n, rest)
	}
	return op, l.with(l.n-1, rest)
}

func (l *limit) Update(ctx Context, ev Op) Generator { return l.with(l.n, l.g.Update(ctx, ev)) }

func (l *limit) notBefore() histories.Time { return notBefore(l.g) }

func (l *limit) String() string { return describe("Limit", l.n, l.g) }

// ConcurrencyLimit runs g as long as fewer than n processes are busy.
func ConcurrencyLimit(n int, g Generator) Generator {
	if n <= 0 || g == nil {
		return nil
	}
	return &concurrencyLimit{n, g}
}

type concurrencyLimit struct {
	n int
	g Generator
}

func (c *concurrencyLimit) with(g Generator) Generator {
	if same(g, c.g) {
		return c
	}
	return ConcurrencyLimit(c.n, g)
}

func (c *concurrencyLimit) Op(ctx Context) (*Op, Generator) {
	if ctx.Busy() >= c.n {
		return nil, c
	}
	op, rest := c.g.Op(ctx)
	return op, c.with(rest)
}

func (c *concurrencyLimit) Update(ctx Context, ev Op) Generator {
	return c.with(c.g.Update(ctx, ev))
}

func (c *concurrencyLimit) String() string { return describe("ConcurrencyLimit", c.n, c.g) }

// ProcessLimit runs operations of g on at most n different processes. It ends
// when all of them have crashed.
func ProcessLimit(n int, g Generator) Generator {
	if n <= 0 || g == nil {
		return nil
	}
	return &processLimit{n, nil, g}
}

type processLimit struct {
	n    int
	used []histories.Process // shared, never written
	g    Generator
}

func (l *processLimit) with(used []histories.Process, g Generator) Generator {
	switch {
	case g == nil:
		return nil
	case len(used) == len(l.used) && same(g, l.g):
		return l
	}
	return &processLimit{l.n, used, g}
}

func (l *processLimit) Op(ctx Context) (*Op, Generator) {
	if len(l.used) == l.n {
		ctx = ctx.within(ctx.view.retire(func(t Thread) bool { return l.knows(ctx.processes[t.Index]) }))
		if ctx.view.size == 0 {
			return nil, nil
		}
	}
	op, rest := l.g.Op(ctx)
	if op == nil || !operation(op) || l.knows(op.Process) {
		return op, l.with(l.used, rest)
	}
	return op, l.with(append(l.used[:len(l.used):len(l.used)], op.Process), rest)
}

func (l *processLimit) knows(p histories.Process) bool {
	for _, q := range l.used {
		if p == q {
			return true
		}
	}
	return false
}

func (l *processLimit) Update(ctx Context, ev Op) Generator {
	return l.with(l.used, l.g.Update(ctx, ev))
}

func (l *processLimit) String() string { return describe("ProcessLimit", l.n, l.g) }
