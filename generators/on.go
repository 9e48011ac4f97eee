package generators

import (
	"fmt"

	"github.com/torture-harness/torture/histories"
)

// OnThreads shows g only the threads that keep says, which must depend on
// nothing else. Operations of g run there, and g learns of events there.
func OnThreads(keep func(Thread) bool, g Generator) Generator {
	return newOn("OnThreads", func(v *view) *view { return v.only(keep) }, g)
}

// Clients keeps g to the threads of clients.
func Clients(g Generator) Generator {
	return newOn("Clients", func(v *view) *view { return v.only(Thread.Client) }, g)
}

// Nemesis keeps g to the threads of nemeses.
func Nemesis(g Generator) Generator {
	return newOn("Nemesis", func(v *view) *view { return v.only(func(t Thread) bool { return !t.Client() }) }, g)
}

// Share is a number of threads with what they are for.
type Share struct {
	Threads   int
	Generator Generator
}

// Reserve gives each share its own threads, from the first on, and what
// threads are left to rest. It counts the threads that it sees itself, so that
// a Reserve in a Reserve divides the threads of its share. (Jepsen's numbers
// them anew.) If there are too few threads, the last shares have none and wait
// for ever. Of shares that can run something at the same time, chance favours
// each by its threads: paced, too, a share does its part of the work.
func Reserve(rest Generator, shares ...Share) Generator {
	var gs []Generator
	lo := 0
	for _, s := range shares {
		if s.Threads < 0 {
			panic(fmt.Sprintf("generators: Reserve: %d threads for %s: want 0 or more", s.Threads, Describe(s.Generator)))
		}
		gs = append(gs, threadRange(lo, lo+s.Threads, s.Generator))
		lo += s.Threads
	}
	const all = int(^uint(0) >> 1)
	return choose("Reserve", append(gs, threadRange(lo, all, rest)), byThreads, false)
}

// byThreads weighs a share by its threads. One without any has nothing to run.
func byThreads(_ int, g Generator, v *view) int { return max(1, g.(*on).sees(v).size) }

func threadRange(lo, hi int, g Generator) Generator {
	return newOn("share", func(v *view) *view { return v.slice(lo, hi) }, g)
}

func newOn(name string, pick func(*view) *view, g Generator) Generator {
	if g == nil {
		return nil
	}
	return &on{name, pick, nil, nil, g}
}

type on struct {
	name   string
	pick   func(*view) *view
	of, to *view // to is pick(of): what was last seen, as a rule the same for the whole run
	g      Generator
}

// sees is what g sees of v.
func (o *on) sees(v *view) *view {
	if v == o.of {
		return o.to
	}
	return o.pick(v)
}

func (o *on) with(of, to *view, g Generator) Generator {
	switch {
	case g == nil:
		return nil
	case of == o.of && same(g, o.g):
		return o
	}
	return &on{o.name, o.pick, of, to, g}
}

func (o *on) Op(ctx Context) (*Op, Generator) {
	to := o.sees(ctx.view)
	op, rest := o.g.Op(ctx.within(to))
	return op, o.with(ctx.view, to, rest)
}

func (o *on) Update(ctx Context, ev Op) Generator {
	to := o.sees(ctx.view)
	in := ctx.within(to)
	if _, ok := in.thread(ev.Process); !ok {
		return o.with(ctx.view, to, o.g)
	}
	return o.with(ctx.view, to, o.g.Update(in, ev))
}

func (o *on) notBefore() histories.Time { return notBefore(o.g) }

func (o *on) String() string { return describe(o.name, o.g) }
