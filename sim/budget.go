package sim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// budget catches message storms: nodes whose answer to a message is more than
// a message, for ever.
type budget struct {
	max    int
	second histories.Time // the second being counted
	sent   int
	kinds  map[string]int
}

// charge counts a message that m sends.
func (w *World) charge(m *machine, body []byte) {
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
	if b.sent > b.max && w.err == nil {
		worst := slices.MaxFunc(slices.Sorted(maps.Keys(b.kinds)), func(x, y string) int { return b.kinds[x] - b.kinds[y] })
		w.err = fmt.Errorf("sim: message storm: more than %d messages in the second from %ds; most are %s (%d of the last %d)",
			b.max, b.second, worst, b.kinds[worst], b.max/2)
	}
}
