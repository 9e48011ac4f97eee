package host

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const second = int64(time.Second)

// at is a state's reading when the machine's clocks show machine.
func (s *clockState) at(machine int64) reading { return s.read(machine, time.Duration(machine)) }

func with(ls ...lease) func([]lease) []lease {
	return func(in []lease) []lease { return append(in, ls...) }
}

func without(id string) func([]lease) []lease {
	return func(in []lease) []lease { return slices.DeleteFunc(in, func(l lease) bool { return l.ID == id }) }
}

func TestClockFaults(t *testing.T) {
	start := 1_000_000 * second
	right := &clockState{Since: start, Local: start, rate: 1}
	jump := lease{ID: "j", Shape: "jump", Offset: duration(-2 * time.Second)}
	strobe := lease{ID: "s", Shape: "strobe", Offset: duration(time.Second), Period: duration(100 * time.Millisecond)}
	fast := lease{ID: "f", Shape: "drift", Drift: 0.5}
	slow := lease{ID: "w", Shape: "drift", Drift: -0.2}
	tests := []struct {
		name   string
		leases []lease
		after  time.Duration // of the faults
		now    time.Duration // beyond start
		offset time.Duration
	}{
		{"none", nil, time.Minute, time.Minute, 0},
		{"jump", []lease{jump}, 0, 0, -2 * time.Second},
		{"jumps add up", []lease{jump, {ID: "k", Shape: "jump", Offset: duration(5 * time.Second)}}, time.Hour, time.Hour, 3 * time.Second},
		{"strobe at rest", []lease{strobe}, 99 * time.Millisecond, 99 * time.Millisecond, 0},
		{"strobe away", []lease{strobe}, 150 * time.Millisecond, 150 * time.Millisecond, time.Second},
		{"strobe back", []lease{strobe}, 250 * time.Millisecond, 250 * time.Millisecond, 0},
		{"fast", []lease{fast}, 10 * time.Second, 15 * time.Second, 5 * time.Second},
		{"slow", []lease{slow}, 10 * time.Second, 8 * time.Second, -2 * time.Second},
		{"drifts multiply", []lease{fast, slow}, 10 * time.Second, 12 * time.Second, 2 * time.Second},
		{"all", []lease{jump, strobe, fast}, 10*time.Second + 150*time.Millisecond, 15*time.Second + 225*time.Millisecond,
			-2*time.Second + time.Second + 5*time.Second + 75*time.Millisecond},
	}
	for _, tt := range tests {
		s := right.change(start, with(tt.leases...))
		machine := start + int64(tt.after)
		got := s.at(machine)
		if now := got.Now - time.Duration(start); now != tt.now || got.Offset != tt.offset || got.Wall-got.TrueWall != got.Offset {
			t.Errorf("%s: after %s now is %s, offset %s; want %s, %s", tt.name, tt.after, now, got.Offset, tt.now, tt.offset)
		}
		cured := s.change(machine, func([]lease) []lease { return nil })
		if after := cured.at(machine); after.Now != got.Now || after.Offset != got.Drifted || after.Rate != 1 {
			t.Errorf("%s: cured, the clocks read %+v; before %+v: want the same Now, and an offset of what drifted", tt.name, after, got)
		}
	}
}

// TestClockNeverBack changes faults at random and watches the monotonic clock.
func TestClockNeverBack(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	machine := 1_000_000 * second
	s := &clockState{Since: machine, Local: machine, rate: 1}
	back := 0
	last := s.at(machine)
	for i := range 10_000 {
		machine += r.Int64N(10_000)
		switch id := string(rune('a' + r.IntN(5))); r.IntN(10) {
		case 0:
			s = s.change(machine, without(id))
		case 1:
			s = s.change(machine, without(id))
			s = s.change(machine, with(lease{ID: id, Shape: "drift", Drift: r.Float64()*2 - 0.89}))
		case 2:
			s = s.change(machine, without(id))
			s = s.change(machine, with(lease{ID: id, Shape: "jump", Offset: duration(r.Int64N(2*second) - second)}))
		}
		now := s.at(machine)
		if now.Now < last.Now {
			t.Fatalf("change %d: the monotonic clock went back by %s", i, last.Now-now.Now)
		}
		if now.Wall < last.Wall {
			back++
		}
		last = now
	}
	if back == 0 {
		t.Error("the wall clock never went back")
	}
}

// TestClockNeverBackInAChange: the monotonic clock is read on while a change is
// under way, which takes as long as its file does, and does not go back then.
func TestClockNeverBackInAChange(t *testing.T) {
	c, err := openClock(filepath.Join(t.TempDir(), "clock.json"), false)
	must(t, err)
	for range 50 {
		must(t, c.change(with(lease{ID: "f", Shape: "drift", Drift: 10})))
		stop, back := make(chan struct{}), make(chan time.Duration)
		go func() {
			for last := c.now(); ; {
				now := c.now()
				if now < last {
					back <- last - now
					return
				}
				last = now
				select {
				case <-stop:
					close(back)
					return
				default:
				}
			}
		}()
		must(t, c.change(without("f")))
		close(stop)
		if d := <-back; d > 0 {
			t.Fatalf("the monotonic clock went back by %s", d)
		}
	}
}

// TestClockSurvives: a fault outlives the process, and the monotonic clock goes
// on.
func TestClockSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock.json")
	c, err := openClock(path, false)
	must(t, err)
	must(t, c.change(with(lease{ID: "f", Shape: "drift", Drift: 10}, lease{ID: "j", Shape: "jump", Offset: duration(time.Hour)})))
	time.Sleep(10 * time.Millisecond)
	before := c.read()
	c, err = openClock(path, false)
	must(t, err)
	after := c.read()
	if after.Now < before.Now || after.Rate != 11 || after.Drifted < 100*time.Millisecond || len(after.Leases) != 2 || after.Offset != after.Drifted+time.Hour {
		t.Errorf("after a restart the clocks read %+v, before %+v", after, before)
	}
	must(t, os.WriteFile(path, []byte("{"), 0o644))
	if _, err := openClock(path, false); err == nil {
		t.Error("a corrupt clock file was read")
	}
}

// TestClockTimers: timers follow the node's clock. This one is due in 500 s of
// it, which the test's deadline does not have; the drift comes after it was set.
func TestClockTimers(t *testing.T) {
	n1 := newCluster(t, 1, nil).nodes["n1"]
	done := make(chan result, 1)
	go func() { done <- n1.op(`{"f":"timer","value":500000}`) }()
	eventually(t, "request", func() bool {
		var h health
		n1.do("GET", "/health", "", &h)
		return h.Counters["requests"] == 1
	})
	for _, id := range []string{"a", "b", "c", "d"} {
		n1.do("POST", "/clock", `{"id":"`+id+`","shape":"drift","drift":10}`, nil)
	}
	if r := <-done; r.Type != "ok" {
		t.Errorf("got %+v", r)
	}
	var r reading
	n1.do("GET", "/clock", "", &r)
	if r.Drifted < 499*time.Second || len(r.Leases) != 4 {
		t.Errorf("when the timer had fired the clocks read %+v", r)
	}
}

func TestTimers(t *testing.T) {
	ts := newTimers()
	ts.set("a", 30)
	ts.set("b", 20)
	ts.set("c", 20)
	ts.set("d", 10)
	ts.set("a", 5)
	ts.cancel("d")
	ts.cancel("none")
	ts.set("b", 20) // set again: after c now
	var got []string
	for _, ok := ts.next(); ok; _, ok = ts.next() {
		got = append(got, ts.pop())
	}
	if want := []string{"a", "c", "b"}; !slices.Equal(got, want) || len(ts.byName) != 0 {
		t.Errorf("fired %v, want %v", got, want)
	}
}
