package nemesis

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
)

// Script plays the injections and cures that nemesis processes invoke in ops,
// each at its time or as soon after as the process of its kind is free; the rest
// of ops is passed over. Ops of one
// process keep their order, those of different ones do not wait for each
// other. Nothing is injected at until or later; what the script leaves in force
// is cured then, or, if until is 0, once all has been played.
//
// It panics if CheckScript finds the ops wrong.
func Script(ops []histories.Op, until histories.Time) gen.Generator {
	parts, err := readScript(ops)
	if err != nil {
		panic(err)
	}
	if len(parts) == 0 {
		return nil
	}
	s := &script{until: until}
	for _, k := range Kinds {
		own := slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.fault.Kind != k })
		if len(own) > 0 {
			s.roles = append(s.roles, role{process: k.Process(), parts: own})
		}
	}
	return s
}

// CheckScript tells all that is wrong with ops as a script for nodes: faults
// that are none, nodes that are not there, a fault injected twice, a cure of
// what was not injected before.
func CheckScript(ops []histories.Op, nodes []string) error {
	parts, err := readScript(ops)
	errs := []error{err}
	for _, p := range parts {
		if p.op.F == Inject {
			if err := p.fault.On(nodes); err != nil {
				errs = append(errs, fmt.Errorf("op %d: %w", p.op.Index, err))
			}
		}
	}
	return errors.Join(errs...)
}

// ScriptProcesses lists the processes of a script, in the order of Kinds.
func ScriptProcesses(ops []histories.Op) []histories.Process {
	parts, _ := readScript(ops)
	var p Plan
	for _, part := range parts {
		p.Kinds = append(p.Kinds, part.fault.Kind)
	}
	return p.Processes()
}

// A part is one op of a script. Of a cure, the fault has ID and Kind only.
type part struct {
	op    histories.Op
	fault Fault
	turn  int // its position in the script
}

// readScript returns the parts of ops in the order of their times.
func readScript(ops []histories.Op) ([]part, error) {
	var parts []part
	var errs []error
	for _, op := range ops {
		if op.Type != histories.Invoke || op.F != Inject && op.F != Cure || !op.Process.Nemesis() {
			continue
		}
		f, err := Decode(op)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := ParseKind(string(f.Kind)); err != nil {
			errs = append(errs, fmt.Errorf("op %d: %w", op.Index, err))
			continue
		}
		parts = append(parts, part{op: op, fault: f})
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.op.Time, b.op.Time) })
	unread := len(errs) > 0 // some injection may be among what could not be read
	injected := map[string]Kind{}
	for i, p := range parts {
		parts[i].turn = i
		kind, known := injected[p.fault.ID]
		switch {
		case p.op.F == Inject && known:
			errs = append(errs, fmt.Errorf("op %d: fault %s is injected twice", p.op.Index, p.fault.ID))
		case p.op.F == Cure && !known && unread:
		case p.op.F == Cure && !known:
			errs = append(errs, fmt.Errorf("op %d: fault %s is cured, and was not injected before", p.op.Index, p.fault.ID))
		case p.op.F == Cure && kind != p.fault.Kind:
			errs = append(errs, fmt.Errorf("op %d: fault %s is a %s, and cured as a %s", p.op.Index, p.fault.ID, kind, p.fault.Kind))
		}
		if p.op.F == Inject {
			injected[p.fault.ID] = p.fault.Kind
		}
	}
	return parts, errors.Join(errs...)
}

// script is the generator of Script.
type script struct {
	until histories.Time
	roles []role // copied to be changed
}

// role is what one process has still to play.
type role struct {
	process histories.Process
	parts   []part
	open    []Fault // injected and not cured
}

func (s *script) Op(ctx gen.Context) (*gen.Op, gen.Generator) {
	late := s.until > 0 && ctx.Time >= s.until
	done := late || s.until == 0 && !slices.ContainsFunc(s.roles, func(r role) bool { return len(r.parts) > 0 })
	if done && !slices.ContainsFunc(s.roles, func(r role) bool { return len(r.open) > 0 }) {
		return nil, nil
	}
	var best *gen.Op
	var rest *script
	var turn int
	consider := func(i int, op histories.Op, of int, next role) {
		o := ctx.FillFor(op, next.process)
		if o != nil && (best == nil || o.Time < best.Time || o.Time == best.Time && of < turn) {
			best, rest, turn = o, s.with(i, next), of
		}
	}
	for i, r := range s.roles {
		switch {
		case done && len(r.open) > 0:
			next := r
			next.open, next.parts = r.open[1:], nil
			consider(i, CureOp(r.open[0]), 0, next)
		case !done && len(r.parts) > 0 && (s.until == 0 || r.parts[0].op.Time < s.until):
			p := r.parts[0]
			next := r
			next.parts = r.parts[1:]
			next.open = slices.DeleteFunc(slices.Clone(r.open), func(f Fault) bool { return f.ID == p.fault.ID })
			if p.op.F == Inject {
				next.open = append(next.open, p.fault)
			}
			op := histories.Op{F: p.op.F, Value: p.op.Value, Time: p.op.Time}
			consider(i, op, p.turn, next)
		}
	}
	if best == nil && !done && s.until > 0 {
		nap := gen.Op{Type: gen.Sleeping, F: "wait", Value: json.RawMessage("0"), Time: s.until}
		for i, r := range s.roles {
			consider(i, nap, 0, r)
		}
	}
	if best == nil {
		return nil, s
	}
	return best, rest
}

func (s *script) with(i int, r role) *script {
	next := *s
	next.roles = slices.Clone(s.roles)
	next.roles[i] = r
	return &next
}

// Update forgets a fault whose injection failed: it is the last that its
// process began, and there is nothing to cure.
func (s *script) Update(_ gen.Context, ev gen.Op) gen.Generator {
	if ev.Type != histories.Fail || ev.F != Inject {
		return s
	}
	i := slices.IndexFunc(s.roles, func(r role) bool { return r.process == ev.Process })
	if i < 0 || len(s.roles[i].open) == 0 {
		return s
	}
	r := s.roles[i]
	r.open = r.open[:len(r.open)-1]
	return s.with(i, r)
}
