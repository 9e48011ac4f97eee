package sim

import "time"

// conditions draws the nature of links and clocks. They are those of a quiet
// rack, whose links are TCP connections; under Swarm each seed has its own: a
// far region, a lossy radio link; TCP's order or none; clocks that agree or do
// not.
func (w *World) conditions() {
	d := w.stream("conditions").draw(w.now)
	floor, mean := 100*time.Microsecond, 400*time.Microsecond
	loss, twice, fifo, spread, skew := 0.0, 0.0, true, 1.0, 0.0
	drift := 20e-6
	if w.cfg.Swarm {
		floor = time.Duration(d.magnitude(50e3, 5e6))
		mean = time.Duration(d.magnitude(50e3, 20e6))
		if d.chance(0.5) {
			loss = d.magnitude(0.0005, 0.05)
		}
		if d.chance(0.5) {
			twice = d.magnitude(0.0005, 0.1)
		}
		fifo = d.chance(0.4)
		spread = d.magnitude(1, 5) // the slowest link against the quickest
		skew = d.magnitude(1e5, 1e9)
		drift = d.magnitude(1e-6, 2e-4)
	}
	for from := range w.machines {
		for to := range w.machines {
			l := w.link(int32(from), int32(to))
			name := "link/" + w.names[from] + "/" + w.names[to]
			l.draws = named(w.cfg.Seed, name)
			own := w.stream(name + "/nature").draw(w.now)
			slow := own.magnitude(1, spread*1.0001)
			l.floor = time.Duration(float64(floor) * slow)
			l.mean = time.Duration(float64(mean) * slow)
			l.loss, l.twice, l.fifo = loss, twice, fifo
			if from == to { // through the loopback device
				l.floor, l.mean, l.loss, l.twice = 20*time.Microsecond, 20*time.Microsecond, 0, 0
			}
		}
	}
	for _, m := range w.machines {
		own := w.stream("clock/" + string(m.id)).draw(w.now)
		m.clock.own = own.between(-drift, drift)
		m.clock.drift = m.clock.own
		m.clock.skew = time.Duration(own.between(-skew, skew))
		m.clock.local = time.Duration(own.between(0, float64(time.Hour)))
	}
}
