package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// A draw depends on its name and time, not on what else is drawn, nor on what
// was drawn in an earlier tick.
func TestDrawsGoByNameAndTime(t *testing.T) {
	plain, busy := cluster(t, 3, 2, nil), cluster(t, 3, 2, nil)
	busy.ask("n2", "draw", 0)
	busy.ask("n1", "tell", 0)
	if a, b := plain.ask("n1", "draw", 0), busy.ask("n1", "draw", 0); string(a.Value) != string(b.Value) {
		t.Errorf("n1 draws %s, and %s when others drew before", a.Value, b.Value)
	}
	s, fresh := named(1, "x"), named(1, "x")
	at := histories.Time(5 * tick)
	first, second := s.draw(at), s.draw(at.Add(tick-1))
	if first == second {
		t.Error("two draws of a tick are the same")
	}
	if late := at.Add(tick); s.draw(late) != fresh.draw(late) {
		t.Error("a tick's first draw depends on the tick before")
	}
}

// far are conditions in which links lose, double and overtake messages, some of
// them much slower than others.
func far(seed uint64) histories.Conditions {
	d := dice{seed}
	return histories.Conditions{
		Floor: time.Duration(d.magnitude(50e3, 5e6)), Mean: time.Duration(d.magnitude(50e3, 20e6)), Spread: d.magnitude(1, 5),
		Loss: d.magnitude(0.0005, 0.05), Twice: d.magnitude(0.0005, 0.1), FIFO: d.chance(0.4),
		Skew: time.Duration(d.magnitude(1e5, 1e9)), Drift: d.magnitude(1e-6, 2e-4), Late: 50 * time.Millisecond,
	}
}

func TestOneSeedOneRun(t *testing.T) {
	play := func(seed uint64) string {
		b := cluster(t, seed, 3, func(c *Config) { c.Conditions = far(seed) })
		loss := fault(nemesis.Loss, "n1")
		loss.Params.Probability = 0.3
		b.inject(loss)
		for i := range 50 {
			b.ask(fmt.Sprintf("n%d", i%3+1), "tell", i)
		}
		b.inject(fault(nemesis.Power, "n2"))
		b.cureFault(fault(nemesis.Power, "n2"))
		b.run(time.Second)
		var out []byte
		for _, op := range b.log {
			out = histories.AppendJSON(out, op)
		}
		return string(out)
	}
	first, again := play(5), play(5)
	if first != again {
		t.Error("two runs of one seed differ")
	}
	if first == play(6) {
		t.Error("two seeds give the same run")
	}
}
