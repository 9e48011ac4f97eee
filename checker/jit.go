package checker

import (
	"cmp"
	"context"
	"reflect"
	"slices"
)

// search decides whether the calls of one object are linearizable, by just in
// time linearization: it goes through the begins and ends of calls in order
// and keeps every configuration that the object could be in, which is its
// state and the set of open calls that have taken effect. When a call ends, a
// configuration in which it has not taken effect is left by letting open calls
// take effect until it has. No configuration left: not linearizable. See Lowe,
// "Testing for linearizability", Concurrency and Computation 29(4), 2017.
//
// Three things keep the configurations few. Reads take effect as soon as the
// state allows, which never hurts. Calls of unknown outcome with the same
// arguments are counted, not named. And nothing is remembered of calls that
// ended.
type search[S comparable, C any] struct {
	m       Model[S, C]
	part    []span[C]
	budget  int
	visited int // configurations made

	bit     []int // of a call, its bit among the open calls of known outcome
	class   []int // of a call of unknown outcome, its class
	members []int // of a class, how many have begun
	example []int // of a class, one member
	words   int   // bytes of bits in a configuration's done
	open    []int // the open calls of known outcome
}

// config is a configuration. done holds the bits of the open calls that took
// effect, and then for each class how many of its calls did.
type config[S comparable] struct {
	state S
	done  string
}

// outcome of a search. If it is not decided, the budget or the context ended
// first.
type outcome[S comparable] struct {
	decided bool
	stuck   int // the call that could not end; -1: linearizable
	states  []S // the states that were possible then
}

type edge struct {
	at    int // even if it is a begin: a call that took no time begins before it ends
	call  int
	begin bool
}

func newSearch[S comparable, C any](m Model[S, C], part []span[C], budget int) *search[S, C] {
	return &search[S, C]{m: m, part: part, budget: budget}
}

func (s *search[S, C]) run(ctx context.Context) outcome[S] {
	edges := s.prepare()
	now := []config[S]{{s.m.Init, string(make([]byte, s.words+len(s.members)))}}
	for i := range s.members {
		s.members[i] = 0
	}
	for n, e := range edges {
		if n%1024 == 0 && ctx.Err() != nil {
			return outcome[S]{}
		}
		if e.begin {
			now = s.begin(now, e.call)
			continue
		}
		next, ok := s.end(now, e.call)
		if !ok {
			return outcome[S]{}
		}
		if len(next) == 0 {
			return outcome[S]{decided: true, stuck: e.call, states: states(now)}
		}
		now = next
	}
	return outcome[S]{decided: true, stuck: -1}
}

// prepare numbers the calls' bits and classes and returns their begins and
// ends in order.
func (s *search[S, C]) prepare() []edge {
	edges := make([]edge, 0, 2*len(s.part))
	classes := map[any]int{}
	s.bit, s.class = make([]int, len(s.part)), make([]int, len(s.part))
	for i, p := range s.part {
		edges = append(edges, edge{2 * p.begin, i, true})
		if !p.open() {
			edges = append(edges, edge{2*p.end + 1, i, false})
			continue
		}
		// Calls that cannot be compared are classes of their own.
		var key any = i
		if reflect.TypeFor[C]().Comparable() {
			key = p.call
		}
		k, known := classes[key]
		if !known || s.members[k] == 255 { // a count is a byte
			k = len(s.members)
			classes[key] = k
			s.members, s.example = append(s.members, 0), append(s.example, i)
		}
		s.members[k]++
		s.class[i] = k
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	var free []int
	used := 0
	for _, e := range edges {
		switch {
		case s.part[e.call].open():
		case !e.begin:
			free = append(free, s.bit[e.call])
		case len(free) > 0:
			s.bit[e.call] = free[len(free)-1]
			free = free[:len(free)-1]
		default:
			s.bit[e.call] = used
			used++
		}
	}
	s.words = (used + 7) / 8
	return edges
}

// begin opens a call.
func (s *search[S, C]) begin(now []config[S], call int) []config[S] {
	p := s.part[call]
	if p.open() {
		s.members[s.class[call]]++
		return now
	}
	s.open = append(s.open, call)
	if s.reads(call) {
		for i, c := range now {
			if _, ok := s.m.Step(c.state, p.call); ok {
				now[i].done = s.set(c.done, call)
			}
		}
	}
	return now
}

// end closes a call: of every configuration it keeps those that follow from it
// and in which the call has taken effect. ok is false if the budget ran out.
func (s *search[S, C]) end(now []config[S], call int) (next []config[S], ok bool) {
	s.open = slices.DeleteFunc(s.open, func(o int) bool { return o == call })
	kept := map[config[S]]bool{}
	keep := func(c config[S]) {
		c.done = s.clear(c.done, call)
		if !kept[c] {
			kept[c] = true
			next = append(next, c)
		}
	}
	seen := map[config[S]]bool{}
	var todo []config[S]
	for _, c := range now {
		if s.has(c.done, call) {
			keep(c)
		} else {
			seen[c] = true
			todo = append(todo, c)
		}
	}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		reach := func(state S, done string) {
			to := config[S]{state, s.readAll(state, done, call)}
			if s.has(to.done, call) {
				keep(to)
			} else if !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
		if state, legal := s.m.Step(c.state, s.part[call].call); legal {
			reach(state, s.set(c.done, call))
		}
		for _, o := range s.open {
			if s.has(c.done, o) || s.reads(o) {
				continue
			}
			if state, legal := s.m.Step(c.state, s.part[o].call); legal {
				reach(state, s.set(c.done, o))
			}
		}
		for k, began := range s.members {
			if int(c.done[s.words+k]) == began {
				continue
			}
			state, legal := s.m.Step(c.state, s.part[s.example[k]].call)
			if legal && state != c.state {
				done := []byte(c.done)
				done[s.words+k]++
				reach(state, string(done))
			}
		}
		if s.visited+len(seen)+len(kept) > s.budget {
			s.visited = s.budget
			return nil, false
		}
	}
	s.visited += len(seen) + len(kept)
	return next, s.visited <= s.budget
}

// readAll lets every open read that the state allows take effect.
func (s *search[S, C]) readAll(state S, done string, ending int) string {
	read := func(call int) {
		if s.reads(call) && !s.has(done, call) {
			if _, legal := s.m.Step(state, s.part[call].call); legal {
				done = s.set(done, call)
			}
		}
	}
	read(ending)
	for _, o := range s.open {
		read(o)
	}
	return done
}

func (s *search[S, C]) reads(call int) bool { return s.m.Reads != nil && s.m.Reads(s.part[call].call) }

func (s *search[S, C]) has(done string, call int) bool {
	b := s.bit[call]
	return done[b/8]&(1<<(b%8)) != 0
}

func (s *search[S, C]) set(done string, call int) string {
	d := []byte(done)
	d[s.bit[call]/8] |= 1 << (s.bit[call] % 8)
	return string(d)
}

func (s *search[S, C]) clear(done string, call int) string {
	d := []byte(done)
	d[s.bit[call]/8] &^= 1 << (s.bit[call] % 8)
	return string(d)
}

func states[S comparable](cs []config[S]) (all []S) {
	for _, c := range cs {
		if !slices.Contains(all, c.state) {
			all = append(all, c.state)
		}
		if len(all) == statesMax {
			break
		}
	}
	return all
}

// statesMax bounds the states that are told of when a call cannot end.
const statesMax = 10
