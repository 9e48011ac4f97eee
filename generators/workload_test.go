package generators

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// TestWorkloads: every operation is one that targets and checkers know, no
// value is written twice, and no key has more operations than allowed.
func TestWorkloads(t *testing.T) {
	const perKey = 7
	for _, c := range []struct {
		name string
		g    Generator
		fs   []string
	}{
		{"register", Register(Zipfian(40, 0.9), perKey), []string{"read", "write"}},
		{"cas", CAS(Uniform(3), perKey), []string{"cas", "read", "write"}},
		{"append", Appends(Exponential(30, 4), perKey), []string{"txn"}},
		{"set", Sets(0.5), []string{"add", "read"}},
		{"broadcast", Broadcasts(0.5), []string{"broadcast", "read"}},
	} {
		s := newSimulation()
		s.clients, s.max, s.outcomes = 5, 3000, []histories.Type{histories.OK, histories.Info, histories.Fail}
		s.run(c.g)
		written, onKey := map[int]bool{}, map[string]int{}
		write := func(v int) {
			if written[v] || v <= 0 {
				t.Errorf("%s: %d is written again", c.name, v)
			}
			written[v] = true
		}
		fs := map[string]int{}
		for _, op := range s.invocations() {
			fs[op.F]++
			if op.Key != nil {
				onKey[string(op.Key)]++
				if k, err := decode[string](op.Key); err != nil || k[0] != 'k' {
					t.Fatalf("%s: key %s", c.name, op.Key)
				}
			}
			switch op.F {
			case "read":
				if op.Value != nil {
					t.Fatalf("%s: read %s", c.name, op.Value)
				}
			case "write", "add", "broadcast":
				v, err := histories.Decode[int](op)
				if err != nil {
					t.Fatal(err)
				}
				write(v)
			case "cas":
				v, err := histories.Decode[[]int](op)
				if err != nil || len(v) != 2 || !written[v[0]] {
					t.Fatalf("%s: cas %s: %v; the old value must be one that was proposed", c.name, op.Value, err)
				}
				write(v[1])
			case "txn":
				for _, m := range microOps(t, op) {
					onKey[fmt.Sprint(m.key)]++
					if m.f == "append" {
						write(m.element)
					}
				}
			}
		}
		for k, n := range onKey {
			if n > perKey {
				t.Errorf("%s: %d operations on key %s: want %d at most", c.name, n, k, perKey)
			}
		}
		if keyed := c.name == "register" || c.name == "cas" || c.name == "append"; keyed != (len(onKey) > 100) {
			t.Errorf("%s: %d keys", c.name, len(onKey))
		}
		for _, f := range c.fs {
			if fs[f] < 300 {
				t.Errorf("%s: %d operations %s of 3000", c.name, fs[f], f)
			}
		}
		if len(fs) != len(c.fs) {
			t.Errorf("%s: operations %v: want %v", c.name, fs, c.fs)
		}
	}
}

type microOp struct {
	f            string
	key, element int
}

func microOps(t *testing.T, op Op) (ms []microOp) {
	t.Helper()
	txn, err := histories.Decode[[][]json.RawMessage](op)
	if err != nil || len(txn) < 1 || len(txn) > microOpsMax {
		t.Fatalf("txn %s: %v", op.Value, err)
	}
	for _, raw := range txn {
		var m microOp
		f, err1 := decode[string](raw[0])
		key, err2 := decode[int](raw[1])
		element, err3 := decode[*int](raw[2])
		if len(raw) != 3 || err1 != nil || err2 != nil || err3 != nil || (f == "r") != (element == nil) || !slices.Contains([]string{"r", "append"}, f) {
			t.Fatalf("txn %s: %v %v %v", op.Value, err1, err2, err3)
		}
		m.f, m.key = f, key
		if element != nil {
			m.element = *element
		}
		ms = append(ms, m)
	}
	return ms
}

func decode[T any](raw json.RawMessage) (v T, err error) {
	err = json.Unmarshal(raw, &v)
	return v, err
}

// TestCASOftenMatches: against a register that takes every operation as it
// comes, most compare-and-sets find the old value.
func TestCASOftenMatches(t *testing.T) {
	s := newSimulation()
	s.max = 3000
	s.run(CAS(Uniform(3), 50))
	values := map[string]int{}
	matched, all := 0, 0
	for _, op := range s.invocations() {
		switch op.F {
		case "write":
			values[string(op.Key)], _ = histories.Decode[int](op)
		case "cas":
			v, _ := histories.Decode[[]int](op)
			all++
			if values[string(op.Key)] == v[0] {
				matched++
				values[string(op.Key)] = v[1]
			}
		}
	}
	if all < 500 || matched != all {
		t.Errorf("%d of %d cas find what they expect; one after another, all should", matched, all)
	}
}

// TestKeysAreIndependent: with a group of threads a key, each key's operations
// are one group's, and follow each other.
func TestKeysAreIndependent(t *testing.T) {
	s := newSimulation()
	s.clients, s.max, s.outcomes = 10, 600, []histories.Type{histories.OK, histories.OK, histories.Info}
	s.run(Clients(ConcurrentKeys(3, KeysNamed("k"), func(any) Generator { return Limit(11, Count("w", 1)) })))
	groups, counts := map[string]int{}, map[string]int{}
	for _, op := range s.invocations() {
		k, group := string(op.Key), int(op.Process)%10/3
		if g, ok := groups[k]; ok && g != group {
			t.Fatalf("%s: group %d has that key", show(&op), g)
		}
		groups[k] = group
		if counts[k]++; string(op.Value) != fmt.Sprint(counts[k]) {
			t.Fatalf("%s: operation %d of its key", show(&op), counts[k])
		}
	}
	for k, n := range counts {
		if n > 11 {
			t.Errorf("key %s: %d operations", k, n)
		}
	}
	if len(counts) < 50 {
		t.Errorf("%d keys", len(counts))
	}
}
