package checker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// version is a state of a versioned register, and a call of it.
type version struct {
	n     int64
	value string
}

type versionCall struct {
	version
	write bool
	known bool // the write of the version is one of the calls
}

// versionedModel is the definition: writes make newer versions, reads return
// the one there is, or one that a write made of which nothing is known.
var versionedModel = Model[version, versionCall]{
	Step: func(s version, c versionCall) (version, bool) {
		if c.write || !c.known && c.n > s.n {
			return c.version, c.n > s.n
		}
		return s, c.version == s
	},
}

// randomVersions is a history of a versioned register, right or with a version
// or a value changed.
func randomVersions(r *rand.Rand) []histories.Op {
	last, state := 0, [2]string{"null", "0"}
	ops := clients(r, 1+r.IntN(7), func() (string, json.RawMessage) {
		if r.IntN(2) == 0 {
			return "read", nil
		}
		return "write", raw("%d", r.IntN(2))
	}, func(f string, v json.RawMessage) (json.RawMessage, bool) {
		if f == "write" {
			last++
			state = [2]string{string(v), fmt.Sprint(last)}
		}
		return raw("[%s,%s]", state[0], state[1]), true
	})
	for i, op := range ops {
		if op.Type == histories.OK && r.IntN(4) == 0 {
			var was [2]json.RawMessage
			if err := json.Unmarshal(op.Value, &was); err != nil {
				panic(err)
			}
			if r.IntN(4) == 0 {
				was[0] = raw("%d", r.IntN(3))
			} else {
				was[1] = raw("%d", 1+r.IntN(last+1))
			}
			ops[i].Value = raw("[%s,%s]", was[0], was[1])
		}
	}
	return ops
}

func TestVersionedAgreesWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 5000, func(t *testing.T, r *rand.Rand) {
		h := historyOf(t, randomVersions(r))
		var part []span[versionCall]
		written := map[int64]bool{}
		for _, c := range h.Calls() {
			if c.Complete.Type != histories.OK {
				continue
			}
			var v [2]json.RawMessage
			if err := json.Unmarshal(c.Complete.Value, &v); err != nil {
				t.Fatal(err)
			}
			n, _ := integer(v[1])
			call := versionCall{version: version{n, string(v[0])}, write: c.Invoke.F == "write"}
			if n == 0 && !call.write && call.value != "null" { // the initial value has no version to tell it by
				return
			}
			written[n] = written[n] || call.write
			part = append(part, span[versionCall]{call: call, begin: c.Invoke.Index, end: c.Complete.Index})
		}
		for i := range part {
			part[i].call.known = written[part[i].call.n]
		}
		want := linearizable(versionedModel, part, version{0, "null"}, make([]bool, len(part)))
		res := Versioned().Check(t.Context(), h)
		if res.Verdict != cmp.Or(map[bool]Verdict{false: Invalid}[want], map[bool]Verdict{true: Vacuous}[len(part) == 0], Valid) {
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
	if len(seen) != 3+len(Kinds("versioned-register")) {
		t.Errorf("%v", seen)
	}
}

// Where null stands in the invocation of a write, there the version comes.
func TestPlaceOfVersions(t *testing.T) {
	call := func(f, asked, got string) []histories.Op {
		return []histories.Op{{Type: histories.Invoke, F: f, Value: raw("%s", asked)}, {Type: histories.OK, F: f, Value: raw("%s", got)}}
	}
	for _, test := range []struct {
		name string
		ops  []histories.Op
		want Verdict
		kind string
		why  string
	}{
		{"versions first", slices.Concat(call("write", "[null,4]", "[1,4]"), call("write", "[null,2]", "[2,2]"), call("read", "[null,null]", "[2,2]")), Valid, "", ""},
		{"versions first, stale", slices.Concat(call("write", "[null,4]", "[1,4]"), call("write", "[null,2]", "[2,2]"), call("read", "[null,null]", "[1,4]")), Invalid, "stale-read", ""},
		{"values first", slices.Concat(call("write", "[4,null]", "[4,1]"), call("write", "[2,null]", "[2,2]"), call("read", "null", "[2,2]")), Valid, "", ""},
		{"values first, stale", slices.Concat(call("write", "[4,null]", "[4,1]"), call("write", "[2,null]", "[2,2]"), call("read", "null", "[4,1]")), Invalid, "stale-read", ""},
		{"not told: values first", slices.Concat(call("write", "4", "[4,1]"), call("write", "2", "[2,2]"), call("read", "null", "[4,1]")), Invalid, "stale-read", ""},
		{"a read's nulls tell nothing", slices.Concat(call("write", "4", "[4,1]"), call("read", "[null,7]", "[4,1]")), Valid, "", ""},
		{"both", slices.Concat(call("write", "[4,null]", "[4,1]"), call("write", "[null,2]", "[2,2]")), Unknown, "", "op 2 (write) has null in the first place of its value, where the version would come, and op 0 in the second"},
		{"no version", slices.Concat(call("write", "[null,4]", `["a",4]`)), Unknown, "", `op 1 (write): value ["a",4]: want [version, value]`},
	} {
		r := Versioned().Check(t.Context(), historyOf(t, test.ops))
		if r.Verdict != test.want || r.Why != test.why || test.kind != "" && !slices.Equal(kindsIn(r), []string{test.kind}) {
			t.Errorf("%s: %v %q %+v", test.name, r.Verdict, r.Why, r.Anomalies)
		}
	}
}
