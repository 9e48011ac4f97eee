package histories

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of what a manifest may say. Sums of a few dozen durations, as they are
// made of a run's, stay far from what a duration can hold.
const (
	NodesMax    = 99
	ClientsMax  = 10_000
	RateMin     = 1e-6 // operations per second: one in eleven days
	RateMax     = 1e6
	DurationMax = 10_000 * time.Hour
	linkMax     = 24 * time.Hour // delay of a link
	slowerMax   = 1000           // times as slow as another link
)

// BoundError is a number that is out of its bounds.
type BoundError struct {
	Field string // as run.json, and often a flag, has it
	Got   any
	Want  string
}

func (e *BoundError) Error() string { return fmt.Sprintf("%s is %v: want %s", e.Field, e.Got, e.Want) }

// Validate tells which numbers of m no run can have. Zero stands for a default
// where there is one.
func (m Manifest) Validate() error {
	var b bounds
	if m.Nodes != 0 {
		within(&b, "nodes", m.Nodes, 1, NodesMax)
	}
	if m.Clients != 0 {
		within(&b, "clients", m.Clients, 1, ClientsMax)
	}
	if m.Rate != 0 {
		within(&b, "rate", m.Rate, RateMin, RateMax)
	}
	within(&b, "time-limit", m.TimeLimit, 0, DurationMax)
	within(&b, "timeout", m.Timeout, 0, DurationMax)
	within(&b, "recovery", m.Recovery, 0, DurationMax)
	within(&b, "interval", m.Interval, 0, DurationMax)
	within(&b, "end", m.End, 0, DurationMax)
	for i, p := range m.Load {
		within(&b, fmt.Sprintf("load[%d].for", i), p.For, 1, DurationMax)
		within(&b, fmt.Sprintf("load[%d].rate", i), p.Rate, RateMin, RateMax)
	}
	if c := m.Conditions; c != nil {
		within(&b, "conditions.floor", c.Floor, 0, linkMax)
		within(&b, "conditions.mean", c.Mean, 0, linkMax)
		within(&b, "conditions.spread", c.Spread, 0, slowerMax)
		within(&b, "conditions.loss", c.Loss, 0, 1)
		within(&b, "conditions.twice", c.Twice, 0, 1)
		within(&b, "conditions.skew", c.Skew, 0, DurationMax)
		within(&b, "conditions.drift", c.Drift, 0, 0.5)
		within(&b, "conditions.late", c.Late, 0, DurationMax)
	}
	for i, d := range m.Done {
		within(&b, fmt.Sprintf("done[%d].at", i), d.At.Duration(), 0, DurationMax)
	}
	for i, r := range m.Reigns {
		within(&b, fmt.Sprintf("reigns[%d].from", i), r.From.Duration(), 0, DurationMax)
	}
	return errors.Join(b...)
}

// bounds are what was found out of its bounds, the first of it.
type bounds []error

const boundsMax = 10

// within notes that a number is not from low to high.
func within[T int | float64 | time.Duration](b *bounds, field string, got, low, high T) {
	if !(low <= got && got <= high) && len(*b) < boundsMax { // not a number is neither
		*b = append(*b, &BoundError{field, got, fmt.Sprintf("%v to %v", low, high)})
	}
}
