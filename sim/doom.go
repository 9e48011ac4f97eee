package sim

import (
	"math"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// doom is the death that a fault has in store for a machine.
type doom struct {
	kind  string // of the crash
	fault string // its id
	since histories.Time
	again bool // in the step in which it starts again, or not at all

	share float64       // in the next step with a sharp gap, at this share of the gaps' weights
	place nemesis.Place // or in the Nth gap of this class; without a handler, between two steps
	class gap           // or likewise, if it was drawn
	nth   int           // > 0: a class was drawn

	passed map[gap]int // gaps of each class since
}

const (
	// dying is the least time that a doomed process has to reach its hour; if it
	// is told nothing else, it dies idle then.
	dying = 10 * time.Millisecond
	// sharpWithin is how long it is waited for a step with a sharp gap, and
	// classWithin the most that it is waited for a gap of a class before that.
	sharpWithin = 50 * time.Millisecond
	classWithin = 200 * time.Millisecond
)

// condemn dooms m, which runs, by fault f: where the fault says, or else in a gap
// of a class that is drawn from all that there were, if it comes to that, half of
// the time; otherwise in the next step with a sharp gap, as whoever is just coming
// back does, while nothing has come to rest. A quarter of those that are not told
// otherwise die once more while they start.
func (w *World) condemn(m *machine, f nemesis.Fault, coming bool) {
	kind := string(f.Kind)
	if m.doom != nil {
		if f.Kind == nemesis.Power {
			m.doom.kind = kind
		}
		return
	}
	d := w.stream("doom/" + string(m.id)).draw(w.now)
	m.doom = &doom{kind: kind, fault: f.ID, since: w.now, passed: map[gap]int{}}
	m.relapse = nil
	wait := dying
	switch places := f.Params.At[string(m.id)]; {
	case len(places) > 0:
		m.doom.place, wait = places[0], time.Duration(places[0].Within)
		if len(places) > 1 {
			m.relapse = &doom{kind: kind, fault: f.ID, again: true, place: places[1], passed: map[gap]int{}}
		}
	case f.Params.At != nil:
	default:
		m.doom.share, wait = 1-d.float(), sharpWithin
		often := max(float64(w.now)/float64(classWithin), 1) * float64(len(w.machines)) // once in that time, on each
		if class, ok := w.gaps.choose(&d, often); ok && !coming && d.chance(0.5) {
			m.doom.class, m.doom.nth = class, int(d.magnitude(1, 3))
			wait = time.Duration(d.magnitude(float64(dying), float64(classWithin)))
		}
		if d.chance(0.25) {
			m.relapse = &doom{kind: kind, fault: f.ID, again: true, share: 1 - d.float(), passed: map[gap]int{}}
		}
	}
	w.dieBy(m, w.now.Add(wait))
}

// comes tells whether m is down and about to start, but for the one fault that
// has just begun.
func (w *World) comes(m *machine) bool {
	return m.proc == nil && m.meets == nil && !m.broke && !m.paused && len(w.suffered().on(m, ending...)) == 1
}

// meet has m, which boots, suffer fault f, as if that had begun now, and tells
// whether it is doomed before it has started: half of the time it is only then.
func (w *World) meet(m *machine, f nemesis.Fault) bool {
	m.doom = nil
	m.down = len(w.suffered().on(m, ending...))
	m.will = f.Kind == nemesis.Power
	if i := w.leases.find(f.ID); i >= 0 {
		w.leases[i].lives[string(m.id)], w.leases[i].down[string(m.id)] = m.life, false
	}
	d := w.stream("meet/" + string(m.id)).draw(w.now)
	if f.Params.At == nil && d.chance(0.5) {
		return false
	}
	w.condemn(m, f, true)
	return true
}

// awaits is what of held, the faults that keep m down, does so by now: a fault
// that m meets when it comes back has first to let it. If another one keeps it
// down, or paused, they do not meet.
func (w *World) awaits(m *machine, held leases) leases {
	if m.meets == nil {
		return held
	}
	f := *m.meets
	rest := held.except(f.ID)
	switch {
	case len(rest) == len(held): // it is over
		m.meets = nil
	case len(rest) == 0 && !m.paused:
		return rest
	default:
		m.meets = nil
		if f.Kind == nemesis.Power {
			w.losePower(m)
		}
	}
	return held
}

// dieBy has m die between two steps if it has not met its doom by a time.
func (w *World) dieBy(m *machine, at histories.Time) {
	d := m.doom
	w.after(time.Duration(at-w.now), func() {
		switch {
		case m.doom != d || m.proc == nil:
		case d.nth > 0: // the class did not come
			d.nth = 0
			w.dieBy(m, w.now.Add(sharpWithin))
		default:
			w.die(m, gap{}, false)
		}
	})
}

// hasten has m not wait much longer for the doom of a fault that is over.
func (w *World) hasten(m *machine, fault string) {
	if m.doom != nil && m.doom.fault == fault && !m.doom.again {
		m.doom.nth = 0
		w.dieBy(m, w.now.Add(dying))
	}
}

// hour is the number of the gap of a step in which m dies; -1 if it lives on.
func (w *World) hour(m *machine, h int32, effects []node.Effect) int {
	d := m.doom
	if d.share > 0 && d.nth == 0 {
		// A class of many gaps, as where a node goes through a log, shall not
		// leave the others without a chance.
		alike := map[gap]float64{}
		for i := range len(effects) + 1 {
			alike[between(h, effects, i)]++
		}
		sharp, sum := false, 0.0
		weight := func(i int) float64 {
			g := between(h, effects, i)
			sharp = sharp || g.sharp()
			return g.weight() / math.Sqrt(alike[g])
		}
		for i := range len(effects) + 1 {
			sum += weight(i)
		}
		if sharp || d.again {
			luck := d.share * sum
			for i := range len(effects) + 1 {
				if luck -= weight(i); luck <= 0 || i == len(effects) {
					d.count(h, effects, i)
					return i
				}
			}
		}
		d.count(h, effects, len(effects))
		return -1
	}
	for i := range len(effects) + 1 {
		g := between(h, effects, i)
		d.passed[g]++
		if d.nth > 0 && g == d.class && d.passed[g] == d.nth || d.nth == 0 && w.gaps.is(g, d.place) && d.passed[g] == d.place.Nth {
			return i
		}
	}
	return -1
}

// count notes the gaps of a step up to the last.
func (d *doom) count(h int32, effects []node.Effect, last int) {
	for i := range last + 1 {
		d.passed[between(h, effects, i)]++
	}
}

// die ends m's process in gap g of a step, or between two steps, by its doom. The
// record tells where, so that a schedule can.
func (w *World) die(m *machine, g gap, inStep bool) {
	d := m.doom
	var at nemesis.Place
	if inStep {
		at = w.gaps.place(g)
		at.Nth = d.passed[g]
		w.gaps.class(g).crashed++
	}
	if !d.again {
		within := (w.now - d.since).Duration()
		if inStep { // the hour is only the latest, and what happens at that instant comes first
			within = within.Truncate(time.Millisecond) + time.Millisecond
		}
		at.Within = nemesis.Duration(within)
	}
	w.crash(m, d.kind, map[string]any{"kind": d.kind, "fault": d.fault, "at": at})
}
