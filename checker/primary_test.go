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

// replicate is a right run of primary–replica replication: the primary n1
// appends, acknowledges and is copied, nodes crash and record once more what
// they had recorded last, and in the end all logs are equal.
func replicate(r *rand.Rand) (ops []histories.Op) {
	record := func(node, f, format string, args ...any) {
		ops = append(ops, histories.Op{Process: histories.Named(node), Type: histories.Info, F: f, Value: raw(format, args...)})
	}
	nodes := []string{"n1", "n2", "n3"}
	held := map[string]int{}
	f := map[string]string{"n1": "append", "n2": "apply", "n3": "apply"}
	record("n1", "role", `{"role":"primary","term":1}`)
	put := func(n string, idx int) { record(n, f[n], `{"term":1,"idx":%d,"op":"o%d"}`, idx, idx) }
	apply := func(n string) {
		held[n]++
		put(n, held[n])
	}
	for range 5 + r.IntN(20) {
		n := nodes[r.IntN(3)]
		switch k := r.IntN(5); {
		case n == "n1" && k < 4:
			apply(n)
			if r.IntN(4) > 0 {
				w := histories.Op{Process: 0, Type: histories.Invoke, F: "write", Value: raw("%d", held[n]), Key: raw(`"k"`), Node: n}
				ops = append(ops, w)
				w.Type, w.Ext = histories.OK, map[string]json.RawMessage{"op": raw(`"o%d"`, held[n]), "idx": raw("%d", held[n])}
				ops = append(ops, w)
			}
		case k < 3 && held[n] < held["n1"]:
			apply(n)
		case k == 3:
			read := histories.Op{Process: 1, Type: histories.Invoke, F: "read", Key: raw(`"k"`), Node: n}
			ops = append(ops, read)
			read.Type, read.Value, read.Ext = histories.OK, raw("%d", held[n]), map[string]json.RawMessage{"idx": raw("%d", held[n])}
			ops = append(ops, read)
		case k == 4:
			record(n, "crash", `{"kind":"kill"}`)
			record(n, "restart", `{"life":2}`)
			if held[n] > 0 {
				put(n, held[n])
			}
		}
	}
	for _, n := range nodes {
		for n != "n1" && held[n] < held["n1"] {
			apply(n)
		}
		var all []string
		for i := range held[n] {
			all = append(all, fmt.Sprintf(`"o%d"`, i+1))
		}
		record(n, "final-log", `{"ops":[%s]}`, strings.Join(all, ","))
	}
	return ops
}

func TestPrimaryReplicaAcceptsRightRuns(t *testing.T) {
	random(t, 1000, func(t *testing.T, r *rand.Rand) {
		h := historyOf(t, replicate(r))
		if res := PrimaryReplica(PrimaryReplicaOptions{Reads: "replica", Unsynced: true}).Check(t.Context(), h); len(res.Anomalies) > 0 {
			t.Errorf("%+v%s", res.Anomalies, show(h))
		}
	})
}

// One thing that goes wrong in a right run is found, by its name.
func TestPrimaryReplicaFindsWhatWentWrong(t *testing.T) {
	type wrong struct {
		name  string
		kinds []string
		do    func(r *rand.Rand, ops []histories.Op) []histories.Op
	}
	// nth finds a record that has not been recorded once more.
	nth := func(r *rand.Rand, ops []histories.Op, f string) int {
		var all []int
		for i, op := range ops {
			again := false
			for j, o := range ops {
				again = again || i != j && o.Type == op.Type && o.F == f && o.Process == op.Process && string(o.Value) == string(op.Value)
			}
			if op.F == f && !again {
				all = append(all, i)
			}
		}
		if len(all) == 0 {
			return -1
		}
		return all[r.IntN(len(all))]
	}
	found := map[string]int{}
	for _, w := range []wrong{
		{"a replica leaves an entry out", []string{"replica-gap", "no-convergence"}, func(r *rand.Rand, ops []histories.Op) []histories.Op {
			i := nth(r, ops, "apply")
			later := i >= 0 && slices.ContainsFunc(ops[i+1:], func(o histories.Op) bool { return o.F == "apply" && o.Process == ops[i].Process })
			if !later {
				return nil
			}
			return slices.Delete(ops, i, i+1)
		}},
		{"a replica applies another op", []string{"divergence"}, func(r *rand.Rand, ops []histories.Op) []histories.Op {
			i := nth(r, ops, "apply")
			if i < 0 {
				return nil
			}
			ops[i].Value = []byte(strings.Replace(string(ops[i].Value), `:"o`, `:"x`, 1))
			return ops
		}},
		{"a replica applies an entry again, as another", []string{"replica-reorder", "divergence"}, func(r *rand.Rand, ops []histories.Op) []histories.Op {
			i := nth(r, ops, "apply")
			if i < 0 {
				return nil
			}
			return slices.Insert(ops, i+1, ops[i])
		}},
		{"all logs lose an acknowledged write", []string{"lost-acknowledged-write"}, func(r *rand.Rand, ops []histories.Op) []histories.Op {
			i := nth(r, ops, "write")
			if i < 0 || ops[i].Ext == nil {
				return nil
			}
			for j, op := range ops {
				if op.F == "final-log" {
					ops[j].Value = []byte(strings.Replace(string(op.Value), string(ops[i].Ext["op"]), `"gone"`, 1))
				}
			}
			return ops
		}},
	} {
		random(t, 300, func(t *testing.T, r *rand.Rand) {
			ops := w.do(r, replicate(r))
			if ops == nil {
				return
			}
			h := historyOf(t, ops)
			got := kindsIn(PrimaryReplica(PrimaryReplicaOptions{Reads: "replica", Unsynced: true}).Check(t.Context(), h))
			if !slices.ContainsFunc(got, func(k string) bool { return slices.Contains(w.kinds, k) }) {
				t.Errorf("%s: found %v, want one of %v%s", w.name, got, w.kinds, show(h))
			}
			found[w.name]++
		})
		if found[w.name] < 30 {
			t.Errorf("%s: tried %d times only", w.name, found[w.name])
		}
	}
}

// Reads of a node's life do not go back; how many are stale is counted.
func TestPrimaryReadsAgreeWithDefinition(t *testing.T) {
	seen := map[bool]int{}
	random(t, 3000, func(t *testing.T, r *rand.Rand) {
		idx := 0
		calls := clients(r, 2+r.IntN(8), func() (string, json.RawMessage) {
			return []string{"read", "read", "write"}[r.IntN(3)], raw("1")
		}, func(f string, v json.RawMessage) (json.RawMessage, bool) { return v, true })
		var ops []histories.Op
		for _, op := range calls {
			op.Node, op.Key = []string{"n1", "n2", ""}[op.Process%3], raw(`"k%d"`, op.Process/3%2)
			if op.Type == histories.OK {
				at := idx
				if idx++; op.F == "write" {
					at = idx
				} else if r.IntN(3) == 0 {
					at = r.IntN(idx)
				}
				op.Ext = map[string]json.RawMessage{"idx": raw("%d", at)}
			}
			if ops = append(ops, op); r.IntN(10) == 0 {
				f := []string{"crash", "restart"}[r.IntN(2)]
				kind := []string{"kill", "power"}[r.IntN(2)]
				ops = append(ops, histories.Op{Process: histories.Named([]string{"n1", "n2"}[r.IntN(2)]), Type: histories.Info, F: f, Value: raw(`{"kind":%q}`, kind)})
			}
		}
		h := historyOf(t, ops)
		at := func(c histories.Call) int64 {
			n, _ := integer(c.Complete.Ext["idx"])
			return n
		}
		unsynced := r.IntN(2) == 0
		back, old, stale, most := false, false, 0, int64(0)
		for _, b := range h.Calls() {
			if b.Invoke.F != "read" || b.Complete.Type != histories.OK {
				continue
			}
			behind := false
			for _, a := range h.Calls() {
				if a.Complete.Type != histories.OK || a.Complete.Index > b.Invoke.Index || string(a.Invoke.Key) != string(b.Invoke.Key) || at(a) <= at(b) {
					continue
				}
				old = true
				if a.Invoke.F == "write" {
					behind, most = true, max(most, at(a)-at(b))
					continue
				}
				oneLife := a.Invoke.Node != "" && a.Invoke.Node == b.Invoke.Node
				for _, op := range ops[a.Invoke.Index:b.Complete.Index] {
					lost := unsynced && op.F == "crash" && string(op.Value) != `{"kind":"kill"}`
					oneLife = oneLife && !(lost && op.Process == histories.Named(a.Invoke.Node))
				}
				back = back || oneLife
			}
			if behind {
				stale++
			}
		}
		res := PrimaryReplica(PrimaryReplicaOptions{Reads: "replica", Unsynced: unsynced}).Check(t.Context(), h)
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		if slices.Contains(kindsIn(res), "non-monotonic-read") != back || res.Stats["stale-reads"] != stale {
			t.Errorf("found %+v and %v stale reads, by definition %v and %d%s", res.Anomalies, res.Stats["stale-reads"], back, stale, show(h))
		}
		primary := kindsIn(PrimaryReplica(PrimaryReplicaOptions{Reads: "primary"}).Check(t.Context(), h))
		if slices.Contains(primary, "stale-read") != old {
			t.Errorf("if the primary serves reads: found %v, but stale-read is %v by definition%s", primary, old, show(h))
		}
		if staleness, _ := res.Stats["staleness"].(map[string]int64); staleness["1"] != most {
			t.Errorf("staleness %v, by definition up to %d%s", staleness, most, show(h))
		}
		seen[back]++
	})
	if seen[true] < 100 || seen[false] < 100 {
		t.Errorf("%v", seen)
	}
}

func TestLogsCountFromOne(t *testing.T) {
	h := historyOf(t, []histories.Op{{Process: histories.Named("r"), Type: histories.Info, F: "apply", Value: raw(`{"idx":0,"op":"a"}`)}})
	if r := PrimaryReplica(PrimaryReplicaOptions{}).Check(t.Context(), h); r.Verdict != Unknown || !strings.Contains(r.Why, "op 0 (apply by r)") {
		t.Errorf("%v %s", r.Verdict, r.Why)
	}
}
