package histories

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Merge rewrites the history of the run in dir, which nobody may be recording,
// with what its nodes recorded and the harness had not heard when it ended:
// nodes/<id>/records.jsonl. Doing it again changes nothing.
//
// The order is that of the Lamport times (L. Lamport, Time, Clocks, and the
// Ordering of Events in a Distributed System, CACM 1978). It keeps the order
// in which the harness recorded what it did and saw itself, and the order in
// which each node recorded; where neither decides, it is that of the history.
func Merge(dir string) error { return Limits{}.Merge(dir) }

// Merge is Merge within other limits.
func (l Limits) Merge(dir string) error {
	d := Dir(dir)
	h, _, err := d.readHistory(l)
	if err != nil {
		return fmt.Errorf("merge records: %w", err)
	}
	merged, _, err := mergeRecords(d, h, l)
	if err != nil {
		return fmt.Errorf("merge records: %w", err)
	}
	if merged == h {
		return nil
	}
	if err := WriteFile(d.Path(HistoryName), merged); err != nil {
		return fmt.Errorf("merge records: %w", err)
	}
	return nil
}

// event is an op on its way to its place.
type event struct {
	lamport uint64
	nth     int // among those of one node with the same lamport
	index   int // in the history, or -1
	record  *nodeRecord
}

// nodeRecord is a line of a node's records.jsonl.
type nodeRecord struct {
	op    Op
	timed bool // it says when
}

// mergeRecords returns h with the records of d's nodes that it lacks. If it
// lacks none, and all are in their places, that is h itself.
func mergeRecords(d Dir, h History, l Limits) (_ History, torn int, err error) {
	nodes, err := d.Nodes()
	if err != nil {
		return h, 0, err
	}
	files := 0
	events := make([]event, h.Len())
	placed := make([]bool, h.Len())
	for i := range events {
		events[i].index = i
	}
	for _, node := range nodes {
		records, t, err := d.readRecords(node, l)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return h, 0, err
		}
		files++
		torn += t
		events = placeRecords(h, events, placed, Named(node), records)
	}
	if files == 0 {
		return h, 0, nil
	}
	placeRest(h, events, placed)
	slices.SortStableFunc(events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.lamport, b.lamport), cmp.Compare(a.nth, b.nth))
	})
	if len(events) == h.Len() && slices.IsSortedFunc(events, func(a, b event) int { return a.index - b.index }) {
		return h, torn, nil
	}
	merged, err := inOrder(h, events)
	return merged, torn, err
}

// readRecords reads the records of a node: an op a line, of which f and
// lamport suffice.
func (d Dir) readRecords(node string, l Limits) (records []nodeRecord, torn int, err error) {
	f, err := d.OpenNode(node, RecordsName)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	self := Named(node)
	var p parser
	cut, err := eachLine(f, f.Name(), l.record(), func(_ int, line []byte) error {
		if err := p.parse(line); err != nil {
			return err
		}
		switch {
		case p.has&hasF == 0:
			return badField("f", "it is missing: want the record's name")
		case p.has&hasProcess != 0 && p.process != self:
			return badField("process", "got %s, want %s or nothing", p.process, self)
		case p.has&hasType != 0 && p.typ != Info:
			return badField("type", "got %s, want info or nothing", p.typ)
		}
		p.process, p.typ = self, Info
		records = append(records, nodeRecord{p.op(), p.has&hasTime != 0})
		return nil
	})
	if cut > 0 {
		torn = 1
	}
	return records, torn, err
}

// placeRecords gives the records of one node their places, those that are in
// the history already and those that are not, which it appends to events.
//
// A record is in the history if there is one of the same process, Lamport time
// and name. Of several alike, the history has the first, since it gets them in
// order.
func placeRecords(h History, events []event, placed []bool, node Process, records []nodeRecord) []event {
	type name struct {
		lamport uint64
		f       string
	}
	heard := map[name][]int{}
	for i := range h.Len() {
		if h.Process(i) == node {
			n := name{h.Lamport(i), h.F(i)}
			heard[n] = append(heard[n], i)
		}
	}
	var lamport uint64
	nth := 0
	for k := range records {
		r := &records[k]
		if r.op.Lamport > lamport {
			lamport, nth = r.op.Lamport, 0
		} else {
			nth++
		}
		n := name{r.op.Lamport, r.op.F}
		if is := heard[n]; len(is) > 0 {
			heard[n] = is[1:]
			placed[is[0]] = true
			events[is[0]].lamport, events[is[0]].nth = lamport, nth
			continue
		}
		events = append(events, event{lamport: lamport, nth: nth, index: -1, record: r})
	}
	return events
}

// placeRest places the ops of the history that no node's file has: those of
// the harness in their order, and what it recorded of a node by its own
// Lamport time.
func placeRest(h History, events []event, placed []bool) {
	var last uint64
	for i := range h.Len() {
		if placed[i] {
			continue
		}
		p, at := h.Process(i), h.Lamport(i)
		harness := p.Client() || p.Nemesis() || p == World
		if at == 0 || harness {
			at = max(at, last)
		}
		if harness {
			last = at
		}
		events[i].lamport = at
	}
}

func inOrder(h History, events []event) (History, error) {
	var b Builder
	var now Time
	for _, e := range events {
		var op Op
		switch {
		case e.record == nil:
			op = h.At(e.index)
		case e.record.timed:
			op = e.record.op
		default:
			op = e.record.op
			op.Time = now
		}
		now = op.Time
		if err := b.Add(op); err != nil {
			return h, err
		}
	}
	return b.History(), nil
}
