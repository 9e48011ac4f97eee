package sim

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

func TestClock(t *testing.T) {
	for _, p := range []nemesis.Params{
		{Shape: "jump", Offset: nemesis.Duration(-time.Hour)},
		{Shape: "strobe", Offset: nemesis.Duration(time.Second), Period: nemesis.Duration(10 * time.Millisecond)},
		{Shape: "drift", Drift: 0.5},
	} {
		b := cluster(t, 1, 2, nil)
		f := fault(nemesis.Clock, "n1")
		f.Params = p
		ticks := func() int { return len(b.records("n1", "tick")) }
		wall := func() (w time.Duration) {
			_ = json.Unmarshal(b.ask("n1", "wall", 0).Value, &w)
			return w
		}
		before := wall()
		if e := b.inject(f); !e.Verified {
			t.Fatalf("%s is not verified: %+v", p.Shape, e)
		}
		if p.Shape == "jump" {
			if off := wall() - before; off > -59*time.Minute {
				t.Errorf("the wall clock jumped by %v, want about -1h", off)
			}
		}
		from := ticks()
		b.run(10 * time.Second)
		want := 100
		if p.Shape == "drift" {
			want = 150
		}
		if got := ticks() - from; got < want-5 || got > want+5 {
			t.Errorf("%s: %d ticks in 10s, want about %d", p.Shape, got, want)
		}
		if e := b.cureFault(f); !e.Verified {
			t.Errorf("%s is not gone: %+v", p.Shape, e)
		}
	}
}

// When a timer fires, its node's clock shows that it is due.
func TestTimersAreNotEarly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		c := clock{base: histories.Time(r.Int64N(1e12)), local: time.Duration(r.Int64N(1e13)), drift: -0.9 + 10*r.Float64()}
		due := c.local + time.Duration(r.Int64N(1e11))
		if got := c.now(c.when(due)); got < due || got > due+20 {
			t.Fatalf("clock %+v: due at %d, rings at %d", c, due, got)
		}
	}
}

// A timer of the longest Duration does not fire, and one of none does at once.
func TestLongTimer(t *testing.T) {
	b := cluster(t, 1, 1, nil)
	for _, c := range []struct{ after, rings int }{{math.MaxInt64, 0}, {0, 1}} {
		before := len(b.records("n1", "alarm"))
		b.ask("n1", "sleep", c.after)
		b.run(50 * time.Millisecond)
		if got := len(b.records("n1", "alarm")) - before; got != c.rings {
			t.Errorf("a timer of %d has fired %d times, want %d", c.after, got, c.rings)
		}
	}
}
