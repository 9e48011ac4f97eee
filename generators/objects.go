package generators

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
)

// objects are the keys of a workload. A key is given up for a fresh one after
// a number of operations, for the cost of checking a key's history grows
// faster than its length. The s-th key at first is s, the one that takes its
// place s+N, then s+2N, and so on.
type objects struct {
	dist   KeyDist
	perKey int // operations on a key; 0: no end
	slots  vector[slot]
	n      uint64 // choices so far
}

// slot is what is known of the key in one place of the distribution.
type slot struct {
	ops  int // operations on all keys of this place so far
	last int // what was last written to the present key; 0: nothing
}

// choose returns a key, and its place.
func (o *objects) choose(r *rand.Rand) (key, place int) {
	place = o.dist.Pick(int(o.n), r)
	return place + o.dist.N*o.generation(place), place
}

func (o *objects) generation(place int) int {
	if o.perKey <= 0 {
		return 0
	}
	return o.slots.at(place).ops / o.perKey
}

// last is what was last written to the present key of place; 0: nothing.
func (o *objects) last(place int) int {
	s := o.slots.at(place)
	if o.perKey > 0 && s.ops%o.perKey == 0 {
		return 0 // the key is fresh
	}
	return s.last
}

// used is o after an operation on the key of place that wrote, or 0 if it
// wrote nothing.
func (o objects) used(place, wrote int) objects {
	s := slot{o.slots.at(place).ops + 1, wrote}
	if wrote == 0 {
		s.last = o.last(place)
	}
	o.n++
	if o.perKey > 0 || s.last != o.slots.at(place).last {
		o.slots = o.slots.with(place, s)
	}
	return o
}

// keyName is key k as in Op.Key.
func keyName(k int) json.RawMessage {
	b := make([]byte, 0, 8)
	b = append(b, `"k`...)
	b = strconv.AppendInt(b, int64(k), 10)
	return append(b, '"')
}
