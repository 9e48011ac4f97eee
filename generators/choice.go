package generators

import (
	"fmt"
	"slices"
)

// Mix runs operations of the gs in random order, until all have run out:
// chance decides among those that have an operation now. One that is pending,
// or has something later only, does not keep the others waiting. (Jepsen's mix
// waits for the one it drew.)
func Mix(gs ...Generator) Generator { return choose("Mix", gs, nil, false) }

// Weighted is a generator with its weight in a mixture.
type Weighted struct {
	Weight    int
	Generator Generator
}

// MixWeighted is Mix, with chances in the proportion of the weights. One of
// weight 0 never runs; a negative weight panics.
func MixWeighted(ws ...Weighted) Generator {
	var gs []Generator
	var weights []int
	for _, w := range ws {
		switch {
		case w.Weight < 0:
			panic(fmt.Sprintf("generators: MixWeighted: weight %d of %s: want 0 or more", w.Weight, Describe(w.Generator)))
		case w.Weight > 0:
			gs, weights = append(gs, w.Generator), append(weights, w.Weight)
		}
	}
	return choose("MixWeighted", gs, weights, false)
}

// Any runs whichever operation of the gs comes soonest; ties go by chance,
// with the same chance for each.
func Any(gs ...Generator) Generator { return choose("Any", gs, nil, false) }

// ShortestAny is Any until the first of the gs has run out.
func ShortestAny(gs ...Generator) Generator { return choose("ShortestAny", gs, nil, true) }

// choose makes a choice, unless there is nothing to choose from.
func choose(name string, gs []Generator, weights []int, shortest bool) Generator {
	ended := func(g Generator) bool { return g == nil }
	if shortest && slices.ContainsFunc(gs, ended) {
		return nil
	}
	for i, g := range gs {
		if g != nil {
			return &choice{name, gs, i, weights, shortest, 0}
		}
	}
	return nil
}

// choice is both Mix and Any. To take whoever has an operation now in random
// order, and the soonest if nobody has, is to take the soonest and let chance
// decide ties.
type choice struct {
	name     string
	gs       []Generator // nil: has run out; never written
	first    int         // of the gs that have not
	weights  []int       // nil: all 1
	shortest bool
	n        uint64 // operations so far
}

// chance is the place of a combinator's own draws, beside those of its
// children.
const chance = 1 << 63

func (c *choice) Op(ctx Context) (*Op, Generator) {
	var (
		best     *Op
		bestRest Generator
		bestAt   int
		gs       = c.gs // as they are found, copied when one differs
		asked    = make([]bool, len(c.gs))
		luck     = ctx.At(chance).At(c.n)
	)
	for draw := uint64(0); ; draw++ {
		i := c.draw(luck.At(draw), asked)
		if i < 0 {
			break
		}
		asked[i] = true
		op, rest := c.gs[i].Op(ctx.At(uint64(i)))
		if op == nil {
			if rest == nil && c.shortest {
				return nil, nil
			}
			gs = c.replace(gs, i, rest)
			continue
		}
		if best == nil || op.Time < best.Time {
			best, bestRest, bestAt = op, rest, i
		}
		// With shortest, those not yet asked might have run out.
		if best.Time <= ctx.Time && !c.shortest {
			break
		}
	}
	if best == nil {
		return nil, c.with(gs, c.n)
	}
	return best, c.with(c.replace(gs, bestAt, bestRest), c.n+1)
}

// draw returns one of those not asked yet, or -1.
func (c *choice) draw(luck Context, asked []bool) int {
	total, last := 0, -1
	for i := c.first; i < len(c.gs); i++ {
		if c.gs[i] != nil && !asked[i] {
			total, last = total+c.weight(i), i
		}
	}
	if last < 0 {
		return -1
	}
	k := luck.below(total)
	for i := c.first; i < last; i++ {
		if c.gs[i] != nil && !asked[i] {
			if k -= c.weight(i); k < 0 {
				return i
			}
		}
	}
	return last
}

func (c *choice) weight(i int) int {
	if c.weights == nil {
		return 1
	}
	return c.weights[i]
}

// replace is gs with g at i. gs itself is written to if it is a copy already.
func (c *choice) replace(gs []Generator, i int, g Generator) []Generator {
	if same(gs[i], g) {
		return gs
	}
	if &gs[0] == &c.gs[0] {
		gs = slices.Clone(gs)
	}
	gs[i] = g
	return gs
}

func (c *choice) with(gs []Generator, n uint64) Generator {
	if n == c.n && &gs[0] == &c.gs[0] {
		return c
	}
	next := choose(c.name, gs, c.weights, c.shortest)
	if next != nil {
		next.(*choice).n = n
	}
	return next
}

func (c *choice) Update(ctx Context, ev Op) Generator {
	gs := c.gs
	for i, g := range c.gs {
		if g != nil {
			gs = c.replace(gs, i, g.Update(ctx.At(uint64(i)), ev))
		}
	}
	return c.with(gs, c.n)
}

func (c *choice) String() string { return describe(c.name, described(c.gs)...) }
