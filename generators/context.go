package generators

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// Context is what a generator may know when it is asked for an operation.
// It is a value: deriving one context from another leaves the first alone.
type Context struct {
	// Time is how long the run has gone on.
	Time histories.Time
	// Nodes names the cluster's nodes in a fixed order.
	Nodes []string
	// Primaries are the nodes last known to lead; what is known may be stale.
	Primaries []string

	seed  uint64
	place uint64

	crew      *crew               // the run's threads
	processes []histories.Process // by thread: the process it runs; shared, never written
	free      threads             // threads with nothing in flight; shared, never written
	view      *view               // threads that this context shows

	doubt bool // functions are to be called twice, see AskTwice
}

// Route names the node that a client's operation goes to. nil is the rule that
// process p speaks to node p mod n.
type Route func(op Op, nodes []string) string

// NewContext is the context of a run's beginning: clients threads and one
// thread per nemesis, all free.
func NewContext(seed uint64, nodes []string, clients int, nemeses []histories.Process, route Route) Context {
	crew := newCrew(clients, nemeses, route)
	return Context{
		Nodes:     nodes,
		seed:      mix64(seed, 0x9e3779b97f4a7c15),
		crew:      crew,
		processes: crew.first,
		free:      crew.all.threads,
		view:      crew.all,
	}
}

// At is the context of the i-th part of the generator asked: a child, or the
// i-th repetition. A combinator passes each child a place of its own, so that
// what one child draws leaves the others alone.
func (c Context) At(i uint64) Context {
	c.place = mix64(c.place, i)
	return c
}

// Rand returns the randomness of this place in the generator tree: the same
// numbers whenever it is asked, in a run of the same seed. A generator that
// draws more than once counts its draws, and asks c.At(count).
func (c Context) Rand() *rand.Rand {
	var both struct { // one allocation, for this is hot
		source rand.PCG
		rand   rand.Rand
	}
	both.source.Seed(c.seed, c.place)
	both.rand = *rand.New(&both.source)
	return &both.rand
}

// below returns the number in [0, n) of this place: one draw, without the
// cost of Rand. n is far below 2⁶⁴, so that the modulus favours nothing that
// could be seen.
func (c Context) below(n int) int { return int(mix64(c.seed, c.place) % uint64(n)) }

// exponential returns the exponentially distributed number of mean 1 of this
// place.
func (c Context) exponential() float64 {
	u := float64(mix64(c.seed, c.place)>>11+1) / (1 << 53) // in (0, 1]
	return -math.Log(u)
}

// mix64 hashes a pair of words: the finaliser of SplitMix64 (Steele, Lea and
// Flood, OOPSLA 2014).
func mix64(a, b uint64) uint64 {
	x := a ^ (b+0x9e3779b97f4a7c15)*0xbf58476d1ce4e5b9
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// SomeFree returns a free process, chosen by the seed and the place.
func (c Context) SomeFree() (histories.Process, bool) {
	i, ok := c.someFree()
	if !ok {
		return 0, false
	}
	return c.processes[i], true
}

// someFree is SomeFree, as a thread.
func (c Context) someFree() (int, bool) {
	if c.view == nil {
		return 0, false
	}
	n := c.free.countAnd(c.view.threads)
	if n == 0 {
		return 0, false
	}
	return c.free.selectAnd(c.view.threads, c.below(n)), true
}

// AllFree reports whether nothing is in flight in this context.
func (c Context) AllFree() bool { return c.Busy() == 0 }

// Busy is the number of threads of this context with an operation in flight.
func (c Context) Busy() int {
	if c.view == nil {
		return 0
	}
	return c.view.size - c.free.countAnd(c.view.threads)
}

// Fill completes op with a free process, its node, the present time and, if
// it has no type, Invoke. A process that has a name is kept: what a nemesis
// is to do waits for that nemesis. It returns nil if no process is free.
func (c Context) Fill(op Op) *Op {
	if !op.Process.Client() {
		return c.FillFor(op, op.Process)
	}
	i, ok := c.someFree()
	if !ok {
		return nil
	}
	return c.fill(op, i)
}

// FillFor is Fill for a given process. It returns nil if that process is not
// free, or not in this context.
func (c Context) FillFor(op Op, p histories.Process) *Op {
	i, ok := c.thread(p)
	if !ok || c.processes[i] != p || !c.free.has(i) {
		return nil
	}
	return c.fill(op, i)
}

func (c Context) fill(op Op, thread int) *Op {
	p := c.processes[thread]
	op.Process, op.Time = p, max(op.Time, c.Time)
	if op.Type == 0 {
		op.Type = histories.Invoke
	}
	if p.Client() && op.Node == "" && op.Type == histories.Invoke && len(c.Nodes) > 0 {
		if c.crew.route != nil {
			op.Node = c.crew.route(op, c.Nodes)
		}
		if op.Node == "" {
			op.Node = c.Nodes[int(p)%len(c.Nodes)]
		}
	}
	return &op
}

// thread returns the thread that p runs on, or did before it crashed; ok tells
// whether this context shows it.
func (c Context) thread(p histories.Process) (i int, ok bool) {
	if c.view == nil {
		return 0, false
	}
	i, ok = c.crew.thread(p)
	return i, ok && c.view.threads.has(i)
}

// within is c showing the threads of v only.
func (c Context) within(v *view) Context {
	c.view = v
	return c
}

// After is the context after op, for the run loop: an invocation makes its
// thread busy, a completion frees it.
func (c Context) After(op Op) Context {
	c.Time = max(c.Time, op.Time)
	if i, ok := c.thread(op.Process); ok && c.processes[i] == op.Process {
		c.free = c.free.with(i, op.Type != histories.Invoke && op.Type != Sleeping)
	}
	return c
}

// Renew gives p's thread a new process, for the run loop, once client p has
// crashed.
func (c Context) Renew(p histories.Process) Context {
	if i, ok := c.thread(p); ok && c.processes[i] == p && p.Client() {
		c.processes = slices.Clone(c.processes)
		c.processes[i] += histories.Process(c.crew.clients)
	}
	return c
}
