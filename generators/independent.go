package generators

import (
	"encoding/json"
	"fmt"

	"github.com/torture-harness/torture/histories"
)

// Keys names the objects of independent histories: the i-th key, or nil if
// there is none. It must be pure; it may be endless.
type Keys func(i int) any

// KeysNamed are the keys prefix0, prefix1, … without end.
func KeysNamed(prefix string) Keys { return func(i int) any { return fmt.Sprint(prefix, i) } }

// KeysOf are the given keys.
func KeysOf(keys ...any) Keys {
	return func(i int) any {
		if i >= len(keys) {
			return nil
		}
		return keys[i]
	}
}

// ofKey is all of one key: what g(key) does, with Op.Key set.
func ofKey(keys Keys, i int, g func(key any) Generator) Generator {
	key := keys(i)
	if key == nil {
		return nil
	}
	name := histories.Encode(key)
	return newMapped("key "+string(name), func(op Op) Op {
		op.Key = json.RawMessage(name)
		return op
	}, g(key))
}

// SequentialKeys runs all of g(key) for one key after another, with Op.Key set.
// A key for which there is nothing to do ends it, as does the last key: g(key)
// is nil, or over when first asked.
func SequentialKeys(keys Keys, g func(key any) Generator) Generator {
	return newKeyed(keys, g, 0)
}

func newKeyed(keys Keys, g func(any) Generator, i int) Generator {
	now := ofKey(keys, i, g)
	if now == nil {
		return nil
	}
	return &sequentialKeys{keys, g, i, now, true}
}

type sequentialKeys struct {
	keys  Keys
	of    func(any) Generator
	i     int       // the present key
	now   Generator // what remains of it
	fresh bool      // and has not been asked
}

func (s *sequentialKeys) with(now Generator, fresh bool) Generator {
	switch {
	case now == nil:
		return newKeyed(s.keys, s.of, s.i+1)
	case fresh == s.fresh && same(now, s.now):
		return s
	}
	return &sequentialKeys{s.keys, s.of, s.i, now, fresh}
}

func (s *sequentialKeys) Op(ctx Context) (*Op, Generator) {
	op, rest := s.now.Op(ctx.At(uint64(s.i)))
	if op != nil || rest != nil {
		return op, s.with(rest, false)
	}
	if s.fresh {
		return nil, nil
	}
	return Ask(s.with(nil, false), ctx)
}

func (s *sequentialKeys) Update(ctx Context, ev Op) Generator {
	return s.with(s.now.Update(ctx.At(uint64(s.i)), ev), s.fresh)
}

func (s *sequentialKeys) String() string { return describe("SequentialKeys", s.now) }

// ConcurrentKeys divides the threads that it sees into groups of
// threadsPerKey, the last group having what is left over. Each group runs all
// of g(key) for a key of its own, with Op.Key set, and then takes the next key
// that nobody has had. A key for which there is nothing to do is as the last:
// no further keys are taken.
func ConcurrentKeys(threadsPerKey int, keys Keys, g func(key any) Generator) Generator {
	if threadsPerKey <= 0 {
		panic(fmt.Sprintf("generators: ConcurrentKeys: %d threads a key: want 1 or more", threadsPerKey))
	}
	return &concurrentKeys{keys: keys, of: g, size: threadsPerKey}
}

type concurrentKeys struct {
	keys   Keys
	of     func(any) Generator
	size   int           // threads of a group
	seen   *view         // of which groups are the parts
	groups []*view       // never written
	work   vector[group] // by group
	next   int           // the first key that nobody has had
	n      uint64        // operations so far
}

// group is what a group of threads is at.
type group struct {
	begun bool
	key   int       // counted from 0
	now   Generator // what remains of it; nil: there are no more keys
}

// seeing is c with the groups of the threads of v.
func (c *concurrentKeys) seeing(v *view) *concurrentKeys {
	if v == c.seen {
		return c
	}
	next := *c
	next.seen, next.groups = v, nil
	for lo, n := 0, v.counted.countAnd(v.counted); lo < n; lo += c.size {
		next.groups = append(next.groups, v.slice(lo, lo+c.size))
	}
	return &next
}

// with is c with w for group i.
func (c *concurrentKeys) with(i int, w group) *concurrentKeys {
	next := *c
	next.work = c.work.with(i, w)
	return &next
}

// begin gives group i the next key.
func (c *concurrentKeys) begin(i int) *concurrentKeys {
	now := ofKey(c.keys, c.next, c.of)
	next := c.with(i, group{true, c.next, now})
	if now != nil {
		next.next++
	}
	return next
}

func (c *concurrentKeys) Op(ctx Context) (*Op, Generator) {
	c = c.seeing(ctx.view)
	if len(c.groups) == 0 {
		return nil, nil
	}
	var best *Op
	var bestRest *concurrentKeys
	left := false
	turn := ctx.At(chance).At(c.n).below(len(c.groups))
	for j := range c.groups {
		i := (turn + j) % len(c.groups)
		if ctx.free.countAnd(c.groups[i].threads) == 0 {
			w := c.work.at(i)
			left = left || c.groups[i].size > 0 && (!w.begun || w.now != nil)
			continue
		}
		op, after := c.ask(ctx, i)
		left = left || after.work.at(i).now != nil || op != nil
		if op == nil {
			c = after
		} else if best == nil || op.Time < best.Time {
			best, bestRest = op, after
		}
		if best != nil && best.Time <= ctx.Time {
			break
		}
	}
	switch {
	case best != nil:
		bestRest.n++
		return best, bestRest
	case !left:
		return nil, nil
	}
	return nil, c
}

// ask asks group i, which moves on to fresh keys as it runs out. The answer is
// always a copy.
func (c *concurrentKeys) ask(ctx Context, i int) (*Op, *concurrentKeys) {
	ctx = ctx.within(c.groups[i])
	for {
		w := c.work.at(i)
		fresh := !w.begun
		if fresh {
			c = c.begin(i)
			w = c.work.at(i)
		}
		if w.now == nil {
			return nil, c
		}
		op, rest := w.now.Op(ctx.At(uint64(w.key)))
		switch {
		case rest != nil:
			return op, c.with(i, group{true, w.key, rest})
		case op != nil:
			return op, c.with(i, group{})
		case fresh:
			c = c.with(i, group{begun: true})
			c.next = w.key
			return nil, c
		}
		c = c.with(i, group{})
	}
}

func (c *concurrentKeys) Update(ctx Context, ev Op) Generator {
	c = c.seeing(ctx.view)
	for i, v := range c.groups {
		in := ctx.within(v)
		if _, ok := in.thread(ev.Process); !ok {
			continue
		}
		w := c.work.at(i)
		now := Tell(w.now, in.At(uint64(w.key)), ev)
		switch {
		case same(now, w.now):
			return c
		case now == nil:
			return c.with(i, group{})
		}
		return c.with(i, group{true, w.key, now})
	}
	return c
}

func (c *concurrentKeys) String() string { return describe("ConcurrentKeys", c.size) }
