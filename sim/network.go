package sim

import (
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// link is the way from one node to another: its nature, which the seed draws
// and which stays, and what faults make of it.
type link struct {
	draws stream

	floor, mean time.Duration // delay: floor, and on top an exponential one of this mean
	loss, twice float64       // probability per message
	fifo        bool          // keeps the order, as one TCP connection does

	last histories.Time // arrival of the latest message, for fifo
	free histories.Time // when the link has sent what it was given, for bandwidth

	fault trouble
	held  [][]byte // messages that have arrived at a cut, and wait for its cure
}

// trouble is the union of the faults in force on a link.
type trouble struct {
	cut, held              bool
	loss, twice, overtaken float64
	delay, jitter, hold    time.Duration
	rate                   int64 // bytes per second; 0: any
}

// add makes t the union of itself and f, a fault that acts on the link.
func (t *trouble) add(f nemesis.Fault) {
	p := f.Params
	switch f.Kind {
	case nemesis.Partition:
		t.held = p.Held && (t.held || !t.cut)
		t.cut = true
	case nemesis.Bandwidth:
		if t.rate == 0 || p.Rate < t.rate {
			t.rate = p.Rate
		}
	case nemesis.Loss:
		t.loss = either(t.loss, p.Probability)
	case nemesis.Duplicate:
		t.twice = either(t.twice, p.Probability)
	case nemesis.Reorder:
		t.overtaken = either(t.overtaken, p.Probability)
		t.hold = max(t.hold, time.Duration(p.Delay))
	case nemesis.Delay:
		t.delay += time.Duration(p.Delay)
		t.jitter += time.Duration(p.Jitter)
	}
}

// either is the probability that at least one of two independent events of
// probability p and q happens.
func either(p, q float64) float64 { return 1 - (1-p)*(1-q) }

// queueMax is how long a message may wait for those before it to pass a link of
// little bandwidth; then the queue is full, and it is lost.
const queueMax = 2 * time.Second

// fate is what becomes of one message.
type fate struct {
	copies int
	delay  [2]time.Duration
}

// losing is the probability that the link loses a message, doubling that it
// delivers one twice.
func (l *link) losing() float64   { return either(l.loss, l.fault.loss) }
func (l *link) doubling() float64 { return either(l.twice, l.fault.twice) }

// decide draws the fate of the next message of a number of bytes, sent now.
func (l *link) decide(d dice, now histories.Time, bytes int) fate {
	f := fate{copies: 1}
	t := &l.fault
	lost, twice := d.chance(l.losing()), d.chance(l.doubling())
	if lost {
		f.copies = 0
		return f
	}
	if twice {
		f.copies = 2
	}
	var queue time.Duration
	if rate := t.rate; rate > 0 {
		free := max(l.free, now).Add(time.Duration(int64(bytes) * int64(time.Second) / rate))
		if queue = time.Duration(free - now); queue > queueMax {
			f.copies = 0
			return f
		}
		l.free = free
	}
	for i := range f.copies {
		delay := queue + l.floor + time.Duration(d.exponential()*float64(l.mean))
		delay += t.delay + time.Duration(d.between(-1, 1)*float64(t.jitter))
		if d.chance(t.overtaken) {
			delay += t.hold
		} else if l.fifo {
			delay = max(delay, time.Duration(l.last-now))
			l.last = now.Add(delay)
		}
		f.delay[i] = delay
	}
	return f
}

// send puts a message on a link, where the faults in force act on it.
func (w *World) send(from, to int32, body []byte) {
	l := w.link(from, to)
	f := l.decide(l.draws.draw(w.now), w.now, len(body))
	for i := range f.copies {
		w.agenda.push(w.now.Add(f.delay[i]), event{kind: arrive, from: from, to: to, body: body})
	}
}

// arrive delivers a message, unless its link has been cut meanwhile.
func (w *World) arrive(ev *event) {
	l := w.link(ev.from, ev.to)
	m := w.machines[ev.to]
	switch {
	case l.fault.cut && l.fault.held:
		if !ev.probe.ends(held) {
			l.held = append(l.held, ev.body)
		}
	case l.fault.cut:
		ev.probe.ends(cut)
	case m.proc == nil:
		ev.probe.ends(refused)
	case m.paused:
		w.hold(m, ev)
	case ev.probe != nil:
		ev.probe.ends(handled)
	default:
		w.receive(m, w.machines[ev.from].id, ev.body)
	}
}

// release lets what a partition has held arrive, in the order in which it came
// to the cut: a TCP connection keeps its order.
func (w *World) release(from, to int32) {
	l := w.link(from, to)
	for _, body := range l.held {
		w.agenda.push(w.now, event{kind: arrive, from: from, to: to, body: body})
	}
	l.held = nil
}

func (w *World) link(from, to int32) *link { return &w.links[int(from)*len(w.machines)+int(to)] }

// receive has m handle a message from a peer.
func (w *World) receive(m *machine, from node.ID, body []byte) {
	msg, err := w.cfg.Messages.Decode(body)
	if err != nil {
		panic(err) // we encoded it ourselves
	}
	w.begin(m)
	w.step(m, w.gaps.handler(arrive, w.cfg.Messages.Name(body)), func() { m.proc.Receive(m.env, from, msg) })
}
