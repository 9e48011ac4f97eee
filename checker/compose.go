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
		all := Result{Checker: name, Verdict: Valid}
		if len(parts) == 0 {
			all.Verdict, all.Why = Vacuous, "there is nothing to check"
		}
		for _, part := range parts {
			r := Safe(name, part).Check(ctx, h)
			all.Parts = append(all.Parts, r)
			all.Verdict = Worse(all.Verdict, r.Verdict)
		}
		var reasons []string
		for i := range all.Parts {
			part := &all.Parts[i]
			if part.Verdict == all.Verdict && part.Why != "" {
				reasons = append(reasons, part.Checker+": "+part.Why)
			}
			all.lift(part)
		}
		if all.Verdict == Unknown || all.Verdict == Vacuous {
			all.Why = strings.Join(append(reasons, nonEmpty(all.Why)...), "; ")
		}
		return all
	})
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
	for _, a := range part.Anomalies {
		if to, ok := renamed[a.File]; ok {
			a.File = to
		}
		a.Part = strings.TrimSuffix(part.Checker+"/"+a.Part, "/")
		r.Anomalies = append(r.Anomalies, a)
	}
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
	part.Anomalies, part.Truncated, part.Files, part.Checked, part.Unchecked = nil, nil, nil, nil, nil
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
