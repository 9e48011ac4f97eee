package report

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

const (
	drawnMax  = 20_000 // calls in the timeline
	nearMax   = 8_000  // of them, those around anomalies
	nearby    = 150    // ops before and after an op of an anomaly
	marksMax  = 10_000 // of one kind of records in the timeline
	faultsMax = 1_000  // in the page
	rowsMax   = 400    // of clients
	cellValue = 100    // bytes of a value in the timeline
)

// timeline is what the page draws, as compact as JSON can be: columns, times
// in microseconds, names by number.
type timeline struct {
	End   int64       `json:"end"`
	Rows  []string    `json:"rows"`  // faults' kinds, then nodes, then clients
	Kinds int         `json:"kinds"` // so many rows of faults
	Nodes int         `json:"nodes"` // so many rows of nodes
	F     []string    `json:"f"`
	Calls callColumns `json:"calls"`
	Fault []lease     `json:"faults"`
	Spans []span      `json:"spans"`
	Marks []mark      `json:"marks"`
}

type callColumns struct {
	Start  []int64  `json:"t"` // each since the one before
	Took   []int64  `json:"d"` // -1: never completed
	Row    []int    `json:"r"`
	Type   []int    `json:"y"` // of the completion: 0 ok, 1 fail, 2 info
	F      []int    `json:"f"`
	Begin  []int32  `json:"i"`
	End    []int32  `json:"j"`
	Proc   []int32  `json:"p"`
	Node   []int    `json:"n"` // -1: none; else a row
	Key    []string `json:"k"`
	Value  []string `json:"v"`
	Result []string `json:"w"`
	Error  []string `json:"e"`
}

// A lease is a fault on its row.
type lease struct {
	Row      int    `json:"r"`
	ID       string `json:"id"`
	Inject   int64  `json:"a"`
	From     int64  `json:"b"`
	To       int64  `json:"c"`
	Over     int64  `json:"d"`
	Verified bool   `json:"ok"`
	In       bool   `json:"in"` // in force, for all we know
	Text     string `json:"s"`
}

// A span is a state of a node: down, or in a role.
type span struct {
	Row  int    `json:"r"`
	From int64  `json:"b"`
	To   int64  `json:"c"`
	Kind string `json:"k"` // down or role
	Text string `json:"s"`
	Role int    `json:"n"` // its number among the roles of the run
}

// A mark is a moment of a node.
type mark struct {
	Row  int    `json:"r"`
	At   int64  `json:"t"`
	Kind string `json:"k"` // crash, restart, panic
	Text string `json:"s"`
}

func micros(t histories.Time) int64 { return int64(t) / int64(time.Microsecond) }

// cast is who takes part in a run.
type cast struct {
	kinds   []string // of faults
	nodes   []string
	clients int                       // rows of them
	row     map[histories.Process]int // of clients
}

// castOf finds who takes part in h. Processes share a row that are known to
// run on one thread or, if the number of threads is not known, that do not
// overlap.
func castOf(h histories.History, fs []fault, threads int) cast {
	c := cast{row: map[histories.Process]int{}}
	for _, k := range faultCounts(fs) {
		c.kinds = append(c.kinds, k.Kind)
	}
	nodes := map[string]bool{}
	type life struct{ first, last int }
	lives := map[histories.Process]*life{}
	var order []histories.Process
	for i := range h.Len() {
		p := h.Process(i)
		if n := h.Node(i); n != "" {
			nodes[n] = true
		}
		switch {
		case p.Client():
			if lives[p] == nil {
				lives[p] = &life{i, i}
				order = append(order, p)
			}
			lives[p].last = i
			if j := h.Pair(i); h.Type(i) == histories.Invoke && j < 0 {
				lives[p].last = h.Len()
			}
		case !p.Nemesis() && p != histories.World:
			nodes[p.String()] = true
		}
	}
	for n := range nodes {
		c.nodes = append(c.nodes, n)
	}
	slices.SortFunc(c.nodes, natural)
	c.nodes = c.nodes[:min(len(c.nodes), rowsMax)]
	var busyUntil []int
	for _, p := range order {
		row := 0
		if threads > 0 {
			row = int(p) % threads
		} else {
			for row < len(busyUntil) && busyUntil[row] >= lives[p].first {
				row++
			}
			switch {
			case row < len(busyUntil):
			case row < rowsMax:
				busyUntil = append(busyUntil, 0)
			default: // more at once than there are rows
				row = int(p) % rowsMax
			}
			busyUntil[row] = max(busyUntil[row], lives[p].last)
		}
		row %= rowsMax
		c.row[p] = row
		c.clients = max(c.clients, row+1)
	}
	return c
}

func (c cast) kindRow(kind string) int { return slices.Index(c.kinds, kind) }

// nodeRow is the row of a node, or -1.
func (c cast) nodeRow(n string) int {
	if i := slices.Index(c.nodes, n); i >= 0 {
		return len(c.kinds) + i
	}
	return -1
}

func (c cast) clientRow(p histories.Process) int { return len(c.kinds) + len(c.nodes) + c.row[p] }

func (c cast) rows() []string {
	rows := append([]string{}, c.kinds...)
	for _, n := range c.nodes {
		rows = append(rows, plain(clip(n, 40)))
	}
	for i := range c.clients {
		rows = append(rows, number(i))
	}
	return rows
}

// draw makes the timeline of h, with the calls chosen by sample.
func draw(h histories.History, drawn []call, fs []fault, threads int) timeline {
	c := castOf(h, fs, threads)
	t := timeline{Rows: c.rows(), Kinds: len(c.kinds), Nodes: len(c.nodes), F: []string{}, Fault: []lease{}, Spans: []span{}, Marks: []mark{}}
	if n := h.Len(); n > 0 {
		t.End = micros(h.Time(n - 1))
	}
	for _, f := range fs {
		text := f.Victims
		if f.Params != "" {
			text += " " + clip(f.Params, 200)
		}
		t.Fault = append(t.Fault, lease{c.kindRow(f.Kind), f.ID, micros(f.Inject), micros(f.From), micros(f.To), micros(f.Over), f.Verified, f.Effective, text})
	}
	t.records(h, c)
	t.calls(h, c, drawn)
	return t
}

func (t *timeline) calls(h histories.History, c cast, drawn []call) {
	names := map[string]int{}
	nodes := map[string]int{"": -1}
	for i, n := range c.nodes {
		nodes[n] = len(c.kinds) + i
	}
	cs := &t.Calls
	*cs = callColumns{[]int64{}, []int64{}, []int{}, []int{}, []int{}, []int32{}, []int32{}, []int32{}, []int{}, []string{}, []string{}, []string{}, []string{}}
	var before int64
	for _, one := range drawn {
		i, j := int(one.begin), int(one.end)
		f, ok := names[h.F(i)]
		if !ok {
			f = len(t.F)
			names[h.F(i)] = f
			t.F = append(t.F, plain(clip(h.F(i), 40)))
		}
		node, ok := nodes[h.Node(i)]
		if !ok {
			node = -1
		}
		start := micros(h.Time(i))
		took, result, err := int64(-1), "", ""
		if d, ok := one.took(h); ok {
			took, result, err = d.Microseconds(), value(h.Value(j), cellValue), plain(clip(h.Error(j), cellValue))
		}
		cs.Start, before = append(cs.Start, start-before), start
		cs.Took = append(cs.Took, took)
		cs.Row = append(cs.Row, c.clientRow(h.Process(i)))
		cs.Type = append(cs.Type, int(one.outcome(h)-histories.OK))
		cs.F = append(cs.F, f)
		cs.Begin, cs.End = append(cs.Begin, one.begin), append(cs.End, one.end)
		cs.Proc = append(cs.Proc, int32(h.Process(i)))
		cs.Node = append(cs.Node, node)
		cs.Key = append(cs.Key, value(h.Key(i), cellValue))
		cs.Value = append(cs.Value, value(h.Value(i), cellValue))
		cs.Result = append(cs.Result, result)
		cs.Error = append(cs.Error, err)
	}
}

// records draws what became of the nodes.
func (t *timeline) records(h histories.History, c cast) {
	down, role := map[int]int{}, map[int]int{} // row to its open span
	roles := map[string]int{}
	marks := map[string]int{}
	end := func(open map[int]int, row int, at int64) {
		if i, ok := open[row]; ok {
			t.Spans[i].To = at
			delete(open, row)
		}
	}
	for i := range h.Len() {
		p := h.Process(i)
		f := h.F(i)
		if p.Client() || h.Type(i) != histories.Info && h.Type(i) != histories.OK {
			continue
		}
		switch f {
		case "crash", "restart", "panic", "role":
		default:
			continue
		}
		row := c.nodeRow(p.String())
		if row < 0 {
			continue
		}
		if marks[f]++; marks[f] > marksMax {
			continue
		}
		at, text := micros(h.Time(i)), value(h.Value(i), 200)
		switch f {
		case "crash":
			end(role, row, at)
			end(down, row, at)
			down[row] = len(t.Spans)
			var v struct {
				Kind string `json:"kind"`
			}
			if json.Unmarshal(h.Value(i), &v) == nil && v.Kind != "" {
				text = plain(clip(v.Kind, 40))
			}
			t.Spans = append(t.Spans, span{row, at, t.End, "down", text, 0})
		case "restart":
			end(down, row, at)
		case "role":
			var v struct {
				Role string          `json:"role"`
				Term json.RawMessage `json:"term"`
			}
			_ = json.Unmarshal(h.Value(i), &v) // an odd role is shown as it is
			if v.Role != "" {
				text = plain(clip(v.Role, 40)) + " " + value(v.Term, 40)
			}
			if _, ok := roles[v.Role]; !ok {
				roles[v.Role] = len(roles)
			}
			end(role, row, at)
			role[row] = len(t.Spans)
			t.Spans = append(t.Spans, span{row, at, t.End, "role", text, roles[v.Role]})
		}
		if f != "role" {
			t.Marks = append(t.Marks, mark{row, at, f, text})
		}
	}
}

// sample chooses at most drawnMax calls: those that show anomalies, those
// around them, and an even selection of the rest.
func sample(h histories.History, cs []call, anomalies []checker.Anomaly) []call {
	if len(cs) <= drawnMax {
		return cs
	}
	at := make([]int32, h.Len()) // op to its call, or -1
	for i := range at {
		at[i] = -1
	}
	for i, c := range cs {
		at[c.begin] = int32(i)
		if c.end >= 0 {
			at[c.end] = int32(i)
		}
	}
	chosen := make([]bool, len(cs))
	n := 0
	choose := func(op, limit int) {
		if op >= 0 && op < len(at) && at[op] >= 0 && !chosen[at[op]] && n < limit {
			chosen[at[op]] = true
			n++
		}
	}
	eachOp := func(do func(op int)) {
		for _, a := range anomalies {
			for _, op := range a.Ops {
				do(op)
			}
		}
	}
	eachOp(func(op int) { choose(op, nearMax) })
	for d := 1; d <= nearby && n < nearMax; d++ {
		eachOp(func(op int) {
			choose(op-d, nearMax)
			choose(op+d, nearMax)
		})
	}
	rest, room := len(cs)-n, drawnMax-n
	var drawn []call
	for i, seen := 0, 0; i < len(cs); i++ {
		if chosen[i] {
			drawn = append(drawn, cs[i])
			continue
		}
		// Of every rest/room take one: where the count of those due goes up.
		if (seen+1)*room/rest > seen*room/rest {
			drawn = append(drawn, cs[i])
		}
		seen++
	}
	return drawn
}
