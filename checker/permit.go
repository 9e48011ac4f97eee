package checker

import (
	"context"
	"slices"
	"strings"

	"github.com/torture-harness/torture/histories"
)

// Permit has those of c's anomalies be permitted that are allowed: they are kept
// in Result.Permitted, and the verdict is what it would be without them.
func Permit(c Checker, allowed func(Anomaly) bool) Checker {
	return Func(func(ctx context.Context, h histories.History) Result {
		r := c.Check(ctx, h)
		var evidence []Anomaly
		for _, a := range r.Anomalies {
			if allowed(a) {
				r.Permitted = append(r.Permitted, a)
			} else {
				evidence = append(evidence, a)
			}
		}
		if len(evidence) < len(r.Anomalies) {
			r.Anomalies = evidence
			r.acquit("", evidence)
		}
		return r
	})
}

// acquit gives r, the part at path, and its parts the verdicts that they have
// by this evidence alone.
func (r *Result) acquit(path string, evidence []Anomaly) {
	if len(r.Parts) > 0 {
		for i := range r.Parts {
			part := &r.Parts[i]
			part.acquit(strings.TrimPrefix(path+"/"+part.Checker, "/"), evidence)
		}
		r.conclude()
	} else if r.Verdict == Invalid && !slices.ContainsFunc(evidence, func(a Anomaly) bool { return a.Part == path }) {
		if r.Verdict, r.Why = r.otherwise, r.whyOtherwise; r.Verdict == Unknown && r.Why == "" {
			r.Verdict = Valid // no checker of ours concluded: nothing speaks against it any more
		}
	}
}

// vacuous says that too little happened for a verdict to mean anything, if
// nothing else makes it one that does.
func (r *Result) vacuous(why string) {
	if r.Verdict == Valid {
		r.Verdict, r.Why = Vacuous, why
	}
	if r.otherwise == Valid {
		r.otherwise, r.whyOtherwise = Vacuous, why
	}
}
