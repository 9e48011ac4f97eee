//go:build linux

package agent

import (
	"container/heap"
	"math/rand/v2"
)

// pacer decides when a packet may go on. Times are in ns of one clock.
type pacer struct {
	hold []Hold
	rate int64 // bytes per second; 0 is no bound
	free int64 // when the line is free again, with rate
	rand *rand.Rand
}

// release is when a packet of size bytes that came at now goes on. It is not
// ok to wait: the packet is to be dropped.
func (p *pacer) release(now int64, size int) (at int64, ok bool) {
	at = now
	for _, h := range p.hold {
		if h.Probability < 1 && p.rand.Float64() >= h.Probability {
			continue
		}
		at += int64(h.Delay)
		if h.Jitter > 0 {
			at += p.rand.Int64N(2*int64(h.Jitter)+1) - int64(h.Jitter)
		}
	}
	if p.rate > 0 {
		// A packet is through when its last byte is: even a single one takes
		// its time.
		if p.free-at > int64(Backlog(p.rate)) {
			return 0, false
		}
		p.free = max(p.free, at) + int64(float64(size)/float64(p.rate)*1e9)
		at = p.free
	}
	return at, true
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
