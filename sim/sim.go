// Package sim is a world in one goroutine: virtual time, a network, disks,
// clocks and processes, all decided by a seed. Two runs of one seed are the
// same run. It is as unkind as the contract of package node allows.
//
// There is one simulation at a time in a process, since the simulator lends
// nodes its own crypto/rand.Reader; run several in several processes.
package sim

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
)

// Config describes a simulated cluster.
type Config struct {
	Seed     uint64
	Nodes    []string
	New      func() node.Node
	Messages node.Codec
	Timeout  time.Duration // after which a client gives up: its op is Info
	Primary  string        // the role of a node that leads
	Leave    string        // operations by which a node leaves the group,
	Join     string        // joins it again,
	Members  string        // and lists its members; empty if there are none
	// Conditions are the nature of links and clocks. The zero Conditions are
	// those of a quiet rack: TCP connections, and all nodes there at once.
	Conditions histories.Conditions
	// MessagesMax bounds the messages between nodes in one second; a world in
	// which there are more records message-storm and goes no further. 0 means
	// 100,000.
	MessagesMax int
	// Sabotage has faults not be what they are said to be, for tests alone.
	Sabotage Sabotage
}

// World implements run.World.
type World struct {
	cfg       Config
	now       histories.Time
	agenda    agenda
	ids       []node.ID
	names     []string
	index     map[node.ID]int32
	machines  []*machine
	links     []link // from*n + to
	leases    leases
	past      leases          // cured ones, which may be cured again
	uncured   map[string]bool // faults whose end has not been seen, though a cure was asked for
	primaries []string
	gaps      gaps
	streams   map[string]*stream
	lender    lender
	handling  handling
	entropy   io.Reader // crypto/rand.Reader as it was

	done []histories.Op // completions and records not yet handed out
	head int            // the first of them

	budget budget
	steps  uint64
	over   bool // the world has recorded why it goes no further
}

// What an event is.
const (
	arrive  = iota // a message, at to
	ring           // a timer, at to
	request        // a client's operation, at to, held while it was paused
	expire         // a call's time is up
	deliver        // an answer reaches its client
	act            // anything else
)

type event struct {
	kind     uint8
	from, to int32
	life     uint32
	version  uint32
	timer    *timer
	body     []byte
	call     *call
	act      func()
	probe    *probe
}

// clientLatency is how long an answer takes to reach the client that sits next
// to its node. More would make operations look concurrent that were not, and
// hide anomalies; none would let a client spin without time going on.
const clientLatency = 10 * time.Microsecond

// New boots a cluster.
func New(cfg Config) *World {
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Second
	}
	if cfg.MessagesMax <= 0 {
		cfg.MessagesMax = 100_000
	}
	n := len(cfg.Nodes)
	w := &World{
		cfg:     cfg,
		names:   slices.Clone(cfg.Nodes),
		index:   map[node.ID]int32{},
		links:   make([]link, n*n),
		gaps:    gaps{handlers: map[handler]int32{}},
		streams: map[string]*stream{},
		uncured: map[string]bool{},
		lender:  newLender(),
		entropy: rand.Reader,
		budget:  budget{max: cfg.MessagesMax},
	}
	for i, name := range cfg.Nodes {
		id := node.ID(name)
		w.ids, w.index[id] = append(w.ids, id), int32(i)
		w.machines = append(w.machines, &machine{
			id: id, index: int32(i), process: histories.Named(name),
			draws: map[string]*stream{}, entropy: &entropy{w, named(cfg.Seed, "crypto/"+name)},
		})
	}
	w.conditions()
	for _, m := range w.machines {
		d := w.stream("boot/" + string(m.id)).draw(w.now)
		late := d.between(0, float64(cfg.Conditions.Late)) // clients may be there before all nodes are
		w.after(time.Duration(late), func() { w.start(m) })
	}
	return w
}

// Close gives crypto/rand its reader back.
func (w *World) Close() error {
	rand.Reader = w.entropy
	return nil
}

// Now is the virtual time.
func (w *World) Now() histories.Time { return w.now }

// Nodes names the nodes in a fixed order.
func (w *World) Nodes() []string { return w.names }

// Stamp does nothing: the order of the file is exact.
func (w *World) Stamp(*histories.Op) {}

// Steps is the number of events that nodes have handled so far.
func (w *World) Steps() uint64 { return w.steps }

// Primaries names the nodes whose last known role leads.
func (w *World) Primaries() []string { return w.primaries }

// plays notes a machine's role.
func (w *World) plays(m *machine, role string, term uint64) {
	m.role, m.term = role, term
	w.primaries = nil // a generator may still hold the old one
	for _, m := range w.machines {
		if m.role == w.cfg.Primary && m.role != "" {
			w.primaries = append(w.primaries, string(m.id))
		}
	}
	slices.Sort(w.primaries)
}

// Wait runs the agenda until a completion or record appears or until comes.
func (w *World) Wait(ctx context.Context, until histories.Time) (histories.Op, bool, error) {
	for n := 0; ; n++ {
		if w.head < len(w.done) {
			op := w.done[w.head]
			w.done[w.head] = histories.Op{}
			if w.head++; w.head == len(w.done) {
				w.done, w.head = w.done[:0], 0
			}
			return op, true, nil
		}
		if n&1023 == 1023 && ctx.Err() != nil {
			return histories.Op{}, false, ctx.Err()
		}
		at, ok := w.agenda.next()
		if !ok || at > until || w.over {
			w.now = max(w.now, until)
			return histories.Op{}, false, nil
		}
		w.now = max(w.now, at)
		_, ev := w.agenda.pop()
		w.happen(&ev)
	}
}

func (w *World) happen(ev *event) {
	switch ev.kind {
	case arrive:
		w.arrive(ev)
	case ring:
		w.ring(ev)
	case request:
		w.request(w.machines[ev.to], ev.call)
	case expire:
		w.finish(ev.call, histories.Info, nil, "timeout", nil)
	case deliver:
		w.emit(ev.call.op)
	case act:
		ev.act()
	}
}

// Invoke sends op to its node, or puts a fault into force, or ends one.
func (w *World) Invoke(op histories.Op) {
	if op.Process.Nemesis() {
		w.nemesis(op)
		return
	}
	m, ok := w.index[node.ID(op.Node)]
	if !ok {
		panic(fmt.Sprintf("sim: op %d goes to node %q, which does not exist", op.Index, op.Node))
	}
	w.call(w.machines[m], &call{op: op})
}

// call begins an operation at m.
func (w *World) call(m *machine, c *call) {
	if c.probe == nil {
		w.agenda.push(w.now.Add(w.cfg.Timeout), event{kind: expire, call: c})
	}
	if m.deaf && !c.admin {
		c.probe.ends(lost)
		return // the client times out
	}
	w.request(m, c)
}

func (w *World) request(m *machine, c *call) {
	switch {
	case m.proc == nil:
		w.finish(c, histories.Fail, nil, "connection refused", nil)
	case m.paused:
		w.hold(m, &event{kind: request, to: m.index, call: c, probe: c.probe})
	case c.probe != nil:
		c.probe.ends(handled)
	default:
		m.reqSeq++
		r, err := node.NewRequest(m.reqSeq, c.op.F, c.op.Key, c.op.Value)
		if err != nil {
			w.finish(c, histories.Fail, nil, "not understood: "+err.Error(), nil)
			return
		}
		m.reqs[r.ID] = c
		w.begin(m)
		w.step(m, w.gaps.handler(request, r.F), func() { m.proc.Request(m.env, r) })
	}
}

// finish completes a call, once; what comes later is lost on the client.
func (w *World) finish(c *call, t histories.Type, value json.RawMessage, why string, ext map[string]json.RawMessage) {
	if c.over || c.probe.ends(pick(t == histories.OK, handled, refused)) {
		return
	}
	c.over = true
	if t == histories.OK {
		if canonical, err := node.Canon(value); err != nil {
			t, why, ext = histories.Info, fmt.Sprintf("answer %.80q: %v", value, err), nil
		} else {
			c.op.Value = canonical
		}
	}
	c.op.Type, c.op.Error, c.op.Ext = t, why, ext
	if c.then != nil {
		w.after(clientLatency, func() { c.then(c.op) })
		return
	}
	w.agenda.push(w.now.Add(clientLatency), event{kind: deliver, call: c})
}

// emit hands op to whoever waits, at the present time.
func (w *World) emit(op histories.Op) { w.done = append(w.done, op) }

func (w *World) record(p histories.Process, f string, value any) {
	w.emit(histories.Op{Process: p, Type: histories.Info, F: f, Value: histories.Encode(value)})
}

func (w *World) after(d time.Duration, f func()) {
	w.agenda.push(w.now.Add(d), event{kind: act, act: f})
}

func (w *World) stream(name string) *stream {
	s := w.streams[name]
	if s == nil {
		fresh := named(w.cfg.Seed, name)
		s = &fresh
		w.streams[name] = s
	}
	return s
}
