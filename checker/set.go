package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/torture-harness/torture/histories"
)

// Set checks sets to which elements are added, add v, by their last successful
// read, which returns all of them; one set for each key. It finds
//
//	lost        an element whose add succeeded is not there
//	revived     an element whose adds all failed is
//	unexpected  an element that nobody added is
//	never-read  there is no successful read: the verdict is Vacuous
//
// Elements of adds of unknown outcome may be there, and are then counted as
// recovered. An add may be tried again. Other operations than add and read are
// not looked at. This is Jepsen's checker set, which takes revived elements for
// good ones.
func Set() Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		f := find("set")
		sets, err := readSets(f, h)
		if err != nil {
			return unknown("set", err)
		}
		f.looked("the last read of each set against all adds")
		attempts, acknowledged, recovered, read := 0, 0, 0, 0
		for _, s := range sets {
			f.key = s.key
			attempts += len(s.adds)
			for id := range s.failed {
				if _, perhaps := s.adds[id]; !perhaps {
					attempts++
				}
			}
			if len(s.reads) == 0 {
				f.empty("never-read", "no read succeeded, so that nobody knows what the set held in the end")
				continue
			}
			last := s.reads[len(s.reads)-1]
			read += len(last.ids)
			var seen marks
			seen.empty(len(s.ids.texts))
			for _, id := range last.ids {
				a, known := s.adds[id]
				switch {
				case !known || a.begin > last.end:
					s.intruder(f, id, last)
				case a.outcome == histories.Info && !seen.has(id):
					recovered++
				}
				seen.set(id)
			}
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
		}
		f.stats["attempts"], f.stats["acknowledged"], f.stats["recovered"], f.stats["read"] = attempts, acknowledged, recovered, read
		r := f.result("")
		if attempts == 0 {
			r.vacuous("nothing was added")
		}
		return r
	})
}

// setHistory is what a history tells of one set.
type setHistory struct {
	key    string // of the set, as people know it
	ids    dictionary
	order  []int32 // elements that were perhaps added, by the begin of that
	adds   map[int32]setAdd
	failed map[int32]setAdd // the first add of an element that had no effect
	reads  []setRead        // successful ones, in the order of their completions
}

// setAdd is the addition of an element: all its adds that did not fail. It has
// the begin of the first, and is known to have happened from the first end on
// of one that succeeded.
type setAdd struct {
	begin, end int
	outcome    histories.Type
}

type setRead struct {
	begin, end int
	ids        []int32
}

// tried tells whether an add of the element had begun, and failed, when r ended.
func (s *setHistory) tried(id int32, r setRead) bool {
	a, failed := s.failed[id]
	return failed && a.begin < r.end
}

// intruder reports an element that a read returned and that nobody had added.
func (s *setHistory) intruder(f *findings, id int32, r setRead) {
	if a := s.failed[id]; s.tried(id, r) {
		f.addf("revived", []int{a.end, r.end}, "op %d read %s, whose add had failed in op %d", r.end, s.ids.texts[id], a.end)
		return
	}
	f.addf("unexpected", []int{r.end}, "op %d read %s, which nobody had added", r.end, s.ids.texts[id])
}

func (s *setHistory) add(id int32, a setAdd) {
	if a.outcome == histories.Fail {
		if _, before := s.failed[id]; !before {
			s.failed[id] = a
		}
		return
	}
	before, again := s.adds[id]
	switch {
	case !again:
		s.order = append(s.order, id)
	case before.outcome != histories.OK:
		a.begin = before.begin
	case a.outcome == histories.OK && a.end < before.end:
		a.begin = before.begin
	default:
		return
	}
	s.adds[id] = a
}

// readSets reads what a history tells of sets, in the order of their first
// calls. At least one set is returned.
func readSets(f *findings, h histories.History) ([]*setHistory, error) {
	byKey := map[int]*setHistory{}
	var sets []*setHistory
	others := map[string]bool{}
	var err error
	eachCall(h, func(begin, end int, outcome histories.Type) {
		name := h.F(begin)
		if name != "add" && name != "read" {
			others[name] = true
		}
		if err != nil || name != "add" && name != "read" {
			return
		}
		s := byKey[h.KeyID(begin)]
		if s == nil {
			s = &setHistory{key: keyName(string(h.Key(begin))), adds: map[int32]setAdd{}, failed: map[int32]setAdd{}}
			byKey[h.KeyID(begin)] = s
			sets = append(sets, s)
		}
		switch {
		case name == "add":
			s.add(s.ids.of([]byte(text(h.Value(begin)))), setAdd{begin, end, outcome})
		case outcome == histories.OK:
			r := setRead{begin: begin, end: end}
			if raw := h.Value(end); !null(raw) && !elements(raw, func(e []byte) { r.ids = append(r.ids, s.ids.of([]byte(text(e)))) }) {
				err = fmt.Errorf("op %d (read): value %.80s: want a list of elements", end, raw)
			}
			s.reads = append(s.reads, r)
		}
	})
	if len(sets) == 0 {
		sets = append(sets, &setHistory{})
	}
	for _, s := range sets {
		slices.SortFunc(s.reads, func(a, b setRead) int { return cmp.Compare(a.end, b.end) })
	}
	if len(others) > 0 {
		f.skipped("operations that are no set's: " + strings.Join(sortedKeys(others), ", "))
	}
	return sets, err
}
