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

// SetFull checks a set to which unique elements are added, add v, and which is
// read as a whole all the time. Of every element it finds when it was first
// known to be there, by the end of its add or by a read, and what reads showed
// of it from then on:
//
//	lost        in the last reads it was missing
//	stale       it was missing for a while, and then there for good
//	duplicated  a read returned it twice
//	revived     its add failed, and a read returned it all the same
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
		s, err := readSet(h)
		if err != nil {
			return unknown("set-full", err)
		}
		if !o.Linearizable {
			f.permit("stale")
		}
		t := timelines{findings: f, setHistory: s, h: h, settles: o.Settles}
		if o.Settles && !slices.ContainsFunc(s.reads, func(r setRead) bool { return h.Final(r.begin) }) {
			f.skipped("lost elements: there was no final read")
		}
		t.content()
		t.last()
		stable := t.judge()
		r := f.result("")
		if stable == 0 {
			r.vacuous("no element was seen to stay")
		}
		return r
	})
}

const noRead = -1

type timelines struct {
	*findings
	setHistory
	h       histories.History
	settles bool
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
	unexpected, revived := map[int32]bool{}, map[int32]bool{}
	for _, r := range t.reads {
		seen.empty(len(t.ids.texts))
		for _, id := range r.ids {
			switch {
			case seen.has(id):
				t.addf("duplicated", []int{r.end}, "op %d read %s twice", r.end, t.ids.texts[id])
			case t.place[id] < 0 || t.adds[id].begin > r.end:
				if !unexpected[id] {
					t.addf("unexpected", []int{r.end}, "op %d read %s, which nobody had added", r.end, t.ids.texts[id])
				}
				unexpected[id] = true
			case t.adds[id].outcome == histories.Fail:
				if !revived[id] {
					t.addf("revived", []int{t.adds[id].end, r.end}, "op %d read %s, whose add had failed in op %d", r.end, t.ids.texts[id], t.adds[id].end)
				}
				revived[id] = true
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

// judge tells the fate of every element, and returns how many stayed.
func (t *timelines) judge() (stable int) {
	var stableLatency, lostLatency []int64
	lost, stale, unread, flickers := 0, 0, 0, 0
	begin := func(read int) int {
		if read == noRead {
			return noRead
		}
		return t.reads[read].begin
	}
	for i, id := range t.order {
		flickers += t.flicker[i]
		there, gone := begin(t.present[i]), begin(t.absent[i])
		known := t.known[i]
		name := t.ids.texts[id]
		switch {
		case there != noRead && gone < there:
			stable++
			latency := t.latency(gone, known)
			if stableLatency = append(stableLatency, latency); latency == 0 {
				continue
			}
			stale++
			t.addf("stale", []int{known, t.reads[t.absent[i]].end}, "%s was known to be there (op %d) and missing from a later read, op %d", name, known, t.reads[t.absent[i]].end)
		case known != never && gone != noRead && there < gone && known < gone && (!t.settles || t.h.Final(gone)):
			lost++
			lostLatency = append(lostLatency, t.latency(there, known))
			t.addf("lost", []int{known, t.reads[t.absent[i]].end}, "%s was known to be there (op %d) and missing from op %d and all reads begun after it", name, known, t.reads[t.absent[i]].end)
		default:
			unread++
		}
	}
	t.stats["elements"], t.stats["reads"] = len(t.order), len(t.reads)
	t.stats["stable"], t.stats["stale"], t.stats["lost"], t.stats["never-read"], t.stats["flickers"] = stable, stale, lost, unread, flickers
	for name, latencies := range map[string][]int64{"stable-latency-ns": stableLatency, "lost-latency-ns": lostLatency} {
		if len(latencies) > 0 {
			slices.Sort(latencies)
			t.stats[name] = map[string]int64{
				"0": latencies[0], "0.5": quantile(latencies, 0.5), "0.95": quantile(latencies, 0.95), "0.99": quantile(latencies, 0.99), "1": quantile(latencies, 1),
			}
		}
	}
	return stable
}

// latency is the time from op known to the begin of a read, if that is later.
func (t *timelines) latency(read, known int) int64 {
	if read < known {
		return 0
	}
	return int64(t.h.Time(read)-t.h.Time(known)) + 1
}
