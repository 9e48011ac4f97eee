package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/torture-harness/torture/nemesis"
)

// clockTolerance is by how much a clock may differ from what it is set to.
const clockTolerance = 2 * time.Millisecond

// seeClock compares the node's clocks with the machine's.
func (m *member) seeClock(ctx context.Context, ls leases, f nemesis.Fault, inForce bool) []nemesis.Check {
	want := "clock " + f.Params.Shape
	if !inForce {
		wait, cancel := context.WithTimeout(ctx, recovery)
		defer cancel()
		_ = m.healthy(wait)
	}
	got, seen, err := m.astray(ctx, ls, f)
	if err != nil {
		return []nemesis.Check{{Node: m.name, Want: want, Got: err.Error()}}
	}
	return []nemesis.Check{verdict(m.name, "", want, got, seen, inForce)}
}

// astray tells whether the clocks show f, beside the other leases.
func (m *member) astray(ctx context.Context, ls leases, f nemesis.Fault) (got string, seen bool, err error) {
	p := f.Params
	others := time.Duration(0) // jumps of the other leases
	swings := []time.Duration{0}
	rate := 1.0
	for _, l := range ls.on(m.name, nemesis.Clock) {
		switch q := l.Params; {
		case q.Shape == "strobe":
			for _, s := range swings {
				swings = append(swings, s+time.Duration(q.Offset))
			}
		case l.ID == f.ID:
		case q.Shape == "jump":
			others += time.Duration(q.Offset)
		case q.Shape == "drift":
			rate *= 1 + q.Drift
		}
	}
	switch p.Shape {
	case "strobe":
		return m.strobes(ctx, f)
	case "drift":
		pace, err := m.pace(ctx)
		if err != nil {
			return "", false, err
		}
		// Nearer to what it is with f than to what it is without.
		return fmt.Sprintf("rate %.4f", pace), math.Abs(pace-rate*(1+p.Drift)) < math.Abs(pace-rate), nil
	default: // jump
		r, err := m.readClock(ctx)
		if err != nil {
			return "", false, err
		}
		jumped := r.offset() - others
		for _, s := range swings {
			seen = seen || (jumped-s-time.Duration(p.Offset)).Abs() <= clockTolerance
		}
		return fmt.Sprintf("offset %v", r.Wall-r.TrueWall), seen, nil
	}
}

// strobes watches the clock for two periods of a strobe.
func (m *member) strobes(ctx context.Context, f nemesis.Fault) (got string, seen bool, err error) {
	period, offset := time.Duration(f.Params.Period), time.Duration(f.Params.Offset)
	low, high := time.Duration(math.MaxInt64), time.Duration(math.MinInt64)
	for until := time.Now().Add(2*period + silence); time.Now().Before(until); {
		r, err := m.readClock(ctx)
		if err != nil {
			return "", false, err
		}
		low, high = min(low, r.offset()), max(high, r.offset())
		if seen = high-low >= offset.Abs()-clockTolerance; seen {
			break
		}
		time.Sleep(min(period/4, 20*time.Millisecond))
	}
	return fmt.Sprintf("swings %v", high-low), seen, nil
}

// offset is what has set the time of day apart from the machine's, but for what
// drift has left behind.
func (r clockReading) offset() time.Duration { return r.Wall - r.TrueWall - r.Drifted }

// paceOver is how long a clock is watched to tell how fast it runs.
const paceOver = 20 * time.Millisecond

// pace is how fast the node's clock runs, beside the machine's.
func (m *member) pace(ctx context.Context) (float64, error) {
	before, err := m.readClock(ctx)
	if err != nil {
		return 0, err
	}
	time.Sleep(paceOver)
	after, err := m.readClock(ctx)
	if err != nil {
		return 0, err
	}
	own, drifted := after.Now-before.Now, after.Drifted-before.Drifted
	return float64(own) / float64(own-drifted), nil
}

func (m *member) readClock(ctx context.Context) (r clockReading, err error) {
	body, err := m.call(ctx, "GET", pathClock, nil, time.Second)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(body, &r)
}
