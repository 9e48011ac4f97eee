package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// Appends checks lists to which transactions append unique elements, one list
// at a time: txn [["append", key, element], ["r", key, list], …], as Jepsen's
// list-append has it. What it finds are anomalies of Adya's (G1a), of Elle's
// (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
// Observations", VLDB 14(3), 2020), and
//
//	lost-append  an element whose append succeeded is in no final read of the
//	             list that began later
//	G0-realtime  an element lies behind one whose append began when its own had
//	             ended
//	G1c-realtime a read shows an element whose append began when it had ended
//	G-single-item-realtime
//	             a read does not show an element whose append had succeeded, or
//	             that another read had shown, when the reader began: the reader
//	             comes before the one that appends the next element, that before
//	             the writer, and that before the reader
//
// or -process if both are of one process; and of transactions of several
// operations
//
//	internal     a transaction does not find what it found and appended before
//	G1b          a read shows some of what a transaction appended, and not the rest
//	G0           an element lies between two that one transaction appended
//	lost-update  two transactions read the same list and append to it
//	G-single-item
//	             an element lies between what a transaction read and what it
//	             appended
//
// These are all that can be wrong with one list under strict serializability.
// Cycles through several lists are not looked for.
func Appends(o AppendsOptions) Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		a := appends{findings: find("append"), h: h, lists: map[string]*appendList{}}
		if err := a.read(); err != nil {
			return unknown("append", err)
		}
		a.looked("each list: strict serializability")
		undecided := ""
		if op, found := a.across(); found {
			a.skipped("cycles over several lists")
			if !o.EachList {
				undecided = fmt.Sprintf("cycles over several lists are not looked for, and where transactions are over several and at the same time, as that of op %d, there may be some", op)
			}
		}
		reads := 0
		for _, key := range sortedKeys(a.lists) {
			reads += len(a.lists[key].reads)
			a.judge(key, a.lists[key])
		}
		a.stats["lists"], a.stats["reads"] = len(a.lists), reads
		r := a.result(undecided)
		if reads == 0 {
			r.vacuous("no list was read")
		}
		return r
	})
}

// AppendsOptions say what was promised.
type AppendsOptions struct {
	// EachList is strict-serializable, and no more was promised of several.
	EachList bool `json:"each-list,omitempty"`
}

type appends struct {
	*findings
	h     histories.History
	lists map[string]*appendList
	txns  []appendTxn // in the order of their invocations
}

type appendList struct {
	ids     dictionary
	writers map[int32]listWriter
	acked   []int32 // elements, in the order of their appends' completions
	reads   []listRead
	known   []listKnown // elements, in the order of by
	txns    []*listTxn
	by      map[int32]*listTxn // who appended an element, if it did not fail
}

// listKnown is the first op that shows that an element is in the list: the end
// of its append, or of a read.
type listKnown struct {
	id      int32
	by      int
	process histories.Process
}

type listWriter struct {
	begin, end int
	outcome    histories.Type
	process    histories.Process
}

type listRead struct {
	begin, end int
	process    histories.Process
	final      bool
	ids        []int32
	own        bool // the transaction appended to the list before
}

func (a *appends) list(key []byte) *appendList {
	l := a.lists[string(key)]
	if l == nil {
		l = &appendList{writers: map[int32]listWriter{}, by: map[int32]*listTxn{}}
		a.lists[string(key)] = l
	}
	return l
}

func (a *appends) read() (err error) {
	eachCall(a.h, func(begin, end int, outcome histories.Type) {
		if err == nil {
			err = a.txn(begin, end, outcome)
		}
	})
	for _, l := range a.lists {
		slices.SortFunc(l.acked, func(x, y int32) int { return cmp.Compare(l.writers[x].end, l.writers[y].end) })
	}
	return err
}

// txn takes the appends of an invocation and the reads of a success.
func (a *appends) txn(begin, end int, outcome histories.Type) (err error) {
	h := a.h
	if f := h.F(begin); f != "txn" {
		return fmt.Errorf("op %d: f %q: lists have txn", begin, f)
	}
	wrong := func(i int) error {
		return fmt.Errorf("op %d (txn): value %.80s: want a list of [\"append\" or \"r\", key, value]", i, h.Value(i))
	}
	// mops reads the operations of op i: an append has a key and an element, a
	// read a key and, once it is answered, a list.
	mops := func(i int, yield func(n int, appends bool, key, value []byte) error) (n int) {
		array := elements(h.Value(i), func(mop []byte) {
			part, size := parts(mop)
			appends := string(part[0]) == `"append"`
			switch {
			case err != nil:
			case size != 3 && !(size == 2 && !appends && h.Type(i) == histories.Invoke) || !appends && string(part[0]) != `"r"`:
				err = wrong(i)
			default:
				err = yield(n, appends, part[1], part[2])
			}
			n++
		})
		if !array && err == nil {
			err = wrong(i)
		}
		return n
	}
	type asked struct {
		appends bool
		key     string
	}
	var all []asked
	own := map[string]*listTxn{}
	mops(begin, func(_ int, appends bool, key, value []byte) error {
		l := a.list(key)
		all = append(all, asked{appends, string(key)})
		t := own[string(key)]
		if t == nil {
			t = &listTxn{begin: begin, end: end, process: h.Process(begin)}
			own[string(key)] = t
			l.txns = append(l.txns, t)
		}
		if !appends {
			return nil
		}
		id := l.ids.of(value)
		if first, twice := l.writers[id]; twice {
			return fmt.Errorf("op %d appends %s to %s again, after op %d: elements must be unique", begin, value, key, first.begin)
		}
		l.writers[id] = listWriter{begin, end, outcome, h.Process(begin)}
		if outcome != histories.Fail {
			t.appends, l.by[id] = append(t.appends, id), t
		}
		if outcome == histories.OK {
			l.acked = append(l.acked, id)
		}
		return nil
	})
	if err != nil || outcome == histories.Fail {
		return err
	}
	a.txns = append(a.txns, appendTxn{begin, end, len(own) > 1})
	if outcome != histories.OK {
		return nil
	}
	n := mops(end, func(n int, appends bool, key, value []byte) error {
		if n >= len(all) || all[n] != (asked{appends, string(key)}) {
			return fmt.Errorf("op %d (txn): value %.80s: its operation %d is not the one that op %d asked for: %.80s", end, h.Value(end), n, begin, h.Value(begin))
		}
		l, t := a.list(key), own[string(key)]
		if appends {
			a.within(keyName(string(key)), l, t, nil)
			return nil
		}
		r := listRead{begin: begin, end: end, process: h.Process(begin), final: h.Final(begin), own: t.own > 0}
		if !null(value) && !elements(value, func(e []byte) { r.ids = append(r.ids, l.ids.of(e)) }) {
			return wrong(end)
		}
		l.reads = append(l.reads, r)
		a.within(keyName(string(key)), l, t, &r)
		return nil
	})
	if err == nil && n < len(all) {
		err = fmt.Errorf("op %d (txn): value %.80s: it answers %d of the %d operations that op %d asked for", end, h.Value(end), n, len(all), begin)
	}
	return err
}

func (a *appends) judge(key string, l *appendList) {
	name := keyName(key)
	if len(l.reads) == 0 {
		return
	}
	longest := slices.MaxFunc(l.reads, func(x, y listRead) int { return cmp.Compare(len(x.ids), len(y.ids)) })
	var seen marks
	var told marks
	told.empty(len(l.ids.texts))
	l.know()
	a.ordered(name, l, longest)
	a.atomic(name, l, longest)
	for _, r := range l.reads {
		seen.empty(len(l.ids.texts))
		for _, id := range r.ids {
			if seen.has(id) {
				a.add(Anomaly{Kind: "duplicate-elements", Key: name, Ops: []int{r.end}, Why: fmt.Sprintf("op %d read %s twice in list %s", r.end, l.ids.texts[id], name)})
			}
			seen.set(id)
			w, known := l.writers[id]
			switch {
			case told.has(id):
			case !known:
				told.set(id)
				a.add(Anomaly{Kind: "garbage-read", Key: name, Ops: []int{r.end}, Why: fmt.Sprintf("op %d read %s in list %s, to which nobody appended it", r.end, l.ids.texts[id], name)})
			case w.outcome == histories.Fail:
				told.set(id)
				a.add(Anomaly{Kind: "G1a", Key: name, Ops: []int{w.end, r.end}, Why: fmt.Sprintf("op %d read %s in list %s, whose append had failed in op %d", r.end, l.ids.texts[id], name, w.end)})
			case w.begin > r.end:
				told.set(id)
				a.add(Anomaly{Kind: "G1c" + suffix(w.process, r.process), Key: name, Ops: []int{r.end, w.begin}, Why: fmt.Sprintf("op %d read %s in list %s, before op %d began to append it", r.end, l.ids.texts[id], name, w.begin)})
			}
		}
		if i := diverge(r.ids, longest.ids); i < len(r.ids) {
			a.add(Anomaly{Kind: "incompatible-order", Key: name, Ops: []int{r.end, longest.end}, Why: fmt.Sprintf("list %s had %s at place %d in op %d, and %s in op %d",
				name, l.ids.texts[r.ids[i]], i+1, r.end, l.ids.texts[longest.ids[i]], longest.end)})
			continue
		}
		a.missed(name, l, r, &seen)
	}
	a.lost(name, l)
}

// know finds by when each element was known to be there.
func (l *appendList) know() {
	first := make([]listKnown, len(l.ids.texts))
	for i := range first {
		first[i] = listKnown{int32(i), never, 0}
	}
	for _, id := range l.acked {
		w := l.writers[id]
		first[id] = listKnown{id, w.end, w.process}
	}
	for _, r := range l.reads {
		for _, id := range r.ids {
			if r.end >= first[id].by {
				continue
			}
			if w, written := l.writers[id]; written && w.outcome != histories.Fail {
				first[id] = listKnown{id, r.end, r.process}
			}
		}
	}
	for _, k := range first {
		if k.by != never {
			l.known = append(l.known, k)
		}
	}
	slices.SortStableFunc(l.known, func(x, y listKnown) int { return cmp.Compare(x.by, y.by) })
}

// suffix tells whether process order, or only that of real time, takes part in
// a cycle.
func suffix(a, b histories.Process) string {
	if a == b {
		return "-process"
	}
	return "-realtime"
}

// ordered: an element lies behind no element whose append began later. What
// the longest read does not show lies behind all that it shows. One case for
// each element, that of the append that began last.
func (a *appends) ordered(name string, l *appendList, longest listRead) {
	last := -1 // of the elements before, the one whose append began last
	behind := func(id int32) {
		w := l.writers[id]
		if last < 0 || w.outcome != histories.OK {
			return
		}
		if before := l.writers[longest.ids[last]]; w.end < before.begin {
			a.add(Anomaly{Kind: "G0" + suffix(w.process, before.process), Key: name, Ops: []int{w.end, before.begin, longest.end},
				Why: fmt.Sprintf("op %d appended %s to list %s before op %d began to append %s, but op %d shows that it lies behind that",
					w.end, l.ids.texts[id], name, before.begin, l.ids.texts[longest.ids[last]], longest.end)})
		}
	}
	var shown marks
	shown.empty(len(l.ids.texts))
	for i, id := range longest.ids {
		if shown.has(id) {
			continue // its place is the first; that it is there twice is another matter
		}
		behind(id)
		shown.set(id)
		if last < 0 || l.writers[id].begin > l.writers[longest.ids[last]].begin {
			last = i
		}
	}
	for _, id := range l.acked {
		if !shown.has(id) && l.writers[id].end > longest.begin { // else missed tells of it
			behind(id)
		}
	}
}

// missed: a read shows every element that was known before it began. One case
// for each read, that of the element known first.
func (a *appends) missed(name string, l *appendList, r listRead, seen *marks) {
	for _, k := range l.known {
		if k.by >= r.begin {
			return
		}
		if seen.has(k.id) {
			continue
		}
		verb := "read"
		if w := l.writers[k.id]; w.end == k.by && w.outcome == histories.OK {
			verb = "appended"
		}
		a.add(Anomaly{Kind: "G-single-item" + suffix(k.process, r.process), Key: name, Ops: []int{k.by, r.end},
			Why: fmt.Sprintf("op %d read list %s without %s, which op %d had %s before that began", r.end, name, l.ids.texts[k.id], k.by, verb)})
		return
	}
}

func (a *appends) lost(name string, l *appendList) {
	var finals []listRead
	for _, r := range l.reads {
		if r.final && !r.own {
			finals = append(finals, r)
		}
	}
	shown := map[int32]bool{}
	for _, r := range finals {
		for _, id := range r.ids {
			shown[id] = true
		}
	}
	for _, id := range l.acked {
		w := l.writers[id]
		for _, r := range finals {
			if w.end < r.begin && !shown[id] {
				a.add(Anomaly{Kind: "lost-append", Key: name, Ops: []int{w.end, r.end}, Why: fmt.Sprintf("op %d appended %s to list %s, and no final read shows it; op %d is one that began later", w.end, l.ids.texts[id], name, r.end)})
				break
			}
		}
	}
}
