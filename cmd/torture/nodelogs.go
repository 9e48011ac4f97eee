package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
)

// nodeLogs looks for lines in the nodes' logs that no healthy node writes.
// Checkers read no files, so they are read here. A simulated node has no log.
func nodeLogs(dir string, tr *run.Trial) checker.Checker {
	patterns, err := tr.Target.LogPatterns()
	var found []checker.Anomaly
	read, more := 0, 0
	for _, n := range tr.Nodes {
		if err != nil {
			break
		}
		var f *os.File
		if f, err = histories.Dir(dir).OpenNode(n, "log"); errors.Is(err, fs.ErrNotExist) {
			err = nil
			continue
		} else if err != nil {
			break
		}
		var lines []checker.Anomaly
		var matched int
		lines, matched, err = checker.MatchLogs(n, f, patterns)
		f.Close()
		if err == nil {
			read++
		}
		found, more = append(found, lines...), more+matched-len(lines)
	}
	if err != nil && len(found) == 0 {
		return checker.Func(func(context.Context, histories.History) checker.Result {
			return checker.Result{Checker: "logs", Why: fmt.Sprintf("a node's log cannot be read: %v", err)}
		})
	}
	nodes := len(tr.Nodes)
	if tr.Manifest.World == "sim" {
		nodes = read
	}
	return checker.Logs(read, nodes, found, more)
}
