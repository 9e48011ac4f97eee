package checker

import (
	"fmt"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// listTxn is what one transaction did to one list.
type listTxn struct {
	begin, end int
	process    histories.Process
	appends    []int32 // its elements, in its order
	reads      bool    // it read the list
	version    []int32 // what the list held before it, if it read that
	view       []int32 // what the transaction must find there now, if it read
	own        int     // how many of appends come before the present operation
}

// within follows a transaction that succeeded through one of its operations on
// a list: what it finds there is what it found before and its own appends, in
// their order. read is nil of an append.
func (a *appends) within(name string, l *appendList, t *listTxn, read *listRead) {
	if read == nil {
		t.view = append(t.view, t.appends[t.own])
		t.own++
		return
	}
	internal := func(format string, args ...any) {
		a.add(Anomaly{Kind: "internal", Key: name, Ops: []int{read.end}, Why: fmt.Sprintf("op %d read list %s", read.end, name) + fmt.Sprintf(format, args...)})
	}
	own := t.appends[:t.own]
	for _, id := range t.appends[t.own:] {
		if slices.Contains(read.ids, id) {
			internal(" with %s, which it appended only afterwards", l.ids.texts[id])
			return
		}
	}
	switch before := len(read.ids) - len(own); {
	case t.reads && !slices.Equal(read.ids, t.view):
		internal(" as %s, though what it had read and appended before make it %s", l.told(read.ids), l.told(t.view))
	case !t.reads && (before < 0 || !slices.Equal(read.ids[before:], own)):
		internal(" as %s, which does not end with %s, what it had appended before", l.told(read.ids), l.told(own))
	case !t.reads:
		t.reads, t.version, t.view = true, read.ids[:before], slices.Clone(read.ids)
	}
}

// told is a list in words, the end of a long one alone.
func (l *appendList) told(ids []int32) string {
	s := "["
	if n := len(ids); n > 8 {
		s, ids = "[… ", ids[n-8:]
	}
	for i, id := range ids {
		if i > 0 {
			s += " "
		}
		s += l.ids.texts[id]
	}
	return s + "]"
}

// atomic: what a transaction does to a list, it does at one moment. Its
// appends lie together, nobody sees some of them and not the others, and
// nothing lies between what it read and what it appended.
func (a *appends) atomic(name string, l *appendList, longest listRead) {
	place := make([]int, len(l.ids.texts)) // 1 + place in the longest read
	for i, id := range longest.ids {
		if place[id] == 0 {
			place[id] = i + 1
		}
	}
	first := map[int]*listTxn{} // of a length, the first that read so much and appended to it
	for _, t := range l.txns {
		a.together(name, l, t, longest, place)
		if !t.reads || len(t.appends) == 0 {
			continue
		}
		other := first[len(t.version)]
		if other != nil && slices.Equal(other.version, t.version) {
			a.add(Anomaly{Kind: "lost-update", Key: name, Ops: []int{other.end, t.end}, Why: fmt.Sprintf("op %d and op %d both read list %s as %s and appended to it, %s and %s",
				other.end, t.end, name, l.told(t.version), l.ids.texts[other.appends[0]], l.ids.texts[t.appends[0]])})
			continue
		}
		first[len(t.version)] = t
		a.updates(name, l, t, longest, place)
	}
	for _, r := range l.reads {
		if len(r.ids) == 0 {
			continue
		}
		last := r.ids[len(r.ids)-1]
		t := l.by[last]
		if t == nil || t.begin == r.begin || t.appends[len(t.appends)-1] == last {
			continue
		}
		i := slices.Index(t.appends, last)
		if slices.Contains(r.ids, t.appends[i+1]) {
			continue // in another order
		}
		a.add(Anomaly{Kind: "G1b", Key: name, Ops: []int{r.end, t.op()}, Why: fmt.Sprintf("op %d read list %s with %s at its end, and without %s, which op %d appended in the same transaction",
			r.end, name, l.ids.texts[last], l.ids.texts[t.appends[i+1]], t.op())})
	}
}

// op is the index by which people are told of t.
func (t *listTxn) op() int {
	if t.end == never {
		return t.begin
	}
	return t.end
}

// together: behind an element of t lies the next one.
func (a *appends) together(name string, l *appendList, t *listTxn, longest listRead, place []int) {
	for i, id := range t.appends[:max(len(t.appends)-1, 0)] {
		next := t.appends[i+1]
		at := place[id] // of the element behind
		if at > 0 && place[next] > 0 && place[next] < at {
			a.add(Anomaly{Kind: "internal", Key: name, Ops: []int{t.op(), longest.end}, Why: fmt.Sprintf("op %d appended %s to list %s and then %s, but op %d shows them the other way round",
				t.op(), l.ids.texts[id], name, l.ids.texts[next], longest.end)})
			return
		}
		if at == 0 && place[next] > 0 {
			a.add(Anomaly{Kind: "G1b", Key: name, Ops: []int{longest.end, t.op()}, Why: fmt.Sprintf("op %d read list %s with %s, and without %s, which op %d appended before that in the same transaction",
				longest.end, name, l.ids.texts[next], l.ids.texts[id], t.op())})
			return
		}
		if at == 0 || at >= len(longest.ids) || longest.ids[at] == next {
			continue
		}
		found := longest.ids[at]
		if l.by[found] == t {
			continue // the order of its own is another matter
		}
		if other := l.by[found]; other != nil {
			a.add(Anomaly{Kind: "G0", Key: name, Ops: []int{t.op(), longest.end, other.op()}, Why: fmt.Sprintf("op %d appended %s and %s to list %s, but op %d shows %s between them, which op %d appended",
				t.op(), l.ids.texts[id], l.ids.texts[next], name, longest.end, l.ids.texts[found], other.op())})
		}
		return
	}
}

// updates: behind what t had read lies the first element that it appended.
func (a *appends) updates(name string, l *appendList, t *listTxn, longest listRead, place []int) {
	n := len(t.version)
	at := place[t.appends[0]] // 0: it lies behind all that is shown
	if n >= len(longest.ids) || at > 0 && at <= n+1 || diverge(t.version, longest.ids) < n {
		return // it may be right, or other anomalies tell of it
	}
	found := longest.ids[n]
	other := l.by[found]
	if other == nil || other == t || other.reads && len(other.version) == n {
		return // likewise
	}
	a.add(Anomaly{Kind: "G-single-item", Key: name, Ops: []int{t.end, longest.end, other.op()}, Why: fmt.Sprintf("op %d read list %s as %s and appended %s, but op %d shows %s before that, which op %d had appended",
		t.end, name, l.told(t.version), l.ids.texts[t.appends[0]], longest.end, l.ids.texts[found], other.op())})
}

// across looks for a transaction over several lists that was open at the same
// time as another. Where there is none, a cycle through several lists would be
// one through a single list: of two transactions one had ended before the other
// began, and each list is in the order of time.
func (a *appends) across() (op int, found bool) {
	lastAny, lastSeveral := -1, -1 // ends of what began before
	for _, t := range a.txns {     // in the order of their begins
		if t.begin < lastSeveral || t.several && t.begin < lastAny {
			return t.begin, true
		}
		lastAny = max(lastAny, t.end)
		if t.several {
			lastSeveral = max(lastSeveral, t.end)
		}
	}
	return 0, false
}

// appendTxn is a transaction that may have taken effect.
type appendTxn struct {
	begin, end int
	several    bool // it is about more than one list
}
