package checker

import (
	"cmp"
	"fmt"
	"slices"
)

// chains decides whether a register's reads, writes and cas are linearizable if
// every value written, and put by a cas, is put once, and is not the initial
// one. fits is false if that is not so.
//
// A cas binds the value it expects to the value it puts, so values form
// chains: a write, the reads of its value, the cas that replaces it, the reads
// of the new value, and so on. The calls of a chain follow one another without
// a call of another chain between them. Within a chain, no call may have ended
// before one of an earlier link began. A chain with f, the first end of its
// calls, and s, the last begin, certainly lasts from f to s if f < s (forward
// zone), and otherwise has a moment in [s, f] (backward zone). Chains can be
// put in order iff no two forward zones meet and no backward zone lies inside
// a forward one. This is Gibbons and Korach, "Testing shared memories", SIAM
// Journal on Computing 26(4), 1997, extended from clusters of one value to
// chains of values and to calls of unknown outcome: those count only if a known
// call depends on them.
func chains(part []span[RegisterCall], initial string) (w *witness, fits bool) {
	c := chainer{part: part, initial: initial, put: make(map[string]int32, len(part)/2)}
	for i, s := range part {
		if s.call.kind == registerRead {
			continue
		}
		if _, twice := c.put[s.call.val]; twice || s.call.val == initial {
			return nil, false
		}
		c.put[s.call.val] = int32(i)
	}
	if c.depend() && c.link() && c.walk() {
		c.order()
	}
	return c.found, true
}

const origin = -1 // the imaginary write of the initial value

type chainer struct {
	part    []span[RegisterCall]
	initial string
	put     map[string]int32 // the update that put a value
	needed  []bool           // updates that happened
	because []int32          // of such an update of unknown outcome, a call that depends on its value
	updates int              // how many
	first   []int32          // first reader of an update's value, by update + 1
	more    []int32          // the next reader of the same value
	next    []int32          // the cas that replaced an update's value, by update + 1
	zones   []zone
	found   *witness
}

// zone is a chain's extent in time.
type zone struct {
	head    int32 // its write, or origin
	f, s    int   // first end, last begin
	fOp     int32 // the call that ended at f; none for the origin's chain
	sOp     int32 // the call that began at s
	forward bool
}

func (z zone) lo() int { return min(z.f, z.s) }

func (c *chainer) fail(why string, spans ...int32) bool {
	w := &witness{why: why}
	for _, i := range spans {
		for i >= 0 && !slices.Contains(w.spans, int(i)) {
			w.spans = append(w.spans, int(i))
			if !c.part[i].open() {
				break
			}
			i = c.because[i] // it is known to have happened
		}
	}
	c.found = w
	return false
}

// source is the update that put v, or origin.
func (c *chainer) source(v string) (i int32, ok bool) {
	if v == c.initial {
		return origin, true
	}
	i, ok = c.put[v]
	return i, ok
}

// depend finds the updates that happened: those known to, and those on whose
// value one that happened depends.
func (c *chainer) depend() bool {
	c.needed, c.because = make([]bool, len(c.part)), make([]int32, len(c.part))
	var todo []int32
	need := func(i, by int32) {
		if i != origin && !c.needed[i] {
			c.needed[i], c.because[i] = true, by
			c.updates++
			todo = append(todo, i)
		}
	}
	for i, s := range c.part {
		if s.open() {
			continue
		}
		if s.call.kind == registerRead {
			from, ok := c.source(s.call.val)
			if !ok {
				return c.fail(fmt.Sprintf("%s, which nobody wrote", c.told(int32(i))), int32(i))
			}
			need(from, int32(i))
		} else {
			need(int32(i), origin)
		}
		for len(todo) > 0 {
			u := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if call := c.part[u].call; call.kind == registerCAS {
				from, ok := c.source(call.old)
				if !ok {
					return c.fail(fmt.Sprintf("%s, but nobody wrote %s", c.told(u), call.old), u)
				}
				need(from, u)
			}
		}
	}
	return true
}

// link binds each update to the readers of its value and to the cas that
// replaced it.
func (c *chainer) link() bool {
	n := len(c.part)
	c.first, c.next, c.more = make([]int32, n+1), make([]int32, n+1), make([]int32, n)
	for i := range c.first {
		c.first[i], c.next[i] = origin, origin
	}
	for i := n - 1; i >= 0; i-- {
		if call := c.part[i].call; call.kind == registerRead {
			from, _ := c.source(call.val)
			c.more[i], c.first[from+1] = c.first[from+1], int32(i)
		}
	}
	for i, s := range c.part {
		if s.call.kind != registerCAS || !c.needed[i] {
			continue
		}
		from, _ := c.source(s.call.old)
		if other := c.next[from+1]; other != origin {
			return c.fail(fmt.Sprintf("%s and %s: both found %s, which was there once", c.told(other), c.told(int32(i)), s.call.old),
				from, other, int32(i))
		}
		c.next[from+1] = int32(i)
	}
	return true
}

// walk goes along every chain and takes its zone.
func (c *chainer) walk() bool {
	visited := 0
	for head := int32(origin); head < int32(len(c.part)); head++ {
		if head != origin && (!c.needed[head] || c.part[head].call.kind != registerWrite) {
			continue
		}
		z := zone{head: head, f: never, s: -1, fOp: origin, sOp: origin}
		if head == origin {
			z.f = -1
		}
		latest, latestOp := -1, int32(origin) // last begin in earlier links
		for u := head; ; u = c.next[u+1] {
			if u != origin {
				visited++
				if !c.take(&z, u, latest, latestOp) {
					return false
				}
				if c.part[u].begin > latest {
					latest, latestOp = c.part[u].begin, u
				}
			}
			before, beforeOp := latest, latestOp
			for r := c.first[u+1]; r != origin; r = c.more[r] {
				if !c.take(&z, r, before, beforeOp) {
					return false
				}
				if c.part[r].begin > latest {
					latest, latestOp = c.part[r].begin, r
				}
			}
			if c.next[u+1] == origin {
				break
			}
		}
		if z.sOp != origin {
			z.forward = z.f < z.s
			c.zones = append(c.zones, z)
		}
	}
	if visited == c.updates {
		return true
	}
	return c.circle()
}

// circle names a circle of cas, none of which could be the first. walk did not
// come to it.
func (c *chainer) circle() bool {
	reached := make([]bool, len(c.part))
	for head := int32(origin); head < int32(len(c.part)); head++ {
		if head == origin || c.part[head].call.kind == registerWrite {
			for u := head; ; u = c.next[u+1] {
				if u != origin {
					reached[u] = true
				}
				if c.next[u+1] == origin {
					break
				}
			}
		}
	}
	for i := range c.part {
		if !c.needed[i] || reached[i] {
			continue
		}
		ring := []int32{int32(i)}
		for u := c.next[i+1]; u != origin && !slices.Contains(ring, u); u = c.next[u+1] {
			ring = append(ring, u)
		}
		return c.fail(fmt.Sprintf("%s: the value it expects was put, in the end, by itself: none of the %d cas of the circle can be the first",
			c.told(int32(i)), len(ring)), ring...)
	}
	return true
}

// take counts call i to the zone, unless it ended before one that it follows
// began.
func (c *chainer) take(z *zone, i int32, latest int, latestOp int32) bool {
	s := c.part[i]
	if s.end < latest {
		return c.fail(fmt.Sprintf("%s, and had ended before %s began, on which that depends", c.told(i), c.named(latestOp)), latestOp, i)
	}
	if s.end < z.f {
		z.f, z.fOp = s.end, i
	}
	if s.begin > z.s {
		z.s, z.sOp = s.begin, i
	}
	return true
}

// order looks for two chains that cannot be put in order, the ones whose last
// call comes earliest.
func (c *chainer) order() {
	slices.SortFunc(c.zones, func(a, b zone) int { return cmp.Compare(a.lo(), b.lo()) })
	best := never
	var a, b zone // a is forward; b is inside it, or meets it
	var until zone
	for _, z := range c.zones {
		hi := max(z.f, z.s)
		if until.forward && (z.forward && z.lo() < until.s || !z.forward && hi < until.s) {
			if last := max(hi, until.s); last < best {
				best, a, b = last, until, z
			}
		}
		if z.forward && (!until.forward || z.s > until.s) {
			until = z
		}
	}
	if best == never {
		return
	}
	if b.forward && b.s > a.s { // tell first of the chain that lasts longer
		a, b = b, a
	}
	c.explain(a, b)
}

// explain tells why chain b cannot be put before or after chain a, which was
// there before and after.
func (c *chainer) explain(a, b zone) {
	spans := []int32{c.source1(a), b.head, a.fOp, b.fOp, b.sOp, a.sOp}
	if b.head == origin {
		spans = []int32{c.source1(a), a.fOp, b.fOp, b.sOp, a.sOp}
	}
	last := c.told(a.sOp)
	if from := c.source1(a); from != origin && from != a.sOp {
		last += fmt.Sprintf(", put by %s", c.named(from))
	} else if from == origin {
		last += ", the initial value"
	}
	var why string
	switch {
	case !b.forward && b.fOp == b.sOp && a.fOp == origin:
		why = fmt.Sprintf("%s, but %s before it began", last, c.told(b.fOp))
	case !b.forward && b.fOp == b.sOp:
		why = fmt.Sprintf("%s, but %s before it began and after %s had ended", last, c.told(b.fOp), c.named(a.fOp))
	case !b.forward:
		why = fmt.Sprintf("%s, but in between the value was another: %s and had ended before that began, %s and began after %s had ended",
			last, c.told(b.fOp), c.told(b.sOp), c.initially(a.fOp))
	default:
		why = fmt.Sprintf("%s, so that value was there at least from %s to %s; but %s, whose value was there at least from %s to %s: neither can come before the other",
			last, c.initially(a.fOp), c.named(a.sOp), c.told(b.sOp), c.initially(b.fOp), c.named(b.sOp))
	}
	c.fail(why, spans...)
}

// source1 is the update that put the value which the last call of the chain
// saw: its own, if that was a write.
func (c *chainer) source1(z zone) int32 {
	call := c.part[z.sOp].call
	v := call.val
	if call.kind == registerCAS {
		v = call.old
	}
	from, _ := c.source(v)
	return from
}

// named is "op 7".
func (c *chainer) named(i int32) string { return fmt.Sprintf("op %d", c.part[i].op()) }

func (c *chainer) initially(i int32) string {
	if i == origin {
		return "the beginning"
	}
	return c.named(i)
}

// told is "op 7 (process 3) read 5".
func (c *chainer) told(i int32) string {
	s := c.part[i]
	verb := "wrote " + s.call.val
	switch s.call.kind {
	case registerRead:
		verb = "read " + s.call.val
	case registerCAS:
		verb = "swapped " + s.call.old + " for " + s.call.val
	}
	if s.open() {
		verb += fmt.Sprintf(", as op %d shows,", c.part[c.because[i]].op())
	}
	return fmt.Sprintf("op %d (process %s) %s", s.op(), s.process, verb)
}
