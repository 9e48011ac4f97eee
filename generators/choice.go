package generators

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
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
	return choose("MixWeighted", gs, func(i int, _ Generator, _ *view) int { return weights[i] }, false)
}

// Any runs whichever operation of the gs comes soonest; ties go by chance,
// with the same chance for each.
func Any(gs ...Generator) Generator { return choose("Any", gs, nil, false) }

// ShortestAny is Any until the first of the gs has run out.
func ShortestAny(gs ...Generator) Generator { return choose("ShortestAny", gs, nil, true) }

// weight is that of g, the i-th of those to choose from, seeing v: more than 0.
type weight func(i int, g Generator, v *view) int

// choose makes a choice, unless there is nothing to choose from.
func choose(name string, gs []Generator, weight weight, shortest bool) Generator {
	return (&choice{&choiceRule{name, weight, shortest}, slices.Clone(gs), 0}).unlessOver()
}

// choice is both Mix and Any. To take whoever has an operation now in random
// order, and the soonest if nobody has, is to take the soonest and let chance
// decide ties.
type choice struct {
	*choiceRule
	gs []Generator // nil: has run out; never written
	n  uint64      // operations so far
}

type choiceRule struct {
	name     string
	weight   weight // nil: all 1
	shortest bool
}

func (c *choice) unlessOver() Generator {
	if c.shortest && slices.Contains(c.gs, nil) {
		return nil
	}
	for _, g := range c.gs {
		if g != nil {
			return c
		}
	}
	return nil
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
		until    = ctx.Time // no others are asked than who might act by then
	)
	if c.shortest {
		until = forever // anybody might have run out
	}
	for draw := uint64(0); ; draw++ {
		i, later := c.draw(luck.At(draw), asked, until)
		if i < 0 {
			if later == forever || best != nil && best.Time <= later {
				break
			}
			until = later
			continue
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
		if best.Time <= ctx.Time && !c.shortest {
			break
		}
	}
	if best == nil {
		return nil, c.with(gs, c.n)
	}
	return best, c.with(c.replace(gs, bestAt, bestRest), c.n+1)
}

// draw returns one of those that have not been asked and might act by until;
// if there is none, -1 and the time at which one might, or forever.
func (c *choice) draw(luck Context, asked []bool, until histories.Time) (i int, later histories.Time) {
	total, last, later := 0, -1, forever
	for i, g := range c.gs {
		if g == nil || asked[i] {
			continue
		}
		if at := notBefore(g); at > until {
			later = min(later, at)
			continue
		}
		total, last = total+c.weigh(i, luck.view), i
	}
	if last < 0 {
		return -1, later
	}
	k := luck.below(total)
	for i, g := range c.gs[:last] {
		if g != nil && !asked[i] && notBefore(g) <= until {
			if k -= c.weigh(i, luck.view); k < 0 {
				return i, later
			}
		}
	}
	return last, later
}

// weigh returns the weight of the i-th, seeing v.
func (c *choice) weigh(i int, v *view) int {
	if c.weight == nil {
		return 1
	}
	return c.weight(i, c.gs[i], v)
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
	return (&choice{c.choiceRule, gs, n}).unlessOver()
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

func (c *choice) notBefore() histories.Time {
	soonest := forever
	for _, g := range c.gs {
		if g != nil {
			soonest = min(soonest, notBefore(g))
		}
	}
	return soonest
}

func (c *choice) String() string { return describe(c.name, described(c.gs)...) }

const forever = histories.Time(math.MaxInt64)

// plus is the time d after t, or forever if that is too far to be told.
func plus(t histories.Time, d time.Duration) histories.Time {
	if d > 0 && t > forever.Add(-d) {
		return forever
	}
	return t.Add(d)
}

// notBefore is a time before which g's next answer does not lie, whoever is
// free: what a choice need not ask for yet. 0 is always right.
func notBefore(g Generator) histories.Time {
	if g, ok := g.(interface{ notBefore() histories.Time }); ok {
		return g.notBefore()
	}
	return 0
}
