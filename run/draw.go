package run

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets"
)

// Draw has the seed of m draw all of a run of target t that m leaves open: the
// size of the cluster, its clients and their load, the keys that they use, the
// target's flags, the budget and the mix of faults, links and clocks. A run in
// which everything happens at once finds less than many runs in which some
// things do (Groce et al., "Swarm Testing", ISSTA 2012).
//
// What m says stays: of the kinds in m.Nemesis each is drawn or not, but those
// that provoke m.Bug are there in any case, and the budget has room for them. A
// bug has its own flags, and no others. Other flags are drawn if the workload is
// promised the same by them under the kinds that were drawn.
func Draw(t targets.Target, m histories.Manifest) histories.Manifest {
	d := drawing{seed: m.Seed, target: t}
	m.Swarm = true
	if m.Nodes == 0 {
		m.Nodes = d.nodes(m.Targets)
	}
	d.faults(&m)
	if m.Bug == "" {
		m.Flags = d.flags(m)
	}
	if m.Clients == 0 {
		m.Clients = d.clients(m.Nodes)
	}
	if m.Rate == 0 {
		m.Rate = math.Round(magnitude(d.rand("rate"), 60, 200))
	}
	if r := d.rand("keys"); m.Keys == "" && r.IntN(2) == 0 {
		m.Keys = gen.Distributions[r.IntN(len(gen.Distributions))]
	}
	if m.Load == nil {
		m.Load = d.load(m.Rate)
	}
	if m.Conditions == nil {
		m.Conditions = d.conditions()
	}
	return m
}

// drawing is what a seed draws. Each thing has randomness of its own, so that
// to give one leaves the others alone.
type drawing struct {
	seed   uint64
	target targets.Target
}

func (d drawing) rand(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(d.seed, h.Sum64()))
}

// magnitude is log-uniform in [low, high).
func magnitude(r *rand.Rand, low, high float64) float64 {
	return low * math.Pow(high/low, r.Float64())
}

// nodes draws the size of a cluster, about the target's own. Expressions for the
// victims of faults may name nodes, which must be there.
func (d drawing) nodes(aims string) int {
	own := d.target.Nodes
	r := d.rand("nodes")
	if own < 3 || aims != "" || r.IntN(5) < 2 {
		return own
	}
	return 3 + r.IntN(own) // 3 to 7, of 5
}

// clients draws how many clients there are, one to four for each node. Where they
// are as many for each, whoever gives up waiting for a node asks it again, and so
// sees it come back; else it is another's turn.
func (d drawing) clients(nodes int) int {
	r := d.rand("clients")
	n := nodes * (1 + r.IntN(4))
	if r.IntN(4) == 0 {
		n += r.IntN(nodes)
	}
	return n
}

// faults draws budget, kinds and interval.
func (d drawing) faults(m *histories.Manifest) {
	var keep []string
	if bug, ok := d.target.Bug(m.Bug); ok {
		for _, k := range bug.Under {
			keep = append(keep, string(k))
		}
	}
	able := m.Nemesis
	if m.Budget == "" {
		m.Budget, able = d.budget(*m, keep)
	}
	r := d.rand("kinds")
	m.Nemesis = nil
	for _, k := range able {
		if r.Float64() < 0.33 || slices.Contains(keep, k) {
			m.Nemesis = append(m.Nemesis, k)
		}
	}
	if len(m.Nemesis) == 0 && len(able) > 0 {
		m.Nemesis = []string{able[r.IntN(len(able))]}
	}
	if m.Interval == 0 {
		// Half a second to one and a half, each ratio as likely; longer where
		// many kinds at once would leave the cluster no time to do anything.
		crowd := max(1, float64(len(m.Nemesis))/4)
		m.Interval = time.Duration(magnitude(d.rand("interval"), 0.5, 1.5) * crowd * float64(time.Second))
	}
}

// budget draws how many nodes may be unable to answer at once, from none to a
// minority, and tells which kinds of faults of m that has room for. There is
// room for those to be kept, and for one at least.
func (d drawing) budget(m histories.Manifest, keep []string) (budget string, able []string) {
	minority := (m.Nodes - 1) / 2
	for b := d.rand("budget").IntN(minority + 1); ; b++ {
		budget, able = strconv.Itoa(b), nil
		if b == 0 {
			budget = "none"
		}
		lacks := false
		for _, k := range m.Nemesis {
			if possible(m, k, budget) {
				able = append(able, k)
			} else if slices.Contains(keep, k) {
				lacks = true
			}
		}
		switch {
		case b >= minority:
			return budget, m.Nemesis // whoever asks for more is told so
		case !lacks && (len(able) > 0 || len(m.Nemesis) == 0):
			return budget, able
		}
	}
}

// possible tells whether faults of kind k can be injected in a cluster of m's.
func possible(m histories.Manifest, k, budget string) bool {
	p := nemesis.Plan{Kinds: []nemesis.Kind{nemesis.Kind(k)}, Interval: time.Second}
	for i := range m.Nodes {
		p.Nodes = append(p.Nodes, fmt.Sprintf("n%d", i+1))
	}
	var err error
	if p.Budget, err = nemesis.ParseBudget(budget); err != nil {
		return false
	}
	if p.Targets, err = nemesis.ParseTargets(m.Targets, p.Nodes); err != nil {
		return false
	}
	return p.Validate() == nil
}

// flags draws the target's flags that m does not give.
func (d drawing) flags(m histories.Manifest) map[string]string {
	flags := map[string]string{}
	given := d.target.Defaults()
	for name, value := range m.Flags { // the order makes no difference
		flags[name], given[name] = value, value
	}
	workload := d.target.WorkloadOf(m.Workload, m.Bug)
	want := d.target.Guarantees(workload, given, m.Nemesis)
	for _, f := range d.target.Flags {
		if _, ok := m.Flags[f.Name]; ok {
			continue
		}
		r := d.rand("flag/" + f.Name)
		if r.IntN(2) == 0 {
			continue
		}
		before := given[f.Name]
		given[f.Name] = f.Values[r.IntN(len(f.Values))]
		if len(want) > 0 && slices.Equal(d.target.Guarantees(workload, given, m.Nemesis), want) {
			flags[f.Name] = given[f.Name]
		} else {
			given[f.Name] = before
		}
	}
	return flags
}

// load draws the phases of a load, whose mean is rate: half of all loads are
// steady, the others have bursts, lulls, and times of nothing but reads. But
// none has nothing but reads, or is one long lull: its first phase is neither.
func (d drawing) load(rate float64) []histories.Phase {
	r := d.rand("load")
	if r.IntN(2) == 0 {
		return nil
	}
	var phases []histories.Phase
	var ops, seconds float64
	for i := range 2 + r.IntN(4) {
		p := histories.Phase{For: time.Duration(magnitude(r, 0.2, 3) * float64(time.Second)).Round(time.Millisecond), Rate: 1}
		what := r.IntN(4)
		if i == 0 {
			what = 3 * r.IntN(2)
		}
		switch what {
		case 0: // a burst
			p.Rate = magnitude(r, 2, 8)
			p.For = min(p.For, time.Second)
		case 1: // a lull
			p.Rate = magnitude(r, 0.05, 0.5)
		case 2:
			p.Reads = true
		}
		phases = append(phases, p)
		ops, seconds = ops+p.Rate*p.For.Seconds(), seconds+p.For.Seconds()
	}
	for i := range phases {
		phases[i].Rate = math.Ceil(10*phases[i].Rate*rate*seconds/ops) / 10
	}
	return phases
}

// conditions draws what links and clocks are like: a far region, a lossy radio
// link; TCP's order or none; clocks that agree or do not.
func (d drawing) conditions() *histories.Conditions {
	r := d.rand("conditions")
	span := func(low, high time.Duration) time.Duration {
		return time.Duration(magnitude(r, float64(low), float64(high)))
	}
	c := &histories.Conditions{
		Floor:  span(50*time.Microsecond, 5*time.Millisecond),
		Mean:   span(50*time.Microsecond, 20*time.Millisecond),
		FIFO:   r.Float64() < 0.4,
		Spread: magnitude(r, 1, 5),
		Skew:   span(100*time.Microsecond, time.Second),
		Drift:  magnitude(r, 1e-6, 2e-4),
		Late:   50 * time.Millisecond,
	}
	if r.IntN(2) == 0 {
		c.Loss = magnitude(r, 0.0005, 0.05)
	}
	if r.IntN(2) == 0 {
		c.Twice = magnitude(r, 0.0005, 0.1)
	}
	return c
}
