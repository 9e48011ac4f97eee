package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// findings collects the anomalies of one checker and turns them into a
// Result: in the order of the checker's own list of kinds, gravest first, then
// by the smallest op; at most CasesMax of a kind, those that were over first,
// the rest counted. What is permitted from some op on is so of the rest if it is
// of all that are kept.
type findings struct {
	checker string
	kinds   []string
	cases   map[string][]Anomaly // those kept, in the order of compareOver
	count   map[string]int
	permits []string // kinds of anomaly that the promise allows
	invalid bool
	vacuous bool
	stats   map[string]any
	files   map[string][]byte
	table   [][]string

	key string // of the object that is looked at, if there are several

	checked, unchecked []string
}

func find(checker string) *findings {
	kinds, ok := kindsOf[checker]
	if !ok {
		panic(fmt.Sprintf("checker %q has no list of kinds", checker))
	}
	f := &findings{checker: checker, kinds: kinds, cases: map[string][]Anomaly{}, count: map[string]int{}, stats: map[string]any{}}
	f.checked = nonEmpty(looksAt[checker])
	return f
}

// looked says what the checker looks at, in a plain phrase: a Result that is
// not Unknown vouches for it.
func (f *findings) looked(what string) { f.checked = append(f.checked, what) }

// skipped says what the checker does not look for, although one might think so.
func (f *findings) skipped(what string) { f.unchecked = append(f.unchecked, what) }

// permit says that anomalies of these kinds are allowed.
func (f *findings) permit(kinds ...string) { f.permits = append(f.permits, kinds...) }

// add reports an anomaly that makes the history invalid, unless it is
// permitted.
func (f *findings) add(a Anomaly) {
	f.invalid = f.invalid || !slices.Contains(f.permits, a.Kind)
	f.note(a)
}

// addf reports an anomaly that makes the history invalid, unless it is
// permitted. ops are in the order in which the sentence tells of them.
func (f *findings) addf(kind string, ops []int, format string, args ...any) {
	f.invalid = f.invalid || !slices.Contains(f.permits, kind)
	f.notef(kind, ops, format, args...)
}

// empty reports that too little happened for a verdict to mean anything.
func (f *findings) empty(kind string, format string, args ...any) {
	f.vacuous = true
	f.notef(kind, nil, format, args...)
}

// notef reports an anomaly that the history's promise allows. The sentence is
// only made if the case is kept.
func (f *findings) notef(kind string, ops []int, format string, args ...any) {
	a := Anomaly{Kind: kind, Ops: ops, Key: f.key}
	if !f.keeps(a) {
		f.count[kind]++
		return
	}
	a.Why = object(f.key) + fmt.Sprintf(format, args...)
	f.note(a)
}

func (f *findings) note(a Anomaly) {
	if f.severity(a.Kind) < 0 {
		panic(fmt.Sprintf("checker %s reports %s, which is not on its list of kinds", f.checker, a.Kind))
	}
	f.count[a.Kind]++
	if !f.keeps(a) {
		return
	}
	cases := append(f.cases[a.Kind], a)
	slices.SortStableFunc(cases, compareOver)
	f.cases[a.Kind] = cases[:min(len(cases), CasesMax)]
}

// keeps tells whether a would be among the cases of its kind.
func (f *findings) keeps(a Anomaly) bool {
	cases := f.cases[a.Kind]
	if len(cases) < CasesMax {
		return true
	}
	last := cases[len(cases)-1].Ops
	return cmp.Or(cmp.Compare(latest(a.Ops), latest(last)), compareOps(a.Ops, last)) <= 0
}

// severity is the rank of a kind, 0 the gravest, or -1. A kind may name its
// object behind a colon: never-ok:cas.
func (f *findings) severity(kind string) int {
	family, _, _ := strings.Cut(kind, ":")
	return slices.Index(f.kinds, family)
}

// compareOver orders cases by when they were over.
func compareOver(a, b Anomaly) int {
	return cmp.Or(cmp.Compare(latest(a.Ops), latest(b.Ops)), compareCases(a, b))
}

func compareCases(a, b Anomaly) int {
	return cmp.Or(compareOps(a.Ops, b.Ops), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Why, b.Why))
}

func compareOps(a, b []int) int {
	return cmp.Or(cmp.Compare(earliest(a), earliest(b)), slices.Compare(a, b))
}

func earliest(ops []int) int {
	if len(ops) == 0 {
		return -1
	}
	return slices.Min(ops)
}

func latest(ops []int) int {
	if len(ops) == 0 {
		return -1
	}
	return slices.Max(ops)
}

// result concludes. why is given to a verdict of Unknown or Vacuous that would
// otherwise have no reason; if it is not empty, a history without anomalies
// is Unknown.
func (f *findings) result(why string) Result {
	r := Result{Checker: f.checker, Files: f.files, Table: f.table, Checked: f.checked, Unchecked: f.unchecked}
	if len(f.stats) > 0 {
		r.Stats = f.stats
	}
	var kinds []string
	for kind := range f.cases {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		return cmp.Or(cmp.Compare(f.severity(a), f.severity(b)), cmp.Compare(a, b))
	})
	var reasons []string
	for _, kind := range kinds {
		cases := slices.SortedStableFunc(slices.Values(f.cases[kind]), compareCases)
		if slices.Contains(f.permits, kind) {
			r.Permitted = append(r.Permitted, cases...)
		} else {
			r.Anomalies = append(r.Anomalies, cases...)
		}
		if cut := f.count[kind] - len(cases); cut > 0 {
			if r.Truncated == nil {
				r.Truncated = map[string]int{}
			}
			r.Truncated[kind] = cut
		}
		for _, a := range cases {
			reasons = append(reasons, a.Why)
		}
	}
	switch {
	case f.vacuous:
		r.Verdict, r.Why = Vacuous, strings.Join(reasons, "; ")
	case why != "":
		r.Verdict, r.Why = Unknown, why
	default:
		r.Verdict = Valid
	}
	r.otherwise, r.whyOtherwise = r.Verdict, r.Why
	if f.invalid {
		r.Verdict, r.Why = Invalid, ""
	}
	if r.Verdict == Unknown {
		r.Unchecked, r.Checked = append(r.Unchecked, r.Checked...), nil
	}
	return r
}

// unknown is the result of a checker that could not do its work.
func unknown(checker string, err error) Result {
	return Result{Checker: checker, Verdict: Unknown, Why: err.Error(), Unchecked: nonEmpty(looksAt[checker])}
}
