package sim

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// sentStep is how many messages of a node are told of by one record.
const sentStep = 100

var sentRecord = json.RawMessage(`{"messages":100}`)

// budget catches messages that breed: nodes whose answer to a message is more
// than a message, for ever. What such a run costs grows without bound, so it is
// ended. Storms that grow less fast are found by what nodes record of their
// messages.
type budget struct {
	max    int
	second histories.Time // the second being counted
	sent   int
	kinds  map[string]int
}

// charge counts a message that m sends.
func (w *World) charge(m *machine, body []byte) {
	if m.sent++; m.sent%sentStep == 0 {
		w.emit(histories.Op{Process: m.process, Type: histories.Info, F: "sent", Value: sentRecord})
	}
	b := &w.budget
	if s := w.now / 1e9; s != b.second || b.kinds == nil {
		b.second, b.sent, b.kinds = s, 0, map[string]int{}
	}
	b.sent++
	if b.sent < b.max/2 {
		return
	}
	// Names are only worth their cost when it gets close.
	b.kinds[string(m.id)+"'s "+w.cfg.Messages.Name(body)]++
	if b.sent > b.max {
		worst := slices.MaxFunc(slices.Sorted(maps.Keys(b.kinds)), func(x, y string) int { return b.kinds[x] - b.kinds[y] })
		w.end(m, "message-storm", map[string]any{"messages": b.sent, "most": worst})
	}
}

// timersMax is how often timers of one node may fire in one second. One that
// sets them anew for now, for ever, is caught in a livelock: its time stands
// still, and so does the world's.
const timersMax = 20_000

// chargeTimer counts a timer that fires at m.
func (w *World) chargeTimer(m *machine, name string) {
	if s := w.now / 1e9; s != m.second {
		m.second, m.rings = s, 0
	}
	if m.rings++; m.rings > timersMax {
		w.end(m, "livelock", map[string]any{"handler": "Timer " + name, "times": m.rings})
	}
}

// end has the world record why it goes no further: m is to blame. The loop
// takes that for the end of the run.
func (w *World) end(m *machine, why string, value any) {
	if !w.over {
		w.over = true
		w.emit(histories.Op{Process: histories.World, Type: histories.Info, F: why, Node: string(m.id), Value: histories.Encode(value)})
	}
}
