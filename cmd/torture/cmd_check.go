package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
)

func newCheckCommand(a *app) *cobra.Command {
	f := fileCheck{}
	cmd := &cobra.Command{
		Use:   "check FILE|DIR",
		Short: "Judge a recorded history",
		Long: `Check judges the history in a run's directory by the run's own checkers, and
writes its result.json and report.html anew; or the history in a file, by the
checker that --checker names. Files are JSON (a line each, an array, or objects
one after the other) or Jepsen's EDN, compressed by gzip, bzip2 or zstd or not;
- is standard input, and a directory of Jepsen's store stands for its
history.edn.

Where the times in a file contradict its order, it is judged in both, and the
verdict is what both agree on.

` + checker.Help() + exitStatus,
		Example: `  torture check runs/20261122T120000.000-raft-sim-7
  torture check history.edn --checker linearizable --option model=cas-register --independent
  torture check store/etcd/latest --checker append --report /tmp/report`,
		Args: one("FILE or DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := args[0]
			f.noTuples = cmd.Flags().Changed("independent")
			f.read.Limits = a.limits
			switch f.order {
			case orderBoth, orderFile, orderTime:
			default:
				return fmt.Errorf("--order %s: want %s, %s or %s", f.order, orderFile, orderTime, orderBoth)
			}
			ctx := cmd.Context()
			if path == "-" {
				if f.checker == "" {
					return sayChecker(path, "standard input")
				}
				return a.checkFile(ctx, path, cmd.InOrStdin(), f)
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			what := path + " is a file"
			switch {
			case info.IsDir() && isRun(path):
				if f.checker != "" {
					return errors.New("--checker is for files; a run's directory has its own checkers (check its history.jsonl to use another)")
				}
				tr, opened, err := a.openTrial(path)
				if err != nil {
					return err
				}
				return a.sayOf(a.judge(ctx, tr, path, cutShort(path, opened.History.Len())))
			case info.IsDir():
				found, err := historyIn(path)
				if err != nil {
					return err
				}
				path, what = found, path+" is a run of Jepsen, with its history in "+filepath.Base(found)
			}
			if f.checker == "" {
				return sayChecker(args[0], what)
			}
			return a.checkFile(ctx, path, nil, f)
		},
	}
	cmd.Flags().StringVar(&f.checker, "checker", "", "checker for a file: "+strings.Join(checker.Names(), ", "))
	complete(cmd, "checker", checker.Names()...)
	cmd.Flags().StringArrayVar(&f.options, "option", nil, "option of the checker, name=value; may be repeated")
	cmd.Flags().BoolVar(&f.read.Independent, "independent", false, "values are Jepsen's [key value] tuples")
	cmd.Flags().BoolVar(&f.read.Compact, "compact", false, "a completion without an invocation is an operation that took no time")
	cmd.Flags().StringVar(&f.order, "order", orderBoth, "order of the ops of a file whose times contradict it: file, time, or both: what both agree on")
	a.addLimitFlags(cmd)
	cmd.Flags().StringVar(&f.reportDir, "report", "", "folder for the report about a file: result.json, report.html and what the checker draws")
	return cmd
}

// parseOptions reads name=value; a value that is not JSON is a string.
func parseOptions(options []string) (map[string]json.RawMessage, error) {
	opts := map[string]json.RawMessage{}
	for _, o := range options {
		name, value, ok := strings.Cut(o, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--option %s: want name=value", o)
		}
		opts[name] = json.RawMessage(value)
		if !json.Valid([]byte(value)) {
			opts[name] = histories.Encode(value)
		}
	}
	return opts, nil
}

// openTrial makes the trial that a run's directory tells of.
func (a *app) openTrial(dir string) (*run.Trial, *histories.Opened, error) {
	opened, err := a.limits.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	if opened.Torn > 0 {
		a.remark("%s: the last line of %s is torn and was dropped", dir, count(opened.Torn, "file"))
	}
	t, err := a.targets().Named(opened.Manifest.Target)
	if err != nil {
		return nil, nil, fmt.Errorf("%s/run.json: %w", dir, err)
	}
	var script []histories.Op
	if opened.Manifest.Schedule {
		s, err := opened.ReadSchedule(a.limits)
		if err != nil {
			return nil, nil, err
		}
		script = s.Ops
	}
	tr, err := run.NewTrial(t, opened.Manifest, script)
	if err != nil {
		return nil, nil, fmt.Errorf("%s/run.json: %w", dir, err)
	}
	return tr, opened, nil
}
