package docker

import (
	"time"

	"github.com/torture-harness/torture/histories"
)

const (
	stallLook = 100 * time.Millisecond // how often the loop comes by, at least
	stallMin  = 500 * time.Millisecond // what counts as a stall: less is a busy machine's usual
)

// awake notes that the loop goes on, and records it if that was not so for long:
// the harness was stopped, starved, or held up by its disk. It is the loop's.
func (w *World) awake() {
	now := w.Now()
	if gap := (now - w.seen).Duration(); w.loops && gap >= stallMin+stallLook {
		w.out.put(histories.Op{Process: histories.World, Type: histories.Info, F: histories.StallRecord, Value: histories.Encode(histories.Stall{For: gap})}, 0)
	}
	w.seen, w.loops = now, true
}
