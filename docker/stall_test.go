package docker

import (
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
)

// A world tells that nobody came by for long, once.
func TestStall(t *testing.T) {
	w := fakeWorld(t, nil, nil)
	look := func() (histories.Op, bool) {
		op, ok, err := w.Wait(t.Context(), w.Now())
		if err != nil {
			t.Fatal(err)
		}
		return op, ok
	}
	w.base = w.base.Add(-time.Minute) // before the loop begins
	if op, ok := look(); ok {
		t.Errorf("before it began: %v", op)
	}
	w.base = w.base.Add(-10 * time.Second) // as if it had been stopped for as long
	op, ok := look()
	if !ok || op.Process != histories.World || op.Type != histories.Info || op.F != histories.StallRecord {
		t.Fatalf("got %v, %v; want a stall", op, ok)
	}
	if s, err := histories.Decode[histories.Stall](op); err != nil || s.For < 10*time.Second || s.For > time.Minute {
		t.Errorf("it was for %v, %v", s.For, err)
	}
}
