package docker

import (
	"sync"
	"time"
)

// hlc is a hybrid logical clock: Kulkarni, Demirbas, Madappa, Avva and Leone,
// "Logical Physical Clocks", OPODIS 2014, with the counter folded into the
// nanoseconds. Its numbers grow along happens-before, and are close to the time
// of day. The zero hlc is ready, for concurrent use.
type hlc struct {
	mu   sync.Mutex
	last uint64
}

// tick is the number of an event here.
func (c *hlc) tick() uint64 { return c.receive(0) }

// receive is the number of the event that a message with number n arrived.
func (c *hlc) receive(n uint64) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(uint64(time.Now().UnixNano()), c.last+1, n+1)
	return c.last
}
