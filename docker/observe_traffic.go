package docker

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/nemesis"
)

// lookAtCuts is a look at each link that the partition f cuts; at the other
// direction of one that is cut one way, where messages must pass; and at a link
// that nobody cuts.
func (w *World) lookAtCuts(ctx context.Context, f nemesis.Fault, inForce bool) (looks []look) {
	open := func(ls leases, from, to *member) ([]nemesis.Check, []string) {
		if in := slices.Concat(ls.between(from.name, to.name, nemesis.Partition).ids(), ls.inTheWay(f, from.name, to.name, inForce)); len(in) > 0 {
			return nil, in
		}
		return []nemesis.Check{w.seeLink(ctx, ls, from, to, false)}, nil
	}
	for _, to := range w.members {
		for _, from := range w.members {
			if !f.ActsOn(from.name, to.name) {
				continue
			}
			looks = append(looks, look{to.name, func(ls leases) ([]nemesis.Check, []string) {
				if in := ls.inTheWay(f, from.name, to.name, inForce); len(in) > 0 {
					return nil, in
				}
				return []nemesis.Check{w.seeLink(ctx, ls, from, to, inForce)}, nil
			}})
			if inForce && !f.ActsOn(to.name, from.name) {
				looks = append(looks, look{at: func(ls leases) ([]nemesis.Check, []string) { return open(ls, to, from) }})
			}
		}
	}
	return append(looks, look{at: func(ls leases) ([]nemesis.Check, []string) {
		for _, to := range w.members {
			for _, from := range w.members {
				if from == to {
					continue
				}
				if checks, _ := open(ls, from, to); checks != nil {
					return checks, nil
				}
			}
		}
		return nil, nil
	}})
}

// seeLink looks whether messages arrive. The way is tried with probes, and with
// a call to the very port that the node listens at. Nothing gets through a cut
// and something, sooner or later, over a lossy link: it is tried again until
// both did. That neither does is not tried for again: a busy machine would
// grant it in the end. What could not even be sent tells of nothing.
func (w *World) seeLink(ctx context.Context, ls leases, from, to *member, cut bool) nemesis.Check {
	y := ls.way(from.name, to.name)
	p := agent.Probe{To: []string{to.name}, Count: max(5, y.repeats()), Every: 2 * time.Millisecond, Size: 64, Dial: true, Wait: y.patience()}
	var got string
	var probed, reached, tried bool
	for range max(attempts, y.repeats()) {
		link, err := from.probe(ctx, p)
		if err != nil {
			return nemesis.Check{Node: to.name, Peer: from.name, Want: "a probe", Got: err.Error()}
		}
		probed = probed || link.Got > 0
		reached = reached || link.Dialed == "connected" || link.Dialed == "refused"
		tried = link.Sent > 0 && (reached || link.Dialed == "timeout")
		got = fmt.Sprintf("%d of %d probes, port %s", link.Got, link.Sent, link.Dialed)
		if cut || probed && reached {
			break
		}
	}
	seen := !probed && !reached && tried
	if !cut {
		seen = !probed || !reached
	}
	return verdict(to.name, from.name, "cut", got, seen, cut)
}

// repeats is how often to send a message so that chance alone loses all of them
// once in a thousand times; 0 if nothing is lost.
func (y way) repeats() int {
	if y.loss <= 0 {
		return 0
	}
	return int(math.Ceil(math.Log(0.001) / math.Log(min(y.loss, lossMax))))
}

// patience is how long to wait for what is on its way.
func (y way) patience() time.Duration {
	d := silence + y.longest()
	if y.rate > 0 {
		d += agent.Backlog(y.rate)
	}
	return d
}

// probe measures one link, from m's agent.
func (m *member) probe(ctx context.Context, p agent.Probe) (agent.Link, error) {
	r, err := m.link.ask(ctx, agent.Request{Probe: &p})
	if err != nil {
		return agent.Link{}, err
	}
	if len(r.Links) != 1 {
		return agent.Link{}, fmt.Errorf("agent of %s: %d links instead of one", m.name, len(r.Links))
	}
	return r.Links[0], nil
}

// lookAtTraffic is a look at each link that f, which is about traffic, acts on;
// but of all that share a narrow line at one.
func (w *World) lookAtTraffic(ctx context.Context, f nemesis.Fault, inForce bool) (looks []look) {
	for _, victim := range w.members {
		var links [][2]*member
		for _, peer := range w.members {
			from, to := peer, victim
			if f.Kind == nemesis.Bandwidth {
				from, to = victim, peer
			}
			if f.ActsOn(from.name, to.name) {
				links = append(links, [2]*member{from, to})
			}
		}
		if f.Kind == nemesis.Bandwidth && len(links) > 0 {
			looks = append(looks, look{victim.name, func(ls leases) ([]nemesis.Check, []string) {
				return w.seeTraffic(ctx, ls, f, links, inForce)
			}})
			continue
		}
		for i := range links {
			looks = append(looks, look{victim.name, func(ls leases) ([]nemesis.Check, []string) {
				return w.seeTraffic(ctx, ls, f, links[i:i+1], inForce)
			}})
		}
	}
	return looks
}

// seeTraffic measures the first of the links that can be measured. Where other
// leases leave none, it returns them: those that do the same, partitions, and
// bounds on the rate, behind which everything is late and some of it lost.
func (w *World) seeTraffic(ctx context.Context, ls leases, f nemesis.Fault, links [][2]*member, inForce bool) (checks []nemesis.Check, holders []string) {
	for _, link := range links {
		from, to := link[0], link[1]
		if in := ls.inTheWay(f, from.name, to.name, inForce); len(in) > 0 {
			holders = append(holders, in...)
			continue
		}
		node, peer := to.name, from.name
		if f.Kind == nemesis.Bandwidth {
			node, peer = peer, node
		}
		g := gaugeOf(f, ls, from.name, to.name)
		var check nemesis.Check
		for range attempts {
			l, err := from.probe(ctx, g.probe(to.name))
			if err != nil {
				return []nemesis.Check{{Node: node, Peer: peer, Want: "a measurement", Got: err.Error()}}, nil
			}
			got, seen := g.judge(l, inForce)
			if check = verdict(node, peer, string(f.Kind), got, seen, inForce); check.OK {
				break
			}
		}
		return []nemesis.Check{check}, nil
	}
	return nil, holders
}

const (
	// lossMax is the share of messages that may be lost for the others to tell
	// of the link.
	lossMax = 0.8
	// holdMax is how long messages may be held for the time that a burst takes,
	// which is a third of a second on a narrow line, to tell of its rate.
	holdMax = 100 * time.Millisecond
	// heldMax is the share of messages that may be held for the others, and
	// so the median, to be as they are without that.
	heldMax = 0.4
)

// inTheWay are the leases that keep the beginning or the end of f from being
// seen on a link: they do the same there, or too much else.
func (ls leases) inTheWay(f nemesis.Fault, from, to string, inForce bool) (ids []string) {
	y := ls.way(from, to)
	own := ls.find(f.ID)
	for i, l := range ls {
		var in bool
		switch {
		case l.ID == f.ID || !l.ActsOn(from, to):
		case l.Kind == f.Kind && f.Kind == nemesis.Partition:
			in = !inForce || i < own
		case l.Kind == f.Kind:
			in = !inForce || !gaugeOf(f, ls, from, to).tells()
		case l.Kind == nemesis.Partition, l.Kind == nemesis.Bandwidth:
			in = true
		case l.Kind == nemesis.Loss:
			in = y.loss > lossMax
		case f.Kind == nemesis.Bandwidth && (l.Kind == nemesis.Delay || l.Kind == nemesis.Reorder):
			in = y.longest() > holdMax
		case f.Kind == nemesis.Reorder && l.Kind == nemesis.Delay:
			// Its jitter alone has messages overtake others, as late as f makes them.
			in = 2*l.Params.Jitter >= f.Params.Delay*9/10
		case f.Kind == nemesis.Delay && l.Kind == nemesis.Reorder:
			in = l.Params.Probability > heldMax
		}
		if in {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

func (ls leases) ids() (ids []string) {
	for _, l := range ls {
		ids = append(ids, l.ID)
	}
	return ids
}

// gauge measures a fault on one link where other leases act as well.
type gauge struct {
	fault nemesis.Fault
	with  way // what the link is like with the fault
	other way // and without
}

func gaugeOf(f nemesis.Fault, ls leases, from, to string) gauge {
	g := gauge{fault: f}
	others := slices.DeleteFunc(slices.Clone(ls), func(l nemesis.Fault) bool { return l.ID == f.ID })
	g.other = others.way(from, to)
	g.with = append(others, f).way(from, to)
	return g
}

// Some twenty events are expected of what happens by chance, in all: fewer than
// eight, the threshold, are then seen once in a thousand times.
const (
	eventsWanted = 20
	probesMin    = 40
	probesMax    = 4000
	packetMax    = 1400
)

// tells tells whether f makes a difference, beside leases that do the same, that
// can be seen.
func (g gauge) tells() bool {
	p := g.fault.Params
	switch g.fault.Kind {
	case nemesis.Loss, nemesis.Duplicate:
		without, with := g.shares()
		// Three standard deviations of what chance makes of the share without.
		return 0.4*(with-without) >= 3*math.Sqrt(without*(1-without)/float64(g.probe("").Count))
	case nemesis.Delay:
		jitter := time.Duration(0)
		for _, h := range g.other.holds {
			jitter += h.Jitter
		}
		return 2*jitter < time.Duration(p.Delay)
	case nemesis.Bandwidth:
		return 2*p.Rate <= g.other.rate
	}
	return false // of two that reorder, each has messages overtake others
}

// probe is the measurement to be made.
func (g gauge) probe(to string) agent.Probe {
	p := agent.Probe{To: []string{to}, Count: probesMin, Every: 500 * time.Microsecond, Size: 64, Wait: g.with.patience()}
	f := g.fault.Params
	switch g.fault.Kind {
	case nemesis.Loss, nemesis.Duplicate, nemesis.Reorder:
		without, with := g.shares()
		d := max(with-without, 1e-6)
		wanted := max(eventsWanted/d, 60*without*(1-without)/(d*d))
		p.Count = int(min(max(math.Ceil(wanted), probesMin), probesMax))
		if f.Delay > 0 { // so that some are overtaken
			p.Every = min(p.Every, time.Duration(f.Delay)/4)
		}
	case nemesis.Bandwidth:
		// A third of a second's worth, at once.
		p.Every = 0
		p.Size = int(min(max(f.Rate/50, 40), packetMax))
		p.Count = int(min(max(f.Rate/3/int64(p.Size), 5), 1500))
		p.Wait += time.Duration(float64(p.Size*p.Count) / float64(f.Rate) * 1.5e9)
	}
	return p
}

// shares are how many of the messages, without the fault and with it, are lost;
// or, of those that arrive, arrive twice; or are held by it.
func (g gauge) shares() (without, with float64) {
	switch p := g.fault.Params.Probability; g.fault.Kind {
	case nemesis.Loss:
		return g.other.lost(), g.with.lost()
	case nemesis.Duplicate:
		return g.other.twice(), g.with.twice()
	default: // a message that arrives twice is late if both are held
		return 0, p * (1 - g.with.twice()*(1-p))
	}
}

// lost is the share of messages of which no copy arrives.
func (y way) lost() float64 { return y.loss * (1 - y.duplicate*(1-y.loss)) }

// twice is the share, of those that arrive, of messages that do so twice.
func (y way) twice() float64 {
	return y.duplicate * (1 - y.loss) * (1 - y.loss) / max(1-y.lost(), 1e-9)
}

// judge tells what a measurement says of the fault.
func (g gauge) judge(l agent.Link, inForce bool) (got string, seen bool) {
	p := g.fault.Params
	if l.Sent == 0 {
		return "nothing could be sent", !inForce
	}
	lost := 1 - float64(l.Got)/float64(l.Sent)
	without, with := g.shares()
	enough := without + 0.4*(with-without) // between the two
	arrived := func(n int) float64 { return float64(n) / float64(max(l.Got, 1)) }
	if l.Got == 0 && g.with.loss < 0.9 {
		return "nothing arrives", !inForce
	}
	switch g.fault.Kind {
	case nemesis.Loss:
		return fmt.Sprintf("%.1f %% of %d lost", 100*lost, l.Sent), lost >= enough
	case nemesis.Duplicate:
		return fmt.Sprintf("%.1f %% of %d twice", 100*arrived(l.Duplicates), l.Got), arrived(l.Duplicates) >= enough
	case nemesis.Delay:
		m := median(l.Delays) - median(l.Back)
		return fmt.Sprintf("median %v", m.Round(10*time.Microsecond)), m >= g.other.floor()+time.Duration(p.Delay)*7/10
	case nemesis.Reorder:
		// On a busy machine many are late, but none overtakes another.
		held, usual := 0, median(l.Back)
		for _, d := range l.Delays {
			if d-usual >= g.other.floor()+time.Duration(p.Delay)*9/10 {
				held++
			}
		}
		return fmt.Sprintf("%.1f %% of %d held, %d overtaken", 100*arrived(held), l.Got, l.Overtaken), arrived(min(held, l.Overtaken)) >= enough
	default: // bandwidth
		rate := float64(l.Bytes) / max(l.Span, 1).Seconds()
		slow := rate <= 1.3*float64(p.Rate)
		if !inForce && p.Rate > rateTold {
			slow = false
		}
		return fmt.Sprintf("%.0f bytes/s", rate), slow
	}
}

// rateTold is the highest rate, in bytes per second, that probes tell from no
// bound at all on a busy machine.
const rateTold = 10 << 20

// longest is what the holds add to a packet, at most.
func (y way) longest() (d time.Duration) {
	for _, h := range y.holds {
		d += h.Delay + h.Jitter
	}
	return d
}

// floor is what the holds add to every packet, at least.
func (y way) floor() (d time.Duration) {
	for _, h := range y.holds {
		if h.Probability >= 1 {
			d += h.Delay - h.Jitter
		}
	}
	return d
}

func median(ds []time.Duration) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	ds = slices.Clone(ds)
	slices.Sort(ds)
	return ds[len(ds)/2]
}
