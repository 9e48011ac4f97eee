package sim

import (
	"fmt"
	"math"
	"time"

	"github.com/torture-harness/torture/nemesis"
)

// seeLink sends messages over a link on which the fault acts. If it is about
// this direction alone, the other must be as it was.
func (e *sight) seeLink(from, to *machine) {
	see := e.seeTrouble
	if e.fault.Kind == nemesis.Partition {
		see = e.seeCut
	}
	see(from, to, e.inForce)
	oneWay := !e.fault.ActsOn(string(to.id), string(from.id))
	if e.inForce && oneWay && (e.fault.Kind == nemesis.Partition || e.fault.Params.From != "") {
		see(to, from, false)
	}
}

// seeCut looks how far a message gets.
func (e *sight) seeCut(from, to *machine, inForce bool) {
	want, end := cut, e.message(from.index, to.index)
	if e.leases.except(e.fault.ID).with(e.fault).trouble(from, to).held {
		want = held
	}
	ok := end == want
	if !inForce {
		ok = end != cut && end != held && end != lost
	}
	e.check(string(to.id), string(from.id), expect(want, inForce), end, ok, func(f nemesis.Fault) bool {
		loses := f.Kind == nemesis.Loss || f.Kind == nemesis.Bandwidth || f.Kind == nemesis.Partition && !inForce
		return loses && f.ActsOn(string(from.id), string(to.id))
	})
}

// seeTrouble sends messages over a copy of the link, and over another as it
// would be without the fault, by the same dice: the difference is the fault's.
func (e *sight) seeTrouble(from, to *machine, inForce bool) {
	f, p := e.fault.Fault, e.fault.Params
	with := *e.link(from.index, to.index)
	without, whole := with, with
	without.fault = e.leases.except(f.ID).trouble(from, to)
	whole.fault = without.fault
	whole.fault.add(f)

	n, bytes, share := 100, 100, 0.0 // of the messages that will be seen to fare otherwise
	switch f.Kind {
	case nemesis.Loss:
		share = whole.losing() - without.losing()
	case nemesis.Duplicate:
		share = whole.doubling() - without.doubling()
	case nemesis.Reorder:
		share = whole.fault.overtaken - without.fault.overtaken
	case nemesis.Bandwidth:
		bytes = int(p.Rate) // a second's worth
	}
	if p.Probability > 0 {
		n = int(min(math.Ceil(40/share), 20_000))
	}
	c := e.compare(with, without, n, bytes, time.Duration(p.Delay))
	// Of 40 that are to be expected, chance leaves a quarter once in 10⁸ probes.
	enough := func(k, of int) (string, bool) {
		got := float64(k) / float64(max(of, 1))
		return fmt.Sprintf("%.3f", got), got > 0 && got >= share/4
	}
	var got string
	var seen bool
	switch f.Kind {
	case nemesis.Loss:
		got, seen = enough(c.lost, n)
		got += " lost"
	case nemesis.Duplicate:
		got, seen = enough(c.twice, c.both)
		got += " twice"
	case nemesis.Reorder:
		got, seen = enough(c.late, c.both)
		got += " held"
	case nemesis.Delay:
		got, seen = fmt.Sprintf("%v longer", c.longer), c.longer >= time.Duration(p.Delay)/2
	case nemesis.Bandwidth:
		second := time.Second
		if r := without.fault.rate; r > 0 {
			second -= time.Duration(float64(p.Rate) / float64(r) * float64(time.Second))
		}
		got, seen = fmt.Sprintf("%d bytes take %v longer", bytes, c.longer), c.longer > 0 && c.longer >= second/2
	}
	e.check(string(to.id), string(from.id), expect(string(f.Kind), inForce), got, seen == inForce, func(g nemesis.Fault) bool {
		return inForce && g.Kind == f.Kind && g.ActsOn(string(from.id), string(to.id))
	})
}

// comparison is how n messages fare on one link and on another.
type comparison struct {
	lost, twice int           // on the one, not on the other
	late        int           // by the time given
	both        int           // have come through on both
	longer      time.Duration // the mean of those
}

func (w *World) compare(with, without link, n, bytes int, late time.Duration) (c comparison) {
	draws := w.stream("probe/compare")
	for range n {
		with.free, with.last, without.free, without.last = 0, 0, 0, 0 // nobody waits behind a probe
		d := draws.draw(w.now)
		a, b := with.decide(d, w.now, bytes), without.decide(d, w.now, bytes)
		c.lost += bit(a.copies == 0 && b.copies > 0)
		c.twice += bit(a.copies == 2 && b.copies == 1)
		if a.copies > 0 && b.copies > 0 {
			c.both++
			longer := a.delay[0] - b.delay[0]
			c.longer += longer
			c.late += bit(late > 0 && longer >= late)
		}
	}
	c.longer /= time.Duration(max(c.both, 1))
	return c
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
