package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/torture-harness/torture/nemesis"
)

// observe looks at the victims of f, by the same paths that processes,
// messages and clocks take, for signs that f is in force; or is not, after
// its cure.
func (w *World) observe(f nemesis.Fault, inForce bool) nemesis.Evidence {
	e := nemesis.Evidence{ID: f.ID, Kind: f.Kind}
	add := func(node, peer, want, got string, seen bool) {
		ok := seen == inForce
		if !inForce {
			want = "not " + want
			if !ok {
				if holders := w.holders(f, node, peer); len(holders) > 0 {
					e.Holders = append(e.Holders, holders...)
					return
				}
			}
		}
		e.Checks = append(e.Checks, nemesis.Check{Node: node, Peer: peer, Want: want, Got: got, OK: ok})
	}
	if f.Kind == nemesis.Partition {
		for to, name := range w.names {
			for _, from := range f.Params.Drop[name] {
				if from == name {
					continue
				}
				cut := w.link(w.machine(from).index, int32(to)).fault.cut
				add(name, from, "cut", pick(cut, "cut", "open"), cut)
			}
		}
	}
	for _, name := range f.Targets {
		m := w.machine(name)
		switch f.Kind {
		case nemesis.Kill, nemesis.Stop, nemesis.Power:
			got := pick(m.proc == nil, "down", "up")
			if m.broke {
				got = "down: it panicked"
			}
			add(name, "", "down", got, m.proc == nil)
		case nemesis.Pause:
			add(name, "", "paused", pick(m.paused, "paused", "running"), m.paused)
		case nemesis.Client:
			add(name, "", "deaf to clients", pick(m.deaf, "deaf", "hears"), m.deaf)
		case nemesis.Clock:
			got, seen := m.clock.astray(w, f)
			add(name, "", "clock "+f.Params.Shape, got, seen)
		}
	}
	switch f.Kind {
	case nemesis.Loss, nemesis.Delay, nemesis.Duplicate, nemesis.Reorder, nemesis.Bandwidth:
		for _, from := range w.names {
			for _, to := range w.names {
				if f.ActsOn(from, to) {
					got, seen := w.probe(w.machine(from).index, w.machine(to).index, f)
					add(to, from, string(f.Kind), got, seen)
				}
			}
		}
	}
	slices.Sort(e.Holders)
	e.Holders = slices.Compact(e.Holders)
	return e
}

// holders are the other faults that have the effect of f on a node, or on the
// link to it from peer, if f is a fault of links.
func (w *World) holders(f nemesis.Fault, node, peer string) (ids []string) {
	for _, l := range w.leases {
		var same bool
		switch {
		case l.ID == f.ID:
		case peer != "":
			same = l.Kind == f.Kind && l.ActsOn(peer, node)
		case takesDown(f.Kind):
			// A paused machine does not start its process either.
			same = (takesDown(l.Kind) || l.Kind == nemesis.Pause) && slices.Contains(l.Targets, node)
		default:
			same = l.Kind == f.Kind && slices.Contains(l.Targets, node)
		}
		if same {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// probe sends messages over a copy of a link, and over another that lacks what
// f does, by the same dice: the difference is f's.
func (w *World) probe(from, to int32, f nemesis.Fault) (got string, seen bool) {
	with := *w.link(from, to)
	without := with
	p := f.Params
	n, bytes := 100, 100
	switch f.Kind {
	case nemesis.Loss:
		without.fault.loss = 0
	case nemesis.Duplicate:
		without.fault.twice = 0
	case nemesis.Reorder:
		without.fault.overtaken = 0
	case nemesis.Delay:
		without.fault.delay, without.fault.jitter = 0, 0
	case nemesis.Bandwidth:
		without.fault.rate = 0
		bytes = int(p.Rate) // a second's worth
	}
	if p.Probability > 0 {
		n = min(int(math.Ceil(40/p.Probability)), 20_000)
	}
	draws := w.stream(fmt.Sprintf("probe/%d/%d", from, to))
	lost, twice, late, both := 0, 0, 0, 0
	least := time.Duration(math.MaxInt64)
	for range n {
		with.free, with.last, without.free, without.last = 0, 0, 0, 0
		d := draws.draw(w.now)
		a, b := with.decide(d, w.now, bytes), without.decide(d, w.now, bytes)
		lost += bit(a.copies == 0 && b.copies > 0)
		twice += bit(a.copies == 2 && b.copies == 1)
		if a.copies > 0 && b.copies > 0 {
			both++
			longer := a.delay[0] - b.delay[0]
			least = min(least, longer)
			late += bit(p.Delay > 0 && longer >= time.Duration(p.Delay))
		}
	}
	share := func(k, of int) float64 { return float64(k) / float64(max(of, 1)) }
	enough := p.Probability / 4 // of 40 to be expected chance leaves so few once in 10⁸ probes
	switch f.Kind {
	case nemesis.Loss:
		return fmt.Sprintf("%.3f lost", share(lost, n)), share(lost, n) >= enough
	case nemesis.Duplicate:
		return fmt.Sprintf("%.3f twice", share(twice, both)), share(twice, both) >= enough
	case nemesis.Reorder:
		return fmt.Sprintf("%.3f held", share(late, both)), share(late, both) >= enough
	case nemesis.Delay:
		return fmt.Sprintf("%v longer at least", least), both > 0 && least >= time.Duration(p.Delay-p.Jitter)
	default: // bandwidth
		return fmt.Sprintf("%d bytes take %v longer", bytes, least), both > 0 && least >= time.Second/2
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// astray compares a clock with what it would show without f.
func (c *clock) astray(w *World, f nemesis.Fault) (got string, seen bool) {
	p := f.Params
	const second = time.Second
	switch p.Shape {
	case "drift":
		pace := float64(c.now(w.now.Add(second))-c.now(w.now))/float64(second) - 1
		return fmt.Sprintf("pace %+.4f", pace), math.Abs(pace-c.own) >= math.Abs(p.Drift)/2
	case "strobe":
		period := time.Duration(p.Period)
		swing := c.wall(w.now.Add(period)) - c.wall(w.now) - (c.now(w.now.Add(period)) - c.now(w.now))
		return fmt.Sprintf("swings %v", swing), swing != 0
	default: // jump
		off := c.wall(w.now) - epoch - c.now(w.now) - c.skew
		return fmt.Sprintf("offset %v", off), c.jump != 0
	}
}

func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
