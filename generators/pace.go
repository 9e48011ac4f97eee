package generators

import (
	"fmt"
	"math"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Stagger spaces g's operations by random gaps, uniform in [0, 2·mean), all
// processes together. The first runs at once. An operation that had to wait
// for a process moves those after it: the load closes its loop through the
// system under test. Rate does not.
func Stagger(mean time.Duration, g Generator) Generator {
	if mean < 0 {
		panic(fmt.Sprintf("generators: Stagger: mean gap %v: want 0 or more", mean))
	}
	return paced("Stagger", mean, unset, 0, g)
}

// Delay runs g as fast as may be, with gap between the beginnings of
// operations at least.
func Delay(gap time.Duration, g Generator) Generator { return paced("Delay", gap, unset, 0, g) }

func paced(name string, d time.Duration, next histories.Time, n uint64, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &pace{name, d, next, n, g}
}

type pace struct {
	name string // Stagger or Delay
	d    time.Duration
	next histories.Time // no operation before; unset: at once
	n    uint64         // operations so far
	g    Generator
}

func (p *pace) with(g Generator) Generator {
	if same(g, p.g) {
		return p
	}
	return paced(p.name, p.d, p.next, p.n, g)
}

func (p *pace) Op(ctx Context) (*Op, Generator) {
	op, rest := p.g.Op(ctx.At(0))
	if op == nil {
		return nil, p.with(rest)
	}
	op.Time = max(op.Time, p.next)
	if !operation(op) {
		return op, p.with(rest)
	}
	gap := p.d
	if p.name == "Stagger" && gap > 0 {
		gap = time.Duration(ctx.At(chance).At(p.n).below(2 * int(min(gap, math.MaxInt64/2))))
	}
	return op, paced(p.name, p.d, plus(op.Time, gap), p.n+1, rest)
}

func (p *pace) Update(ctx Context, ev Op) Generator { return p.with(p.g.Update(ctx.At(0), ev)) }

func (p *pace) notBefore() histories.Time { return p.next }

func (p *pace) String() string { return describe(p.name, p.d, p.g) }
