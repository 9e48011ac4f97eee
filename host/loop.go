package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

// loop is the life of the node: Start, then timers and events, one at a time,
// each with all its effects. It returns why it ended, with the files in the
// state in which that leaves them.
func (h *host) loop() error {
	err := h.step(func() { h.node.Start(h.env) })
	h.ready.Store(err == nil)
	for err == nil {
		if order := h.order.Load(); order != 0 {
			return h.end(order)
		}
		if err = h.fire(); err != nil {
			break
		}
		ev, ok := h.inbox.take()
		switch {
		case ok:
			err = h.event(ev)
		default:
			h.inbox.wait(h.idle())
		}
	}
	if errors.Is(err, errHalted) {
		return h.end(h.order.Load())
	}
	return err
}

// errHalted ends a step between two effects.
var errHalted = errors.New("halted")

// end does what order asks of a node that stands still.
func (h *host) end(order uint32) error {
	if err := h.flush(); err != nil {
		return err
	}
	switch order {
	case orderPower:
		l, err := losePower(h.disk.path, !h.cfg.NoFsync)
		if err != nil {
			return fmt.Errorf("power loss: %w", err)
		}
		h.lost = &l
		return ErrPowerLost
	case orderFail:
		h.failing.Lock()
		defer h.failing.Unlock()
		return h.failure
	}
	return nil
}

// idle is how long there will be nothing to do unless something comes in.
func (h *host) idle() time.Duration {
	at, ok := h.timers.next()
	if !ok {
		return time.Hour
	}
	return min(h.clock.until(at), time.Hour)
}

// fire fires the timers that are due now, each once: those that they set in
// turn leave room for an event first.
func (h *host) fire() error {
	at, ok := h.timers.next()
	if !ok {
		return nil
	}
	now := h.clock.now()
	for n := len(h.timers.due); n > 0 && ok && at <= now; n-- {
		name := h.timers.pop()
		h.counters.timers.Add(1)
		if err := h.charge(name); err != nil {
			return err
		}
		if err := h.step(func() { h.node.Timer(h.env, name) }); err != nil {
			return err
		}
		if h.order.Load() != 0 {
			return nil
		}
		at, ok = h.timers.next()
	}
	return nil
}

// timersMax is how often timers may fire in a second. A node that sets them
// anew for now, for ever, is caught in a livelock.
const timersMax = 20_000

// charge counts a timer that fires. A livelock is recorded once.
func (h *host) charge(name string) error {
	if since := time.Since(h.second); since >= time.Second {
		h.second, h.rings = h.second.Add(since), 0
	}
	if h.rings++; h.rings != timersMax+1 || h.livelocked {
		return nil
	}
	h.livelocked = true
	return h.breach("livelock", map[string]any{"handler": "Timer " + name, "times": h.rings})
}

func (h *host) event(ev event) error {
	switch ev.kind {
	case receive:
		return h.step(func() { h.node.Receive(h.env, ev.from, ev.msg) })
	case request:
		h.calls[ev.call.request.ID] = ev.call
		h.counters.requests.Add(1)
		return h.step(func() { h.node.Request(h.env, ev.call.request) })
	case forget:
		if id := ev.call.request.ID; h.calls[id] != nil {
			h.calls[id] = nil // whoever answers it does so for the first time
		}
		return nil
	default:
		return h.crash(ev.panic)
	}
}

// step lets the node handle one thing and performs what it asks for.
func (h *host) step(handle func()) error {
	r := h.clock.read()
	h.env.Begin(r.Now, r.Wall)
	if p := node.Protect(handle); p != nil {
		return h.crash(p)
	}
	effects := h.env.End()
	h.counters.steps.Add(1)
	for i := range effects {
		if h.order.Load() == orderPower {
			return errHalted
		}
		if err := h.perform(&effects[i]); err != nil {
			return err
		}
	}
	h.kick()
	if err := h.flush(); err != nil {
		return err
	}
	return h.disk.compact(true)
}

// crash records the panic that ends the node. The effects of the step in which
// it happened are void.
func (h *host) crash(p *node.Panic) error {
	h.cfg.Log.Error("the node panicked", zap.String("error", p.Error), zap.Strings("stack", p.Stack))
	value, err := json.Marshal(p)
	if err == nil {
		h.records.add(h.lamport.stamp(), "panic", value)
		err = h.flush()
	}
	return errors.Join(fmt.Errorf("%w: %s", ErrPanic, p.Error), err)
}

// perform carries out one effect. Writes and records wait in memory for one
// another's turn, so that a SIGKILL at any instant leaves a prefix of what the
// effects ask for, and for all to be in the files before anybody is told.
func (h *host) perform(f *node.Effect) error {
	switch f.Kind {
	case node.Send:
		if err := h.flush(); err != nil {
			return err
		}
		h.peers.send(messageFrame, f.To, f.Body)
		h.dirty = append(h.dirty, f.To)
		if h.sent++; h.sent%sentStep == 0 {
			return h.record("sent", sentRecord)
		}
	case node.Answer:
		if err := h.flush(); err != nil {
			return err
		}
		return h.answer(f)
	case node.SetTimer:
		if f.After < 0 {
			h.timers.cancel(f.Name)
		} else {
			h.timers.set(f.Name, h.env.Now+f.After)
		}
	case node.Write:
		if err := h.records.flush(); err != nil {
			return err
		}
		h.disk.write(f.Changes)
	case node.Sync:
		h.kick()
		if err := h.records.flush(); err != nil {
			return err
		}
		return h.disk.sync()
	case node.Record:
		return h.record(f.Name, f.Value)
	case node.Role:
		r := &role{f.Name, f.Term}
		value, err := json.Marshal(r)
		if err != nil {
			return err
		}
		h.role.Store(r)
		return h.record("role", value)
	default:
		panic(fmt.Sprintf("host: effect of unknown kind %d", f.Kind))
	}
	return nil
}

func (h *host) record(f string, value json.RawMessage) error {
	if err := h.disk.flush(); err != nil {
		return err
	}
	h.records.add(h.lamport.stamp(), f, value)
	h.counters.records.Add(1)
	return nil
}

// sentStep is how many messages are told of by one record.
const sentStep = 100

var sentRecord = json.RawMessage(`{"messages":100}`)

// answer completes a request, if its client still waits. An answer to a request
// of this life that has its answer, or to one that no life was given, breaks
// the contract; one to a request of an earlier life is nothing.
func (h *host) answer(f *node.Effect) error {
	c, open := h.calls[f.Req]
	delete(h.calls, f.Req)
	switch {
	case c != nil:
		h.counters.answers.Add(1)
		c.answer <- answer{ok: f.OK, value: f.Value, err: f.Error, ext: f.Ext, lamport: h.lamport.stamp()}
		return nil
	case open:
	case f.Req > 0 && f.Req <= h.requests.Load():
		return h.breach("answered-twice", f.Unclaimed())
	case h.life == 1:
		return h.breach("answered-unasked", f.Unclaimed())
	}
	h.counters.unclaimed.Add(1)
	return nil
}

// breach records that the node broke its contract.
func (h *host) breach(f string, what any) error {
	value, err := json.Marshal(what)
	if err != nil {
		return err
	}
	h.cfg.Log.Warn("the node broke its contract", zap.String("how", f), zap.ByteString("value", value))
	return h.record(f, value)
}

// flush hands what was written and recorded to the operating system. Of the
// two only one has anything to hand over.
func (h *host) flush() error {
	if err := h.disk.flush(); err != nil {
		return err
	}
	return h.records.flush()
}

// kick has the messages of this step sent.
func (h *host) kick() {
	for _, to := range h.dirty {
		h.peers.kick(to)
	}
	h.dirty = h.dirty[:0]
}
