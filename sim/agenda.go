package sim

import "github.com/torture-harness/torture/histories"

// agenda is what is going to happen, by time; of two events at one time the
// one scheduled first comes first. It is a 4-ary heap of small keys over a
// slab of events, since events are large and heaps move what they hold.
type agenda struct {
	heap []slot
	slab []event
	free []int32
	seq  uint64
}

type slot struct {
	at  histories.Time
	seq uint64
	i   int32
}

func (a slot) before(b slot) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// next tells when the first event is due.
func (a *agenda) next() (histories.Time, bool) {
	if len(a.heap) == 0 {
		return 0, false
	}
	return a.heap[0].at, true
}

func (a *agenda) push(at histories.Time, ev event) {
	var i int32
	if n := len(a.free); n > 0 {
		i, a.free = a.free[n-1], a.free[:n-1]
		a.slab[i] = ev
	} else {
		i = int32(len(a.slab))
		a.slab = append(a.slab, ev)
	}
	a.heap = append(a.heap, slot{at, a.seq, i})
	a.seq++
	a.up(len(a.heap) - 1)
}

func (a *agenda) pop() (histories.Time, event) {
	top := a.heap[0]
	n := len(a.heap) - 1
	a.heap[0] = a.heap[n]
	a.heap = a.heap[:n]
	if n > 1 {
		a.down(0)
	}
	ev := a.slab[top.i]
	a.slab[top.i] = event{}
	a.free = append(a.free, top.i)
	return top.at, ev
}

func (a *agenda) up(i int) {
	s := a.heap[i]
	for i > 0 {
		p := (i - 1) / 4
		if !s.before(a.heap[p]) {
			break
		}
		a.heap[i] = a.heap[p]
		i = p
	}
	a.heap[i] = s
}

func (a *agenda) down(i int) {
	s, n := a.heap[i], len(a.heap)
	for {
		c := 4*i + 1
		if c >= n {
			break
		}
		least := c
		for k := c + 1; k < min(c+4, n); k++ {
			if a.heap[k].before(a.heap[least]) {
				least = k
			}
		}
		if !a.heap[least].before(s) {
			break
		}
		a.heap[i] = a.heap[least]
		i = least
	}
	a.heap[i] = s
}
