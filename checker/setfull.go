package checker

import (
	"cmp"
	"context"
	"math/bits"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// SetFullOptions say what was promised.
type SetFullOptions struct {
	// Linearizable sets show an element in every read that begins after it is
	// known to be there. Otherwise it may take a while.
	Linearizable bool `json:"linearizable,omitempty"`
	// Settles says that a set may lag for as long as faults do, and shows all
	// its elements in reads that are marked final: only from these is an element
	// lost. In a history that was cut short, without any, none is.
	Settles bool `json:"settles,omitempty"`
}

// SetFull checks sets to which elements are added, add v, and which are read as
// a whole all the time; one set for each key. Of every element it finds when it was first
// known to be there, by the end of its add or by a read, and what reads showed
// of it from then on:
//
//	lost        in the last reads it was missing
//	stale       it was missing for a while, and then there for good
//	duplicated  a read returned it twice
//	revived     its adds failed, and a read returned it all the same
//	unexpected  nobody added it
//
// Stale elements make the history invalid if it was promised to be
// linearizable. Nothing is there for good in a history without such an
// element: the verdict is Vacuous. This is Jepsen's checker set-full, whose
// test for duplicates never fires, and which takes revived elements for good
// ones.
func SetFull(o SetFullOptions) Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		f := find("set-full")
		sets, err := readSets(f, h)
		if err != nil {
			return unknown("set-full", err)
		}
		f.looked("every read of each set against all adds")
		if !o.Linearizable {
			f.permit("stale")
		}
		var sum fates
		for _, s := range sets {
			f.key = s.key
			t := timelines{findings: f, setHistory: *s, h: h, settles: o.Settles, fates: &sum}
			if o.Settles && !slices.ContainsFunc(s.reads, func(r setRead) bool { return h.Final(r.begin) }) {
				f.skipped(object(s.key) + "lost elements: there was no final read")
			}
			t.content()
			t.last()
			t.judge()
		}
		sum.tell(f.stats)
		r := f.result("")
		if sum.stable == 0 {
			r.vacuous("no element was seen to stay")
		}
		return r
	})
}

const noRead = -1

// fates counts what became of elements.
type fates struct {
	elements, readsAll                    int
	stable, stale, lost, unread, flickers int
	stableLatency, lostLatency            []int64
}

func (s *fates) tell(stats map[string]any) {
	stats["elements"], stats["reads"] = s.elements, s.readsAll
	stats["stable"], stats["stale"], stats["lost"], stats["never-read"], stats["flickers"] = s.stable, s.stale, s.lost, s.unread, s.flickers
	for name, latencies := range map[string][]int64{"stable-latency-ns": s.stableLatency, "lost-latency-ns": s.lostLatency} {
		if len(latencies) > 0 {
			slices.Sort(latencies)
			stats[name] = map[string]int64{
				"0": latencies[0], "0.5": Quantile(latencies, 0.5), "0.95": Quantile(latencies, 0.95), "0.99": Quantile(latencies, 0.99), "1": Quantile(latencies, 1),
			}
		}
	}
}

type timelines struct {
	*findings
	setHistory
	h       histories.History
	settles bool
	*fates
	place   []int32 // of an id, its place in order, or -1
	known   []int   // of a place, the op from which on the element was known; never if it was not
	present []int   // the last read, by begin, that showed it
	absent  []int   // the last read, by begin, that did not and could have
	flicker []int   // how often it was there and then was not
}

// content: elements were added, and are there once. It also finds by when each
// was known.
func (t *timelines) content() {
	n := len(t.order)
	t.place, t.known = make([]int32, len(t.ids.texts)), make([]int, n)
	for i := range t.place {
		t.place[i] = noRead
	}
	for i, id := range t.order {
		t.place[id], t.known[i] = int32(i), never
		if a := t.adds[id]; a.outcome == histories.OK {
			t.known[i] = a.end
		}
	}
	var seen marks
	type intruder struct {
		id    int32
		tried bool
	}
	told := map[intruder]bool{}
	for _, r := range t.reads {
		seen.empty(len(t.ids.texts))
		for _, id := range r.ids {
			switch {
			case seen.has(id):
				t.addf("duplicated", []int{r.end}, "op %d read %s twice", r.end, t.ids.texts[id])
			case t.place[id] < 0 || t.adds[id].begin > r.end:
				if i := (intruder{id, t.tried(id, r)}); !told[i] {
					t.intruder(t.findings, id, r)
					told[i] = true
				}
			case t.known[t.place[id]] > r.end:
				t.known[t.place[id]] = r.end
			}
			seen.set(id)
		}
	}
}

// last finds the last reads with and without each element, going through the
// reads from the last begun to the first, with a bit for each element.
func (t *timelines) last() {
	n := len(t.order)
	t.present, t.absent, t.flicker = make([]int, n), make([]int, n), make([]int, n)
	words := (n + 63) / 64
	noPresent, noAbsent := make([]uint64, words), make([]uint64, words)
	for i := range n {
		t.present[i], t.absent[i] = noRead, noRead
		noPresent[i/64] |= 1 << (i % 64)
	}
	copy(noAbsent, noPresent)
	byBegin := make([]int, len(t.reads))
	for i := range byBegin {
		byBegin[i] = i
	}
	slices.SortFunc(byBegin, func(a, b int) int { return cmp.Compare(t.reads[b].begin, t.reads[a].begin) })
	now, later := make([]uint64, words), make([]uint64, words)
	for nth, i := range byBegin {
		r := t.reads[i]
		clear(now)
		for _, id := range r.ids {
			if p := t.place[id]; p >= 0 {
				now[p/64] |= 1 << (p % 64)
			}
		}
		// The elements whose add had begun when the read ended are the first ones.
		added, _ := slices.BinarySearchFunc(t.order, r.end, func(id int32, end int) int { return cmp.Compare(t.adds[id].begin, end) })
		for w := range words {
			var could uint64
			switch rest := added - 64*w; {
			case rest >= 64:
				could = ^uint64(0)
			case rest > 0:
				could = 1<<rest - 1
			}
			now[w] &= could // what was read before it was added is another matter
			each(noPresent[w]&now[w], func(b int) { t.present[64*w+b] = i })
			each(noAbsent[w]&could&^now[w], func(b int) { t.absent[64*w+b] = i })
			noPresent[w] &^= now[w]
			noAbsent[w] &^= could &^ now[w]
			if nth > 0 {
				each(now[w]&^later[w], func(b int) { t.flicker[64*w+b]++ })
			}
		}
		now, later = later, now
	}
}

// each calls yield for every bit of w.
func each(w uint64, yield func(int)) {
	for ; w != 0; w &= w - 1 {
		yield(bits.TrailingZeros64(w))
	}
}

// judge tells the fate of every element.
func (t *timelines) judge() {
	begin := func(read int) int {
		if read == noRead {
			return noRead
		}
		return t.reads[read].begin
	}
	for i, id := range t.order {
		t.flickers += t.flicker[i]
		there, gone := begin(t.present[i]), begin(t.absent[i])
		known := t.known[i]
		name := t.ids.texts[id]
		switch {
		case there != noRead && gone < there:
			t.stable++
			latency := t.latency(gone, known)
			if t.stableLatency = append(t.stableLatency, latency); latency == 0 {
				continue
			}
			t.stale++
			t.addf("stale", []int{known, t.reads[t.absent[i]].end}, "%s was known to be there (op %d) and missing from a later read, op %d", name, known, t.reads[t.absent[i]].end)
		case known != never && gone != noRead && there < gone && known < gone && (!t.settles || t.h.Final(gone)):
			t.lost++
			t.lostLatency = append(t.lostLatency, t.latency(there, known))
			t.addf("lost", []int{known, t.reads[t.absent[i]].end}, "%s was known to be there (op %d) and missing from op %d and all reads begun after it", name, known, t.reads[t.absent[i]].end)
		default:
			t.unread++
		}
	}
	t.elements += len(t.order)
	t.readsAll += len(t.reads)
}

// latency is the time from op known to the begin of a read, if that is later.
func (t *timelines) latency(read, known int) int64 {
	if read < known {
		return 0
	}
	return int64(t.h.Time(read)-t.h.Time(known)) + 1
}
