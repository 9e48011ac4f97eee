package checker

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// Without what is permitted the verdict is the one that the rest of the history
// has, in every part.
func TestPermit(t *testing.T) {
	// part is a checker that finds these kinds, and is otherwise as it says.
	part := func(otherwise Verdict, kinds ...string) Checker {
		return Func(func(context.Context, histories.History) Result {
			f := find("versioned-register")
			for i, kind := range kinds {
				f.addf(kind, []int{i}, "op %d is wrong", i)
			}
			why := map[Verdict]string{Unknown: "it gave up"}[otherwise]
			r := f.result(why)
			if otherwise == Vacuous {
				r.vacuous("nothing happened")
			}
			return r
		})
	}
	of := func(kind string) func(Anomaly) bool { return func(a Anomaly) bool { return a.Kind == kind } }
	for _, test := range []struct {
		name  string
		parts []Checker
		want  Verdict
		why   string
		left  []string
	}{
		{"it alone", []Checker{part(Valid, "stale-read"), part(Valid)}, Valid, "", nil},
		{"two of them", []Checker{part(Valid, "stale-read"), part(Valid, "stale-read")}, Valid, "", nil},
		{"another in the same part", []Checker{part(Valid, "stale-read", "version-order")}, Invalid, "", []string{"version-order"}},
		{"another in another part", []Checker{part(Valid, "stale-read"), part(Valid, "version-conflict")}, Invalid, "", []string{"version-conflict"}},
		{"it hid that nothing happened", []Checker{part(Vacuous, "stale-read"), part(Valid)}, Vacuous, "inner: versioned-register: nothing happened", nil},
		{"it hid that not all was judged", []Checker{part(Unknown, "stale-read"), part(Vacuous)}, Unknown, "inner: versioned-register: it gave up", nil},
	} {
		r := Permit(All("outer", All("inner", test.parts...)), of("stale-read")).Check(t.Context(), histories.History{})
		if r.Verdict != test.want || r.Why != test.why || !reflect.DeepEqual(kindsIn(r), append([]string(nil), test.left...)) {
			t.Errorf("%s: %v %q %v, want %v %q %v", test.name, r.Verdict, r.Why, kindsIn(r), test.want, test.why, test.left)
		}
		if len(r.Permitted) == 0 || r.Permitted[0].Kind != "stale-read" || r.Permitted[0].Part != "inner/versioned-register" {
			t.Errorf("%s: permitted %+v", test.name, r.Permitted)
		}
		if inner := r.Parts[0].Verdict; inner != test.want {
			t.Errorf("%s: the part that permits is %v", test.name, inner)
		}
	}
	own := Permit(gives("mine", Invalid, Anomaly{Kind: "above-limit", Why: "w"}), of("above-limit")).Check(t.Context(), histories.History{})
	if own.Verdict != Valid || len(own.Permitted) != 1 {
		t.Errorf("of a checker that is not ours: %v %+v", own.Verdict, own.Permitted)
	}
}

// A case that came before anything was permitted is evidence, however many are
// permitted that began earlier and were over later.
func TestPermitOfMoreCasesThanAreKept(t *testing.T) {
	for _, n := range []int{CasesMax - 1, CasesMax, 3 * CasesMax} {
		many := Func(func(context.Context, histories.History) Result {
			f := find("versioned-register")
			for i := range n {
				f.addf("stale-read", []int{1, 100 + i}, "op %d is older than op 1", 100+i)
			}
			f.addf("stale-read", []int{50, 60}, "op 60 is older than op 50")
			return f.result("")
		})
		r := Permit(many, func(a Anomaly) bool { return slices.Max(a.Ops) >= 100 }).Check(t.Context(), histories.History{})
		if r.Verdict != Invalid || len(r.Anomalies) != 1 || !slices.Equal(r.Anomalies[0].Ops, []int{50, 60}) {
			t.Errorf("of %d cases: %v %+v", n+1, r.Verdict, r.Anomalies)
		}
	}
}
