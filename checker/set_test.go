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

// randomSet is a history of a set whose reads now and then miss an element, or
// show one too many.
func randomSet(r *rand.Rand, calls int) []histories.Op {
	n := 0
	var held []string
	ops := clients(r, calls, func() (string, json.RawMessage) {
		if r.IntN(2) == 0 {
			if n > 0 && r.IntN(6) == 0 {
				return "add", raw("%d", 1+r.IntN(n)) // once more
			}
			n++
			return "add", raw("%d", n)
		}
		return "read", nil
	}, func(f string, v json.RawMessage) (json.RawMessage, bool) {
		if f == "add" {
			if r.IntN(10) == 0 {
				return nil, false
			}
			if !slices.Contains(held, string(v)) {
				held = append(held, string(v))
			}
			return v, true
		}
		seen := slices.Clone(held)
		if len(seen) > 0 && r.IntN(4) == 0 {
			seen = slices.Delete(seen, 0, 1)
		}
		if r.IntN(10) == 0 {
			seen = append(seen, fmt.Sprint(1+r.IntN(n+1)))
		}
		return raw("[%s]", strings.Join(seen, ",")), true
	})
	for i := range ops { // much happens at the same time
		ops[i].Time = histories.Time(i / 3)
	}
	return ops
}

// addsOf tells of the adds of v: the first begin of one that may have had an
// effect and of one that had none, and the first end of one that succeeded.
func addsOf(calls []histories.Call, v string) (begin, failed, known int) {
	begin, failed, known = never, never, never
	for _, c := range calls {
		switch {
		case c.Invoke.F != "add" || string(c.Invoke.Value) != v:
		case c.Complete.Type == histories.Fail:
			failed = min(failed, c.Invoke.Index)
		default:
			begin = min(begin, c.Invoke.Index)
			if c.Complete.Type == histories.OK {
				known = min(known, c.Complete.Index)
			}
		}
	}
	return begin, failed, known
}

func elementsOf(read histories.Op) (list []json.Number) {
	if err := json.Unmarshal(read.Value, &list); err != nil {
		panic(err)
	}
	return list
}

// fate is the fate of element v by Jepsen's definition.
func fate(calls []histories.Call, v string) (stable, lost, stale bool) {
	begin, _, known := addsOf(calls, v)
	present, absent := noRead, noRead
	for _, c := range calls {
		if c.Invoke.F != "read" || c.Complete.Type != histories.OK || c.Complete.Index < begin {
			continue
		}
		if slices.Contains(elementsOf(c.Complete), json.Number(v)) {
			present = max(present, c.Invoke.Index)
			known = min(known, c.Complete.Index)
		} else {
			absent = max(absent, c.Invoke.Index)
		}
	}
	stable = present != noRead && absent < present
	lost = known != never && absent != noRead && present < absent && known < absent
	return stable, lost, stable && absent > known
}

func TestSetFullAgreesWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 4000, func(t *testing.T, r *rand.Rand) {
		n := 2 + r.IntN(9)
		if r.IntN(200) == 0 {
			n = 300 // more elements than a word has bits
		}
		h := historyOf(t, randomSet(r, n))
		res := SetFull(SetFullOptions{}).Check(t.Context(), h)
		if res.Verdict == Unknown {
			t.Fatal(res.Why)
		}
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		for _, name := range []string{"stable-latency-ns", "lost-latency-ns"} {
			if q, ok := res.Stats[name].(map[string]int64); ok && !slices.IsSorted([]int64{q["0"], q["0.5"], q["0.95"], q["0.99"], q["1"]}) {
				t.Errorf("%s: %v", name, q)
			}
		}
		want := map[string]int{"stable": 0, "lost": 0, "stale": 0}
		calls := h.Calls()
		told := map[string]bool{}
		for _, c := range calls {
			if c.Invoke.F != "add" || told[string(c.Invoke.Value)] {
				continue
			}
			told[string(c.Invoke.Value)] = true
			stable, lost, stale := fate(calls, string(c.Invoke.Value))
			for kind, is := range map[string]bool{"stable": stable, "lost": lost, "stale": stale} {
				if is {
					want[kind]++
					seen[kind]++
				}
			}
		}
		for kind, n := range want {
			if res.Stats[kind] != n {
				t.Errorf("%s: %v, by definition %d%s", kind, res.Stats[kind], n, show(h))
			}
		}
		revived, unexpected, duplicated := false, false, false
		for _, r := range calls {
			if r.Invoke.F != "read" || r.Complete.Type != histories.OK {
				continue
			}
			list := elementsOf(r.Complete)
			for i, v := range list {
				duplicated = duplicated || slices.Contains(list[:i], v)
				begin, failed, _ := addsOf(calls, string(v))
				switch {
				case begin < r.Complete.Index:
				case failed < r.Complete.Index:
					revived = true
				default:
					unexpected = true
				}
			}
		}
		for kind, is := range map[string]bool{
			"lost": want["lost"] > 0, "stale": want["stale"] > 0, "revived": revived, "unexpected": unexpected, "duplicated": duplicated,
		} {
			seen[fmt.Sprint(kind, is)]++
			if all := kindsOfAll(slices.Concat(res.Anomalies, res.Permitted)); slices.Contains(all, kind) != is {
				t.Errorf("found %v, but %s is %v by definition%s", all, kind, is, show(h))
			}
		}
		if strict := SetFull(SetFullOptions{Linearizable: true}).Check(t.Context(), h); (strict.Verdict == Invalid) != (res.Verdict == Invalid || want["stale"] > 0) {
			t.Errorf("%v, and %v if it must be linearizable: %v%s", res.Verdict, strict.Verdict, want, show(h))
		}
	})
	if len(seen) != 3+2*len(Kinds("set-full")) {
		t.Errorf("%v", seen)
	}
}

func TestSetAgreesWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 3000, func(t *testing.T, r *rand.Rand) {
		h := historyOf(t, randomSet(r, 2+r.IntN(9)))
		calls := h.Calls()
		var last histories.Call
		for _, c := range calls {
			if c.Invoke.F == "read" && c.Complete.Type == histories.OK && c.Complete.Index > last.Complete.Index {
				last = c
			}
		}
		want := map[string]bool{}
		if last.Invoke.F == "" {
			want["never-read"] = true
		} else {
			list := elementsOf(last.Complete)
			for _, c := range calls {
				if _, _, known := addsOf(calls, string(c.Invoke.Value)); c.Invoke.F == "add" && known < last.Invoke.Index && !slices.Contains(list, json.Number(c.Invoke.Value)) {
					want["lost"] = true
				}
			}
			for _, v := range list {
				begin, failed, _ := addsOf(calls, string(v))
				want["unexpected"] = want["unexpected"] || begin > last.Complete.Index && failed > last.Complete.Index
				want["revived"] = want["revived"] || begin > last.Complete.Index && failed < last.Complete.Index
			}
		}
		got := kindsIn(Set().Check(t.Context(), h))
		for _, kind := range Kinds("set") {
			seen[fmt.Sprint(kind, want[kind])]++
			if slices.Contains(got, kind) != want[kind] {
				t.Errorf("found %v, but %s is %v by definition%s", got, kind, want[kind], show(h))
			}
		}
	})
	if len(seen) != 8 {
		t.Errorf("%v", seen)
	}
}

// Each key has a set of its own, and what is no set's operation is named.
func TestSetsByKey(t *testing.T) {
	for _, c := range []Checker{Set(), SetFull(SetFullOptions{})} {
		h := compactly(t, `0 add 1 @a; 0 add 1 @b; 0 add 2 @b; 1 sync; 0 read [1] @a; 0 read [1,2] @b; 1 drain`)
		r := c.Check(t.Context(), h)
		if r.Verdict != Valid || !slices.Contains(r.Unchecked, "operations that are no set's: drain, sync") {
			t.Errorf("%s: %v %s %+v %q", r.Checker, r.Verdict, r.Why, r.Anomalies, r.Unchecked)
		}
		h = compactly(t, `0 add 1 @a; 0 add 1 @b; 0 add 2 @b; 0 read [1] @b; 0 read [2] @a`)
		r = c.Check(t.Context(), h)
		var got []string
		for _, a := range r.Anomalies {
			got = append(got, fmt.Sprint(a.Kind, " ", a.Key, " ", a.Ops))
		}
		if want := []string{"unexpected a [4]", "lost a [0 4]", "lost b [2 3]"}; !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q", r.Checker, got, want)
		}
		if want := "b: op 3 read 3, which nobody had added"; c.Check(t.Context(), compactly(t, `0 add 1 @a; 0 read [1] @a; 0 add 2 @b; 0 read [2,3] @b`)).Anomalies[0].Why != want {
			t.Errorf("%s: no sentence %q", r.Checker, want)
		}
	}
	h := compactly(t, "0 read [1] @a; 0 add 1 @b")
	if r := Set().Check(t.Context(), h); r.Verdict != Invalid {
		t.Errorf("%v %s", r.Verdict, r.Why)
	}
	if r := Set().Check(t.Context(), compactly(t, "0 read []")); r.Verdict != Vacuous || r.Why != "nothing was added" {
		t.Errorf("nothing was added: %v %s", r.Verdict, r.Why)
	}
}

// A read of one set says nothing of another.
func TestSetsAreNotMixed(t *testing.T) {
	add := histories.Op{Process: 0, Type: histories.Invoke, F: "add", Value: raw("1"), Key: raw(`"a"`)}
	read := histories.Op{Process: 0, Type: histories.Invoke, F: "read", Key: raw(`"b"`)}
	ops := []histories.Op{add, add, read, read}
	ops[1].Type, ops[3].Type, ops[3].Value = histories.OK, histories.OK, raw("[]")
	for _, c := range []Checker{Set(), SetFull(SetFullOptions{})} {
		r := c.Check(t.Context(), historyOf(t, ops))
		if r.Verdict != Vacuous {
			t.Errorf("%s: %v %s", r.Checker, r.Verdict, r.Why)
		}
	}
}
