package generators

// Repeat runs g's first operation for ever.
func Repeat(g Generator) Generator {
	if g == nil {
		return nil
	}
	return &repeat{g, 0}
}

// RepeatN runs g's first operation n times.
func RepeatN(n int, g Generator) Generator { return Limit(n, Repeat(g)) }

type repeat struct {
	g Generator
	n uint64 // operations so far
}

func (r *repeat) with(g Generator) Generator {
	switch {
	case g == nil:
		return nil
	case same(g, r.g):
		return r
	}
	return &repeat{g, r.n}
}

func (r *repeat) Op(ctx Context) (*Op, Generator) {
	op, rest := r.g.Op(ctx.At(r.n))
	if op == nil || waiting(op) {
		return op, r.with(rest)
	}
	return op, &repeat{r.g, r.n + 1}
}

func (r *repeat) Update(ctx Context, ev Op) Generator {
	return r.with(r.g.Update(ctx.At(r.n), ev))
}

func (r *repeat) String() string { return describe("Repeat", r.g) }

// Cycle runs everything of g, over and over. A g that ends without having run
// anything is not begun again.
func Cycle(g Generator) Generator { return cycleFrom("Cycle", -1, g) }

// CycleN runs everything of g, n times.
func CycleN(n int, g Generator) Generator {
	if n <= 0 {
		return nil
	}
	return cycleFrom("CycleN", n, g)
}

func cycleFrom(name string, n int, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &cycle{name, g, g, 0, n}
}

type cycle struct {
	name  string
	whole Generator
	g     Generator // what remains of this turn; nil: nothing
	turn  uint64    // turns so far
	left  int       // turns from this one on; negative: no end
}

// with is c with g left of this turn.
func (c *cycle) with(g Generator) Generator {
	switch {
	case g == nil && c.left == 1:
		return nil
	case same(g, c.g):
		return c
	}
	next := *c
	next.g = g
	return &next
}

func (c *cycle) Op(ctx Context) (*Op, Generator) {
	if c.g != nil {
		op, rest := c.g.Op(ctx.At(c.turn))
		if op != nil || rest != nil {
			return op, c.with(rest)
		}
	}
	if c.left == 1 {
		return nil, nil
	}
	next := &cycle{c.name, c.whole, c.whole, c.turn + 1, c.left - 1}
	op, rest := next.g.Op(ctx.At(next.turn))
	if op == nil && rest == nil {
		return nil, nil
	}
	return op, next.with(rest)
}

func (c *cycle) Update(ctx Context, ev Op) Generator {
	return c.with(Tell(c.g, ctx.At(c.turn), ev))
}

func (c *cycle) String() string {
	if c.left >= 0 {
		return describe(c.name, c.left, c.whole)
	}
	return describe(c.name, c.whole)
}
