package sim

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	mrand "math/rand/v2"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// A machine is a node's place: its process, if it runs, its disk, its clock.
type machine struct {
	id      node.ID
	index   int32
	process histories.Process

	proc  node.Node // nil: down
	env   *node.Env
	life  uint32 // counts boots; events of an earlier life are void
	broke bool   // it panicked, and stays down

	disk  disk
	clock clock

	down    int            // leases that keep it down
	paused  bool           // by some lease
	deaf    bool           // clients do not reach it, by some lease,
	mute    bool           // nor it them
	held    []event        // what happened while paused
	doom    *doom          // it is to die soon; nil: not that we know
	relapse *doom          // and once more, in the step in which it starts again
	meets   *nemesis.Fault // strikes it once it has come back; nil: none
	will    bool           // when it dies, it leaves a write that is not synced,
	left    bool           // which it has done

	reqs   map[uint64]*call
	reqSeq uint64 // begins anew in each life, as in a real process
	timers map[string]*timer

	role string
	term uint64

	sent   int            // messages
	second histories.Time // in which rings were counted
	rings  int            // of timers

	draws   map[string]*stream // of the node's own decisions, by name
	entropy io.Reader          // its crypto/rand.Reader
}

// A timer is set in local time, so that it follows its node's clock.
type timer struct {
	name     string
	deadline time.Duration
	version  uint32 // of the event that will fire it
	set      bool
}

// A call is an operation in flight.
type call struct {
	op    histories.Op
	over  bool
	admin bool               // it comes by a way that no fault cuts
	then  func(histories.Op) // who waits for it; nil: the loop
	probe *probe
}

// running tells whether the process is there and gets to run.
func (m *machine) running() bool { return m.proc != nil && !m.paused }

func (m *machine) rand(w *World) func(string) *mrand.Rand {
	return func(name string) *mrand.Rand {
		s := m.draws[name]
		if s == nil {
			fresh := named(w.cfg.Seed, "node/"+string(m.id)+"/"+name)
			s = &fresh
			m.draws[name] = s
		}
		return w.lender.lend(s.draw(w.now))
	}
}

// boot starts the process, with what the disk kept.
func (w *World) boot(m *machine) {
	m.disk.forget()
	m.will, m.left = false, false
	m.life++
	meets := m.meets
	m.proc, m.doom, m.relapse, m.meets = w.cfg.New(), m.relapse, nil, nil
	m.reqs, m.reqSeq, m.timers = map[uint64]*call{}, 0, map[string]*timer{}
	m.env = node.NewEnv(node.Host{ID: m.id, Peers: w.ids, Codec: w.cfg.Messages, Disk: &m.disk, Rand: m.rand(w)})
	if m.life > 1 {
		w.record(m.process, "restart", map[string]any{"life": m.life})
	}
	atOnce := meets != nil && w.meet(m, *meets)
	w.begin(m)
	w.step(m, w.gaps.handler(starts, ""), func() { m.proc.Start(m.env) })
	if m.doom != nil && m.doom.again {
		m.doom = nil
	}
	if meets != nil && !atOnce && m.proc != nil {
		w.condemn(m, *meets, true)
	}
}

// leave has m, which is down, leave a write behind that was not synced.
func (m *machine) leave() {
	m.disk.witness()
	m.will, m.left = false, true
}

// crash ends the process where it is, and records what there is to tell of it.
func (w *World) crash(m *machine, kind string, record map[string]any) {
	if m.will {
		m.leave()
	}
	m.proc, m.held, m.doom = nil, nil, nil
	w.plays(m, "", 0)
	w.record(m.process, "crash", record)
	if kind == string(nemesis.Power) {
		w.losePower(m)
	}
	ids := make([]uint64, 0, len(m.reqs))
	for id := range m.reqs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		w.finish(m.reqs[id], histories.Info, nil, "connection reset", nil)
	}
	m.reqs = nil
	if m.down == 0 { // the fault is over already
		w.startSoon(m)
	}
}

// begin lends m the world's clocks and entropy for a step.
//
// The raft library draws its election timeouts from crypto/rand.Reader, which
// is one for the whole program: hence one simulation at a time in a process.
func (w *World) begin(m *machine) {
	rand.Reader = m.entropy
	m.env.Begin(m.clock.read(w.now))
	w.steps++
}

// entropy is crypto/rand as one machine sees it.
type entropy struct {
	world *World
	draws stream
}

func (e *entropy) Read(p []byte) (int, error) {
	d := e.draws.draw(e.world.now)
	for i := range p {
		p[i] = byte(d.Uint64())
	}
	return len(p), nil
}

// step lets a node handle one event and carries out what it asked for, in
// order, until it is done or the node's hour has come. h names the step.
func (w *World) step(m *machine, h int32, handle func()) {
	if !w.attempt(m, h, handle) {
		return
	}
	effects := m.env.End()
	last := -1
	if m.doom != nil {
		last = w.hour(m, h, effects)
	}
	for i := range len(effects) + 1 {
		g := between(h, effects, i)
		w.gaps.class(g).passed++
		if i == last {
			w.die(m, g, true)
			return
		}
		if i < len(effects) {
			w.perform(m, &effects[i])
		}
	}
}

// attempt runs handle, which is handler h, and tells whether it came back. A
// panic is the node's end: none of the step's effects happened.
func (w *World) attempt(m *machine, h int32, handle func()) (ok bool) {
	w.handling.begin(w.steps, h, m)
	p := node.Protect(handle)
	w.handling.end()
	if p == nil {
		return true
	}
	m.env.End()
	w.record(m.process, "panic", p)
	m.broke = true
	w.crash(m, "panic", map[string]any{"kind": "panic"})
	return false
}

func (w *World) perform(m *machine, e *node.Effect) {
	switch e.Kind {
	case node.Send:
		to, ok := w.index[e.To]
		if !ok {
			panic(fmt.Sprintf("sim: %s sends to %q, which is no node", m.id, e.To))
		}
		w.charge(m, e.Body)
		w.send(m.index, to, e.Body)
	case node.Answer:
		w.answer(m, e)
	case node.SetTimer:
		w.setTimer(m, e)
	case node.Write:
		m.disk.write(e.Changes)
	case node.Sync:
		m.disk.sync()
	case node.Record:
		w.emit(histories.Op{Process: m.process, Type: histories.Info, F: e.Name, Value: e.Value})
	case node.Role:
		w.plays(m, e.Name, e.Term)
		w.record(m.process, "role", role{e.Name, e.Term})
	default:
		panic(fmt.Sprintf("sim: effect %d of %s is unknown", e.Kind, m.id))
	}
}

type role struct {
	Role string `json:"role"`
	Term uint64 `json:"term"`
}

// answer completes a client's operation, if the client can hear it.
func (w *World) answer(m *machine, e *node.Effect) {
	c := m.reqs[e.Req]
	if c == nil {
		w.unclaimed(m, e)
		return
	}
	delete(m.reqs, e.Req)
	switch {
	case m.mute && !c.admin:
		c.probe.ends(lost) // the client times out
	case e.OK:
		w.finish(c, histories.OK, e.Value, "", e.Ext)
	default:
		w.finish(c, histories.Fail, nil, e.Error, nil)
	}
}

// unclaimed records an answer that breaks the contract: to a request of this
// life that has its answer, or to one that no life was given. One of an earlier
// life is nothing.
func (w *World) unclaimed(m *machine, e *node.Effect) {
	switch {
	case e.Req > 0 && e.Req <= m.reqSeq:
		w.record(m.process, "answered-twice", e.Unclaimed())
	case m.life == 1:
		w.record(m.process, "answered-unasked", e.Unclaimed())
	}
}

func (w *World) setTimer(m *machine, e *node.Effect) {
	t := m.timers[e.Name]
	if t == nil {
		if e.After < 0 {
			return
		}
		t = &timer{name: e.Name}
		m.timers[e.Name] = t
	}
	t.version++
	if t.set = e.After >= 0; t.set {
		t.deadline = m.env.Now + e.After
		w.arm(m, t)
	}
}

func (w *World) arm(m *machine, t *timer) {
	at := max(m.clock.when(t.deadline), w.now)
	w.agenda.push(at, event{kind: ring, to: m.index, life: m.life, timer: t, version: t.version})
}

// rearm makes m's timers follow its clock, whose pace has changed.
func (w *World) rearm(m *machine) {
	for _, name := range slices.Sorted(maps.Keys(m.timers)) {
		if t := m.timers[name]; t.set {
			t.version++
			w.arm(m, t)
		}
	}
}

// ring fires a timer, unless it was set anew or its node died meanwhile.
func (w *World) ring(ev *event) {
	m, t := w.machines[ev.to], ev.timer
	switch {
	case m.life != ev.life || m.proc == nil || t.version != ev.version || !t.set:
		ev.probe.ends(refused)
	case m.paused:
		w.hold(m, ev)
	case ev.probe != nil:
		ev.probe.ends(handled)
	default:
		t.set = false
		w.chargeTimer(m, t.name)
		w.begin(m)
		w.step(m, w.gaps.handler(ring, t.name), func() { m.proc.Timer(m.env, t.name) })
	}
}

// hold keeps what comes to a paused machine.
func (w *World) hold(m *machine, ev *event) {
	if !ev.probe.ends(waits) {
		m.held = append(m.held, *ev)
	}
}
