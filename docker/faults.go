package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// Deadlines of a nemesis' operation. A cure's is its own: it does not wait for
// an injection to end.
const (
	injectTimeout = 20 * time.Second
	cureTimeout   = 15 * time.Second
)

// Kinds lists the faults that containers can do. Whether this engine and its
// kernel can, Doctor finds out.
func Kinds() []nemesis.Kind { return slices.Clone(nemesis.Kinds) }

// nemesis begins to inject or cure a fault. The lease is there, or gone, when
// it returns: the order of invocations is the order of leases. The operation
// completes with what was seen at the victims.
func (w *World) nemesis(op histories.Op) {
	f, err := nemesis.Decode(op)
	switch {
	case err != nil:
	case op.F == nemesis.Inject:
		err = w.take(f)
	case op.F == nemesis.Cure:
		f, err = w.drop(f.ID)
	default:
		err = fmt.Errorf("a nemesis does %s or %s, not %q", nemesis.Inject, nemesis.Cure, op.F)
	}
	if err != nil {
		op.Type, op.Error, op.Lamport = histories.Fail, err.Error(), 0
		w.out.put(op, 0)
		return
	}
	inject := op.F == nemesis.Inject
	timeout := injectTimeout
	if !inject {
		timeout = cureTimeout
	}
	w.working.Go(func() {
		ctx, cancel := context.WithTimeout(w.ctx, timeout)
		defer cancel()
		begun := time.Now()
		e, err := w.enact(ctx, f, inject)
		if err == nil && f.Kind != nemesis.Membership {
			w.observe(ctx, f, inject, &e)
		}
		e = e.Conclude()
		op.Type, op.Value, op.Error, op.Lamport = histories.OK, histories.Encode(e), "", 0
		switch {
		case err != nil:
			e.Verified = false
			op.Type, op.Value, op.Error = histories.Info, histories.Encode(e), err.Error()
		case inject && len(e.Checks) == 0 && len(e.Holders) > 0:
			// In force or not, it was not seen: a run may not count on it.
			e.Verified = false
			op.Type, op.Value, op.Error = histories.Info, histories.Encode(e), "hidden by "+strings.Join(e.Holders, ", ")
		case !e.Verified:
			op.Type, op.Error = histories.Info, "not seen at the victims"
		}
		w.log.Debug(op.F, zap.String("fault", f.ID), zap.Duration("elapsed", time.Since(begun)), zap.Bool("verified", e.Verified), zap.Error(err))
		w.out.put(op, 0)
		if !inject {
			w.cured(f.ID, e.Verified)
		}
	})
}

// take puts f among the leases.
func (w *World) take(f nemesis.Fault) error {
	if err := f.On(w.cfg.Nodes); err != nil {
		return err
	}
	if f.Kind == nemesis.Membership && w.cfg.Leave == "" {
		return fmt.Errorf("fault %s: the target has no membership operations", f.ID)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leases.find(f.ID) >= 0 {
		return fmt.Errorf("fault %s is in force already", f.ID)
	}
	w.leases = append(slices.Clip(w.leases), f)
	if f.Kind == nemesis.Power {
		for _, name := range w.struck(f) {
			w.byName[name].powerDue.Store(true)
		}
	}
	w.change()
	return nil
}

// drop takes the fault id from the leases. One that was taken before is cured
// once more: its cure may have come too late to be seen, or not have come at all.
func (w *World) drop(id string) (nemesis.Fault, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, known := w.past[id]
	switch i := w.leases.find(id); {
	case i >= 0:
		f = w.leases[i]
		w.past[id] = f
		w.leases = slices.Delete(slices.Clone(w.leases), i, i+1)
	case !known:
		return nemesis.Fault{}, fmt.Errorf("fault %s was never in force", id)
	}
	w.curing++
	w.change()
	return f, nil
}

// change tells whoever watches that the leases are others. w.mu is held.
func (w *World) change() {
	w.version++
	w.enacting++
	close(w.changed)
	w.changed = make(chan struct{})
}

// enacted notes that a change of leases is carried out, or cannot be.
func (w *World) enacted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enacting--
}

// held is what is to be done by the leases in force, which does not change, their
// version, and what is closed when there are others.
func (w *World) held() (ls leases, version uint64, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deeds(), w.version, w.changed
}

// cured records that nothing is in force any more, when that is so: a cure that
// was not carried out, or not seen at the victims, leaves that open until it is
// tried again.
func (w *World) cured(id string, seen bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.curing--
	if delete(w.uncured, id); !seen {
		w.uncured[id] = true
	}
	if w.curing == 0 && len(w.leases) == 0 && len(w.uncured) == 0 {
		w.healed()
	}
}

func (w *World) healed() {
	w.out.put(histories.Op{Process: histories.World, Type: histories.Info, F: "heal", Value: histories.Encode(struct{}{})}, 0)
}

// enact makes the cluster what the leases say. Nodes that are to be back are.
func (w *World) enact(ctx context.Context, f nemesis.Fault, inject bool) (nemesis.Evidence, error) {
	defer w.enacted()
	e := nemesis.Evidence{ID: f.ID, Kind: f.Kind}
	switch {
	case f.Kind == nemesis.Membership:
		e.Checks = w.admin(ctx, f, inject)
		return e, nil
	case takesDown(f.Kind) || f.Kind == nemesis.Pause || f.Kind == nemesis.Clock:
		return e, inParallel(w.struck(f), func(name string) error {
			m := w.byName[name]
			if err := m.settle(ctx); err != nil || inject || m.now() != running {
				return err
			}
			wait, cancel := context.WithTimeout(ctx, recovery)
			defer cancel()
			_ = m.healthy(wait) // the evidence will tell
			return nil
		})
	}
	return e, inParallel(w.members, func(m *member) error { return m.obey(ctx) })
}

// Heal ends every fault at once.
func (w *World) Heal(ctx context.Context) error {
	w.mu.Lock()
	had := len(w.leases)+len(w.uncured) > 0
	w.leases = nil
	w.change()
	w.mu.Unlock()
	err := inParallel(w.members, func(m *member) error {
		if err := m.obey(ctx); err != nil {
			return err
		}
		if err := m.settle(ctx); err != nil || m.now() != running {
			return err
		}
		return m.healthy(ctx)
	})
	w.enacted()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		return err
	}
	clear(w.uncured)
	if had && w.curing == 0 && len(w.leases) == 0 {
		w.healed()
	}
	return nil
}
