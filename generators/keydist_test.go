package generators

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestKeyDists compares a hundred thousand choices with the chances that the
// definition gives.
func TestKeyDists(t *testing.T) {
	const draws = 100_000
	power := func(theta float64) func(int) float64 {
		return func(k int) float64 { return 1 / math.Pow(float64(k+1), theta) }
	}
	for _, c := range []struct {
		name   string
		dist   KeyDist
		weight func(k int) float64
		// slack is by how much of itself a chance may be off, beside five
		// standard deviations: the algorithm of Gray et al. is exact for two
		// keys only.
		slack float64
	}{
		{"uniform", Uniform(7), func(int) float64 { return 1 }, 0},
		{"uniform over one", Uniform(1), func(int) float64 { return 1 }, 0},
		{"sequential", Sequential(5), func(int) float64 { return 1 }, 0},
		{"zipfian 0.99", Zipfian(100, 0.99), power(0.99), 0.2},
		{"zipfian 0.5", Zipfian(20, 0.5), power(0.5), 0.15},
		{"zipfian over one", Zipfian(1, 0.5), power(0.5), 0},
		{"zipfian over two", Zipfian(2, 0.9), power(0.9), 0},
		{"exponential", Exponential(50, 5), func(k int) float64 { return math.Exp(-float64(k) / 5) }, 0},
		{"exponential, cut off early", Exponential(3, 100), func(k int) float64 { return math.Exp(-float64(k) / 100) }, 0},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		got := make([]float64, c.dist.N)
		for i := range draws {
			got[c.dist.Pick(i, r)]++
		}
		total := 0.0
		for k := range c.dist.N {
			total += c.weight(k)
		}
		for k := range c.dist.N {
			p := c.weight(k) / total
			slack := c.slack * p * draws
			if k < 2 {
				slack = 0
			}
			if math.Abs(got[k]-p*draws) > slack+5*math.Sqrt(p*(1-p)*draws) {
				t.Errorf("%s: key %d chosen %v times of %d: want about %.0f", c.name, k, got[k], draws, p*draws)
			}
		}
	}
}

func TestSequentialGoesRound(t *testing.T) {
	d := Sequential(3)
	for i := range 9 {
		if got := d.Pick(i, nil); got != i%3 {
			t.Errorf("choice %d: %d", i, got)
		}
	}
}

// TestPanics: what cannot be meant is said at once, with the values.
func TestPanics(t *testing.T) {
	g := Count("a", 1)
	for name, f := range map[string]func(){
		"no keys":            func() { Uniform(0) },
		"theta 1":            func() { Zipfian(3, 1) },
		"theta 0":            func() { Zipfian(3, 0) },
		"mean 0":             func() { Exponential(3, 0) },
		"mean infinite":      func() { Exponential(3, math.Inf(1)) },
		"no distribution":    func() { Register(KeyDist{}, 1) },
		"no distribution 2":  func() { Appends(KeyDist{N: 3}, 1) },
		"rate 0":             func() { Rate(0, g) },
		"rate NaN":           func() { RateFixed(math.NaN(), g) },
		"negative gap":       func() { Stagger(-1, g) },
		"negative weight":    func() { MixWeighted(Weighted{-1, g}) },
		"negative share":     func() { Reserve(nil, Share{-1, g}) },
		"span of no time":    func() { CycleTimes(Span{0, g}) },
		"no threads per key": func() { ConcurrentKeys(0, KeysOf(1), func(any) Generator { return g }) },
		"reads above 1":      func() { Sets(1.5) },
		"reads below 0":      func() { Broadcasts(-.1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
