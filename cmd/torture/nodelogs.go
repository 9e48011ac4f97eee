package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
)

// nodeLogs looks for words of doom in the nodes' logs. Checkers read no files,
// so this one is made here.
func nodeLogs(dir string, tr *run.Trial) checker.Checker {
	return checker.Func(func(context.Context, histories.History) checker.Result {
		r := checker.Result{Checker: "logs", Verdict: checker.Valid}
		for _, n := range tr.Nodes {
			f, err := os.Open(filepath.Join(dir, "nodes", n, "log"))
			if err != nil {
				continue // a simulated node has none
			}
			found, matched, err := checker.MatchLogs(n, f, nil)
			f.Close()
			r.Anomalies = append(r.Anomalies, found...)
			if matched > len(found) {
				r.Truncated = map[string]int{found[0].Kind: r.Truncated[found[0].Kind] + matched - len(found)}
			}
			if err != nil {
				r.Verdict, r.Why = checker.Unknown, err.Error()
			}
		}
		if len(r.Anomalies) > 0 {
			r.Verdict = checker.Invalid
		}
		return r
	})
}
