package checker

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/torture-harness/torture/histories"
)

// All is the checker of a history that must pass every part: its verdict is
// the gravest of theirs. Anomalies, files, and what was and was not looked at
// move up from the parts, so that each is told once and a reader need not look
// below; an anomaly's Part tells where it came from. What an unknown part would
// have looked at was not.
func All(name string, parts ...Checker) Checker {
	return Func(func(ctx context.Context, h histories.History) Result {
		all := Result{Checker: name}
		for _, part := range parts {
			all.Parts = append(all.Parts, Safe(name, part).Check(ctx, h))
		}
		all.conclude()
		for i := range all.Parts {
			all.lift(&all.Parts[i])
		}
		return all
	})
}

// conclude gives a composed result the gravest verdict of its parts, with their
// reasons.
func (r *Result) conclude() {
	r.Verdict, r.Why = Valid, ""
	if len(r.Parts) == 0 {
		r.Verdict, r.Why = Vacuous, "there is nothing to check"
	}
	for _, part := range r.Parts {
		r.Verdict = Worse(r.Verdict, part.Verdict)
	}
	if r.Verdict != Unknown && r.Verdict != Vacuous {
		return
	}
	reasons := nonEmpty(r.Why)
	for _, part := range r.Parts {
		if part.Verdict == r.Verdict && part.Why != "" {
			reasons = append(reasons, part.Checker+": "+part.Why)
		}
	}
	r.Why = strings.Join(reasons, "; ")
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// lift moves up what a part found. A file's name that is taken is made to
// differ.
func (r *Result) lift(part *Result) {
	renamed := map[string]string{}
	for _, name := range sortedKeys(part.Files) {
		free := name
		for i := 2; r.Files[free] != nil; i++ {
			ext := filepath.Ext(name)
			free = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), i, ext)
		}
		if r.Files == nil {
			r.Files = map[string][]byte{}
		}
		r.Files[free] = part.Files[name]
		renamed[name] = free
	}
	from := func(all []Anomaly) []Anomaly {
		all = slices.Clone(all)
		for i, a := range all {
			if to, ok := renamed[a.File]; ok {
				all[i].File = to
			}
			all[i].Part = strings.TrimSuffix(part.Checker+"/"+a.Part, "/")
		}
		return all
	}
	r.Anomalies = append(r.Anomalies, from(part.Anomalies)...)
	r.Permitted = append(r.Permitted, from(part.Permitted)...)
	for kind, n := range part.Truncated {
		if r.Truncated == nil {
			r.Truncated = map[string]int{}
		}
		r.Truncated[kind] += n
	}
	if part.Verdict == Unknown {
		part.Unchecked = append(part.Unchecked, part.Checked...)
		part.Checked = nil
	}
	r.Checked = union(r.Checked, part.Checked)
	r.Unchecked = union(r.Unchecked, part.Unchecked)
	part.Anomalies, part.Permitted, part.Truncated, part.Files, part.Checked, part.Unchecked = nil, nil, nil, nil, nil, nil
}

// union appends to a what of b is not there yet.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// Safe makes a checker that panics conclude Unknown, never Valid, with the
// panic and where it happened as the reason.
func Safe(name string, c Checker) Checker {
	return Func(func(ctx context.Context, h histories.History) (r Result) {
		defer func() {
			if p := recover(); p != nil {
				r = Result{Checker: name, Verdict: Unknown, Why: fmt.Sprintf("the checker panicked: %v, at %s", p, Where())}
			}
		}()
		if err := ctx.Err(); err != nil {
			return unknown(name, fmt.Errorf("not checked: %w", err))
		}
		return c.Check(ctx, h)
	})
}

// Where is the stack of a panic, for the deferred function that recovers it: innermost first: functions, files
// and lines, without the addresses that would make it differ between runs.
func Where() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var lines []string
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			lines = append(lines, fmt.Sprintf("%s (%s:%d)", filepath.Base(f.Function), filepath.Base(f.File), f.Line))
		}
		if !more || len(lines) == 12 {
			return strings.Join(lines, " < ")
		}
	}
}
