package checker

import (
	"math/rand/v2"
	"testing"
)

// A table is a map, wherever its numbers lie.
func TestTableAgreesWithMap(t *testing.T) {
	random(t, 300, func(t *testing.T, r *rand.Rand) {
		var got table[int]
		want := map[uint64]int{}
		number := func() uint64 {
			if r.IntN(8) == 0 {
				return uint64(r.IntN(4 * tableGap))
			}
			return uint64(r.IntN(20))
		}
		for step := range 60 {
			switch i := number(); {
			case r.IntN(10) == 0:
				got.cut(i)
				for k := range want {
					if k > i {
						delete(want, k)
					}
				}
			default:
				got.put(i, step)
				want[i] = step
			}
			for _, i := range []uint64{number(), number(), tableGap, 3 * tableGap} {
				if got.get(i) != want[i] {
					t.Fatalf("step %d: %d is %d, want %d", step, i, got.get(i), want[i])
				}
			}
			if len(got.near) > 4*tableGap+1 {
				t.Fatalf("%d numbers kept near", len(got.near))
			}
		}
		for i := range uint64(4 * tableGap) {
			if got.get(i) != want[i] {
				t.Fatalf("%d is %d, want %d", i, got.get(i), want[i])
			}
		}
	})
	var far table[int]
	far.put(1<<62, 7)
	if len(far.near) > 0 || far.get(1<<62) != 7 {
		t.Errorf("a number far off takes %d places", len(far.near))
	}
}

// A Raft log is a map of what is on record, with a first and a last index.
func TestRaftLogAgreesWithMap(t *testing.T) {
	random(t, 500, func(t *testing.T, r *rand.Rand) {
		var got raftLog
		want := map[uint64]raftEntry{} // without the base
		begin, last := uint64(0), uint64(0)
		var base raftEntry
		forget := func(keep func(uint64) bool) {
			for k := range want {
				if !keep(k) {
					delete(want, k)
				}
			}
		}
		for step := range 60 {
			e := raftEntry{term: uint64(step), by: step + 1, chain: 5}
			switch r.IntN(6) {
			case 0, 1, 2:
				idx := last + 1 + uint64(r.IntN(3))
				if r.IntN(20) == 0 {
					idx += holesMax
					begin, base = idx-1, raftEntry{}
					forget(func(uint64) bool { return false })
				}
				got.put(idx, e)
				want[idx], last = e, idx
			case 3:
				idx := uint64(r.IntN(int(last) + 2))
				got.truncate(idx)
				forget(func(k uint64) bool { return k <= idx })
				last = max(begin, min(last, idx))
			case 4:
				if r.IntN(4) == 0 {
					begin, last, base = uint64(r.IntN(8)), 0, e
					got.reset(begin, e)
					base.by, last = 0, begin
					forget(func(uint64) bool { return false })
				}
			case 5:
				got.put(begin, e) // is in the base
			}
			if got.first() != begin+1 || got.last() != last {
				t.Fatalf("step %d: from %d to %d, want %d to %d", step, got.first(), got.last(), begin+1, last)
			}
			for k := range last + 3 {
				w := want[k]
				if k == begin {
					w = base
				}
				if got.at(k) != w {
					t.Fatalf("step %d: entry %d is %+v, want %+v", step, k, got.at(k), w)
				}
			}
		}
	})
}
