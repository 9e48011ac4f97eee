package nemesis

import (
	"slices"
	"time"

	gen "github.com/torture-harness/torture/generators"
)

// A sequel strikes a node in the moment in which it comes back from another
// fault. Were each drawn for itself, two faults would hardly ever meet there.
//
//   - Who was killed, or stopped, comes back with what it had written and not
//     synced, and may build on it; then power fails before its next sync.
//   - Who comes back from any crash is paused before it is quite there.
//   - Who was paused wakes, answers what came meanwhile, and dies.
var sequels = map[Kind][]Kind{
	Kill:  {Power, Pause},
	Stop:  {Power, Pause},
	Power: {Kill, Pause},
	Pause: {Kill, Power},
}

const (
	// sequelChance is the share of faults that have a sequel, if there can be one.
	sequelChance = 0.3
	// sequelsWithin is the longest time from the cure to the sequel, in
	// intervals. The shortest is a blink.
	sequelsWithin = 0.4
)

// sequel has another kind strike one of the nodes of line i's fault, whose cure
// begins now, a moment later: it is the next fault of that kind. s is not yet
// shared.
func (s *schedule) sequel(ctx gen.Context, i int) {
	l := s.lines[i]
	r := s.rand(ctx, i, l.n, drawSequel)
	var able []int
	for j, other := range s.lines {
		if other.phase == idle && other.victim == "" && slices.Contains(sequels[l.kind], other.kind) {
			able = append(able, j)
		}
	}
	if r.Float64() >= sequelChance || len(able) == 0 || len(l.fault.Targets) == 0 {
		return
	}
	next := &s.lines[able[r.IntN(len(able))]]
	next.victim = l.fault.Targets[r.IntN(len(l.fault.Targets))]
	within := max(time.Duration(sequelsWithin*float64(s.rules.interval)), 2*blink)
	next.due = ctx.Time.Add(time.Duration(logUniform(r, float64(blink), float64(within))))
}

// again is the sequel that line l has due, if the budget allows it and its
// victim is held by no fault that is not being cured.
func (s *schedule) again(l line) (Fault, bool) {
	f := Fault{Kind: l.kind, Targets: []string{l.victim}}
	for _, o := range s.lines {
		if o.phase != idle && o.phase != curing && o.kind.halting() && slices.Contains(o.fault.Targets, l.victim) {
			return f, false
		}
	}
	return f, Unable(s.rules.nodes, append(s.faults(), f)...) <= s.rules.budget
}
