//go:build linux

package agent

import (
	"container/heap"
	"math/rand/v2"
)

// pacer decides when a packet may go on. Times are in ns of one clock. What it
// has for a peer holds for packets from or to its address; for the zero address,
// for all.
type pacer struct {
	hold  []holding
	lines []line
	rand  *rand.Rand
}

type holding struct {
	peer [4]byte
	Hold
}

// line is a narrow line: a packet goes through it when those before it have.
type line struct {
	peer [4]byte
	rate int64 // bytes per second
	free int64 // when the line is free again
}

// release is when a packet of size bytes, from or to peer, that came at now goes
// on. It is not ok to wait: the packet is to be dropped.
func (p *pacer) release(now int64, size int, peer [4]byte) (at int64, ok bool) {
	at = now
	for _, h := range p.hold {
		if !about(h.peer, peer) || h.Probability < 1 && p.rand.Float64() >= h.Probability {
			continue
		}
		at += int64(h.Delay)
		if h.Jitter > 0 {
			at += p.rand.Int64N(2*int64(h.Jitter)+1) - int64(h.Jitter)
		}
	}
	for _, l := range p.lines { // what is dropped takes no line's time
		if about(l.peer, peer) && l.free-at > int64(Backlog(l.rate)) {
			return 0, false
		}
	}
	for i := range p.lines {
		l := &p.lines[i]
		if !about(l.peer, peer) {
			continue
		}
		// A packet is through when its last byte is: even a single one takes
		// its time.
		l.free = max(l.free, at) + int64(float64(size)/float64(l.rate)*1e9)
		at = l.free
	}
	return at, true
}

// about tells whether what is said of one address holds for a packet of another.
func about(said, peer [4]byte) bool { return said == [4]byte{} || said == peer }

// after has p go on where before is: what waits on a line is ahead of what comes.
func (p *pacer) after(before *pacer) {
	for i := range p.lines {
		for _, l := range before.lines {
			if l.peer == p.lines[i].peer {
				p.lines[i].free = l.free
			}
		}
	}
}

// A parcel is a packet of the kernel's that waits for its time.
type parcel struct {
	at  int64
	seq uint64 // of arrival, among those of one time
	id  uint32 // the kernel's
}

// parcels is a heap by time.
type parcels []parcel

var _ heap.Interface = (*parcels)(nil)

func (h parcels) Len() int { return len(h) }
func (h parcels) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h parcels) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is heap.Interface's.
func (h *parcels) Push(x any) { *h = append(*h, x.(parcel)) }

// Pop is heap.Interface's.
func (h *parcels) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
