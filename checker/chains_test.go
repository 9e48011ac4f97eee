package checker

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// longRegisters is a history of up to three registers, 10 to 60 calls in all,
// that is right, but for the few changes of it: a read of a value that was there
// a little earlier or later, or two neighbours in time exchanged.
func longRegisters(r *rand.Rand, init string) []histories.Op {
	var all [][]histories.Op
	keys := 1 + r.IntN(3)
	for k := range keys {
		ops := randomLong(r, (10+r.IntN(51))/keys, init)
		for i := range ops {
			ops[i].Process += histories.Process(1000 * k)
			ops[i].Key = raw("%d", k)
		}
		all = append(all, ops)
	}
	var ops []histories.Op
	for len(all) > 0 {
		k := r.IntN(len(all))
		if len(all[k]) == 0 {
			all = slices.Delete(all, k, k+1)
			continue
		}
		ops, all[k] = append(ops, all[k][0]), all[k][1:]
	}
	return ops
}

// randomLong is a history of one register whose values are all different. Half
// of the calls are reads, so that every value is there for a while and is seen.
func randomLong(r *rand.Rand, n int, init string) []histories.Op {
	state, last := init, 0
	held := []string{init}
	value := func() string {
		last++
		return string(raw("%d", last))
	}
	put := func(v string) {
		state = v
		held = append(held, v)
	}
	ops := clients(r, n, func() (string, json.RawMessage) {
		switch r.IntN(6) {
		case 0, 1:
			return "write", raw("%s", value())
		case 2:
			return "cas", nil // its values are chosen as it takes effect
		}
		return "read", nil
	}, func(f string, v json.RawMessage) (json.RawMessage, bool) {
		switch f {
		case "write":
			put(string(v))
			return v, true
		case "cas":
			old := state
			put(value())
			return raw("[%s,%s]", old, state), true
		}
		return raw("%s", state), true
	})
	ops = settleCAS(ops, value)
	for range r.IntN(3) {
		switch i := r.IntN(len(ops)); {
		case ops[i].Type == histories.OK && ops[i].F == "read":
			at := slices.Index(held, string(ops[i].Value))
			at = min(max(at+r.IntN(5)-2, 0), len(held)-1)
			ops[i].Value = raw("%s", held[at])
		case i > 0 && ops[i].Process != ops[i-1].Process:
			ops[i], ops[i-1] = ops[i-1], ops[i]
		}
	}
	return ops
}

// settleCAS gives the invocations of cas the values of their completions, and
// those whose outcome is unknown values that nobody ever sees.
func settleCAS(ops []histories.Op, value func() string) []histories.Op {
	open := map[histories.Process]int{}
	for i, op := range ops {
		if op.F != "cas" {
			continue
		}
		if op.Type == histories.Invoke {
			open[op.Process] = i
			ops[i].Value = raw("[%s,%s]", value(), value())
			continue
		}
		begin := open[op.Process]
		if op.Type == histories.OK {
			ops[begin].Value = op.Value
		} else {
			ops[i].Value = ops[begin].Value
		}
	}
	return ops
}

// Chains agree with the search on long histories, of three zones and more. The
// flag -rounds multiplies their number.
func TestChainsAgreeWithSearchOnLongHistories(t *testing.T) {
	verdicts := map[bool]int{}
	zones := map[int]int{}
	random(t, 22000, func(t *testing.T, r *rand.Rand) {
		init := []string{"null", "0"}[r.IntN(2)]
		h := historyOf(t, longRegisters(r, init))
		m := Register(RegisterOptions{Init: raw("%s", init)})
		_, parts, err := m.split(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			w, fits := m.shape(part)
			if !fits {
				t.Fatalf("values are not unique%s", show(h))
			}
			out := newSearch(m, m.useful(part), 1<<18).run(t.Context())
			if !out.decided {
				continue
			}
			verdicts[w == nil]++
			if (w == nil) != (out.stuck < 0) {
				t.Errorf("chains: %+v, search: %+v%s", w, out, show(h))
			}
			c := chainer{part: part, initial: init, put: map[string]int32{}}
			for i, s := range part {
				if !s.call.reads() {
					c.put[s.call.val] = int32(i)
				}
			}
			if c.depend() && c.link() && c.walk() {
				zones[min(len(c.zones), 3)]++
			}
		}
	})
	if verdicts[true] < 10000 || verdicts[false] < 5000 || zones[3] < 20000 {
		t.Errorf("verdicts %v, zones %v: too few of a kind", verdicts, zones)
	}
}
