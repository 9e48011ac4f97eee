package histories

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Backwards tells how far the times of clients' operations contradict the
// order of the file, by which histories are judged: one of them is wrong about
// which operation was over when another began.
type Backwards struct {
	Ops  int           // invocations and successes that the times put on the other side of one
	By   time.Duration // how far at most
	Line int           // of the first
}

// clock watches the times of a file.
type clock struct {
	back      Backwards
	lastBegin Time // the latest invocation before
	lastEnd   Time // the latest success before
	begun     bool
	ended     bool
	untimed   bool // some op has no time
	seconds   bool
}

// take takes a client's op from line n.
func (c *clock) take(r *record, n int) {
	if r.has&hasTime == 0 {
		c.untimed = true
		return
	}
	switch r.typ {
	case Invoke:
		if c.ended && r.time < c.lastEnd {
			c.note(c.lastEnd-r.time, n)
		}
		if !c.begun || r.time > c.lastBegin {
			c.begun, c.lastBegin = true, r.time
		}
	case OK:
		if c.begun && r.time < c.lastBegin {
			c.note(c.lastBegin-r.time, n)
		}
		if !c.ended || r.time > c.lastEnd {
			c.ended, c.lastEnd = true, r.time
		}
	}
}

func (c *clock) note(by Time, n int) {
	if c.back.Ops++; c.back.Ops == 1 {
		c.back.Line = n
	}
	c.back.By = max(c.back.By, by.Duration())
}

// secondsMax bounds times that may be seconds: beyond the year 2286 they are
// not.
const secondsMax = 1e10

// scale sees to the unit of a time. It is nanoseconds; but what has a fraction
// counts seconds, and then so did all times before it, which are in columns.
func (c *clock) scale(columns *columns, r *record) {
	if r.fraction != 0 && !c.seconds && r.fraction < secondsMax && r.fraction > -secondsMax {
		c.seconds = true
		for i, t := range columns.time {
			columns.time[i] = inSeconds(float64(t))
		}
		c.lastBegin, c.lastEnd, c.back.By = inSeconds(float64(c.lastBegin)), inSeconds(float64(c.lastEnd)), time.Duration(inSeconds(float64(c.back.By)))
	}
	switch {
	case c.seconds && r.fraction != 0:
		r.time = inSeconds(r.fraction)
	case c.seconds:
		r.time = inSeconds(float64(r.time))
	}
}

// inSeconds is the time of s seconds, as far as there is one.
func inSeconds(s float64) Time {
	const most = timeMax / 1_000_000_000
	whole, rest := math.Modf(max(-most, min(most, s)))
	return Time(whole)*1e9 + Time(math.Round(rest*1e9))
}

func (c *clock) result() (Backwards, bool) {
	if c.untimed {
		return Backwards{}, c.seconds
	}
	return c.back, c.seconds
}

// ByTime is h in the order of its times, and in its own where they are equal.
// It fails if by its times a process would overlap itself.
func ByTime(h History) (History, error) {
	order := make([]int, h.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(h.Time(i), h.Time(j)) })
	b := Builder{Compact: true}
	for _, i := range order {
		if err := b.Add(h.At(i)); err != nil {
			return History{}, fmt.Errorf("in the order of its times: %w", err)
		}
	}
	return b.History(), nil
}
