// Package generators says what to do during a run, and when.
//
// A generator is an immutable value. Asking it for an operation changes
// nothing; it answers with the operation and with the generator that remains
// if that operation is taken. The design is that of Jepsen's pure generators
// (github.com/jepsen-io/generator), and so are the names.
//
// # Rules of this package
//
// An operation in the future is a promise, not a deed: whoever asked may ask
// again, later and with other processes free, and take that answer instead. A
// generator therefore uses nothing up before its rest is taken; what rest
// knows of the time is absolute.
//
// Chance is derived from the run's seed, the generator's place in the tree
// (Context.At) and its own count of operations. Nothing else moves it: neither
// how often a generator was asked, nor events that do not concern it.
//
// Sleeping and Logging are no operations: what counts processes, transforms or
// filters operations lets them pass as they are. What paces operations has
// them wait for their turn too, but they do not use it up.
//
// Who must be asked again at a time, though nothing happens then, has a free
// process sleep for no time at all at that time (see TimeLimit). Such a wait
// is not counted as an operation by anybody.
//
// All generators here are pointers, and an update that changes nothing
// returns the same one: who has many children need not rebuild itself for
// every event.
package generators

import "github.com/torture-harness/torture/histories"

// Op is an operation to be: a history's Op without an index.
type Op = histories.Op

// Types of operations that are not recorded and reach no world.
const (
	// Sleeping occupies its process for Value nanoseconds.
	Sleeping histories.Type = 101
	// Logging hands Value, a string, to the run's log.
	Logging histories.Type = 102
)

// Generator plans operations. nil is the generator with nothing left to do.
type Generator interface {
	// Op returns one of
	//
	//	op, rest   run op at op.Time, or ask again if anything happens before
	//	nil, rest  nothing now; something may come when an event has happened
	//	nil, nil   nothing, ever
	//
	// Asked twice with the same context it gives the same answer; the run loop
	// asks twice now and then, to name one that does not.
	Op(ctx Context) (op *Op, rest Generator)

	// Update returns the generator that follows event, an invocation or a
	// completion of any process visible in ctx.
	Update(ctx Context, event Op) Generator
}

// Ask is g.Op for a g that may be nil.
func Ask(g Generator, ctx Context) (*Op, Generator) {
	if g == nil {
		return nil, nil
	}
	return g.Op(ctx)
}

// Tell is g.Update for a g that may be nil.
func Tell(g Generator, ctx Context, event Op) Generator {
	if g == nil {
		return nil
	}
	return g.Update(ctx, event)
}
