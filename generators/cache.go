package generators

import (
	"time"

	"github.com/torture-harness/torture/histories"
)

// Cache spares a g whose operations are costly to make: after an event, g is
// asked once, and its answer stands until it is taken, the event changes g, its
// process is busy, or d has passed.
func Cache(d time.Duration, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &cache{d: d, g: g}
}

type cache struct {
	d time.Duration
	g Generator

	op    *Op // g's answer; nil: none is kept
	rest  Generator
	until histories.Time // when the answer is too old
}

func (c *cache) Op(ctx Context) (*Op, Generator) {
	if c.fresh(ctx) {
		op := *c.op
		op.Time = max(op.Time, ctx.Time)
		return &op, Cache(c.d, c.rest)
	}
	op, rest := c.g.Op(ctx)
	if op == nil && same(rest, c.g) {
		return nil, c
	}
	return op, Cache(c.d, rest)
}

// fresh tells whether the answer that is kept may still be given.
func (c *cache) fresh(ctx Context) bool {
	if c.op == nil || ctx.Time >= c.until {
		return false
	}
	i, ok := ctx.thread(c.op.Process)
	return ok && ctx.processes[i] == c.op.Process && ctx.free.has(i)
}

// Update keeps the answer if the event leaves g as it is: what would follow
// the answer is not told of it, for it has not begun. (Jepsen's loses what
// would follow.)
func (c *cache) Update(ctx Context, ev Op) Generator {
	g := c.g.Update(ctx, ev)
	if g == nil {
		return nil
	}
	if same(g, c.g) && c.fresh(ctx) {
		return c
	}
	next := &cache{d: c.d, g: g}
	if op, rest := g.Op(ctx); op != nil && !waiting(op) {
		next.op, next.rest, next.until = op, rest, plus(ctx.Time, c.d)
	}
	return next
}

func (c *cache) String() string { return describe("Cache", c.d, c.g) }
