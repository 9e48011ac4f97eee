package nemesis

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
)

const (
	// retryAfter is the pause before a cure that was not confirmed is tried
	// again, and before a kind that found nobody to hit looks again.
	retryAfter = time.Second
	// curesMax is how often a cure is tried before it is given up, which is only
	// after the time limit.
	curesMax = 5
)

// schedule is the generator of a Plan: one line of faults per kind.
type schedule struct {
	rules *rules
	begun bool
	end   histories.Time // of injections, if the plan has a limit
	lines []line         // in the order of Kinds; copied to be changed
	shown []int          // by line: client operations under its faults, up to rules.minOps; likewise
	vain  *vain          // a cache: of this value, never of its successors
}

// vain remembers that no injection was possible, so that not every event of
// the run has it tried again: that depends on what is due, on the primaries,
// and on the state of the lines, which a schedule never changes.
type vain struct {
	due       []int
	primaries []string
	nobody    []int // of due: those that found nobody to hit
}

// rules are what does not change.
type rules struct {
	interval   time.Duration
	start      histories.Time
	limit      time.Duration
	nodes      []string
	budget     int
	containers bool
	minOps     int
	terms      [][]term // by line
}

// line is the state of one kind.
type line struct {
	kind    Kind
	process histories.Process
	phase   phase
	due     histories.Time // of the next injection if idle, of the cure if inForce
	victim  string         // of the next injection, if it is a sequel
	n       uint64         // faults begun
	fault   Fault          // unless idle
	seen    bool           // to be in force
	mild    bool           // the fault is
	tries   int            // cures of it
}

type phase uint8

const (
	idle phase = iota
	injecting
	inForce
	curing
)

// The draws of a fault, each at its place.
const (
	drawFault = iota
	drawDuration
	drawGap    // before it
	drawTerms  // of this fault and those after it, one for each term
	drawFaults // the order of durations, of this fault and those after it
	drawGaps   // likewise of the gaps
	drawSequel // of this fault
)

func (s *schedule) Op(ctx gen.Context) (*gen.Op, gen.Generator) {
	s = s.begin(ctx)
	over := s.over(ctx.Time)
	if over && s.quiet() {
		return nil, nil
	}
	wake := alarm{}
	if !over && s.rules.limit > 0 {
		wake.set(s.end, -1)
	}
	if op, rest := s.cure(ctx, over, &wake); op != nil {
		return op, rest
	}
	if !over {
		if op, rest := s.inject(ctx, &wake); op != nil {
			return op, rest
		}
	}
	return s.sleep(ctx, wake), s
}

// begin is s with its first injections drawn, from the plan's start on.
func (s *schedule) begin(ctx gen.Context) *schedule {
	if s.begun {
		return s
	}
	next := *s
	next.begun, next.end = true, s.rules.start.Add(s.rules.limit)
	next.lines, next.vain, next.shown = slices.Clone(s.lines), &vain{}, make([]int, len(s.lines))
	for i := range next.lines {
		r := s.rand(ctx, i, 0, drawGap)
		next.lines[i].due = s.rules.start.Add(time.Duration(r.Float64() * float64(s.rules.interval)))
	}
	return &next
}

// with is s with line i changed.
func (s *schedule) with(i int, l line) *schedule {
	next := *s
	next.lines, next.vain = slices.Clone(s.lines), &vain{}
	next.lines[i] = l
	return &next
}

// over tells whether the time limit has passed.
func (s *schedule) over(now histories.Time) bool { return s.rules.limit > 0 && now >= s.end }

// quiet tells whether no line has anything in force that could still be cured.
func (s *schedule) quiet() bool {
	return !slices.ContainsFunc(s.lines, func(l line) bool { return l.phase != idle && !l.lost() })
}

// lost tells whether curing l's fault has been tried often enough.
func (l line) lost() bool { return l.phase == inForce && l.tries >= curesMax }

// rand is the randomness of one draw of line i's n-th fault. It does not depend
// on which other kinds there are.
func (s *schedule) rand(ctx gen.Context, i int, n, draw uint64) *rand.Rand {
	place := uint64(slices.Index(Kinds, s.lines[i].kind))
	return ctx.At(place).At(n).At(draw).Rand()
}

// lasts draws how long the present fault of line i is in force.
func (s *schedule) lasts(ctx gen.Context, i int) time.Duration {
	l := s.lines[i]
	shortest, longest := shortest(l.fault, s.rules.containers), time.Duration(longestFault*float64(s.rules.interval))
	if l.mild {
		return max(shortest, longest/2)
	}
	return lasting(s.rand(ctx, i, l.n-l.n%strata, drawFaults), s.rand(ctx, i, l.n, drawDuration), l.n,
		shortest, s.rules.interval, longest)
}

// calm draws the time before the n-th fault of line i.
func (s *schedule) calm(ctx gen.Context, i int, n uint64) time.Duration {
	interval := float64(s.rules.interval)
	return lasting(s.rand(ctx, i, n-n%strata, drawGaps), s.rand(ctx, i, n, drawGap), n,
		time.Duration(shortestCalm*interval), 0, time.Duration(longestCalm*interval))
}

// An alarm is the next time at which there may be something to do.
type alarm struct {
	is   bool
	at   histories.Time
	line int // whose, or -1
}

func (a *alarm) set(at histories.Time, line int) {
	if !a.is || at < a.at {
		*a = alarm{true, at, line}
	}
}

// cure ends what is due, the longest due first.
func (s *schedule) cure(ctx gen.Context, over bool, wake *alarm) (*gen.Op, gen.Generator) {
	var due []int
	at := func(i int) histories.Time {
		if l := s.lines[i]; !over || l.tries > 0 {
			return l.due
		}
		return min(s.lines[i].due, s.end)
	}
	for i, l := range s.lines {
		switch {
		case l.phase != inForce || over && l.lost():
		case at(i) > ctx.Time:
			wake.set(at(i), i)
		default:
			due = append(due, i)
		}
	}
	slices.SortStableFunc(due, func(i, j int) int { return cmp.Compare(at(i), at(j)) })
	for _, i := range due {
		l := s.lines[i]
		if op := ctx.FillFor(CureOp(l.fault), l.process); op != nil {
			l.phase, l.tries = curing, l.tries+1
			next := s.with(i, l)
			if !over && l.tries == 1 {
				next.sequel(ctx, i)
			}
			return op, next
		}
	}
	return nil, nil
}

// inject begins the fault that is due, the longest due first. Once one has to
// wait for the budget, all that would draw on it wait behind it.
func (s *schedule) inject(ctx gen.Context, wake *alarm) (*gen.Op, gen.Generator) {
	var due []int
	for i, l := range s.lines {
		switch {
		case l.phase != idle:
		case l.due > ctx.Time:
			wake.set(l.due, i)
		default:
			due = append(due, i)
		}
	}
	if len(due) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(due, func(i, j int) int { return cmp.Compare(s.lines[i].due, s.lines[j].due) })
	primaries := s.primaries(ctx)
	if len(s.vain.due) == 0 || !slices.Equal(s.vain.due, due) || !slices.Equal(s.vain.primaries, primaries) {
		op, rest, nobody := s.try(ctx, due, primaries)
		if rest != nil { // or its process is just having a nap
			return op, rest
		}
		*s.vain = vain{due, primaries, nobody}
	}
	for _, i := range s.vain.nobody {
		wake.set(ctx.Time.Add(retryAfter), i)
	}
	return nil, nil
}

// try injects the first of the due lines that can be, or tells which of them
// found nobody to hit.
func (s *schedule) try(ctx gen.Context, due []int, primaries []string) (op *gen.Op, rest gen.Generator, nobody []int) {
	sc := scene{nodes: s.rules.nodes, primaries: primaries, inForce: s.faults(), budget: s.rules.budget}
	inject := func(i int, f Fault) (*gen.Op, gen.Generator, []int) {
		l := s.lines[i]
		f.ID = fmt.Sprintf("%s-%d", l.kind, l.n+1)
		l.seen, l.mild = false, l.victim == "" && s.starves(ctx, i)
		l.phase, l.fault, l.tries, l.victim = injecting, f, 0, ""
		return ctx.FillFor(InjectOp(f), l.process), s.with(i, l), nil
	}
	queue := false
	for _, i := range due {
		l := s.lines[i]
		if f, ok := s.again(l); ok && l.victim != "" {
			return inject(i, f)
		}
		if queue && l.kind.Disabling() {
			continue
		}
		f, out := choose(s.rand(ctx, i, l.n, drawFault), l.kind, s.terms(ctx, i), sc)
		switch {
		case out == blocked && l.kind.Disabling():
			queue = true
		case out != chosen:
			nobody = append(nobody, i)
		default:
			return inject(i, f)
		}
	}
	return nil, nil, nobody
}

// terms are those of line i in the order in which its next fault tries them. As
// many faults as there are terms begin with each of them once: a run has few
// faults of a kind, and were each drawn for itself, some runs would see nothing
// but, say, the primary's death. If the line starves, the mildest comes first.
func (s *schedule) terms(ctx gen.Context, i int) []term {
	terms, n := s.rules.terms[i], s.lines[i].n
	count := uint64(len(terms))
	order := s.rand(ctx, i, n-n%count, drawTerms).Perm(len(terms))
	out := make([]term, 0, count)
	if count > 1 && s.starves(ctx, i) {
		out = append(out, mildest)
	}
	for j := range count {
		out = append(out, terms[order[(n+j)%count]])
	}
	return out
}

// starves tells whether half of the time is over and the faults of line i have
// not yet shown what clients can do under them.
func (s *schedule) starves(ctx gen.Context, i int) bool {
	half := s.rules.start.Add(s.rules.limit / 2)
	return s.rules.limit > 0 && ctx.Time >= half && s.shown[i] < s.rules.minOps
}

// count is s after a client's operation has succeeded.
func (s *schedule) count() *schedule {
	next, cloned := *s, false // what was in vain still is: it depends on lines that are idle
	for i, l := range s.lines {
		if l.phase != inForce || !l.seen || s.shown[i] >= s.rules.minOps {
			continue
		}
		if !cloned {
			next.shown, cloned = slices.Clone(s.shown), true
		}
		next.shown[i]++
	}
	if !cloned {
		return s
	}
	return &next
}

// primaries are those of the context that are nodes of the plan.
func (s *schedule) primaries(ctx gen.Context) []string {
	return without(s.rules.nodes, without(s.rules.nodes, ctx.Primaries))
}

// faults are those in force, or on the way in or out.
func (s *schedule) faults() []Fault {
	var fs []Fault
	for _, l := range s.lines {
		if l.phase != idle {
			fs = append(fs, l.fault)
		}
	}
	return fs
}

// sleep has the loop ask again at the alarm: a process that has nothing to do
// sleeps then, for no time at all. An operation of the future would do too,
// but would have to be chosen anew at every event until then.
func (s *schedule) sleep(ctx gen.Context, wake alarm) *gen.Op {
	if !wake.is {
		return nil
	}
	nap := gen.Op{Type: gen.Sleeping, F: "wait", Value: json.RawMessage("0"), Time: wake.at}
	if wake.line >= 0 {
		if op := ctx.FillFor(nap, s.lines[wake.line].process); op != nil {
			return op
		}
	}
	for _, l := range s.lines {
		if op := ctx.FillFor(nap, l.process); op != nil {
			return op
		}
	}
	return nil // all are in flight; a completion will come
}

func (s *schedule) Update(ctx gen.Context, ev gen.Op) gen.Generator {
	s = s.begin(ctx)
	if ev.Process.Client() {
		if ev.Type == histories.OK {
			return s.count()
		}
		return s
	}
	if ev.Type < histories.OK || ev.Type > histories.Info {
		return s
	}
	i := slices.IndexFunc(s.lines, func(l line) bool { return l.process == ev.Process })
	if i < 0 {
		return s
	}
	l := s.lines[i]
	switch {
	case l.phase == injecting && ev.F == Inject && ev.Type != histories.Fail:
		e, err := histories.Decode[Evidence](ev)
		l.seen = err == nil && e.Verified
		l.phase, l.due = inForce, ev.Time.Add(s.lasts(ctx, i))
	case l.phase == curing && ev.F == Cure && ev.Type != histories.OK:
		l.phase, l.due = inForce, ev.Time.Add(retryAfter)
	case l.phase == injecting && ev.F == Inject, l.phase == curing && ev.F == Cure:
		l.phase, l.fault, l.n = idle, Fault{}, l.n+1
		l.due = ev.Time.Add(s.calm(ctx, i, l.n))
	default:
		return s
	}
	return s.with(i, l)
}
