package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/report"
	"github.com/torture-harness/torture/run"
)

func newCheckCommand(a *app) *cobra.Command {
	var name string
	var options []string
	var read histories.ReadOptions
	cmd := &cobra.Command{
		Use:   "check FILE|DIR",
		Short: "Judge a recorded history",
		Long: `Check judges the history in a run's directory by the run's own checkers, and
writes its result.json and report.html anew; or the history in a file, by the
checker that --checker names. Files are JSON Lines or Jepsen's EDN, either
compressed by zstd (.zst) or not.` + "\n" + exitStatus,
		Example: `  torture check runs/20261122T120000.000-raft-sim-7
  torture check history.edn --checker linearizable --option model=cas-register --independent`,
		Args: one("FILE or DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			if info.IsDir() {
				if name != "" {
					return errors.New("--checker is for files; a run's directory has its own checkers (check its history.jsonl to use another)")
				}
				tr, _, err := a.openTrial(args[0])
				if err != nil {
					return err
				}
				return a.sayOf(a.judge(ctx, tr, args[0], cutShort(args[0])))
			}
			if name == "" {
				return fmt.Errorf("%s is a file: say with --checker by which checker to judge it: %s", args[0], strings.Join(checker.Names(), ", "))
			}
			opts, err := parseOptions(options)
			if err != nil {
				return err
			}
			c, err := checker.ByName(name, opts)
			if err != nil {
				return err
			}
			h, got, err := histories.ReadFile(args[0], read)
			if err != nil {
				return err
			}
			if got.Torn > 0 {
				fmt.Fprintf(a.stderr, "%s: the last line is torn and was dropped\n", args[0])
			}
			if got.Renumbered > 0 {
				fmt.Fprintf(a.stderr, "%s: the index of %s is not the place in the file; op numbers below are places, counted from 0\n", args[0], count(got.Renumbered, "op"))
			}
			return a.sayResult(h, c.Check(ctx, h))
		},
	}
	cmd.Flags().StringVar(&name, "checker", "", "checker for a file: "+strings.Join(checker.Names(), ", "))
	cmd.Flags().StringArrayVar(&options, "option", nil, "option of the checker, name=value; may be repeated")
	cmd.Flags().BoolVar(&read.Independent, "independent", false, "values are Jepsen's [key value] tuples")
	cmd.Flags().BoolVar(&read.Compact, "compact", false, "a completion without an invocation is an operation that took no time")
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
	opened, err := histories.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	if opened.Torn > 0 {
		fmt.Fprintf(a.stderr, "%s: the last line of %s is torn and was dropped\n", dir, count(opened.Torn, "file"))
	}
	t, err := a.targets().Named(opened.Manifest.Target)
	if err != nil {
		return nil, nil, fmt.Errorf("%s/run.json: %w", dir, err)
	}
	var script []histories.Op
	if opened.Manifest.Schedule {
		s, err := histories.ReadSchedule(histories.Dir(dir).Path("schedule.jsonl"))
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

// sayResult prints what a checker made of a file.
func (a *app) sayResult(h histories.History, r checker.Result) error {
	if a.json {
		printJSON(a.stdout, r)
	} else if err := report.Text(a.stdout, report.Input{History: h, Result: r, Colour: terminal(a.stdout)}); err != nil {
		return failed(err)
	}
	if r.Verdict == checker.Valid {
		return nil
	}
	return verdictError(r.Verdict)
}
