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
		r, err := m.readClock(ctx)
		if err != nil {
			return "", false, err
		}
		return fmt.Sprintf("rate %.4f", r.Rate), math.Abs(r.Rate-rate) >= math.Abs(p.Drift)*rate/2, nil
	default: // jump
		r, err := m.readClock(ctx)
		if err != nil {
			return "", false, err
		}
		jumped := r.Offset - r.Drifted - others
		for _, s := range swings {
			seen = seen || (jumped-s-time.Duration(p.Offset)).Abs() <= clockTolerance
		}
		return fmt.Sprintf("offset %v", r.Offset), seen, nil
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
		low, high = min(low, r.Offset-r.Drifted), max(high, r.Offset-r.Drifted)
		if seen = high-low >= offset.Abs()-clockTolerance; seen {
			break
		}
		time.Sleep(min(period/4, 20*time.Millisecond))
	}
	return fmt.Sprintf("swings %v", high-low), seen, nil
}

func (m *member) readClock(ctx context.Context) (r clockReading, err error) {
	body, err := m.call(ctx, "GET", pathClock, nil, time.Second)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(body, &r)
}
