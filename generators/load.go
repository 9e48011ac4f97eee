package generators

import (
	"bytes"
	"fmt"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Load runs g's operations as Rate does, at a rate that changes: it goes
// through phases, counted from start, again and again. In a phase of reads, of
// g's operations only those are taken that change nothing (see ReadOnly), as
// far as g has any.
func Load(start histories.Time, phases []histories.Phase, g Generator) Generator {
	if len(phases) == 0 {
		panic("generators: Load: no phases")
	}
	for _, p := range phases {
		if p.For <= 0 || !(p.Rate > 0) {
			panic(fmt.Sprintf("generators: Load: %v operations a second for %v: want more than 0 of either", p.Rate, p.For))
		}
	}
	if g == nil {
		return nil
	}
	return &rate{&arrivals{name: "Load", start: start, phases: phases}, unset, 0, g}
}

// phase is the phase at a time, and when it ends.
func (a *arrivals) phase(at histories.Time) (p histories.Phase, end histories.Time) {
	var round time.Duration
	for _, p := range a.phases {
		round += p.For
	}
	since := max(at-a.start, 0).Duration()
	end = a.start.Add(since - since%round)
	for _, p = range a.phases {
		if end = end.Add(p.For); at < end {
			return p, end
		}
	}
	panic("generators: the time is beyond the last phase")
}

// after is the time of the arrival that follows one at a time, if at a rate of
// one a second it would come wait seconds later: a Poisson process whose rate
// changes is one of rate 1 in another time (Çinlar, Introduction to Stochastic
// Processes, 1975, section 4.7).
func (a *arrivals) after(at histories.Time, wait float64) histories.Time {
	for {
		p, end := a.phase(at)
		left := (end - at).Duration().Seconds() * p.Rate
		if wait < left {
			return plus(at, time.Duration(wait/p.Rate*float64(time.Second)))
		}
		at, wait = end, wait-left
	}
}

// readsMax is how many operations a phase of reads passes over for one that
// changes nothing: a workload may have none.
const readsMax = 200

// choose is the operation of g for an arrival.
func (a *arrivals) choose(ctx Context, g Generator, arrival histories.Time) (*Op, Generator) {
	op, rest := g.Op(ctx)
	if len(a.phases) == 0 || op == nil || !operation(op) {
		return op, rest
	}
	if p, _ := a.phase(arrival); !p.Reads {
		return op, rest
	}
	read, after := op, rest
	for range readsMax {
		if read == nil || !operation(read) || read.Time > ctx.Time {
			break // g has its own pace: what is passed over might come again
		}
		if ReadOnly(*read) {
			return read, after
		}
		if after == nil {
			break
		}
		read, after = after.Op(ctx)
	}
	return op, rest
}

// ReadOnly tells whether op changes nothing: it is a read, or a transaction of
// reads alone.
func ReadOnly(op Op) bool {
	switch op.F {
	case "read":
		return true
	case "txn":
		return !bytes.Contains(op.Value, []byte(`["append"`)) && !bytes.Contains(op.Value, []byte(`["w"`))
	}
	return false
}
