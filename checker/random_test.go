package checker

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// rounds scales the number of random histories that checkers are compared with
// their oracles on.
var rounds = flag.Int("rounds", 1, "multiplies the number of random histories")

// random runs f on n random sources, one for each seed, and tells which failed.
func random(t *testing.T, n int, f func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	for seed := range n * *rounds {
		f(t, rand.New(rand.NewPCG(uint64(seed), 7)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// newRand is a source of its own.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 11)) }

func raw(format string, args ...any) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(format, args...))
}

func historyOf(t testing.TB, ops []histories.Op) histories.History {
	t.Helper()
	h, err := histories.Of(ops...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// show renders a history for a failing test.
func show(h histories.History) string {
	s := ""
	for i, op := range h.All() {
		s += fmt.Sprintf("\n%3d %-8s %-6s %-9s %s", i, op.Process, op.Type, op.F, op.Value)
		if op.Node != "" {
			s += " at " + op.Node
		}
		if op.Error != "" {
			s += " " + op.Error
		}
	}
	return s
}

// finish makes the calls that begin at op from, or later, final ones.
func finish(ops []histories.Op, from int) {
	final := map[histories.Process]bool{}
	for i, op := range ops {
		if op.Type == histories.Invoke {
			final[op.Process] = i >= from
		}
		ops[i].Final = final[op.Process]
	}
}

// clients makes a history of n calls by overlapping clients. Each call takes
// effect at one moment between its ends, or, if its outcome becomes unknown,
// perhaps never: effect is called then and returns what the call returns, or
// false if it fails.
func clients(r *rand.Rand, n int, invoke func() (f string, value json.RawMessage), effect func(f string, value json.RawMessage) (json.RawMessage, bool)) (ops []histories.Op) {
	type call struct {
		op     histories.Op
		done   bool
		result json.RawMessage
		ok     bool
	}
	width := 1 + r.IntN(4)
	var open []*call
	process := histories.Process(0)
	free := []histories.Process{}
	begun := 0
	for begun < n || len(open) > 0 {
		switch k := r.IntN(3); {
		case k == 0 && begun < n && len(open) < width:
			p := process
			if len(free) > 0 {
				p, free = free[0], free[1:]
			} else {
				process++
			}
			f, value := invoke()
			c := &call{op: histories.Op{Process: p, Type: histories.Invoke, F: f, Value: value}}
			ops = append(ops, c.op)
			open = append(open, c)
			begun++
		case k == 1 && len(open) > 0:
			if c := open[r.IntN(len(open))]; !c.done {
				c.done = true
				c.result, c.ok = effect(c.op.F, c.op.Value)
			}
		case k == 2 && len(open) > 0:
			i := r.IntN(len(open))
			c := open[i]
			end := c.op
			switch {
			case r.IntN(8) == 0:
				end.Type = histories.Info
			case !c.done:
				continue
			case c.ok:
				end.Type, end.Value = histories.OK, c.result
				free = append(free, c.op.Process)
			default:
				end.Type, end.Error = histories.Fail, "mismatch"
				free = append(free, c.op.Process)
			}
			open = append(open[:i], open[i+1:]...)
			if end.Type != histories.Info || r.IntN(3) > 0 { // or it never completes
				ops = append(ops, end)
			}
		}
	}
	return ops
}
