package checker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// randomCopies is a run in which nodes record what they have and what of it is
// on disk, lose power, and answer by their logs, all of it somewhat at will.
func randomCopies(r *rand.Rand) (ops []histories.Op) {
	names := []string{"n1", "n2", "n3"}
	last := map[string]int{}
	record := func(n, f, format string, args ...any) {
		ops = append(ops, histories.Op{Process: histories.Named(n), Type: histories.Info, F: f, Value: raw(format, args...)})
	}
	answer := func(n, f, field string, idx int) {
		op := histories.Op{Process: 0, Type: histories.Invoke, F: f, Node: n}
		if f == "txn" {
			op.Value = raw("[]")
		}
		ops = append(ops, op)
		op.Type, op.Ext = histories.OK, map[string]json.RawMessage{field: raw("%d", idx)}
		ops = append(ops, op)
	}
	near := func(idx int) int { return max(0, idx+r.IntN(3)-1) }
	record("n1", "role", `{"role":"primary"}`)
	for range 6 + r.IntN(24) {
		n := names[r.IntN(3)]
		switch k := r.IntN(12); {
		case k < 4 && n == "n1":
			last[n]++
			record(n, "append", `{"idx":%d,"op":"o%d"}`, last[n], last[n])
		case k < 3 && last[n] < last["n1"]:
			last[n]++
			record(n, "apply", `{"idx":%d,"op":"o%d"}`, last[n], last[n])
		case k < 6:
			record(n, "held", `{"idx":%d}`, []int{last[n], near(last[n])}[r.IntN(2)])
		case k == 6 && n != "n1" && last[n] > 0:
			last[n] = r.IntN(last[n])
			record(n, "truncate", `{"idx":%d}`, last[n])
		case k == 7:
			record(n, "crash", `{"kind":%q}`, []string{"power", "kill"}[r.IntN(2)])
			record(n, "restart", `{}`)
		case k == 8:
			answer(n, "read", "at", near(last[n]))
		case k == 9:
			answer("n1", "txn", "at", last["n1"])
		case last["n1"] > 0:
			answer("n1", "write", "idx", 1+r.IntN(last["n1"]))
		}
	}
	return ops
}

// copiesBy is, by definition, how far the log of node n went before op i, how
// far it was on disk, and whether a loss of power may since have taken some of
// that.
func copiesBy(ops []histories.Op, unsynced bool, n string, i int) (last, durable int, forgot bool) {
	node := histories.Named(n)
	at := func(j int) int {
		v, _ := integer(field(ops[j].Value, "idx"))
		return int(v)
	}
	// kept is what is left before op i of what was there up to idx at op j.
	kept := func(j int) int {
		idx := at(j)
		for k := j; k < i; k++ {
			if ops[k].Process == node && ops[k].F == "truncate" {
				idx = min(idx, at(k))
			}
		}
		return idx
	}
	since := 0 // the record that says what the last loss has left
	for j := range i {
		if ops[j].Process != node {
			continue
		}
		switch ops[j].F {
		case "crash":
			forgot = forgot || unsynced && string(ops[j].Value) == `{"kind":"power"}`
		case "held":
			if forgot {
				since, forgot = j, false
			}
		}
	}
	for j := range i {
		switch op := ops[j]; {
		case op.Process != node:
		case op.F == "append" || op.F == "apply":
			last = max(last, kept(j))
		case op.F == "held" && j >= since:
			durable = max(durable, kept(j))
		}
	}
	return last, durable, forgot
}

// What nodes have and what of it is on disk, is compared with what they say
// later, with what they serve and with what is acknowledged.
func TestCopiesAgreeWithDefinition(t *testing.T) {
	seen := map[string]int{}
	kinds := []string{"durability-lost", "dirty-read", "under-replicated"}
	random(t, 3000, func(t *testing.T, r *rand.Rand) {
		ops := randomCopies(r)
		h := historyOf(t, ops)
		o := PrimaryReplicaOptions{Reads: "replica", Copies: r.IntN(3), Unsynced: r.IntN(2) == 0}
		want := map[string]bool{}
		for i, op := range ops {
			idx, _ := integer(field(op.Value, "idx"))
			switch place := op.Ext; {
			case op.F == "held":
				_, durable, forgot := copiesBy(ops, o.Unsynced, op.Process.String(), i)
				want["durability-lost"] = want["durability-lost"] || !forgot && int(idx) < durable
			case op.Type == histories.OK && op.F == "read":
				last, durable, _ := copiesBy(ops, o.Unsynced, op.Node, i)
				known := slices.ContainsFunc(ops[:i], func(o histories.Op) bool { return o.Process == histories.Named(op.Node) })
				at, _ := integer(place["at"])
				want["dirty-read"] = want["dirty-read"] || known && int(at) > max(last, durable)
			case op.Type == histories.OK && op.F == "write":
				with := 0
				for _, n := range []string{"n2", "n3"} {
					at, _ := integer(place["idx"])
					if _, durable, _ := copiesBy(ops, o.Unsynced, n, i); durable >= int(at) {
						with++
					}
				}
				want["under-replicated"] = want["under-replicated"] || with < o.Copies
			}
		}
		res := PrimaryReplica(o).Check(t.Context(), h)
		if res.Verdict == Unknown {
			t.Fatalf("%s%s", res.Why, show(h))
		}
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		got := kindsIn(res)
		for _, kind := range kinds {
			seen[fmt.Sprint(kind, want[kind])]++
			if slices.Contains(got, kind) != want[kind] {
				t.Errorf("%+v: found %+v, but %s is %v by definition%s", o, res.Anomalies, kind, want[kind], show(h))
			}
		}
	})
	t.Log(seen)
	for _, kind := range kinds {
		if seen[kind+"true"] < 200 || seen[kind+"false"] < 200 {
			t.Errorf("%v: too few of a kind", seen)
		}
	}
}
