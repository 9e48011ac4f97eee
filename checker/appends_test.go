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

// listModel is the definition of one list, for transactions of one operation.
// Its state is the list as text.
var listModel = Model[string, string]{
	Step: func(s, mop string) (string, bool) {
		if e, appends := strings.CutPrefix(mop, "+"); appends {
			return strings.TrimPrefix(s+","+e, ","), true
		}
		return s, s == mop
	},
}

// randomAppends is a history of one list, whose reads are right, or leave out
// an element, or show two in the wrong order, or one that is not there.
func randomAppends(r *rand.Rand) []histories.Op {
	n := 0
	var list []string
	ops := clients(r, 2+r.IntN(6), func() (string, json.RawMessage) {
		if r.IntN(2) == 0 {
			n++
			return "txn", raw(`[["append","x",%d]]`, n)
		}
		return "txn", raw(`[["r","x",null]]`)
	}, func(_ string, v json.RawMessage) (json.RawMessage, bool) {
		if strings.Contains(string(v), "append") {
			if r.IntN(8) == 0 {
				return nil, false
			}
			e := strings.Trim(string(v), `[]"apendx,`)
			if i := len(list); i > 0 && r.IntN(6) == 0 {
				list = slices.Insert(list, i-1, e)
			} else {
				list = append(list, e)
			}
			return v, true
		}
		seen := slices.Clone(list)
		switch k := r.IntN(12); {
		case k < 2 && len(seen) > 0:
			seen = seen[:len(seen)-1]
		case k == 2:
			seen = append(seen, fmt.Sprint(1+r.IntN(n+1)))
		case k == 3 && len(seen) > 1:
			slices.Reverse(seen)
		}
		return raw(`[["r","x",[%s]]]`, strings.Join(seen, ",")), true
	})
	finish(ops, r.IntN(2*len(ops)))
	return ops
}

func TestAppendsAgreeWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 6000, func(t *testing.T, r *rand.Rand) {
		h := historyOf(t, randomAppends(r))
		var part []span[string]
		reads, lost := 0, false
		for _, c := range h.Calls() {
			s := span[string]{begin: c.Invoke.Index, end: c.Complete.Index, process: c.Invoke.Process}
			v := string(c.Invoke.Value)
			appends := strings.Contains(v, "append")
			if c.Complete.Type == histories.Fail || !appends && c.Complete.Type != histories.OK {
				continue
			}
			if s.call = "+" + strings.Trim(v, `[]"apendx,`); !appends {
				reads++
				s.call = strings.Trim(string(c.Complete.Value), `[]"rx,`)
			}
			if c.Complete.Type == histories.Info {
				s.end = never
			}
			part = append(part, s)
			if !appends || c.Complete.Type != histories.OK {
				continue
			}
			later, shown := false, false
			for _, read := range h.Calls() {
				if v := string(read.Complete.Value); read.Invoke.Final && read.Complete.Type == histories.OK && strings.Contains(v, `"r"`) {
					later = later || s.end < read.Invoke.Index
					shown = shown || slices.Contains(strings.Split(strings.Trim(v, `[]"rx,`), ","), s.call[1:])
				}
			}
			lost = lost || later && !shown
		}
		res := Appends(AppendsOptions{}).Check(t.Context(), h)
		if reads == 0 {
			return
		}
		want := linearizable(listModel, part, "", make([]bool, len(part)))
		if (res.Verdict == Valid) != want || res.Verdict == Unknown {
			t.Errorf("%v %+v, by definition %v%s", res.Verdict, res.Anomalies, want, show(h))
		}
		if slices.Contains(kindsIn(res), "lost-append") != lost {
			t.Errorf("found %+v, but lost-append is %v by definition%s", res.Anomalies, lost, show(h))
		}
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		for _, kind := range kindsIn(res) {
			seen[kind]++
		}
		seen[res.Verdict.String()]++
	})
	t.Log(seen)
	if len(seen) != 2+len(Kinds("append"))-len(ofTransactions) {
		t.Errorf("%v", seen)
	}
}

// ofTransactions are the kinds that take transactions of several operations.
var ofTransactions = []string{"internal", "G0", "G1b", "lost-update", "G-single-item"}

// txnModel is the definition of one list, for transactions of several
// operations: +e appends, any other text is read, separated by semicolons.
var txnModel = Model[string, string]{
	Step: func(s, txn string) (string, bool) {
		for mop := range strings.SplitSeq(txn, ";") {
			if e, appends := strings.CutPrefix(mop, "+"); appends {
				s = strings.TrimPrefix(s+","+e, ",")
			} else if s != mop {
				return s, false
			}
		}
		return s, true
	},
}

// txnOf is what txnModel makes of the value of a transaction; without reads,
// if they were not answered.
func txnOf(value json.RawMessage, reads bool) string {
	var mops [][]json.RawMessage
	if err := json.Unmarshal(value, &mops); err != nil {
		panic(err)
	}
	var all []string
	for _, m := range mops {
		if string(m[0]) == `"append"` {
			all = append(all, "+"+string(m[2]))
		} else if reads {
			all = append(all, strings.Trim(string(m[2]), "[]"))
		}
	}
	return strings.Join(all, ";")
}

// Transactions of several operations on one list are judged as by definition:
// each at one moment.
func TestTransactionsAgreeWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 12000, func(t *testing.T, r *rand.Rand) {
		n := 0
		var list []string
		ops := clients(r, 2+r.IntN(5), func() (string, json.RawMessage) {
			var mops []string
			for range 1 + r.IntN(3) {
				if r.IntN(2) == 0 {
					n++
					mops = append(mops, fmt.Sprintf(`["append","x",%d]`, n))
				} else {
					mops = append(mops, `["r","x",null]`)
				}
			}
			return "txn", raw("[%s]", strings.Join(mops, ","))
		}, func(_ string, v json.RawMessage) (json.RawMessage, bool) {
			if r.IntN(10) == 0 {
				return nil, false
			}
			before, wrong := slices.Clone(list), r.IntN(4) == 0
			var mops []string
			for mop := range strings.SplitSeq(txnOf(v, true), ";") {
				e, appends := strings.CutPrefix(mop, "+")
				switch i := len(list); {
				case appends && wrong && i > 0 && r.IntN(3) == 0: // behind what another appends next
					list = slices.Insert(list, i-1, e)
				case appends:
					list = append(list, e)
				}
				if appends {
					mops = append(mops, fmt.Sprintf(`["append","x",%s]`, e))
					continue
				}
				shown := list
				switch k := r.IntN(8); {
				case wrong && k == 0:
					shown = before
				case wrong && k == 1 && len(list) > 0:
					shown = list[:len(list)-1]
				case wrong && k == 2:
					shown = append(slices.Clone(list), fmt.Sprint(1+r.IntN(n+1)))
				}
				mops = append(mops, fmt.Sprintf(`["r","x",[%s]]`, strings.Join(shown, ",")))
			}
			return raw("[%s]", strings.Join(mops, ",")), true
		})
		finish(ops, r.IntN(2*len(ops)))
		h := historyOf(t, ops)
		var part []span[string]
		reads := false
		for _, c := range h.Calls() {
			s := span[string]{begin: c.Invoke.Index, end: c.Complete.Index, process: c.Invoke.Process}
			switch c.Complete.Type {
			case histories.Fail:
				continue
			case histories.OK:
				s.call = txnOf(c.Complete.Value, true)
				reads = reads || strings.Contains(string(c.Complete.Value), `"r"`)
			default:
				s.end, s.call = never, txnOf(c.Invoke.Value, false)
				if s.call == "" {
					continue
				}
			}
			part = append(part, s)
		}
		res := Appends(AppendsOptions{}).Check(t.Context(), h)
		if !reads {
			return
		}
		if want := linearizable(txnModel, part, "", make([]bool, len(part))); (res.Verdict == Valid) != want || res.Verdict == Unknown {
			t.Errorf("%v %+v, by definition %v%s", res.Verdict, res.Anomalies, want, show(h))
		}
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		for _, kind := range kindsIn(res) {
			seen[kind]++
		}
		seen[res.Verdict.String()]++
	})
	t.Log(seen)
	for _, kind := range append(ofTransactions, "valid", "invalid") {
		if seen[kind] < 20 {
			t.Errorf("%s: seen %d times", kind, seen[kind])
		}
	}
}
