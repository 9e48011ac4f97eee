package nemesis

import (
	"math"
	"math/rand/v2"
	"time"
)

// drawParams draws how bad a fault of kind k is. Magnitudes are log-uniform:
// each order of magnitude is as likely as any other, since nobody knows at
// which one a system breaks.
func drawParams(r *rand.Rand, k Kind) Params {
	switch k {
	case Partition:
		return Params{Held: r.IntN(2) == 0}
	case Loss:
		return Params{Probability: logUniform(r, 0.01, 0.6)}
	case Duplicate:
		return Params{Probability: logUniform(r, 0.01, 0.5)}
	case Reorder:
		return Params{Probability: logUniform(r, 0.01, 0.5), Delay: span(r, time.Millisecond, 100*time.Millisecond)}
	case Delay:
		d := span(r, time.Millisecond, 300*time.Millisecond)
		jitter := time.Duration(r.Float64() * float64(d)).Truncate(100 * time.Microsecond)
		return Params{Delay: d, Jitter: Duration(jitter)}
	case Bandwidth:
		return Params{Rate: int64(logUniform(r, 1e3, 1e6))}
	case Clock:
		return drawClock(r)
	}
	return Params{}
}

// drawClock draws what a clock does, on Jepsen's scale (jepsen.nemesis.time):
// jumps and swings from 4 ms to 262 s, ends held for 1 ms to 1 s. A drift is
// from 0.1 % to a factor of two, either way.
func drawClock(r *rand.Rand) Params {
	sign := 1 - 2*r.IntN(2)
	offset := span(r, 4*time.Millisecond, 262*time.Second) * Duration(sign)
	switch r.IntN(3) {
	case 0:
		return Params{Shape: "jump", Offset: offset}
	case 1:
		return Params{Shape: "strobe", Offset: offset, Period: span(r, time.Millisecond, time.Second)}
	}
	factor := logUniform(r, 0.001, 1)
	if sign < 0 {
		factor = round(-factor / (1 + factor)) // as much slower as it would be faster
	}
	return Params{Shape: "drift", Drift: factor}
}

// span draws a duration, to a tenth of a millisecond.
func span(r *rand.Rand, low, high time.Duration) Duration {
	return Duration(time.Duration(logUniform(r, float64(low), float64(high))).Round(100 * time.Microsecond))
}

// logUniform draws from [low, high], rounded for the eye.
func logUniform(r *rand.Rand, low, high float64) float64 {
	x := round(low * math.Exp(r.Float64()*math.Log(high/low)))
	return min(max(x, low), high)
}

// round keeps three significant digits.
func round(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(x)))-2)
	if unit < 1 {
		inverse := math.Round(1 / unit) // exact, so that 0.25 stays 0.25
		return math.Round(x*inverse) / inverse
	}
	return math.Round(x/unit) * unit
}
