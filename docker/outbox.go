package docker

import (
	"sync"

	"github.com/torture-harness/torture/histories"
)

// outbox keeps completions and records until the loop takes them. It has no
// bound, so that who brings one never waits.
type outbox struct {
	now   func() histories.Time
	clock *hlc

	mu    sync.Mutex
	ops   []histories.Op
	head  int
	ready chan struct{} // holds a token if there may be something
}

func newOutbox(clock *hlc, now func() histories.Time) *outbox {
	return &outbox{now: now, clock: clock, ready: make(chan struct{}, 1)}
}

// put appends op, which happens now, after everything that knows of the number
// after; or has its place in happens-before already.
func (o *outbox) put(op histories.Op, after uint64) {
	o.mu.Lock()
	op.Time = o.now()
	if op.Lamport == 0 {
		op.Lamport = o.clock.receive(after)
	}
	o.ops = append(o.ops, op)
	o.mu.Unlock()
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// take removes the first op, if there is one.
func (o *outbox) take() (histories.Op, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.head == len(o.ops) {
		return histories.Op{}, false
	}
	op := o.ops[o.head]
	o.ops[o.head] = histories.Op{}
	if o.head++; o.head == len(o.ops) {
		o.ops, o.head = o.ops[:0], 0
	}
	return op, true
}
