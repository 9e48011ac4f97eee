package host

import (
	"sync/atomic"
	"time"
)

// lamport is a hybrid logical clock in one word (after Kulkarni, Demirbas et
// al., "Logical Physical Clocks", OPODIS 2014): Lamport's clock that never
// falls behind the machine's time of day, in nanoseconds. It reads the
// machine's clock, not the node's, which a fault may set. Safe for concurrent
// use.
type lamport struct{ last atomic.Uint64 }

// stamp returns a time later than all stamped or observed before.
func (l *lamport) stamp() uint64 {
	for {
		last := l.last.Load()
		t := max(uint64(time.Now().UnixNano()), last+1)
		if l.last.CompareAndSwap(last, t) {
			return t
		}
	}
}

// observe makes later stamps come after t. It refuses times after the year
// 2262: one that is close to overflow would leave no room for later ones.
func (l *lamport) observe(t uint64) bool {
	if t >= 1<<63 {
		return false
	}
	for {
		last := l.last.Load()
		if t <= last || l.last.CompareAndSwap(last, t) {
			return true
		}
	}
}
