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
func randomSet(r *rand.Rand) []histories.Op {
	n := 0
	var held []string
	ops := clients(r, 2+r.IntN(9), func() (string, json.RawMessage) {
		if r.IntN(2) == 0 {
			n++
			return "add", raw("%d", n)
		}
		return "read", nil
	}, func(f string, v json.RawMessage) (json.RawMessage, bool) {
		if f == "add" {
			if r.IntN(10) == 0 {
				return nil, false
			}
			held = append(held, string(v))
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

// fate is the fate of element v by Jepsen's definition.
func fate(calls []histories.Call, v string) (stable, lost, stale bool) {
	var add histories.Call
	known := never
	for _, c := range calls {
		if c.Invoke.F == "add" && string(c.Invoke.Value) == v {
			add = c
		}
	}
	if add.Complete.Type == histories.OK {
		known = add.Complete.Index
	}
	present, absent := noRead, noRead
	for _, c := range calls {
		if c.Invoke.F != "read" || c.Complete.Type != histories.OK || c.Complete.Index < add.Invoke.Index {
			continue
		}
		var list []json.Number
		if err := json.Unmarshal(c.Complete.Value, &list); err != nil {
			panic(err)
		}
		if slices.Contains(list, json.Number(v)) {
			known, present = min(known, c.Complete.Index), max(present, c.Invoke.Index)
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
		h := historyOf(t, randomSet(r))
		res := SetFull(SetFullOptions{}).Check(t.Context(), h)
		if res.Verdict == Unknown {
			t.Fatal(res.Why)
		}
		want := map[string]int{"stable": 0, "lost": 0, "stale": 0}
		calls := h.Calls()
		for _, c := range calls {
			if c.Invoke.F != "add" {
				continue
			}
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
		if slices.Contains(kindsIn(res), "lost") != (want["lost"] > 0) {
			t.Errorf("found %v, want %v", kindsIn(res), want)
		}
	})
	if len(seen) != 3 {
		t.Errorf("%v", seen)
	}
}

func TestSetAgreesWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 3000, func(t *testing.T, r *rand.Rand) {
		h := historyOf(t, randomSet(r))
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
			var list []json.Number
			if err := json.Unmarshal(last.Complete.Value, &list); err != nil {
				t.Fatal(err)
			}
			added := map[json.Number]histories.Call{}
			for _, c := range calls {
				if c.Invoke.F == "add" {
					v := json.Number(c.Invoke.Value)
					added[v] = c
					if c.Complete.Type == histories.OK && c.Complete.Index < last.Invoke.Index && !slices.Contains(list, v) {
						want["lost"] = true
					}
				}
			}
			for _, v := range list {
				c, known := added[v]
				want["unexpected"] = want["unexpected"] || !known
				want["revived"] = want["revived"] || known && c.Complete.Type == histories.Fail
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
