package generators

import (
	"fmt"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Span is a stretch of time with what happens in it.
type Span struct {
	For       time.Duration
	Generator Generator
}

// CycleTimes runs each span's generator for the span's time, and then begins
// again with the first, each going on where it stopped. Time counts from when
// CycleTimes is first asked. No operation starts outside its generator's
// spans; a generator that runs out leaves its spans silent; all having run
// out is the end. Spans must take more than no time.
func CycleTimes(spans ...Span) Generator {
	c := &cycleTimes{begin: unset}
	for _, s := range spans {
		if s.For <= 0 {
			panic(fmt.Sprintf("generators: CycleTimes: %v for %s: want more than 0", s.For, Describe(s.Generator)))
		}
		c.length = plus(histories.Time(c.length), s.For).Duration()
		c.ends = append(c.ends, c.length)
		c.gs = append(c.gs, s.Generator)
	}
	return c.unlessOver()
}

type cycleTimes struct {
	begin  histories.Time  // unset: not begun
	length time.Duration   // of a whole turn
	ends   []time.Duration // by span: its end in the turn; never written
	gs     []Generator     // by span; never written
}

func (c *cycleTimes) unlessOver() Generator {
	if !slices.ContainsFunc(c.gs, func(g Generator) bool { return g != nil }) {
		return nil
	}
	return c
}

// with is c, begun at begin, with g for span i.
func (c *cycleTimes) with(begin histories.Time, i int, g Generator) Generator {
	if begin == c.begin && same(g, c.gs[i]) {
		return c
	}
	next := *c
	next.begin = begin
	if !same(g, c.gs[i]) {
		next.gs = slices.Clone(c.gs)
		next.gs[i] = g
	}
	return next.unlessOver()
}

func (c *cycleTimes) Op(ctx Context) (*Op, Generator) {
	begun, begin := c.begin != unset, c.begin
	if !begun {
		begin = ctx.Time
	}
	i, end := c.span(ctx.Time, begin)
	op, rest := Ask(c.gs[i], ctx.At(uint64(i)))
	if op != nil && op.Time < end && (begun || op.Time <= ctx.Time) {
		return op, c.with(begin, i, rest)
	}
	if op != nil {
		rest = c.gs[i] // not in this span, or not yet
	}
	next := c.with(begin, i, rest)
	if next == nil {
		return nil, nil
	}
	at := end
	if !begun || rest == nil && c.gs[i] != nil {
		at = ctx.Time // have it noted at once that we began, that this one has run out
	}
	if w := wait(ctx, at); w != nil {
		return w, next
	}
	return nil, next
}

// span returns whose turn it is at t, and when it ends.
func (c *cycleTimes) span(t, begin histories.Time) (i int, end histories.Time) {
	into := time.Duration(t-begin) % c.length
	for into >= c.ends[i] {
		i++
	}
	return i, plus(t, c.ends[i]-into)
}

func (c *cycleTimes) Update(ctx Context, ev Op) Generator {
	var next Generator = c
	for i, g := range c.gs {
		if next = next.(*cycleTimes).with(c.begin, i, Tell(g, ctx.At(uint64(i)), ev)); next == nil {
			return nil
		}
	}
	return next
}

func (c *cycleTimes) String() string { return describe("CycleTimes", described(c.gs)...) }
