package generators

import (
	"iter"
	"math/bits"
	"slices"
)

// threads is a set of threads, one bit each. Sets that are combined have the
// same length.
type threads []uint64

func (s threads) has(i int) bool { return i>>6 < len(s) && s[i>>6]>>(i&63)&1 == 1 }

// set adds i, in place: for whoever is just making s.
func (s threads) set(i int) { s[i>>6] |= 1 << (i & 63) }

// with is s with i in it, or without; s is left alone.
func (s threads) with(i int, in bool) threads {
	if s.has(i) == in {
		return s
	}
	c := slices.Clone(s)
	c[i>>6] ^= 1 << (i & 63)
	return c
}

// countAnd is the number of threads in both s and t.
func (s threads) countAnd(t threads) (n int) {
	for j, w := range s {
		n += bits.OnesCount64(w & t[j])
	}
	return n
}

// selectAnd returns the k-th thread, from 0, that is in both s and t.
func (s threads) selectAnd(t threads, k int) int {
	for j, w := range s {
		w &= t[j]
		n := bits.OnesCount64(w)
		if k >= n {
			k -= n
			continue
		}
		for ; k > 0; k-- {
			w &= w - 1
		}
		return j<<6 + bits.TrailingZeros64(w)
	}
	panic("generators: fewer threads than counted")
}

// all ranges over s in order.
func (s threads) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for j, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(j<<6 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// from ranges over s in order, beginning with the k-th and going round.
func (s threads) from(k int) iter.Seq[int] {
	return func(yield func(int) bool) {
		j := 0
		for i := range s.all() {
			if j >= k && !yield(i) {
				return
			}
			j++
		}
		j = 0
		for i := range s.all() {
			if j == k || !yield(i) {
				return
			}
			j++
		}
	}
}
