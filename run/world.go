// Package run is the loop that turns a generator into a history, over any
// world. It is the only place that decides the order of things.
package run

import (
	"context"

	"github.com/torture-harness/torture/histories"
)

// World is a running cluster, the clients that use it and the hand that harms
// it. The simulator and the containers are the two there are. A World is used
// by one goroutine, the loop's; only Close may be called from another.
type World interface {
	// Nodes names the nodes in a fixed order.
	Nodes() []string

	// Primaries names the nodes last known to lead, sorted.
	Primaries() []string

	// Now is the time since the world began.
	Now() histories.Time

	// Stamp gives op its place in happens-before, just before it is recorded,
	// unless it has one. A world whose order is exact does nothing.
	Stamp(op *histories.Op)

	// Invoke begins op and returns at once. An operation of a client goes to
	// op.Node; one of a nemesis injects or cures a fault. Each invoked op
	// completes once, through Wait, with its process and F, and type OK, Fail
	// or Info. A cure never waits for an injection.
	Invoke(op histories.Op)

	// Wait returns the next completion or record, if there is one before
	// until; else it returns at until with ok false. It is how time passes. A
	// record has a process that never invoked, a node or histories.World. It
	// fails if the world is gone.
	Wait(ctx context.Context, until histories.Time) (op histories.Op, ok bool, err error)

	// Heal ends every fault at once, for a run that is cut short.
	Heal(ctx context.Context) error

	// Close ends the world and leaves nothing of it behind.
	Close() error
}
