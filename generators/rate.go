package generators

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Arrival is the field of Op.Ext that says when an operation should have
// begun, in nanoseconds of the run's time, if that was before it did.
const Arrival = "arrival"

// Rate runs g's operations as an open loop: they arrive as a Poisson process
// of perSecond operations a second, drawn from the seed, whatever becomes of
// the operations before. The first arrives when Rate is first asked.
//
// An arrival that finds no process free is not dropped: it begins, late, as
// soon as one is free, and carries its intended time in Ext as Arrival. Measure
// latency from there. A harness that measures it from the beginning of the
// operation omits the wait of all the operations that a stall held up
// (coordinated omission: Gil Tene, "How NOT to Measure Latency", 2013). If the
// system is slower than the rate for good, operations are ever later.
func Rate(perSecond float64, g Generator) Generator { return newRate("Rate", perSecond, g) }

// RateFixed is Rate with arrivals at equal distances.
func RateFixed(perSecond float64, g Generator) Generator { return newRate("RateFixed", perSecond, g) }

func newRate(name string, perSecond float64, g Generator) Generator {
	if !(perSecond > 0) {
		panic(fmt.Sprintf("generators: %s: %v operations a second: want more than 0", name, perSecond))
	}
	if g == nil {
		return nil
	}
	return &rate{&arrivals{name: name, perSecond: perSecond}, unset, 0, g}
}

// arrivals is how operations arrive.
type arrivals struct {
	name      string  // Rate, RateFixed or Load
	perSecond float64 // but of Load:
	start     histories.Time
	phases    []histories.Phase
}

// following is the arrival that comes after the one at a time. luck is the
// place of that one.
func (a *arrivals) following(at histories.Time, luck Context) histories.Time {
	if len(a.phases) > 0 {
		return a.after(at, luck.exponential())
	}
	gap := float64(time.Second) / a.perSecond
	if a.name == "Rate" {
		gap *= luck.exponential()
	}
	return plus(at, time.Duration(min(gap, 1<<62))) // an int64, whatever the rate
}

type rate struct {
	*arrivals
	next histories.Time // the next arrival; unset: none yet
	n    uint64         // arrivals so far
	g    Generator
}

func (r *rate) with(next histories.Time, n uint64, g Generator) Generator {
	switch {
	case g == nil:
		return nil
	case next == r.next && n == r.n && same(g, r.g):
		return r
	}
	return &rate{r.arrivals, next, n, g}
}

func (r *rate) Op(ctx Context) (*Op, Generator) {
	arrival := r.next
	if arrival == unset {
		arrival = ctx.Time
	}
	op, rest := r.choose(ctx.At(0), r.g, arrival)
	if op == nil {
		return nil, r.with(arrival, r.n, rest)
	}
	op.Time = max(op.Time, arrival)
	if !operation(op) {
		return op, r.with(arrival, r.n, rest)
	}
	if op.Time > arrival {
		op.Ext = maps.Clone(op.Ext)
		if op.Ext == nil {
			op.Ext = map[string]json.RawMessage{}
		}
		op.Ext[Arrival] = integer(int64(arrival))
	}
	return op, r.with(r.following(arrival, ctx.At(chance).At(r.n)), r.n+1, rest)
}

func (r *rate) Update(ctx Context, ev Op) Generator {
	return r.with(r.next, r.n, r.g.Update(ctx.At(0), ev))
}

func (r *rate) notBefore() histories.Time { return r.next }

func (r *rate) String() string {
	if len(r.phases) > 0 {
		return describe(r.name, r.phases, r.g)
	}
	return describe(r.name, r.perSecond, r.g)
}
