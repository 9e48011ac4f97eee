package nemesis

import (
	"math"
	"math/rand/v2"
	"time"
)

// Nobody knows at which order of magnitude of time a system breaks: whether
// when a node is gone for as long as a restart takes, a heartbeat, an election
// or a client's patience. So faults, and the calm between them, are log-uniform.
const (
	// blink is the shortest fault of a simulated world: a bounce.
	blink = 10 * time.Millisecond
	// In intervals: the longest fault, and the longest calm.
	longestFault, longestCalm = 4, 1.5
	// In intervals: the shortest calm.
	shortestCalm = 0.05
	// strata are the parts of a range from which as many successive draws
	// come, each from another: a run has few faults of a kind, and were each
	// drawn for itself, some runs would see nothing but the shortest.
	strata = 4
)

// shortest is the shortest time for which f is worth to be in force: in
// containers, where it takes real time to look for it at its victims, what
// that takes.
func shortest(f Fault, containers bool) time.Duration {
	if !containers {
		return blink
	}
	const silence = 500 * time.Millisecond // who does not answer is waited for
	p := f.Params
	switch f.Kind {
	case Loss, Duplicate, Reorder:
		// Some twenty events are wanted, of a probe each half a millisecond.
		return silence + time.Duration(20/p.Probability*float64(500*time.Microsecond))
	case Bandwidth: // a burst and what it queues behind
		return silence + time.Second
	case Clock: // a strobe is watched for two periods
		return silence + 2*time.Duration(p.Period)
	}
	return silence
}

// lasting draws the n-th duration from [low, high]: half of them are longer than
// middle, and on either side each ratio is as likely. If low is so long that
// middle is in its half of the range, it is the range that is halved. order is
// the randomness of the draws n - n mod strata and on, r that of this one.
func lasting(order, r *rand.Rand, n uint64, low, middle, high time.Duration) time.Duration {
	high = max(high, 2*low)
	from, to := float64(low), float64(high)
	half := max(float64(middle), math.Sqrt(from*to))
	u := 2 * (float64(order.Perm(strata)[n%strata]) + r.Float64()) / strata
	if u < 1 {
		to = half
	} else {
		from, u = half, u-1
	}
	return time.Duration(from * math.Exp(u*math.Log(to/from)))
}
