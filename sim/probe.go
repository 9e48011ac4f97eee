package sim

import (
	"fmt"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
)

// A probe goes the way of a message, a timer or a request, until something
// stops it or the node would handle it. It leaves nothing behind: it takes no
// time, no draw of others', and the node does not get to see it.
type probe struct{ end string }

// Where a probe ends.
const (
	handled = "handled" // the node would have to deal with it
	waits   = "waits"   // for a paused process
	refused = "refused" // since there is no process
	cut     = "cut"     // on the link, and is lost
	held    = "held"    // on the link, until the cure
	lost    = "lost"    // without a trace
)

// ends tells whether there is a probe, and ends it.
func (p *probe) ends(how string) bool {
	if p != nil {
		p.end = how
	}
	return p != nil
}

// message tells how far a message gets from one machine to another.
func (w *World) message(from, to int32) string {
	l := *w.link(from, to) // a copy: nobody waits behind a probe
	l.free, l.last = 0, 0
	draws := w.stream(fmt.Sprintf("probe/%d/%d", from, to))
	p := probe{lost}
	for range 100 { // the link may be lossy
		if l.decide(draws.draw(w.now), w.now, 1).copies > 0 {
			w.happen(&event{kind: arrive, from: from, to: to, probe: &p})
			break
		}
	}
	return p.end
}

// timer tells whether m would fire a timer that is due.
func (w *World) timer(m *machine) string {
	p := probe{}
	w.happen(&event{kind: ring, to: m.index, life: m.life, timer: &timer{set: true}, probe: &p})
	return p.end
}

// question tells how far a request gets to m: an administrator's, or a client's.
func (w *World) question(m *machine, admin bool) string {
	p := probe{}
	w.call(m, &call{admin: admin, probe: &p})
	return p.end
}

// reply tells how far an answer gets from m, which is running, to a client.
func (w *World) reply(m *machine) string {
	p := probe{}
	const id = 0 // no request has this
	m.reqs[id] = &call{probe: &p}
	w.answer(m, &node.Effect{Kind: node.Answer, Req: id, OK: true})
	return p.end
}

// members asks m for the members of its group, which changes nothing. ok is
// false if there is no answer.
func (w *World) members(m *machine) (names []string, ok bool) {
	if !m.running() {
		return nil, false
	}
	w.begin(m)
	asked := w.attempt(m, asking, func() { m.proc.Request(m.env, node.Request{F: w.cfg.Members}) })
	if !asked {
		return nil, false
	}
	for _, e := range m.env.End() {
		if e.Kind == node.Answer && e.OK {
			names, err := histories.Decode[[]string](histories.Op{Value: e.Value})
			return names, err == nil
		}
	}
	return nil, false
}
