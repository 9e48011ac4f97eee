package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
)

func newShrinkCommand(a *app) *cobra.Command {
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "shrink DIR",
		Short: "Find the few operations and faults that make a run fail",
		Long: `Shrink drops operations and faults of a failing simulated run as long as the
rest still fails with the same kind of anomaly. What is left becomes a run of
its own, DIR-shrunk, with a schedule.jsonl that torture replay plays in either
world.` + "\n" + exitStatus,
		Example: `  torture shrink runs/20261122T120000.000-raft-sim-7
  torture shrink runs/20261122T120000.000-raft-sim-7 --limit 10m`,
		Args: one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tr, opened, err := a.openTrial(args[0])
			if err != nil {
				return err
			}
			store, name := filepath.Split(filepath.Clean(args[0]))
			if small := filepath.Join(store, name+"-shrunk"); exists(small) {
				return fmt.Errorf("%s is there already: remove it to shrink %s again, or shrink it further", small, args[0])
			}
			if tr.Manifest.World != "sim" {
				return fmt.Errorf("%s is a run in %s: only simulated runs repeat exactly and can be shrunk; torture hunt finds one", args[0], worldName(tr.Manifest.World))
			}
			if err := tryStore(filepath.Dir(filepath.Clean(args[0]))); err != nil {
				return failed(err)
			}
			ctx, stop := a.interrupts.until(cmd.Context())
			defer stop()
			return a.sayOf(a.shrink(ctx, tr, opened.History, args[0], limit))
		},
	}
	a.addLimitFlags(cmd)
	cmd.Flags().DurationVar(&limit, "limit", time.Minute, "stop after this time with the smallest schedule so far")
	return cmd
}

// shrink makes a run's directory for the smallest part of a failing run that
// still fails.
func (a *app) shrink(ctx context.Context, tr *run.Trial, h histories.History, dir string, limit time.Duration) (*outcome, error) {
	r := tr.Checker().Check(ctx, h)
	if ctx.Err() != nil {
		fmt.Fprintln(a.stderr, "interrupted: nothing is shrunk")
		return nil, verdictError(checker.Unknown)
	}
	if r.Verdict != checker.Invalid {
		return nil, fmt.Errorf("%s is %s: only a run with an anomaly can be shrunk", dir, r.Verdict)
	}
	if handler := endless(h); handler != "" {
		return nil, fmt.Errorf("%s ends in %s, which does not return: no try at a smaller part would be over", dir, handler)
	}
	working, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	show := func(s *run.Shrunk) {
		if terminal(a.stderr) && !a.json {
			redraw(a.stderr, fmt.Sprintf("shrinking: %s, %s, %v after %s", count(s.Ops, "operation"), count(s.Faults, "fault"), s.Manifest.End.Truncate(time.Millisecond), tries(s.Tries)))
		}
	}
	s, err := run.Shrink(working, tr, h, r, show)
	if terminal(a.stderr) && !a.json {
		redraw(a.stderr, "")
	}
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(a.stderr, "interrupted: nothing is shrunk")
		return nil, verdictError(checker.Unknown)
	case err != nil:
		return nil, failed(err)
	case ctx.Err() != nil:
		fmt.Fprintln(a.stderr, "interrupted: a smaller part may fail as well")
	}
	fmt.Fprintf(a.stderr, "shrunk to %s and %s, a run of %v, after %s\n", count(s.Ops, "operation"), count(s.Faults, "fault"), s.Manifest.End.Truncate(time.Millisecond), tries(s.Tries))
	m := run.Recorded(s.Manifest, s.History, tr.Target.Primary)
	m.ID = filepath.Base(dir) + "-shrunk"
	small, err := run.NewTrial(tr.Target, m, s.Script)
	if err != nil {
		return nil, failed(err)
	}
	quiet := *a
	quiet.store = filepath.Dir(filepath.Clean(dir))
	return quiet.conduct(context.WithoutCancel(ctx), small, nil)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}
