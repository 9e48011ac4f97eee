package nemesis

import (
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Some faults strike a node in the moment in which it comes back from another:
// each pair of kinds that is listed does, as an injection like any other, with
// no more nodes unable than the budget allows.
func TestSequels(t *testing.T) {
	p := Plan{Kinds: []Kind{Kill, Stop, Power, Pause}, Interval: time.Second, Nodes: names(5), Budget: must(ParseBudget("1")), TimeLimit: time.Minute}
	seen := map[[2]Kind]int{}
	within := histories.Time(time.Duration(sequelsWithin * float64(p.Interval)))
	for seed := range uint64(*seeds) {
		w := newWorld(t, seed, p)
		cured := map[string]histories.Op{} // the latest cure of a fault on a node
		faults := map[string]Fault{}
		for _, op := range w.run(p.Generator(), time.Hour) {
			f, err := Decode(op)
			if err != nil || op.Type != histories.Invoke {
				continue
			}
			if op.F == Cure {
				for _, n := range faults[f.ID].Targets {
					cured[n] = op
				}
				continue
			}
			faults[f.ID] = f
			if first, ok := cured[f.Targets[0]]; ok && len(f.Targets) == 1 && op.Time-first.Time >= histories.Time(blink) && op.Time-first.Time <= within {
				before, _ := Decode(first)
				seen[[2]Kind{before.Kind, f.Kind}]++
			}
		}
	}
	for first, kinds := range sequels {
		for _, then := range kinds {
			if seen[[2]Kind{first, then}] < *seeds/5 {
				t.Errorf("%s struck a node that came back from %s %d times in %d schedules", then, first, seen[[2]Kind{first, then}], *seeds)
			}
		}
	}
}
