package sim

import (
	"time"

	"github.com/torture-harness/torture/histories"
)

// rack are the conditions of a quiet rack, whose links are TCP connections.
var rack = histories.Conditions{
	Floor: 100 * time.Microsecond, Mean: 400 * time.Microsecond, Spread: 1, FIFO: true, Drift: 20e-6,
}

// conditions gives each link and each clock its nature, within those of the
// cluster.
func (w *World) conditions() {
	c := w.cfg.Conditions
	if c == (histories.Conditions{}) {
		c = rack
	}
	for from := range w.machines {
		for to := range w.machines {
			l := w.link(int32(from), int32(to))
			name := "link/" + w.names[from] + "/" + w.names[to]
			l.draws = named(w.cfg.Seed, name)
			own := w.stream(name + "/nature").draw(w.now)
			slow := own.magnitude(1, max(c.Spread, 1)*1.0001)
			l.floor = time.Duration(float64(c.Floor) * slow)
			l.mean = time.Duration(float64(c.Mean) * slow)
			l.loss, l.twice, l.fifo = c.Loss, c.Twice, c.FIFO
			if from == to { // through the loopback device
				l.floor, l.mean, l.loss, l.twice = 20*time.Microsecond, 20*time.Microsecond, 0, 0
			}
		}
	}
	for _, m := range w.machines {
		own := w.stream("clock/" + string(m.id)).draw(w.now)
		m.clock.own = own.between(-c.Drift, c.Drift)
		m.clock.drift = m.clock.own
		m.clock.skew = time.Duration(own.between(-float64(c.Skew), float64(c.Skew)))
		m.clock.local = time.Duration(own.between(0, float64(time.Hour)))
	}
}
