package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// Set checks a set to which unique elements are added, add v, by its last
// successful read, which returns all of them. It finds
//
//	lost        an element whose add succeeded is not there
//	revived     an element whose add failed is
//	unexpected  an element that nobody added is
//	never-read  there is no successful read: the verdict is Vacuous
//
// Elements of adds of unknown outcome may be there, and are then counted as
// recovered. This is Jepsen's checker set, which takes revived elements for
// good ones.
func Set() Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		f := find("set")
		s, err := readSet(h)
		if err != nil {
			return unknown("set", err)
		}
		if len(s.reads) == 0 {
			f.empty("never-read", "no read succeeded, so that nobody knows what the set held in the end")
			return f.result("")
		}
		last := s.reads[len(s.reads)-1]
		var seen marks
		seen.empty(len(s.ids.texts))
		recovered := 0
		for _, id := range last.ids {
			a, known := s.adds[id]
			switch {
			case !known || a.begin > last.end:
				f.addf("unexpected", []int{last.end}, "op %d read %s, which nobody had added", last.end, s.ids.texts[id])
			case a.outcome == histories.Fail:
				f.addf("revived", []int{a.end, last.end}, "op %d read %s, whose add had failed in op %d", last.end, s.ids.texts[id], a.end)
			case a.outcome != histories.OK && !seen.has(id):
				recovered++
			}
			seen.set(id)
		}
		acknowledged := 0
		for _, id := range s.order {
			a := s.adds[id]
			if a.outcome != histories.OK {
				continue
			}
			acknowledged++
			if !seen.has(id) && a.end < last.begin {
				f.addf("lost", []int{a.end, last.end}, "op %d added %s, and the last read, op %d, did not return it", a.end, s.ids.texts[id], last.end)
			}
		}
		f.stats["attempts"], f.stats["acknowledged"], f.stats["recovered"], f.stats["read"] = len(s.adds), acknowledged, recovered, len(last.ids)
		return f.result("")
	})
}

// setHistory is what a history tells of a set.
type setHistory struct {
	ids   dictionary
	order []int32 // elements in the order of their adds' invocations
	adds  map[int32]setAdd
	reads []setRead // successful ones, in the order of their completions
}

type setAdd struct {
	begin, end int
	outcome    histories.Type
}

type setRead struct {
	begin, end int
	ids        []int32
}

func readSet(h histories.History) (setHistory, error) {
	s := setHistory{adds: map[int32]setAdd{}}
	var err error
	first := -1
	eachCall(h, func(begin, end int, outcome histories.Type) {
		if err != nil {
			return
		}
		if first < 0 {
			first = begin
		}
		switch f := h.F(begin); {
		case h.KeyID(begin) != h.KeyID(first):
			err = fmt.Errorf("op %d has key %q, op %d had %q: want the calls of one set", begin, h.Key(begin), first, h.Key(first))
		case f == "add":
			id := s.ids.of([]byte(text(h.Value(begin))))
			if first, twice := s.adds[id]; twice {
				err = fmt.Errorf("op %d adds %s again, after op %d: elements must be unique", begin, h.Value(begin), first.begin)
				return
			}
			s.order = append(s.order, id)
			s.adds[id] = setAdd{begin, end, outcome}
		case f == "read" && outcome == histories.OK:
			r := setRead{begin: begin, end: end}
			if raw := h.Value(end); !null(raw) && !elements(raw, func(e []byte) { r.ids = append(r.ids, s.ids.of([]byte(text(e)))) }) {
				err = fmt.Errorf("op %d (read): value %.80s: want a list of elements", end, raw)
			}
			s.reads = append(s.reads, r)
		case f != "read":
			err = fmt.Errorf("op %d: f %q: a set has add and read", begin, f)
		}
	})
	slices.SortFunc(s.reads, func(a, b setRead) int { return cmp.Compare(a.end, b.end) })
	return s, err
}
