package run

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Swarm lets the seed of m draw what a run is like: which of the kinds of
// faults there are, how often, and the nature of links and clocks. A run in
// which everything happens at once finds less than many runs in which some
// things do (Groce et al., "Swarm Testing", ISSTA 2012).
//
// kinds that keep names stay in any case.
func Swarm(m histories.Manifest, keep ...string) histories.Manifest {
	m.Swarm = true
	r := rand.New(rand.NewPCG(m.Seed, 0x5eed))
	all := m.Nemesis
	m.Nemesis = nil
	for _, k := range all {
		if r.Float64() < 0.33 || slices.Contains(keep, k) {
			m.Nemesis = append(m.Nemesis, k)
		}
	}
	if len(m.Nemesis) == 0 && len(all) > 0 {
		m.Nemesis = []string{all[r.IntN(len(all))]}
	}
	if m.Interval == 0 {
		// Half a second to one and a half, each ratio as likely; longer where
		// many kinds at once would leave the cluster no time to do anything.
		m.Interval = time.Duration(0.5 * math.Pow(3, r.Float64()) * max(1, float64(len(m.Nemesis))/4) * float64(time.Second))
	}
	return m
}
