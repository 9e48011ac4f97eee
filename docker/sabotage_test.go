package docker

import (
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// Whatever the kind, a fault that is acknowledged and not done, or done to
// another node, is not seen in force; one that is not cured is not seen to be
// over. There are no combinations of kind and sabotage that cannot be.
func TestSabotage(t *testing.T) {
	defer func(d time.Duration) { recovery = d }(recovery)
	cfg := config(t, 3)
	cfg.Timeout = 100 * time.Millisecond
	d := start(t, cfg)
	d.do("n2", "write", "not synced") // or there were nothing that power could take
	sabotage := func(s Sabotage) {
		d.w.working.Wait()
		d.w.mu.Lock()
		defer d.w.mu.Unlock()
		d.w.cfg.Sabotage = s
	}
	faults := slices.Concat(oneOfEach, aimed)
	for _, k := range nemesis.Kinds {
		if !slices.ContainsFunc(faults, func(f nemesis.Fault) bool { return f.Kind == k }) {
			t.Errorf("no fault of kind %s is tried", k)
		}
	}
	for _, f := range faults {
		t.Run(f.ID, func(t *testing.T) {
			d.at(t)
			for _, s := range []Sabotage{Idle, Elsewhere} {
				one := f
				one.ID += "-" + string(s)
				sabotage(s)
				if e, done := d.nemesis(nemesis.InjectOp(one)); e.Verified || done.Type != histories.Info {
					t.Errorf("inject: %s: %+v", done.Type, e)
				}
				sabotage("")
				d.cure(one)
			}
			recovery = 300 * time.Millisecond // what is not cured is not waited for
			d.inject(f)
			sabotage(Uncured)
			if e, done := d.nemesis(nemesis.CureOp(f)); e.Verified || done.Type != histories.Info {
				t.Errorf("cure: %s: %+v", done.Type, e)
			}
			sabotage("")
			recovery = 10 * time.Second
			d.cure(f)
		})
	}
	d.at(t)
}
