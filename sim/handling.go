package sim

import (
	"strings"
	"sync/atomic"
)

// handling tells others which handler is under way. A handler that does not come
// back stops the world, whose time is its own: it takes somebody with a clock,
// in another goroutine, to see it. Nothing in the world depends on this.
//
// It packs the number of the step, its handler and its machine, for one word is
// all that a step can afford; 0: none is under way.
type handling struct{ word atomic.Uint64 }

const (
	machineBits = 8 // a cluster has 99 nodes at most
	handlerBits = 20
	// asking stands for a handler outside of steps: the node is asked for the
	// members of its group.
	asking = 1<<handlerBits - 1
)

func (h *handling) begin(step uint64, handler int32, m *machine) {
	h.word.Store((step<<handlerBits|uint64(min(handler, asking)))<<machineBits | uint64(m.index))
}

func (h *handling) end() { h.word.Store(0) }

// Handling tells which node is in which handler, such as "Receive vote" or
// "Timer tick", and in which step: as long as step is the same, the handler has
// not come back. It is 0 if no node is at work. Unlike all else of a World, it
// may be called from any goroutine.
func (w *World) Handling() (node, handler string, step uint64) {
	step = w.handling.word.Load()
	if step == 0 {
		return "", "", 0
	}
	name := "request " + w.cfg.Members
	if h := step >> machineBits & (1<<handlerBits - 1); h != asking {
		w.gaps.naming.Lock()
		name = w.gaps.names[h]
		w.gaps.naming.Unlock()
	}
	return w.names[step&(1<<machineBits-1)], strings.ToUpper(name[:1]) + name[1:], step
}
