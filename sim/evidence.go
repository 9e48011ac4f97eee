package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// observe looks at the victims of f, by probes that go the ways of messages,
// timers, requests, clocks and writes, for signs that f is in force; or is
// over, after its cure. What injecting f has set is not looked at.
func (w *World) observe(f lease, inForce bool) nemesis.Evidence {
	e := sight{World: w, fault: f, inForce: inForce, Evidence: nemesis.Evidence{ID: f.ID, Kind: f.Kind}}
	for _, from := range w.machines {
		for _, to := range w.machines {
			if f.ActsOn(string(from.id), string(to.id)) {
				e.seeLink(from, to)
			}
		}
	}
	for _, name := range f.Targets {
		m := w.machine(name)
		switch f.Kind {
		case nemesis.Kill, nemesis.Stop, nemesis.Power:
			e.seeProcess(m)
		case nemesis.Pause:
			e.seePause(m)
		case nemesis.Client:
			e.seeClients(m)
		case nemesis.Clock:
			e.seeClock(m)
		}
	}
	slices.Sort(e.Holders)
	e.Holders = slices.Compact(e.Holders)
	return e.Evidence
}

// sight is what comes to be seen of a fault.
type sight struct {
	*World
	fault   lease
	inForce bool
	nemesis.Evidence
}

// check adds what was seen at node, or on the way to it from peer. If that is
// not what is wanted, and there are other faults in the way, it adds those
// instead.
func (e *sight) check(node, peer, want, got string, ok bool, inTheWay func(nemesis.Fault) bool) {
	if !ok && inTheWay != nil {
		if ids := e.others(inTheWay); len(ids) > 0 {
			e.Holders = append(e.Holders, ids...)
			return
		}
	}
	e.Checks = append(e.Checks, nemesis.Check{Node: node, Peer: peer, Want: want, Got: got, OK: ok})
}

// expect is what in the negative, if the fault is over.
func expect(what string, inForce bool) string {
	if inForce {
		return what
	}
	return "not " + what
}

// others are the other faults of which which is true.
func (e *sight) others(which func(nemesis.Fault) bool) (ids []string) {
	for _, l := range e.leases {
		if l.ID != e.fault.ID && which(l.Fault) {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// on tells of faults of some kinds whether they have m for a target.
func on(m *machine, kinds ...nemesis.Kind) func(nemesis.Fault) bool {
	return func(f nemesis.Fault) bool {
		return slices.Contains(kinds, f.Kind) && slices.Contains(f.Targets, string(m.id))
	}
}

// seeProcess asks whether m is there. Who is back from a fault that ended it
// lives anew.
func (e *sight) seeProcess(m *machine) {
	answer := e.question(m, true)
	anew := m.life > e.fault.lives[string(m.id)]
	ok, got := answer == refused, answer
	if !e.inForce {
		ok = answer == handled && anew
	}
	switch {
	case m.broke:
		got += ": it panicked"
	case answer == handled:
		got = fmt.Sprintf("answers, in life %d", m.life)
	}
	// A paused machine does not start its process, and who was down before, and
	// is by another fault as well, tells nothing of this one; but power is told
	// by what is lost.
	others := on(m, nemesis.Kill, nemesis.Stop, nemesis.Power, nemesis.Pause)
	if e.inForce && ok && e.fault.down[string(m.id)] && e.fault.Kind != nemesis.Power {
		ok = len(e.others(others)) == 0
	}
	e.check(string(m.id), "", expect("down", e.inForce), got, ok, others)
	if e.inForce && e.fault.Kind == nemesis.Power && answer == refused {
		_, kept := m.disk.Read(unsynced)
		e.check(string(m.id), "", "unsynced write lost", pick(m.left && !kept, "lost", "kept"), m.left && !kept, nil)
	}
}

// seePause sends m one of each of the things that wake a process.
func (e *sight) seePause(m *machine) {
	ends := []string{e.message(m.index, m.index), e.timer(m), e.question(m, true)}
	got := fmt.Sprintf("message %s, timer %s, request %s", ends[0], ends[1], ends[2])
	ok := !slices.ContainsFunc(ends, func(end string) bool { return end != waits })
	inTheWay := on(m, nemesis.Kill, nemesis.Stop, nemesis.Power)
	if !e.inForce {
		ok, inTheWay = !slices.Contains(ends, waits), on(m, nemesis.Pause)
	}
	e.check(string(m.id), "", expect("paused", e.inForce), got, ok, inTheWay)
}

// seeClients sends m a request as a client does, and has it answer one.
func (e *sight) seeClients(m *machine) {
	see := func(want, end string) {
		e.check(string(m.id), "client", expect(want, e.inForce), end, (end == lost) == e.inForce, on(m, nemesis.Client))
	}
	see("requests lost", e.question(m, false))
	if m.running() { // else it gives no answers
		see("answers lost", e.reply(m))
	}
}

// seeClock compares what m sees of its clock with what it would without the
// fault.
func (e *sight) seeClock(m *machine) {
	bare := m.clock
	bare.set(e.now, e.leases.on(m, nemesis.Clock).except(e.fault.ID))
	p := e.fault.Params
	offset := func(t histories.Time) time.Duration {
		_, with := m.clock.read(t)
		_, without := bare.read(t)
		return with - without
	}
	second := func(c *clock) time.Duration {
		from, _ := c.read(e.now)
		to, _ := c.read(e.now.Add(time.Second))
		return to - from
	}
	what, got, want := "offset %v", offset(e.now), time.Duration(p.Offset)
	switch p.Shape {
	case "strobe":
		what, got, want = "swings %v", (offset(e.now.Add(time.Duration(p.Period))) - got).Abs(), want.Abs()
	case "drift":
		what, got, want = "gains %v in a second", second(&m.clock)-second(&bare), time.Duration(float64(second(&bare))*p.Drift)
	}
	seen := (got - want).Abs() <= want.Abs()/2
	e.check(string(m.id), "", expect("clock "+p.Shape, e.inForce), fmt.Sprintf(what, got), seen == e.inForce, nil)
}

// pick is yes or no.
func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
