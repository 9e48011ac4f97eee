package generators

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// KeyDist says which of N keys an operation is about.
type KeyDist struct {
	// N is how many keys there are.
	N int
	// Pick returns the i-th choice, in [0, N), drawing from r.
	Pick func(i int, r *rand.Rand) int
}

// Distributions are the names of distributions, see Distribution.
var Distributions = []string{"uniform", "zipfian", "exponential", "sequential"}

// Distribution is the distribution of that name over n keys: zipfian as YCSB
// has it, exponential with its mean at a third of the keys.
func Distribution(name string, n int) (KeyDist, error) {
	switch name {
	case "uniform":
		return Uniform(n), nil
	case "zipfian":
		return Zipfian(n, 0.99), nil
	case "exponential":
		return Exponential(n, float64(n)/3), nil
	case "sequential":
		return Sequential(n), nil
	}
	return KeyDist{}, fmt.Errorf("keys %q: want one of %s", name, strings.Join(Distributions, ", "))
}

func (d KeyDist) validate() {
	if d.N <= 0 || d.Pick == nil {
		panic(fmt.Sprintf("generators: a distribution of %d keys: want one of Uniform, Zipfian, Exponential and Sequential", d.N))
	}
}

// needKeys panics unless there are n > 0 keys.
func needKeys(name string, n int) {
	if n <= 0 {
		panic(fmt.Sprintf("generators: %s: %d keys: want 1 or more", name, n))
	}
}

// Uniform chooses every key with the same chance.
func Uniform(n int) KeyDist {
	needKeys("Uniform", n)
	return KeyDist{n, func(_ int, r *rand.Rand) int { return r.IntN(n) }}
}

// Sequential chooses one key after another, and after the last the first.
func Sequential(n int) KeyDist {
	needKeys("Sequential", n)
	return KeyDist{n, func(i int, _ *rand.Rand) int { return i % n }}
}

// Zipfian chooses key k with a chance proportional to 1/(k+1)^theta: key 0 is
// the hottest. theta is in (0, 1); YCSB's is 0.99. The algorithm is that of
// Gray, Sundaresan, Englert, Baclawski and Weinberger, "Quickly Generating
// Billion-Record Synthetic Databases", SIGMOD 1994, section 3.2, which is what
// YCSB uses: exact for the first two keys, close for the others.
func Zipfian(n int, theta float64) KeyDist {
	needKeys("Zipfian", n)
	if !(theta > 0 && theta < 1) {
		panic(fmt.Sprintf("generators: Zipfian: theta %v: want it between 0 and 1, both excluded", theta))
	}
	zetaN, zeta2 := 0.0, 0.0
	for k := 1; k <= n; k++ {
		zetaN += 1 / math.Pow(float64(k), theta)
		if k == min(n, 2) {
			zeta2 = zetaN
		}
	}
	alpha := 1 / (1 - theta)
	eta := (1 - math.Pow(2/float64(n), 1-theta)) / (1 - zeta2/zetaN)
	return KeyDist{n, func(_ int, r *rand.Rand) int {
		u := r.Float64()
		switch uz := u * zetaN; {
		case uz < 1 || n == 1:
			return 0
		case uz < zeta2 || n == 2:
			return 1
		}
		return min(n-1, int(float64(n)*math.Pow(eta*u-eta+1, alpha)))
	}}
}

// Exponential chooses key k with a chance proportional to exp(-k/mean), which
// leaves a key's chance, relative to the one before, the same everywhere. With
// mean far below n, mean is about the mean key.
func Exponential(n int, mean float64) KeyDist {
	needKeys("Exponential", n)
	if !(mean > 0) || math.IsInf(mean, 0) {
		panic(fmt.Sprintf("generators: Exponential: mean %v: want more than 0, and finite", mean))
	}
	// The inverse of the distribution function, cut off at n.
	whole := -math.Expm1(-float64(n) / mean)
	return KeyDist{n, func(_ int, r *rand.Rand) int {
		return min(n-1, int(-mean*math.Log1p(-r.Float64()*whole)))
	}}
}
