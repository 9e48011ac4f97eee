package generators

import (
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
)

// A load has its phases, each with its rate, and reads alone where it says so;
// after the last the first comes again.
func TestLoad(t *testing.T) {
	const start = histories.Time(100 * time.Millisecond)
	phases := []histories.Phase{
		{For: 2 * time.Second, Rate: 100},
		{For: time.Second, Rate: 1000},
		{For: 3 * time.Second, Rate: 10},
		{For: time.Second, Rate: 200, Reads: true},
	}
	for _, c := range []struct {
		name  string
		g     Generator
		reads bool
	}{
		{"register", Register(Uniform(3), 10), true}, {"appends", Appends(Uniform(3), 10), true},
		{"sets", Sets(0.05), true}, {"writes", Count("write", 1), false},
	} {
		s := newSimulation()
		s.clients, s.max, s.doubt = 50, 3000, c.name == "register"
		s.run(TimeLimit(14*time.Second+100*time.Millisecond, Load(start, phases, c.g)))
		counts, wrote := make([]int, len(phases)), make([]int, len(phases))
		for _, op := range s.invocations() {
			in := (op.Time - start).Duration() % (7 * time.Second)
			for i, p := range phases {
				if in -= p.For; in < 0 {
					if counts[i]++; !ReadOnly(op) {
						wrote[i]++
					}
					break
				}
			}
		}
		for i, p := range phases {
			want := int(2 * p.Rate * p.For.Seconds())
			if i == 0 {
				want += 10 // before the start it is as in the first phase
			}
			if counts[i] < want*7/10 || counts[i] > want*14/10 {
				t.Errorf("%s: %d operations in phase %d, want about %d", c.name, counts[i], i, want)
			}
			if p.Reads && c.reads && wrote[i] > 0 || (!p.Reads || !c.reads) && wrote[i] == 0 {
				t.Errorf("%s: %d of %d operations of phase %d change something", c.name, wrote[i], counts[i], i)
			}
		}
	}
}
