package host

import (
	"container/heap"
	"time"
)

// timers are the node's timers by the time they are due on the node's own
// clock. So a clock that drifts takes its timers along, and no change of the
// clock needs to touch them. It belongs to the node's goroutine.
type timers struct {
	byName map[string]*timer
	due    timerHeap
	seq    uint64
}

type timer struct {
	name string
	at   time.Duration // on the node's monotonic clock
	seq  uint64        // order of setting, between equals
	i    int           // in the heap
}

func newTimers() *timers { return &timers{byName: map[string]*timer{}} }

// set sets the timer name to at, whether or not it was set.
func (ts *timers) set(name string, at time.Duration) {
	ts.seq++
	if t := ts.byName[name]; t != nil {
		t.at, t.seq = at, ts.seq
		heap.Fix(&ts.due, t.i)
		return
	}
	t := &timer{name: name, at: at, seq: ts.seq}
	ts.byName[name] = t
	heap.Push(&ts.due, t)
}

// cancel removes the timer name, if it is set.
func (ts *timers) cancel(name string) {
	if t := ts.byName[name]; t != nil {
		heap.Remove(&ts.due, t.i)
		delete(ts.byName, name)
	}
}

// next tells when the first timer is due.
func (ts *timers) next() (at time.Duration, ok bool) {
	if len(ts.due) == 0 {
		return 0, false
	}
	return ts.due[0].at, true
}

// pop removes the first timer and returns its name.
func (ts *timers) pop() string {
	t := heap.Pop(&ts.due).(*timer)
	delete(ts.byName, t.name)
	return t.name
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].i, h[j].i = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.i = len(*h)
	*h = append(*h, t)
}
func (h *timerHeap) Pop() any {
	n := len(*h) - 1
	t := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	return t
}
