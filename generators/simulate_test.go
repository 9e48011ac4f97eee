package generators

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/histories"
)

// simulation is an interpreter of generators in virtual time, against threads
// that do nothing. It takes completions before invocations, as the run loop
// does.
type simulation struct {
	seed     uint64
	clients  int
	nemeses  []histories.Process
	nodes    []string
	outcomes []histories.Type // of clients' operations, in turn, over and over; none: OK
	once     bool             // outcomes come once, and then OK
	latency  func(Op) time.Duration
	max      int            // invocations, after which it stops
	hint     func(string)   // where generators' own output goes
	doubt    bool           // ask everything again and again, and compare
	ops      []Op           // what happened: invocations, completions, and what is slept and logged
	end      string         // how it ended
	at       histories.Time // and when
	busyMax  int            // most operations in flight at once
	crashed  map[histories.Process]bool
}

func newSimulation() *simulation {
	s := &simulation{seed: 1, clients: 1, max: 30, crashed: map[histories.Process]bool{}}
	s.latency = func(Op) time.Duration { return 10 }
	return s
}

func (s *simulation) context() Context {
	return NewContext(s.seed, s.nodes, s.clients, s.nemeses, nil)
}

// run runs g to its end. It panics if g breaks a rule.
func (s *simulation) run(g Generator) *simulation {
	ctx := s.context()
	var flying []Op // completions to come, by time
	invoked := 0
	happen := func(op Op) {
		s.ops = append(s.ops, op)
		ctx = ctx.After(op)
		if s.doubt && op.Type != Sleeping && op.Type != Logging {
			again := Tell(g, ctx, op)
			if a, b := Describe(again), Describe(Tell(g, ctx, op)); a != b {
				panic(fmt.Sprintf("%s, told twice of %v: %s, then %s", Describe(g), op, a, b))
			}
		}
		if op.Type >= histories.Invoke && op.Type <= histories.Info && op.F != "sleep" && op.F != waitF {
			g = Tell(g, ctx, op)
		}
	}
	for step := 0; ; step++ {
		if step > 10_000+100*s.max {
			panic(fmt.Sprintf("%s, at %v: it promises, and does nothing", Describe(g), ctx.Time))
		}
		s.at = ctx.Time
		if len(flying) > 0 && flying[0].Time <= ctx.Time {
			op := flying[0]
			flying = flying[1:]
			happen(op)
			if op.Type == histories.Info && op.Process.Client() && op.F != "sleep" && op.F != waitF {
				s.crashed[op.Process] = true
				ctx = ctx.Renew(op.Process)
			}
			continue
		}
		op, rest := s.ask(g, ctx)
		if op != nil && op.Time <= ctx.Time {
			if err := Check(ctx, *op); err != nil {
				panic(fmt.Sprintf("%s: %v", Describe(g), err))
			}
			if s.crashed[op.Process] {
				panic(fmt.Sprintf("%s: process %s has crashed", Describe(g), op.Process))
			}
			if invoked++; invoked > s.max {
				s.end = "stopped"
				return s
			}
			g = rest
			happen(*op)
			if op.Type != Logging {
				done := s.complete(*op)
				i, _ := slices.BinarySearchFunc(flying, done.Time+1, func(o Op, t histories.Time) int { return int(o.Time - t) })
				flying = slices.Insert(flying, i, done)
				s.busyMax = max(s.busyMax, len(flying))
			}
			continue
		}
		if op == nil {
			g = rest
		}
		switch {
		case op != nil && (len(flying) == 0 || op.Time < flying[0].Time):
			ctx.Time = op.Time
		case len(flying) > 0:
			ctx.Time = flying[0].Time
		case rest == nil:
			s.end = "end"
			return s
		default:
			s.end = "stuck"
			return s
		}
	}
}

// complete returns op's completion.
func (s *simulation) complete(op Op) Op {
	if op.Type == Sleeping {
		d, _ := histories.Decode[time.Duration](op)
		op.Time, op.Type = op.Time.Add(d), histories.Info
		return op
	}
	op.Time, op.Type = op.Time.Add(s.latency(op)), histories.OK
	if op.Process.Client() && len(s.outcomes) > 0 {
		op.Type = s.outcomes[0]
		s.outcomes = s.outcomes[1:]
		if !s.once {
			s.outcomes = append(s.outcomes, op.Type)
		}
	}
	return op
}

// ask asks g. In doubt it also asks g other things, tells it of things that
// did not happen, and asks again: the answer must be the same.
func (s *simulation) ask(g Generator, ctx Context) (*Op, Generator) {
	op, rest := Ask(g, ctx)
	if !s.doubt || g == nil {
		return op, rest
	}
	before := Describe(g)
	later := ctx
	later.Time += 12345
	Ask(g, later)
	busy := ctx
	for i := range ctx.processes {
		inv := Op{Process: ctx.processes[i], Type: histories.Invoke, F: "other", Time: ctx.Time}
		busy = busy.After(inv)
		Ask(Tell(g, busy, inv), busy)
		inv.Type = histories.OK
		Tell(g, busy.After(inv), inv)
		inv.Type = histories.Info
		Ask(g, busy.After(inv).Renew(inv.Process))
	}
	Ask(g, busy)
	Tell(g, ctx, Op{Process: histories.World, Type: histories.Info, F: "heal"})
	again, restAgain := Ask(g, ctx)
	if !reflect.DeepEqual(op, again) {
		panic(fmt.Sprintf("%s, asked twice: %s, then %s", before, show(op), show(again)))
	}
	if a, b := Describe(rest), Describe(restAgain); a != b {
		panic(fmt.Sprintf("%s, asked twice, leaves %s, then %s", before, a, b))
	}
	if after := Describe(g); before != after {
		panic(fmt.Sprintf("%s, when asked, became %s", before, after))
	}
	return op, rest
}

// show renders an event as a line of a transcript.
func show(op *Op) string {
	if op == nil {
		return "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s ", op.Time, op.Process)
	switch op.Type {
	case Sleeping, Logging, histories.Invoke:
	default:
		fmt.Fprintf(&b, "%s ", op.Type)
	}
	b.WriteString(op.F)
	if op.Type == histories.Invoke || op.Type == Sleeping || op.Type == Logging {
		b.WriteString(" " + value(*op))
	}
	if op.Key != nil {
		fmt.Fprintf(&b, " key %s", op.Key)
	}
	if op.Node != "" {
		fmt.Fprintf(&b, " at %s", op.Node)
	}
	if op.Final {
		b.WriteString(" final")
	}
	if arrival, ok := op.Ext[Arrival]; ok {
		fmt.Fprintf(&b, " arrived %sns", arrival)
	}
	return b.String()
}

// invocations are what the generator gave, without waits.
func (s *simulation) invocations() (ops []Op) {
	for _, op := range s.ops {
		if op.Type == histories.Invoke {
			ops = append(ops, op)
		}
	}
	return ops
}
