package checker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// plainLog is a primary's log with what its entries do, by their places.
type plainLog map[int]plainWrite

// plainWrite is an entry: w or append, key, value.
type plainWrite struct {
	at   int // its record
	op   string
	does [][3]string
}

// whole is how many entries, from the first on, are on record; last is the
// highest place.
func (l plainLog) ends() (whole, last int) {
	for idx := range l {
		last = max(last, idx)
	}
	for l[whole+1].op != "" {
		whole++
	}
	return whole, last
}

func (l plainLog) register(key string, idx int) string {
	value := "null"
	for i := range idx {
		for _, d := range l[i+1].does {
			if d[0] == "w" && d[1] == key {
				value = d[2]
			}
		}
	}
	return value
}

func (l plainLog) list(key string, idx int) (list []string) {
	for i := range idx {
		for _, d := range l[i+1].does {
			if d[0] == "append" && d[1] == key {
				list = append(list, d[2])
			}
		}
	}
	return list
}

// mopsOf are the operations of a transaction, or the effects of a record.
func mopsOf(value json.RawMessage) (all [][3]string) {
	var mops [][]json.RawMessage
	if err := json.Unmarshal(value, &mops); err != nil {
		panic(fmt.Sprintf("%s: %v", value, err))
	}
	for _, m := range mops {
		all = append(all, [3]string{strings.Trim(string(m[0]), `"`), strings.Trim(string(m[1]), `"`), string(m[2])})
	}
	return all
}

func isSet(key string) bool { return key[0] == 's' }

func listText(list []string) string { return "[" + strings.Join(list, ",") + "]" }

// randomValues is a run of a primary that answers by its log: registers are
// written and swapped, sets are lengthened, by several in one transaction. Now
// and then an answer names another place, or shows another value, or a record
// is late or of something else.
func randomValues(r *rand.Rand) (ops []histories.Op) {
	type call struct {
		op    histories.Op
		mops  [][3]string
		done  bool
		end   histories.Op
		place string // the field that says where in the log it was true
		idx   int
	}
	record := func(f, format string, args ...any) histories.Op {
		return histories.Op{Process: histories.Named("n1"), Type: histories.Info, F: f, Value: raw(format, args...)}
	}
	ops = append(ops, record("role", `{"role":"primary"}`))
	log := plainLog{}
	var late []histories.Op // records
	var open []*call
	process, value := histories.Process(0), func() string { return fmt.Sprint(r.IntN(3)) }
	rare := func() bool { return r.IntN(15) == 0 }
	key := func(kind string) string { return kind + fmt.Sprint(1+r.IntN(2)) }
	quoted := func(mops [][3]string) string {
		var all []string
		for _, m := range mops {
			all = append(all, fmt.Sprintf("[%q,%q,%s]", m[0], m[1], m[2]))
		}
		return listText(all)
	}
	invoke := func() *call {
		c := &call{op: histories.Op{Process: process, Type: histories.Invoke, Node: "n1"}}
		process++
		k := key("r")
		switch r.IntN(6) {
		case 0, 1:
			if c.op.F = "read"; r.IntN(2) == 0 {
				k = key("s")
			}
		case 2:
			c.op.F, c.op.Value = "write", raw("%s", value())
		case 3:
			c.op.F, c.op.Value = "cas", raw("[%s,%s]", []string{"null", value(), value()}[r.IntN(3)], value())
		case 4:
			k = key("s")
			c.op.F, c.op.Value = "add", raw("%s", value())
		case 5:
			for range 1 + r.IntN(3) {
				if r.IntN(2) == 0 {
					c.mops = append(c.mops, [3]string{"append", key("s"), value()})
				} else {
					c.mops = append(c.mops, [3]string{"r", key("s"), "null"})
				}
			}
			c.op.F, c.op.Value = "txn", raw("%s", quoted(c.mops))
			return c
		}
		c.op.Key = raw("%q", k)
		return c
	}
	effect := func(c *call) {
		c.done, c.end, c.idx, c.place = true, c.op, len(log), "idx"
		c.end.Type = histories.OK
		does := plainAsked(c.op)
		switch k := strings.Trim(string(c.op.Key), `"`); c.op.F {
		case "read":
			c.place = "at"
			if c.end.Value = raw("%s", log.register(k, c.idx)); isSet(k) {
				if c.end.Value = raw("%s", listText(log.list(k, c.idx))); len(c.end.Value) == 2 && r.IntN(2) == 0 {
					c.end.Value = nil
				}
			}
		case "cas":
			var pair []json.RawMessage
			_ = json.Unmarshal(c.op.Value, &pair)
			if log.register(k, c.idx) != string(pair[0]) && !rare() {
				c.end.Type, c.end.Error = histories.Fail, "mismatch"
				return
			}
		case "txn":
			own := map[string][]string{}
			for i, m := range c.mops {
				if m[0] == "append" {
					own[m[1]] = append(own[m[1]], m[2])
				} else {
					c.mops[i][2] = listText(slices.Concat(log.list(m[1], c.idx), own[m[1]]))
					if c.mops[i][2] == "[]" && r.IntN(2) == 0 {
						c.mops[i][2] = "null"
					}
				}
			}
			if c.end.Value = raw("%s", quoted(c.mops)); len(own) == 0 {
				c.place = "at"
			}
		}
		if len(does) == 0 {
			return
		}
		c.idx++
		op := fmt.Sprint("o", c.idx)
		log[c.idx] = plainWrite{op: op, does: does}
		told := slices.Clone(does)
		if rare() {
			told[0][2] = value()
		}
		entry := record("append", `{"idx":%d,"op":%q,"does":%s}`, c.idx, op, quoted(told))
		switch r.IntN(20) {
		case 0: // never
		case 1, 2:
			late = append(late, entry)
		default:
			ops = append(ops, entry)
		}
		c.end.Ext = map[string]json.RawMessage{"op": raw("%q", op)}
	}
	complete := func(c *call) {
		if !c.done || rare() {
			if r.IntN(2) == 0 {
				c.op.Type = histories.Info
				ops = append(ops, c.op)
			}
			return
		}
		if c.end.Type == histories.OK {
			if rare() {
				c.idx = max(0, c.idx+2*r.IntN(2)-1)
			}
			ext := map[string]json.RawMessage{c.place: raw("%d", c.idx)}
			if op := c.end.Ext["op"]; op != nil && r.IntN(4) > 0 {
				if ext["op"] = op; rare() {
					ext["op"] = raw(`"o1"`)
				}
			}
			c.end.Ext = ext
			switch k := strings.Trim(string(c.end.Key), `"`); {
			case !rare():
			case c.end.F == "read" && isSet(k):
				c.end.Value = raw("[%s]", value())
			case c.end.F == "read":
				c.end.Value = raw("%s", value())
			case c.end.F == "cas":
				c.end.Type, c.end.Error, c.end.Ext = histories.Fail, []string{"mismatch", "refused"}[r.IntN(2)], nil
			case c.end.F == "write":
				c.end.Type, c.end.Error, c.end.Ext = histories.Fail, []string{"mismatch", "refused"}[r.IntN(2)], nil
			}
		}
		ops = append(ops, c.end)
	}
	for range 8 + r.IntN(30) {
		switch k := r.IntN(8); {
		case k == 0 && len(late) > 0:
			ops, late = append(ops, late[0]), late[1:]
		case k < 4 && len(open) < 3:
			c := invoke()
			ops, open = append(ops, c.op), append(open, c)
		case k < 6 && len(open) > 0:
			if c := open[r.IntN(len(open))]; !c.done {
				effect(c)
			}
		case len(open) > 0:
			i := r.IntN(len(open))
			if !open[i].done && r.IntN(8) > 0 {
				continue
			}
			complete(open[i])
			open = slices.Delete(open, i, i+1)
		}
	}
	return ops
}

// plainAsked is what an operation asks the log to do.
func plainAsked(op histories.Op) (does [][3]string) {
	key := strings.Trim(string(op.Key), `"`)
	switch op.F {
	case "write":
		return [][3]string{{"w", key, string(op.Value)}}
	case "cas":
		var pair []json.RawMessage
		_ = json.Unmarshal(op.Value, &pair)
		return [][3]string{{"w", key, string(pair[1])}}
	case "add":
		return [][3]string{{"append", key, string(op.Value)}}
	case "txn":
		for _, m := range mopsOf(op.Value) {
			if m[0] == "append" {
				does = append(does, m)
			}
		}
	}
	return does
}

// wrongByLog is what is wrong with the answers of h, and with its log, by
// definition.
func wrongByLog(h histories.History) map[string]bool {
	log, recorded := plainLog{}, map[int]int{} // of a record, its place
	for i, op := range h.All() {
		if op.F != "append" {
			continue
		}
		var v struct {
			Idx  int
			Op   string
			Does json.RawMessage
		}
		_ = json.Unmarshal(op.Value, &v)
		log[v.Idx], recorded[i] = plainWrite{i, v.Op, mopsOf(v.Does)}, v.Idx
	}
	whole, last := log.ends()
	placeOf := func(op histories.Op) (idx int) {
		for _, name := range []string{"at", "idx"} {
			if v := op.Ext[name]; v != nil {
				_ = json.Unmarshal(v, &idx)
			}
		}
		return idx
	}
	wrong := map[string]bool{}
	if last == 0 { // no record says what any entry does
		return wrong
	}
	wanted := map[[3]string]int{}
	for _, c := range h.Calls() {
		end, key, f := c.Complete, strings.Trim(string(c.Invoke.Key), `"`), c.Invoke.F
		does := plainAsked(c.Invoke)
		for _, d := range does {
			if end.Type != histories.Fail {
				wanted[d]++
			}
		}
		// txn compares the reads of a transaction with the log up to idx.
		txn := func(idx int) {
			own := map[string][]string{}
			for _, m := range mopsOf(end.Value) {
				if m[0] == "append" {
					own[m[1]] = append(own[m[1]], m[2])
				} else if list := slices.Concat(log.list(m[1], idx), own[m[1]]); m[2] != listText(list) && (m[2] != "null" || len(list) > 0) {
					wrong["wrong-value"] = true
				}
			}
		}
		idx := placeOf(end)
		e, on := log[idx]
		var pair []json.RawMessage
		if f == "cas" {
			_ = json.Unmarshal(c.Invoke.Value, &pair)
		}
		switch {
		case end.Type == histories.OK && f == "read":
			switch value := text(end.Value); {
			case idx > last || on && e.at > end.Index:
				wrong["wrong-value"] = true
			case idx > whole:
			case isSet(key) && value != listText(log.list(key, idx)) && (value != "null" || len(log.list(key, idx)) > 0), !isSet(key) && value != log.register(key, idx):
				wrong["wrong-value"] = true
			}
		case end.Type == histories.OK && len(does) == 0:
			switch {
			case idx > last:
				wrong["wrong-outcome"] = true
			case idx <= whole:
				txn(idx)
			}
		case end.Type == histories.OK:
			var op string
			_ = json.Unmarshal(end.Ext["op"], &op)
			switch {
			case !on || e.at > end.Index || op != "" && op != e.op || !slices.Equal(does, e.does):
				wrong["wrong-outcome"] = true
			case idx-1 > whole:
			case f == "cas" && log.register(key, idx-1) != string(pair[0]):
				wrong["wrong-outcome"] = true
			case f == "txn":
				txn(idx - 1)
			}
		case end.Type == histories.Fail && f == "cas" && end.Error == "mismatch":
			low, high, other := 0, 0, false
			for i, op := range h.All() {
				if i < c.Invoke.Index && op.Type == histories.OK {
					low = max(low, placeOf(op))
				}
				if i < end.Index {
					high = max(high, recorded[i])
				}
			}
			for n := low; n <= high; n++ {
				other = other || log.register(key, n) != string(pair[0])
			}
			if low <= high && high <= whole && !other {
				wrong["wrong-outcome"] = true
			}
		}
	}
	for idx := range whole {
		for _, d := range log[idx+1].does {
			if wanted[d]--; wanted[d] < 0 {
				wrong["phantom-write"] = true
			}
		}
	}
	return wrong
}

// What the primary's log says of each answer, and clients of the log, is as by
// definition.
func TestValuesAgreeWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 4000, func(t *testing.T, r *rand.Rand) {
		h := historyOf(t, randomValues(r))
		res := PrimaryReplica(PrimaryReplicaOptions{}).Check(t.Context(), h)
		if res.Verdict == Unknown {
			t.Fatalf("%s%s", res.Why, show(h))
		}
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		got, want := kindsIn(res), wrongByLog(h)
		for _, kind := range []string{"wrong-value", "wrong-outcome", "phantom-write"} {
			seen[fmt.Sprint(kind, want[kind])]++
			if slices.Contains(got, kind) != want[kind] {
				t.Errorf("found %+v, but %s is %v by definition%s", res.Anomalies, kind, want[kind], show(h))
			}
		}
	})
	t.Log(seen)
	for _, kind := range []string{"wrong-value", "wrong-outcome", "phantom-write"} {
		if seen[kind+"true"] < 200 || seen[kind+"false"] < 200 {
			t.Errorf("%v: too few of a kind", seen)
		}
	}
}
