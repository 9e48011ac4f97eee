package checker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// Operations are counted once if they succeed while at least one verified fault
// of the kind is in force, however faults overlap.
func TestOperationsDuringFaultsAgreeWithDefinition(t *testing.T) {
	counts := map[bool]int{}
	random(t, 2000, func(t *testing.T, r *rand.Rand) {
		// Each fault is injected and cured by a nemesis of its own; what comes
		// when is random.
		type fault struct {
			step     int // of inject, injected, cure, cured
			verified bool
		}
		faults := make([]fault, 1+r.IntN(3))
		var ops []histories.Op
		want := 0
		for range 30 {
			i := r.IntN(len(faults) + 2)
			if i >= len(faults) {
				p := histories.Process(i)
				ops = append(ops, histories.Op{Process: p, Type: histories.Invoke, F: "read"}, histories.Op{Process: p, Type: histories.OK, F: "read"})
				if slices.ContainsFunc(faults, func(f fault) bool { return f.step == 2 && f.verified }) {
					want++
				}
				continue
			}
			f := &faults[i]
			if f.step == 4 {
				continue
			}
			op := histories.Op{Process: histories.Named(fmt.Sprint("nemesis/", i)), F: []string{"inject", "inject", "cure", "cure"}[f.step], Type: histories.Invoke}
			op.Value = raw(`{"id":"f%d","kind":"kill"}`, i)
			if f.step%2 == 1 {
				op.Type, op.Value = histories.OK, raw(`{"id":"f%d","kind":"kill","verified":%v}`, i, r.IntN(4) > 0)
				f.verified = f.step == 1 && string(op.Value[len(op.Value)-5:]) == "true}"
			}
			f.step++
			ops = append(ops, op)
		}
		h := historyOf(t, ops)
		res := Stats(StatsOptions{}).Check(t.Context(), h)
		table, _ := res.Stats["faults"].(map[string]any)
		if table == nil {
			return
		}
		if got := table["kill"].(map[string]int)["operations"]; got != want {
			t.Errorf("%d operations during faults, want %d%s", got, want, show(h))
		}
		counts[want > 0]++
	})
	if counts[true] < 100 || counts[false] < 100 {
		t.Errorf("%v", counts)
	}
}

// A quantile is the nearest rank: a value that was measured.
func TestQuantile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, test := range []struct {
		sorted []int
		q      float64
		want   int
	}{
		{[]int{1, 2, 3, 4}, 0.5, 2}, {[]int{1, 2, 3}, 0.5, 2}, {[]int{7}, 0.5, 7}, {[]int{7}, 0, 7}, {[]int{7, 8}, 0, 7}, {[]int{7, 8}, 1, 8},
		{[]int{1, 2, 3, 4}, 0.75, 3}, {[]int{1, 2, 3, 4}, 0.76, 4}, {hundred, 0.95, 95}, {hundred, 0.99, 99}, {hundred, 0.07, 7}, {hundred, 1, 100},
	} {
		if got := Quantile(test.sorted, test.q); got != test.want {
			t.Errorf("quantile %v of %v is %d, want %d", test.q, test.sorted, got, test.want)
		}
	}
}

// What a checker counted is a table for people.
func TestTables(t *testing.T) {
	info := func(p int, err, exception string) []histories.Op {
		op := histories.Op{Process: histories.Process(p), Type: histories.Invoke, F: "write"}
		done := op
		if done.Type, done.Error = histories.Info, err; exception != "" {
			done.Ext = map[string]json.RawMessage{"exception": raw("%s", exception)}
		}
		return []histories.Op{op, done}
	}
	h := historyOf(t, slices.Concat(info(1, "timeout", ""), info(2, "", `{"via":[{"type":"java.net.E"},{"type":"other"}]}`),
		info(3, "x", `{"class":"C","via":[{"type":"java.net.E"}]}`), info(4, "timeout", "")))
	want := [][]string{{"class", "count", "first op"}, {"timeout", "2", "1"}, {"C", "1", "5"}, {"java.net.E", "1", "3"}}
	if r := Exceptions().Check(t.Context(), h); !reflect.DeepEqual(r.Table, want) {
		t.Errorf("exceptions: %q, want %q", r.Table, want)
	}
	h = compactly(t, "0 write 1; 0 write! 2; 0 read 1")
	want = [][]string{{"operation", "ok", "fail", "info", "median", "99 %", "longest"}, {"read", "1", "0", "0", "0s", "0s", "0s"}, {"write", "1", "1", "0", "0s", "0s", "0s"}}
	if r := Stats(StatsOptions{}).Check(t.Context(), h); !reflect.DeepEqual(r.Table, want) {
		t.Errorf("stats: %q, want %q", r.Table, want)
	}
}
