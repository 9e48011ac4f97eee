package sim

import (
	"time"

	"github.com/torture-harness/torture/histories"
)

// epoch is the time of day when every simulation begins.
const epoch = time.Duration(1_700_000_000) * time.Second

// clock is a machine's: a monotonic one, which drifts, and the time of day
// made from it, which is skewed and may jump and strobe.
type clock struct {
	base  histories.Time // of the world, when
	local time.Duration  // the monotonic clock showed this
	drift float64        // how much faster it runs than the world
	own   float64        // drift of the machine itself, fault or none
	skew  time.Duration  // of the time of day, fault or none

	jump   time.Duration
	strobe []strobe
}

type strobe struct {
	from           histories.Time
	offset, period time.Duration
}

// now is the monotonic clock at t of the world.
func (c *clock) now(t histories.Time) time.Duration {
	elapsed := time.Duration(t - c.base)
	if c.drift != 0 {
		elapsed += time.Duration(float64(elapsed) * c.drift)
	}
	return c.local + elapsed
}

// when is the inverse of now: the world's time at which the clock will show d,
// or a little more, but not less, since no timer fires early.
func (c *clock) when(d time.Duration) histories.Time {
	ahead := d - c.local
	if c.drift != 0 {
		ahead = time.Duration(float64(ahead) / (1 + c.drift))
	}
	t := c.base.Add(ahead)
	for c.now(t) < d { // by the rounding
		t++
	}
	return t
}

// read is what the node sees at t: its monotonic clock, and the time of day.
func (c *clock) read(t histories.Time) (now, wall time.Duration) { return c.now(t), c.wall(t) }

func (c *clock) wall(t histories.Time) time.Duration {
	w := epoch + c.now(t) + c.skew + c.jump
	for _, s := range c.strobe {
		if int64(t-s.from)/max(int64(s.period), 1)%2 == 1 {
			w += s.offset
		}
	}
	return w
}

// set puts the clock faults of faults into force, and no others. The monotonic
// clock goes on from where it is.
func (c *clock) set(t histories.Time, faults []lease) {
	c.local, c.base = c.now(t), t
	c.drift, c.jump, c.strobe = c.own, 0, nil
	for _, f := range faults {
		p := f.Params
		switch p.Shape {
		case "jump":
			c.jump += time.Duration(p.Offset)
		case "strobe":
			c.strobe = append(c.strobe, strobe{f.since, time.Duration(p.Offset), time.Duration(p.Period)})
		case "drift":
			c.drift = (1+c.drift)*(1+p.Drift) - 1
		}
	}
}
