package generators

import (
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

	seed    uint64
	place   uint64
	route   Route
	clients int // threads of clients in the whole run
	threads []thread
}

// Route names the node that a client's operation goes to. nil is the rule that
// process p speaks to node p mod n.
type Route func(op Op, nodes []string) string

// A thread is a slot of concurrency; it runs one process at a time. When a
// client crashes (its op ends Info), its thread goes on as a new process.
type thread struct {
	process histories.Process
	free    bool
}

// client tells whether the thread belongs to the workload; else to a nemesis.
func (t thread) client() bool { return t.process >= 0 }

// NewContext is the context of a run's beginning: clients threads and one
// thread per nemesis, all free.
func NewContext(seed uint64, nodes []string, clients int, nemeses []histories.Process, route Route) Context {
	ctx := Context{Nodes: nodes, seed: mix64(seed, 0x9e3779b97f4a7c15), route: route, clients: clients}
	for i := range clients {
		ctx.threads = append(ctx.threads, thread{histories.Process(i), true})
	}
	for _, p := range nemeses {
		ctx.threads = append(ctx.threads, thread{p, true})
	}
	return ctx
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
func (c Context) Rand() *rand.Rand { return rand.New(rand.NewPCG(c.seed, c.place)) }

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
	free := 0
	for _, t := range c.threads {
		if t.free {
			free++
		}
	}
	if free == 0 {
		return 0, false
	}
	k := int(mix64(c.seed, c.place) % uint64(free))
	for _, t := range c.threads {
		if t.free {
			if k == 0 {
				return t.process, true
			}
			k--
		}
	}
	panic("unreachable")
}

// AllFree reports whether nothing is in flight in this context.
func (c Context) AllFree() bool {
	return !slices.ContainsFunc(c.threads, func(t thread) bool { return !t.free })
}

// Fill completes op with a free process, its node, the present time and, if
// it has no type, Invoke. It returns nil if no process is free.
func (c Context) Fill(op Op) *Op {
	p, ok := c.SomeFree()
	if !ok {
		return nil
	}
	return c.FillFor(op, p)
}

// FillFor is Fill for a given process. It returns nil if that process is not
// free, or not in this context.
func (c Context) FillFor(op Op, p histories.Process) *Op {
	t, ok := c.thread(p)
	if !ok || !t.free {
		return nil
	}
	op.Process, op.Time = p, max(op.Time, c.Time)
	if op.Type == 0 {
		op.Type = histories.Invoke
	}
	if p.Client() && op.Node == "" && op.Type == histories.Invoke && len(c.Nodes) > 0 {
		if c.route != nil {
			op.Node = c.route(op, c.Nodes)
		}
		if op.Node == "" {
			op.Node = c.Nodes[int(p)%len(c.Nodes)]
		}
	}
	return &op
}

// Busy is the number of threads of this context with an operation in flight.
func (c Context) Busy() int {
	n := 0
	for _, t := range c.threads {
		if !t.free {
			n++
		}
	}
	return n
}

// only keeps the threads that keep says, so that a wrapped generator sees no
// others.
func (c Context) only(keep func(thread) bool) Context {
	ts := make([]thread, 0, len(c.threads))
	for _, t := range c.threads {
		if keep(t) {
			ts = append(ts, t)
		}
	}
	c.threads = ts
	return c
}

func (c Context) thread(p histories.Process) (thread, bool) {
	i := slices.IndexFunc(c.threads, func(t thread) bool { return t.process == p })
	if i < 0 {
		return thread{}, false
	}
	return c.threads[i], true
}

// slot is the number of the client thread that runs p, 0 to clients-1.
func (c Context) slot(p histories.Process) int { return int(p) % max(c.clients, 1) }

// After is the context after op, for the run loop: an invocation makes its
// thread busy, a completion frees it.
func (c Context) After(op Op) Context {
	c.Time = max(c.Time, op.Time)
	c.threads = slices.Clone(c.threads)
	for i := range c.threads {
		if c.threads[i].process == op.Process {
			c.threads[i].free = op.Type != histories.Invoke && op.Type != Sleeping
		}
	}
	return c
}

// Renew gives p's thread a new process, for the run loop, once client p has
// crashed.
func (c Context) Renew(p histories.Process) Context {
	c.threads = slices.Clone(c.threads)
	for i := range c.threads {
		if c.threads[i].process == p {
			c.threads[i].process += histories.Process(c.clients)
		}
	}
	return c
}
