package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets"
)

func newHuntCommand(a *app) *cobra.Command {
	return a.perTarget(&cobra.Command{
		Use:   "hunt TARGET",
		Short: "Simulate many seeds on all cores until one breaks a promise",
		Long: `Hunt simulates seed after seed, each with its own mix of faults, links and
clocks, in worker processes on all cores. It stops at the first broken promise,
records that seed's run, shrinks it to the few operations that matter, and says
how to repeat it. Some seeds are run twice: the histories must be the same.` + "\n" + exitStatus,
		Example: `  torture hunt raft --seeds 2000
  torture hunt primary --reads primary --for 10m
  torture hunt total --bug deliver-gap`,
	}, a.newHuntTarget)
}

func (a *app) newHuntTarget(t targets.Target) *cobra.Command {
	var flags *trialFlags
	var h hunt
	var noShrink, steady bool
	cmd := &cobra.Command{
		Use:     t.Name,
		Short:   t.Doc,
		Long:    targetHelp(t),
		Example: targetExamples("hunt", t, "--seeds 2000", "--bug BUG", "--for 8h --keep-going --json"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := positive(cmd, "seeds", "workers", "for", "seed-limit"); err != nil {
				return err
			}
			if h.twice < 0 {
				return fmt.Errorf("--twice %d: want 0 or more", h.twice)
			}
			base, err := flags.manifest(cmd, t, "sim")
			if err != nil {
				return err
			}
			if _, err := run.NewTrial(t, base, nil); err != nil {
				return err
			}
			h.manifest = seeded(t, base, !steady)
			h.found = func(r seedResult) bool { return r.Verdict == checker.Invalid }
			if terminal(a.stderr) && !a.json {
				h.each = func(t *tally) { fmt.Fprint(a.stderr, "\r\x1b[K"+t.line()) }
			}
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			fmt.Fprintf(a.stderr, "hunting %s in the simulator: %s from %d on, %s at a time\n", t.Name, count(h.seeds, "seed"), h.first, count(h.workers, "worker"))
			tally, err := h.run(ctx)
			if h.each != nil {
				fmt.Fprint(a.stderr, "\r\x1b[K")
			}
			if err != nil {
				return failed(err)
			}
			if !a.json {
				tally.say(a.stdout)
				if tally.Vacuous > 0 {
					swarm := " --swarm"
					if steady {
						swarm = ""
					}
					fmt.Fprintf(a.stdout, "to look at one: torture run %s%s --world sim%s --seed N\n", t.Name, flags.given(), swarm)
				}
			}
			if len(tally.Found) > 0 {
				err = a.bring(ctx, t, h.manifest(tally.Found[0].Seed), !noShrink, tally)
			}
			switch last := cmp.Or(tally.Shrunk, tally.Run); {
			case a.json:
				printJSON(a.stdout, tally)
			case last != nil:
				if said := a.say(last); said != nil && !errors.As(said, new(verdictError)) {
					err = errors.Join(err, said)
				}
			}
			if err != nil {
				return err
			}
			return tally.gravest()
		},
	}
	flags = addTrialFlags(cmd, t)
	cmd.Flags().IntVar(&h.seeds, "seeds", 1000, "how many seeds at most")
	cmd.Flags().Uint64Var(&h.first, "first", 0, "the first seed")
	cmd.Flags().DurationVar(&h.limit, "for", 0, "how long at most (default: until the seeds are done)")
	cmd.Flags().IntVar(&h.workers, "workers", runtime.NumCPU(), "simulations at a time, each in a process of its own")
	cmd.Flags().DurationVar(&h.seedMax, "seed-limit", time.Minute, "real time that one seed may take")
	cmd.Flags().IntVar(&h.twice, "twice", 50, "run every so many seeds twice and compare; 0: none")
	cmd.Flags().BoolVar(&h.keepOn, "keep-going", false, "do not stop at the first broken promise")
	cmd.Flags().BoolVar(&noShrink, "no-shrink", false, "do not shrink what was found")
	cmd.Flags().BoolVar(&steady, "steady", false, "the same faults and conditions for every seed, rather than drawn ones")
	return cmd
}

// seeded makes the manifest of a seed: with drawn conditions, and a bug's own
// faults always among them.
func seeded(t targets.Target, base histories.Manifest, swarm bool) func(uint64) histories.Manifest {
	var keep []string
	if bug, ok := t.Bug(base.Bug); ok {
		for _, k := range bug.Under {
			keep = append(keep, string(k))
		}
	}
	return func(seed uint64) histories.Manifest {
		m := base
		m.Seed = seed
		if swarm {
			m = run.Swarm(m, keep...)
		}
		return m
	}
}

// bring does again what a hunt has found, with a run directory, and shrinks it.
func (a *app) bring(ctx context.Context, t targets.Target, m histories.Manifest, shrink bool, tally *tally) error {
	tr, err := run.NewTrial(t, m, nil)
	if err != nil {
		return err
	}
	o, err := a.conduct(ctx, tr)
	tally.Run = o
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil // interrupted
	}
	if o.Verdict != checker.Invalid {
		return failed(fmt.Errorf("seed %d was invalid in the hunt and is %s now: it is not deterministic", m.Seed, o.Verdict))
	}
	if shrink {
		opened, err := histories.Open(o.Run)
		if err != nil {
			return failed(err)
		}
		if !a.json {
			fmt.Fprintf(a.stdout, "whole run: %s\n", o.Run)
		}
		tally.Shrunk, err = a.shrink(ctx, tr, opened.History, o.Run, time.Minute)
		return err
	}
	return nil
}
