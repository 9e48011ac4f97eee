package sim

import (
	"fmt"
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
// would be without the fault, by the same dice: what fares otherwise, does so by
// the fault.
func (e *sight) seeTrouble(from, to *machine, inForce bool) {
	f, p := e.fault.Fault, e.fault.Params
	with := *e.link(from.index, to.index)
	without, whole := with, with
	without.fault = e.leases.except(f.ID).trouble(from, to)
	whole.fault = without.fault
	whole.fault.add(f)

	var got string
	var seen bool
	switch f.Kind {
	case nemesis.Loss:
		got, seen = e.some(with, without, whole.losing()-without.losing(), "lost", func(a, b fate) bool {
			return a.copies == 0 && b.copies > 0
		})
	case nemesis.Duplicate:
		got, seen = e.some(with, without, whole.doubling()-without.doubling(), "twice", func(a, b fate) bool {
			return a.copies == 2 && b.copies == 1
		})
	case nemesis.Reorder:
		got, seen = e.some(with, without, whole.fault.overtaken-without.fault.overtaken, "overtaken", func(a, b fate) bool {
			return a.copies > 0 && b.copies > 0 && a.delay[0]-b.delay[0] >= time.Duration(p.Delay)
		})
	case nemesis.Delay:
		longer := e.longer(with, without, 100)
		got, seen = fmt.Sprintf("%v longer", longer), longer >= time.Duration(p.Delay)/2
	case nemesis.Bandwidth:
		want := time.Second
		if r := without.fault.rate; r > 0 {
			want -= time.Duration(float64(p.Rate) / float64(r) * float64(time.Second))
		}
		longer := e.longer(with, without, int(p.Rate)) // a second's worth
		got, seen = fmt.Sprintf("%d bytes take %v longer", p.Rate, longer), longer > 0 && longer >= want/2
	}
	e.check(string(to.id), string(from.id), expect(string(f.Kind), inForce), got, seen == inForce, func(g nemesis.Fault) bool {
		return inForce && g.Kind == f.Kind && g.ActsOn(string(from.id), string(to.id))
	})
}

// enough messages that fare otherwise are proof: without the fault there are
// none. Of a share of all it takes so many times its inverse for chance to leave
// fewer of them in one of 10⁸ attempts.
const (
	enough = 3
	tries  = 25
)

// some tells whether messages, of which a share is to be expected to, differ.
func (e *sight) some(with, without link, share float64, what string, differ func(a, b fate) bool) (got string, seen bool) {
	n, found := 0, 0
	for most := int(min(tries/share, 20_000)); n < most && found < enough; n++ {
		if differ(e.twins(&with, &without, 100)) {
			found++
		}
	}
	return fmt.Sprintf("%d of %d %s", found, n, what), found == enough
}

// longer is how much longer messages of a number of bytes take, on average.
func (e *sight) longer(with, without link, bytes int) time.Duration {
	sum, n := time.Duration(0), 0
	for range 50 {
		if a, b := e.twins(&with, &without, bytes); a.copies > 0 && b.copies > 0 {
			sum, n = sum+a.delay[0]-b.delay[0], n+1
		}
	}
	return sum / time.Duration(max(n, 1))
}

// twins are the fates of one message on two links, by the same dice. It leaves
// no other to wait behind it.
func (e *sight) twins(with, without *link, bytes int) (a, b fate) {
	with.free, with.last, without.free, without.last = 0, 0, 0, 0
	d := e.stream("probe/twins").draw(e.now)
	return with.decide(d, e.now, bytes), without.decide(d, e.now, bytes)
}
