package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// nemesis begins to inject or cure a fault; the operation completes when what
// the fault does has been seen at its victims.
func (w *World) nemesis(op histories.Op) {
	f, err := nemesis.Decode(op)
	switch {
	case err != nil:
	case op.F == nemesis.Inject:
		err = w.inject(op, f)
	case op.F == nemesis.Cure:
		err = w.cure(op, f.ID)
	default:
		err = fmt.Errorf("a nemesis does %s or %s, not %q", nemesis.Inject, nemesis.Cure, op.F)
	}
	if err != nil {
		op.Type, op.Error = histories.Fail, err.Error()
		w.after(clientLatency, func() { w.emit(op) })
	}
}

// complete ends a nemesis' operation with evidence. When nothing is in force
// any more, as far as can be seen, that is recorded.
func (w *World) complete(op histories.Op, e nemesis.Evidence) {
	e = e.Conclude()
	op.Type, op.Error = histories.OK, ""
	switch {
	case op.F == nemesis.Inject && len(e.Checks) == 0 && len(e.Holders) > 0:
		// In force or not, it was not seen: a run may not count on it.
		e.Verified = false
		op.Type, op.Error = histories.Info, "hidden by "+strings.Join(e.Holders, ", ")
	case !e.Verified:
		op.Type, op.Error = histories.Info, "not seen at the victims"
	case op.F == nemesis.Cure:
		delete(w.uncured, e.ID)
	}
	op.Value = histories.Encode(e)
	w.emit(op)
	if op.F == nemesis.Cure && len(w.leases) == 0 && len(w.uncured) == 0 {
		w.record(histories.World, "heal", struct{}{})
	}
}

// ending are the kinds that end processes.
var ending = []nemesis.Kind{nemesis.Kill, nemesis.Stop, nemesis.Power}

// takesDown tells whether kind k ends processes.
func takesDown(k nemesis.Kind) bool { return slices.Contains(ending, k) }

// Kinds lists the faults that the simulator can do.
func Kinds() []nemesis.Kind { return nemesis.Kinds }

func (w *World) inject(op histories.Op, f nemesis.Fault) error {
	if err := f.On(w.names); err != nil {
		return err
	}
	if w.leases.find(f.ID) >= 0 {
		return fmt.Errorf("fault %s is in force already", f.ID)
	}
	if f.Kind == nemesis.Membership && w.cfg.Leave == "" {
		return fmt.Errorf("fault %s: the target has no membership operations", f.ID)
	}
	l := lease{Fault: f, since: w.now, lives: map[string]uint32{}, down: map[string]bool{}}
	w.leases = append(w.leases, l)
	if f.Kind == nemesis.Membership {
		w.admin(op, f, w.cfg.Leave)
		return nil
	}
	for _, name := range f.Targets {
		m := w.machine(name)
		l.lives[name], l.down[name] = m.life, m.proc == nil
		if f.Kind == nemesis.Power {
			if m.will = m.proc != nil; !m.will {
				m.leave()
			}
		}
	}
	w.settle()
	for _, deed := range w.cfg.Sabotage.deeds(f, w.names) {
		for _, name := range deed.Targets {
			w.strike(w.machine(name), deed)
		}
	}
	wait := dying
	if takesDown(f.Kind) && slices.ContainsFunc(f.Targets, func(n string) bool { return l.down[n] }) {
		wait = starting // by then who is down would be up, if it were not for a fault
	}
	w.after(wait+5*time.Millisecond, func() { w.seen(op, l) })
	return nil
}

// seen completes the injection of l when those who are to die are dead.
func (w *World) seen(op histories.Op, l lease) {
	doomed := func(m *machine) bool {
		return m.doom != nil && !m.doom.again && (m.doom.fault == l.ID || slices.Contains(l.Targets, string(m.id))) ||
			m.meets != nil && m.meets.ID == l.ID
	}
	if slices.ContainsFunc(w.machines, doomed) {
		w.after(5*time.Millisecond, func() { w.seen(op, l) })
		return
	}
	w.complete(op, w.observe(l, true))
}

// strike does to m what happens but once when a fault begins. Who is about to
// start is killed, or loses power, when it does: what there is to find is what it
// makes of that which it has just read back.
func (w *World) strike(m *machine, f nemesis.Fault) {
	switch k := f.Kind; {
	case k == nemesis.Stop && m.proc != nil:
		w.crash(m, string(k), map[string]any{"kind": k})
	case (k == nemesis.Kill || k == nemesis.Power) && w.comes(m):
		m.meets, m.down = &f, 0
	case k == nemesis.Power && m.proc == nil:
		w.losePower(m)
	case (k == nemesis.Kill || k == nemesis.Power) && m.proc != nil:
		w.condemn(m, f, false)
	}
}

// losePower takes from the disk what was not synced.
func (w *World) losePower(m *machine) {
	if lost, of := m.disk.lose(w.stream("disk/" + string(m.id)).draw(w.now)); lost > 0 {
		w.record(m.process, "lost-writes", map[string]int{"lost": lost, "unsynced": of})
	}
}

func (w *World) cure(op histories.Op, id string) error {
	if i := w.leases.find(id); i >= 0 {
		w.past = append(w.past, w.leases[i])
		for _, name := range w.leases[i].Targets {
			w.hasten(w.machine(name), id)
		}
		w.leases = w.leases.except(id)
		w.settle()
	}
	i := w.past.find(id)
	if i < 0 {
		return fmt.Errorf("fault %s was never in force", id)
	}
	w.uncured[id] = true
	l := w.past[i]
	if l.Kind == nemesis.Membership {
		w.admin(op, l.Fault, w.cfg.Join)
		return nil
	}
	wait := 5 * time.Millisecond
	if takesDown(l.Kind) {
		wait += 2 * starting // it may die once more while it starts
	}
	w.after(wait, func() { w.look(op, l, 10) })
	return nil
}

// look completes a cure with what is seen of l, at the latest after so many
// looks: another fault that has just ended may have kept a process from
// starting.
func (w *World) look(op histories.Op, l lease, times int) {
	e := w.observe(l, false)
	if times > 1 && !e.Conclude().Verified {
		w.after(starting, func() { w.look(op, l, times-1) })
		return
	}
	w.complete(op, e)
}

// Heal ends every fault at once.
func (w *World) Heal(context.Context) error {
	w.leases = nil
	w.settle()
	return nil
}

// settle makes machines and links what the leases in force say.
func (w *World) settle() {
	ls := w.suffered()
	for _, m := range w.machines {
		was := m.paused
		m.paused = len(ls.on(m, nemesis.Pause)) > 0
		m.down = len(w.awaits(m, ls.on(m, ending...)))
		m.deaf = len(ls.on(m, nemesis.Client)) > 0
		m.mute = m.deaf && w.cfg.Sabotage != OneWay
		pace := m.clock.drift
		m.clock.set(w.now, ls.on(m, nemesis.Clock))
		if m.proc != nil && m.clock.drift != pace {
			w.rearm(m)
		}
		if was && !m.paused {
			w.resume(m)
		}
		if m.down == 0 && m.proc == nil {
			w.startSoon(m)
		}
	}
	for _, from := range w.machines {
		for _, to := range w.machines {
			l := w.link(from.index, to.index)
			l.fault = ls.trouble(from, to)
			switch t := l.fault; {
			case t.cut && !t.held:
				l.held = nil
			case !t.cut && len(l.held) > 0:
				w.release(from.index, to.index)
			}
		}
	}
}

// starting is the most that a process takes to start.
const starting = 100 * time.Millisecond

func (w *World) startSoon(m *machine) {
	d := w.stream("start/" + string(m.id)).draw(w.now)
	w.after(time.Duration(d.between(0.05, 1)*float64(starting)), func() { w.start(m) })
}

// start boots m if it is down and nothing keeps it so.
func (w *World) start(m *machine) {
	if m.proc == nil && m.down == 0 && !m.paused && !m.broke {
		w.boot(m)
	}
}

func (w *World) machine(name string) *machine {
	for i, n := range w.names {
		if n == name {
			return w.machines[i]
		}
	}
	panic("sim: no node " + name)
}

// admin asks the group to let f's nodes leave or join, one after another, until
// it has answered or ten timeouts have passed.
func (w *World) admin(op histories.Op, f nemesis.Fault, what string) {
	e := nemesis.Evidence{ID: f.ID, Kind: f.Kind}
	deadline := w.now.Add(10 * w.cfg.Timeout)
	left := f.Targets
	tries := 0
	var next func()
	next = func() {
		if len(left) == 0 || w.now >= deadline {
			for _, name := range left {
				e.Checks = append(e.Checks, nemesis.Check{Node: name, Want: what + " answered", Got: "no answer"})
			}
			w.complete(op, e)
			return
		}
		victim := left[0]
		m := w.spokesman(victim, tries)
		tries++
		then := func(answer histories.Op) {
			var members []string
			known := false
			if answer.Type == histories.OK {
				members, known = w.members(m)
			}
			if !known {
				w.after(200*time.Millisecond, next)
				return
			}
			gone := !slices.Contains(members, victim)
			e.Checks = append(e.Checks, nemesis.Check{
				Node: victim, Peer: string(m.id), Want: expect("no member", op.F == nemesis.Inject),
				Got: "members " + strings.Join(members, " "), OK: gone == (op.F == nemesis.Inject),
			})
			left = left[1:]
			next()
		}
		subject := w.cfg.Sabotage.subject(op.F, victim, w.names)
		if subject == "" {
			then(histories.Op{Type: histories.OK})
			return
		}
		ask := histories.Op{Process: op.Process, Type: histories.Invoke, F: what, Value: histories.Encode(subject)}
		w.call(m, &call{op: ask, admin: true, then: then})
	}
	next()
}

// spokesman is whom to ask about victim: first a primary, then the others in
// turn.
func (w *World) spokesman(victim string, tries int) *machine {
	var able []*machine
	for _, leads := range []bool{true, false} {
		for _, m := range w.machines {
			if m.running() && string(m.id) != victim && (m.role == w.cfg.Primary) == leads {
				able = append(able, m)
			}
		}
	}
	if len(able) == 0 {
		return w.machine(victim)
	}
	return able[tries%len(able)]
}
