package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
)

// Plan is what to run in a world.
type Plan struct {
	Seed      uint64
	Clients   int
	Nemeses   []histories.Process // one thread each
	Route     gen.Route           // nil: process p speaks to node p mod n
	Generator gen.Generator
	Log       func(string)   // what gen.Log says; nil: nothing
	Deadline  histories.Time // of the world; the run fails if it is not over by then. 0: none
}

// ErrStuck is returned when the generator waits for an event and none can come.
var ErrStuck = errors.New("the generator waits, and nothing is in flight that it could wait for")

// patience is how long a client waits after an operation that failed before it
// tries another. Else the clients of a node that is down, or refuses, would use
// up all operations there are.
const patience = 100 * time.Millisecond

const forever = histories.Time(math.MaxInt64)

// Loop asks p.Generator for operations, has w do them, and hands every op to
// record as it happens. It ends when the generator is exhausted and all
// operations have completed, or with ctx.
//
// Completions are taken before invocations: to be late with one would make
// operations look concurrent that were not, and hide anomalies. An invocation
// is recorded before the world can act on it.
//
// A panic, of a generator or of the rule by which clients choose a node, is an
// error, and tells where it was.
func Loop(ctx context.Context, p Plan, w World, record func(histories.Op) error) (err error) {
	l := loop{Plan: p, world: w, record: record, open: map[histories.Process]histories.Op{}}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("op %d: panic: %v, at %s", l.events, p, checker.Where())
		}
	}()
	l.view = gen.NewContext(p.Seed, w.Nodes(), p.Clients, p.Nemeses, p.Route)
	for {
		done, err := l.step(ctx)
		if done || err != nil {
			return err
		}
	}
}

type loop struct {
	Plan
	world    World
	record   func(histories.Op) error
	view     gen.Context
	events   int                                // index of the next op
	open     map[histories.Process]histories.Op // what is in flight, as invoked
	sleepers []histories.Op                     // by wake-up time
	asked    int                                // questions to the generator
	over     bool                               // the world goes no further
}

// endings are the records with which a world says that it goes no further, for
// what a node does: operations in flight stay open.
var endings = []string{"message-storm", "livelock"}

func (l *loop) step(ctx context.Context) (done bool, err error) {
	if l.over {
		return true, nil
	}
	l.view.Time = l.world.Now()
	if l.Deadline > 0 && l.view.Time > l.Deadline {
		return false, fmt.Errorf("the run is not over after %v: %d operations are in flight: %s", l.view.Time, len(l.open), l.stragglers())
	}
	if len(l.sleepers) > 0 && l.sleepers[0].Time <= l.view.Time {
		l.wake()
		return false, nil
	}
	if op, ok, err := l.world.Wait(ctx, l.view.Time); ok || err != nil {
		return false, errors.Join(err, l.happened(op, ok))
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}

	l.view.Primaries = l.world.Primaries()
	op, rest, err := l.ask()
	switch {
	case err != nil:
		return false, err
	case op != nil && op.Time <= l.view.Time:
		l.Generator = rest
		return false, l.begin(*op)
	case op == nil && rest == nil && len(l.open) == 0 && len(l.sleepers) == 0:
		return true, nil
	case op == nil:
		l.Generator = rest
	}

	until := forever
	if op != nil {
		until = op.Time
	}
	if len(l.sleepers) > 0 {
		until = min(until, l.sleepers[0].Time)
	}
	if until == forever && len(l.open) == 0 {
		return false, ErrStuck
	}
	if l.Deadline > 0 {
		until = min(until, l.Deadline+1)
	}
	got, ok, err := l.world.Wait(ctx, until)
	return false, errors.Join(err, l.happened(got, ok))
}

// doubtEvery is how many questions pass between two that are asked twice.
const doubtEvery = 31

// ask asks the generator, now and then twice: one that answers differently has
// something decide that the seed does not, and no run of it can be repeated.
func (l *loop) ask() (op *gen.Op, rest gen.Generator, err error) {
	if l.asked++; l.asked%doubtEvery != 1 {
		op, rest = gen.Ask(l.Generator, l.view)
		return op, rest, nil
	}
	if op, rest, err = gen.AskTwice(l.Generator, l.view); err != nil {
		err = fmt.Errorf("op %d: %w", l.events, err)
	}
	return op, rest, err
}

// stragglers names who has not answered.
func (l *loop) stragglers() string {
	var names []string
	for p := range l.open {
		names = append(names, p.String())
	}
	slices.Sort(names)
	return fmt.Sprint(names)
}

// begin starts an operation that the generator gave.
func (l *loop) begin(op histories.Op) error {
	op.Time = l.view.Time
	if err := gen.Check(l.view, op); err != nil {
		return fmt.Errorf("op %d: the generator is wrong: %w", l.events, err)
	}
	switch op.Type {
	case gen.Logging:
		if l.Log != nil {
			text, err := histories.Decode[string](op)
			if err != nil {
				return err
			}
			l.Log(text)
		}
		return nil
	case gen.Sleeping:
		d, err := histories.Decode[time.Duration](op)
		if err != nil {
			return err
		}
		l.view = l.view.After(op)
		l.sleep(op, d)
		return nil
	}
	l.view = l.view.After(op)
	op.Index = l.events
	l.open[op.Process] = op
	if err := l.note(op, true); err != nil { // before the world can act on it
		return err
	}
	l.world.Invoke(op)
	return nil
}

// sleep keeps op's process busy for d, doing nothing.
func (l *loop) sleep(op histories.Op, d time.Duration) {
	op.Time = op.Time.Add(min(d, (forever - op.Time).Duration()))
	i, _ := slices.BinarySearchFunc(l.sleepers, op.Time+1, func(s histories.Op, t histories.Time) int { return cmp.Compare(s.Time, t) })
	l.sleepers = slices.Insert(l.sleepers, i, op)
}

// wake ends the first sleeper's sleep.
func (l *loop) wake() {
	op := l.sleepers[0]
	l.sleepers = l.sleepers[1:]
	op.Time, op.Type = l.view.Time, histories.Info
	l.view = l.view.After(op)
}

// happened takes what the world reports: a completion, or a record.
func (l *loop) happened(op histories.Op, ok bool) error {
	if !ok {
		return nil
	}
	op.Index, op.Time = l.events, l.world.Now()
	invoked, open := l.open[op.Process]
	if !open {
		if op.Process.Client() || op.Type != histories.Info {
			return fmt.Errorf("op %d: the world reports %s %s of process %s, which has nothing in flight", op.Index, op.Type, op.F, op.Process)
		}
		l.over = op.Process == histories.World && slices.Contains(endings, op.F)
		return l.note(op, false)
	}
	if op.Type == histories.Invoke {
		return fmt.Errorf("op %d: the world completes %s of process %s with an invocation", op.Index, op.F, op.Process)
	}
	delete(l.open, op.Process)
	if err := l.amiss(invoked, &op); err != nil {
		return err
	}
	if op.Type == histories.Fail && op.Process.Client() {
		l.sleep(op, patience)
	} else {
		l.view = l.view.After(op)
	}
	if err := l.note(op, true); err != nil {
		return err
	}
	if op.Type == histories.Info && op.Process.Client() {
		l.view = l.view.Renew(op.Process)
	}
	return nil
}

// amiss records that a node answered what it was not asked. The operation that
// it was asked for may have had its effect or not.
func (l *loop) amiss(invoked histories.Op, op *histories.Op) error {
	if op.Type != histories.OK {
		return nil
	}
	why := histories.AnswersAnother(invoked, op.Value)
	if why == "" {
		return nil
	}
	told := histories.Op{
		Index: l.events, Time: op.Time, Process: histories.World, Type: histories.Info, F: "answered-amiss", Node: op.Node,
		Value: histories.Encode(map[string]any{"op": invoked.Index, "why": why}),
	}
	if err := l.note(told, false); err != nil {
		return err
	}
	op.Index = l.events
	op.Type, op.Value, op.Error, op.Ext = histories.Info, invoked.Value, "answered amiss: "+why, nil
	return nil
}

// note records op and, unless it is a mere record, tells the generator of it.
func (l *loop) note(op histories.Op, tell bool) error {
	l.events++
	if tell {
		l.Generator = gen.Tell(l.Generator, l.view, op)
	}
	l.world.Stamp(&op)
	return l.record(op)
}
