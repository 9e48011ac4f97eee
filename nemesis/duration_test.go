package nemesis

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
)

// spans are how long faults were in force, and the calms between those of one
// kind, in schedules of a few seeds.
func spans(t *testing.T, p Plan) (faults map[string]Fault, lasted map[string]time.Duration, calms []time.Duration) {
	faults, lasted = map[string]Fault{}, map[string]time.Duration{}
	for seed := range uint64(20) {
		w := newWorld(t, seed, p)
		w.latency = latency(time.Millisecond)
		since := map[string]histories.Time{}
		over := map[Kind]histories.Time{}
		for _, op := range w.run(p.Generator(), time.Hour) {
			f, _ := Decode(op)
			id := fmt.Sprintf("%d %s", seed, f.ID)
			switch {
			case op.F == Inject && op.Type == histories.Invoke:
				faults[id] = f
				if at, ok := over[f.Kind]; ok {
					calms = append(calms, (op.Time - at).Duration())
				}
			case op.F == Inject:
				since[id] = op.Time
			case op.Type == histories.Invoke && op.Time < histories.Time(p.TimeLimit):
				lasted[id] = (op.Time - since[id]).Duration()
			case op.Type == histories.OK:
				over[f.Kind] = op.Time
			}
		}
	}
	return faults, lasted, calms
}

// Of the durations of a simulated world half are at least an interval, and on
// either side of it each order of magnitude is as likely, from a bounce to
// several intervals.
func TestDurationsAreLogUniform(t *testing.T) {
	p := Plan{Kinds: []Kind{Kill, Loss}, Interval: 1500 * time.Millisecond, Nodes: names(5), TimeLimit: 5 * time.Minute}
	_, lasted, calms := spans(t, p)
	ends := []time.Duration{122 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second, 6001 * time.Millisecond}
	var counts [4]int
	for id, d := range lasted {
		part := slices.IndexFunc(ends, func(end time.Duration) bool { return d < end })
		if d < blink || part < 0 {
			t.Errorf("%s lasts %v: want 10ms to 6s", id, d)
			continue
		}
		counts[part]++
	}
	for i, n := range counts {
		if n*5 < len(lasted) || n*3 > len(lasted) {
			t.Errorf("below %v: %d of %d faults, want about a quarter of them", ends[i], n, len(lasted))
		}
	}
	slices.Sort(calms)
	if low, high := calms[0], calms[len(calms)*9/10]; low < 75*time.Millisecond || low > 150*time.Millisecond || high > 2250*time.Millisecond {
		t.Errorf("calms from %v, and nine tenths of them up to %v: want 75ms to 2.25s", low, high)
	}
}

// In containers no fault is drawn that is over before it has been seen.
func TestDurationsInContainers(t *testing.T) {
	p := Plan{Kinds: Kinds, Interval: 3 * time.Second, Nodes: names(5), TimeLimit: 5 * time.Minute, Containers: true}
	faults, lasted, _ := spans(t, p)
	for id, d := range lasted {
		if f := faults[id]; d < shortest(f, true) {
			t.Errorf("%s %s lasts %v, and it takes %v to see it", id, f.Kind, d, shortest(f, true))
		}
	}
	if got, want := shortest(Fault{Kind: Loss, Params: Params{Probability: 0.01}}, true), shortest(Fault{Kind: Loss, Params: Params{Probability: 0.5}}, true); got <= want {
		t.Errorf("rare losses are seen in %v, frequent ones in %v", got, want)
	}
}
