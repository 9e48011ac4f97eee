package sim

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Randomness goes by name and time, not by turn: the k-th draw of a name in a
// tick is the same whoever else draws, and whatever was drawn in earlier ticks.
// So an operation taken out of a run leaves what comes later alone, as far as
// it can, and shrinking is not a lottery.

// tick is how long a draw more or less is felt by those after it.
const tick = time.Millisecond

// stream is the randomness of one name.
type stream struct {
	seed  uint64
	ticks uint64 // until the latest draw
	count uint64 // of draws in its tick
}

func named(seed uint64, name string) stream {
	h := fnv.New64a()
	h.Write([]byte(name))
	return stream{seed: mix(seed, h.Sum64())}
}

// draw returns the randomness of the next decision, which is made now.
func (s *stream) draw(now histories.Time) dice {
	if ticks := uint64(now) / uint64(tick); ticks != s.ticks {
		s.ticks, s.count = ticks, 0
	}
	s.count++
	return dice{mix(mix(s.seed, s.ticks), s.count)}
}

// mix hashes a pair of words: the finaliser of SplitMix64 (Steele, Lea and
// Flood, OOPSLA 2014).
func mix(a, b uint64) uint64 {
	x := a ^ (b+0x9e3779b97f4a7c15)*0xbf58476d1ce4e5b9
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// dice is SplitMix64: small enough to be made anew for each decision.
type dice struct{ state uint64 }

func (d *dice) Uint64() uint64 {
	d.state += 0x9e3779b97f4a7c15
	x := d.state
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// float is uniform in [0, 1).
func (d *dice) float() float64 { return float64(d.Uint64()>>11) / (1 << 53) }

// chance is true with probability p. It draws even if p is 0, so that what comes
// after does not depend on p.
func (d *dice) chance(p float64) bool { return d.float() < p }

// intn is uniform in [0, n), n > 0.
func (d *dice) intn(n int) int { return int(d.float() * float64(n)) }

// between is uniform in [lo, hi).
func (d *dice) between(lo, hi float64) float64 { return lo + d.float()*(hi-lo) }

// magnitude is log-uniform in [lo, hi): each order of magnitude is as likely.
func (d *dice) magnitude(lo, hi float64) float64 { return lo * math.Pow(hi/lo, d.float()) }

// exponential has the mean 1.
func (d *dice) exponential() float64 { return -math.Log(1 - d.float()) }

// lender lends *rand.Rands to nodes: one for all, seeded anew for each.
type lender struct {
	pcg  *rand.PCG
	rand *rand.Rand
}

func newLender() lender {
	pcg := rand.NewPCG(0, 0)
	return lender{pcg, rand.New(pcg)}
}

func (l lender) lend(d dice) *rand.Rand {
	l.pcg.Seed(d.Uint64(), d.Uint64())
	return l.rand
}
