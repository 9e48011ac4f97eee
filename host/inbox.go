package host

import (
	"sync"
	"time"

	"github.com/torture-harness/torture/node"
)

// inboxLimit is how many events may wait before those who bring more have to
// wait themselves.
const inboxLimit = 4096

// event is something for the node to handle.
type event struct {
	kind  eventKind
	from  node.ID     // receive
	msg   any         // receive
	call  *call       // request, forget
	panic *node.Panic // broken
}

type eventKind uint8

const (
	receive eventKind = iota + 1 // msg came from a peer
	request                      // call came from a client
	forget                       // call's client is gone
	broken                       // the node's codec panicked
)

// inbox is the one way to the goroutine that owns the node. Anybody may put;
// only the owner takes.
type inbox struct {
	mu     sync.Mutex
	room   sync.Cond // queue is shorter than the limit, or closed
	queue  []event
	closed bool
	wakeup chan struct{} // queue was empty and is not, or the owner shall look up

	batch []event // the owner's: taken from queue at once
	next  int
	timer *time.Timer
}

func newInbox() *inbox {
	in := &inbox{wakeup: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	in.room.L = &in.mu
	return in
}

// put adds ev, and waits while the inbox is full. It reports whether the node
// will see ev: not once the inbox is closed.
func (in *inbox) put(ev event) bool {
	in.mu.Lock()
	for len(in.queue) >= inboxLimit && !in.closed {
		in.room.Wait()
	}
	return in.add(ev)
}

// offer adds ev unless the inbox is full twice over. It never waits, so the
// owner may use it.
func (in *inbox) offer(ev event) bool {
	in.mu.Lock()
	if len(in.queue) >= 2*inboxLimit {
		in.mu.Unlock()
		return false
	}
	return in.add(ev)
}

// add is called with the lock, which it gives back.
func (in *inbox) add(ev event) bool {
	if in.closed {
		in.mu.Unlock()
		return false
	}
	in.queue = append(in.queue, ev)
	first := len(in.queue) == 1
	in.mu.Unlock()
	if first {
		in.wake()
	}
	return true
}

// wake makes the owner's wait return.
func (in *inbox) wake() {
	select {
	case in.wakeup <- struct{}{}:
	default:
	}
}

// take returns the next event, if there is one.
func (in *inbox) take() (event, bool) {
	if in.next == len(in.batch) {
		clear(in.batch)
		in.mu.Lock()
		in.batch, in.queue, in.next = in.queue, in.batch[:0], 0
		full := len(in.batch) >= inboxLimit
		in.mu.Unlock()
		if full {
			in.room.Broadcast()
		}
		if len(in.batch) == 0 {
			return event{}, false
		}
	}
	in.next++
	return in.batch[in.next-1], true
}

// wait returns when there may be an event, when wake is called, or after d.
func (in *inbox) wait(d time.Duration) {
	in.timer.Reset(d)
	select {
	case <-in.wakeup:
	case <-in.timer.C:
	}
}

// close lets go of all who wait.
func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	in.room.Broadcast()
}
