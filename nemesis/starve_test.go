package nemesis

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
)

// busy tells g that, as soon as a fault is in force, ops operations of clients
// succeed, and whether the fault was seen.
type busy struct {
	gen.Generator
	ops  int
	seen bool
}

func (b busy) Op(ctx gen.Context) (*gen.Op, gen.Generator) {
	op, rest := b.Generator.Op(ctx)
	if rest == nil {
		return op, nil
	}
	return op, busy{rest, b.ops, b.seen}
}

func (b busy) Update(ctx gen.Context, ev gen.Op) gen.Generator {
	inject := ev.F == Inject && ev.Type == histories.OK
	if inject {
		ev.Value = must(json.Marshal(Evidence{Verified: b.seen}))
	}
	g := b.Generator.Update(ctx, ev)
	for i := range b.ops {
		if inject {
			g = g.Update(ctx, gen.Op{Process: histories.Process(i), Type: histories.OK, F: "read", Time: ev.Time})
		}
	}
	return busy{g, b.ops, b.seen}
}

// A kind under which little succeeded strikes one node that does not lead, and
// for long, once half of the time is over; whoever is given as victims stays.
func TestStarvingKindsStrikeMildly(t *testing.T) {
	p := Plan{Kinds: []Kind{Kill, Partition, Loss}, Interval: time.Second, Nodes: names(5), TimeLimit: 2 * time.Minute, MinOps: 10}
	leader := func(histories.Time) []string { return []string{"n3"} }
	play := func(p Plan, ops int, seen bool) []histories.Op {
		w := newWorld(t, 5, p)
		w.primaries, w.latency = leader, latency(time.Millisecond)
		return w.run(busy{p.Generator(), ops, seen}, time.Hour)
	}
	harsh := func(ops []histories.Op) (early, late int) {
		since := map[string]histories.Time{}
		mild := map[string]bool{}
		for _, op := range ops {
			f := must(histories.Decode[Fault](op))
			switch {
			case op.F == Inject && op.Type == histories.Invoke:
				since[f.ID], mild[f.ID] = op.Time, len(f.Targets) == 1 && f.Targets[0] != "n3"
			case op.F == Cure && op.Type == histories.Invoke && (op.Time-since[f.ID]).Duration() < 2*p.Interval && op.Time < histories.Time(p.TimeLimit),
				op.F == Cure && op.Type == histories.Invoke && !mild[f.ID]:
				if since[f.ID] < histories.Time(p.TimeLimit/2) {
					early++
				} else {
					late++
				}
			}
		}
		return early, late
	}
	for _, c := range []struct {
		name string
		ops  int
		seen bool
	}{{"nothing succeeds", 0, true}, {"no fault is seen", 10, false}} {
		if early, late := harsh(play(p, c.ops, c.seen)); early < 10 || late > 0 {
			t.Errorf("%s: %d faults of the first half were not mild, and %d of the second: want some, and none", c.name, early, late)
		}
	}
	fed, at := play(p, 10, true), p
	at.MinOps = 0
	if got, want := transcript(fed), transcript(play(at, 0, true)); got != want {
		t.Errorf("of kinds under which enough succeeded the schedule is\n%s\nwant\n%s", got, want)
	}
	p.Targets = must(ParseTargets("primaries", p.Nodes))
	for _, op := range play(p, 0, true) {
		if f := must(histories.Decode[Fault](op)); op.F == Inject && !slices.Equal(f.Targets, []string{"n3"}) {
			t.Errorf("%s strikes %v: the primary was to be struck", f.ID, f.Targets)
		}
	}
}
