package generators

import (
	"slices"

	"github.com/torture-harness/torture/histories"
)

// Thread is a slot of concurrency: it runs one process at a time. When a
// client crashes (its operation ends Info), its thread goes on as a new
// process; the thread of a nemesis is that nemesis for ever.
type Thread struct {
	// Index counts the run's threads from 0: the clients', then the nemeses'.
	Index int
	// First is the process that the thread begins with: Index for a client,
	// the name of a nemesis.
	First histories.Process
}

// Client tells whether the thread belongs to the workload; else to a nemesis.
func (t Thread) Client() bool { return t.First.Client() }

// crew is a run's threads: what never changes about them.
type crew struct {
	clients int
	first   []histories.Process // by thread
	route   Route
	all     *view
	alone   []*view // by thread: it and no other
}

func newCrew(clients int, nemeses []histories.Process, route Route) *crew {
	w := &crew{clients: clients, route: route}
	for i := range clients {
		w.first = append(w.first, histories.Process(i))
	}
	w.first = append(w.first, nemeses...)
	every := make(threads, (len(w.first)+63)/64)
	for i := range w.first {
		alone := make(threads, len(every))
		alone.set(i)
		every.set(i)
		w.alone = append(w.alone, &view{w, alone, alone, 1})
	}
	w.all = &view{w, every, every, len(w.first)}
	return w
}

// thread returns the thread that p runs on, or did before it crashed.
func (w *crew) thread(p histories.Process) (int, bool) {
	if p.Client() {
		return int(p) % max(w.clients, 1), w.clients > 0
	}
	i := slices.Index(w.first[w.clients:], p)
	return w.clients + i, i >= 0
}

// A view is the part of the crew that a generator sees. Views are made once,
// kept by the generators that restrict, and compared by address.
type view struct {
	crew    *crew
	counted threads // threads, and those that were retired from it
	threads threads
	size    int // of threads
}

// only keeps the threads that keep says.
func (v *view) only(keep func(Thread) bool) *view {
	sub := &view{crew: v.crew, counted: make(threads, len(v.threads)), threads: make(threads, len(v.threads))}
	for i := range v.counted.all() {
		if !keep(Thread{i, v.crew.first[i]}) {
			continue
		}
		sub.counted.set(i)
		if v.threads.has(i) {
			sub.threads.set(i)
			sub.size++
		}
	}
	return sub
}

// retire shows the threads that keep says, but counts the others still: who
// divides threads divides them as before.
func (v *view) retire(keep func(Thread) bool) *view {
	sub := v.only(keep)
	sub.counted = v.counted
	return sub
}

// slice keeps the threads from the lo-th that v counts to the one before the
// hi-th.
func (v *view) slice(lo, hi int) *view {
	k := -1
	return v.only(func(Thread) bool {
		k++
		return lo <= k && k < hi
	})
}
