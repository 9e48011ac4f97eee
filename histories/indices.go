package histories

import (
	"cmp"
	"slices"
)

// indices are those that a file gives to its ops. They are the order of things
// where they are a numbering of all; where each process counts for itself they
// are none, and the place in the file is.
type indices struct {
	runs []indexRun
	back int // the first line that goes back, or 0
	from int64
	to   int64
}

// indexRun is a piece of the file in which each index is the one before and
// one.
type indexRun struct{ first, last int64 }

// take takes the index of the record in line n.
func (x *indices) take(n int, index int64) {
	if k := len(x.runs) - 1; k >= 0 {
		run := &x.runs[k]
		if index == run.last+1 {
			run.last = index
			return
		}
		if index <= run.last && x.back == 0 {
			x.back, x.from, x.to = n, run.last, index
		}
	}
	x.runs = append(x.runs, indexRun{index, index})
}

// result returns the first line that goes back, or 0. It fails if the index
// goes back and yet no two ops share one: then it is a numbering of all ops,
// and the file is in another order.
func (x *indices) result() (back int, err error) {
	if x.back == 0 {
		return 0, nil
	}
	slices.SortFunc(x.runs, func(a, b indexRun) int { return cmp.Compare(a.first, b.first) })
	for i, run := range x.runs[1:] {
		if run.first <= x.runs[i].last {
			return x.back, nil
		}
	}
	return x.back, badField("index", "got %d after %d, and no two ops have the same: it numbers them all, and the file is not in its order: sort the file by it, or leave it out if the file's own order is right", x.to, x.from)
}
