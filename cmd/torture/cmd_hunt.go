package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
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
		Long: `Hunt simulates seed after seed in worker processes on all cores. A seed draws
what is not given: the size of the cluster, clients and their load, keys, flags
of the target, the budget and the mix of faults, links and clocks, all of which
stands in the run's run.json. Hunt stops at the first broken promise, records
that seed's run, shrinks it to the few operations that matter, and says how to
repeat it; with --keep-going it records each. Some seeds are run twice: the
histories must be the same. A seed that could not be judged to its end counts as
failed or unknown, with its reason; seeds under way when time is up (--for) do
not count.` + "\n" + exitStatus,
		Example: `  torture hunt raft --seeds 2000
  torture hunt primary --reads primary --for 10m
  torture hunt total --bug deliver-gap`,
	}, a.newHuntTarget)
}

func (a *app) newHuntTarget(t targets.Target) *cobra.Command {
	var flags *trialFlags
	var h hunt
	var noShrink, steady bool
	var heartbeat time.Duration
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
			if h.workers > workersMax {
				return fmt.Errorf("--workers %d: want at most %d", h.workers, workersMax)
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
			if err := tryStore(a.store); err != nil {
				return failed(err)
			}
			command := func(seed string) string {
				swarm := " --swarm"
				if steady {
					swarm = ""
				}
				return fmt.Sprintf("torture run %s%s --world sim%s --seed %s", t.Name, flags.given(), swarm, seed)
			}
			live := terminal(a.stderr) && !a.json
			h.beat, h.each = heartbeat, func(t *tally) { fmt.Fprintln(a.stderr, t.progress(h.limit)) }
			if live {
				h.beat, h.each = 200*time.Millisecond, func(t *tally) { redraw(a.stderr, t.progress(h.limit)) }
			}
			ctx, stop := a.interrupts.until(cmd.Context())
			defer stop()
			keep := func(f *seedResult) *kept {
				k := a.bring(ctx, t, h.manifest(f.Seed), f)
				if k.err != nil {
					complain(a.stderr, fmt.Sprintf("torture: seed %d is not kept: ", f.Seed), k.err)
					fmt.Fprintf(a.stderr, "to do it again: %s\n", command(fmt.Sprint(f.Seed)))
				}
				return k
			}
			var first *kept // of the seeds that were found
			if h.keepOn {
				h.keep = func(f *seedResult) {
					if k := keep(f); first == nil || k.trial.Manifest.Seed < first.trial.Manifest.Seed {
						first = k
					}
				}
			}
			if flags.note != "" {
				fmt.Fprintln(a.stderr, flags.note)
			}
			fmt.Fprintf(a.stderr, "hunting %s in the simulator: %s from %d on, %s at a time\n", t.Name, count(h.seeds, "seed"), h.first, count(h.workers, "worker"))
			tally, err := h.run(ctx)
			if live {
				redraw(a.stderr, "")
			}
			if err != nil {
				return failed(err)
			}
			if len(tally.Found) > 0 && !h.keepOn {
				if first = keep(&tally.Found[0]); tally.Found[0].Error != "" {
					tally.Invalid--
					tally.fail(tally.Found[0])
				}
			}
			if !a.json {
				tally.say(a.stdout)
				if tally.Vacuous > 0 {
					fmt.Fprintf(a.stdout, "to look at one, and be told what to change: %s\n", command("N"))
				}
			}
			last := a.shrinkFound(ctx, tally, first, !noShrink)
			if a.json {
				printJSON(a.stdout, tally)
			} else if last != nil {
				if said := a.say(last); said != nil && !errors.As(said, new(verdictError)) {
					complain(a.stderr, "torture: ", said)
				}
			}
			return tally.err()
		},
	}
	flags = addTrialFlags(cmd, t)
	cmd.Flags().IntVar(&h.seeds, "seeds", 1000, "how many seeds at most")
	cmd.Flags().Uint64Var(&h.first, "first", 0, "the first seed")
	cmd.Flags().DurationVar(&h.limit, "for", 0, "how long at most (default: until the seeds are done)")
	cmd.Flags().IntVar(&h.workers, "workers", runtime.NumCPU(), "simulations at a time, each in a process of its own")
	cmd.Flags().DurationVar(&h.seedMax, "seed-limit", time.Minute, "real time that one seed may take")
	cmd.Flags().IntVar(&h.twice, "twice", 50, "run every so many seeds twice and compare; 0: none")
	cmd.Flags().DurationVar(&heartbeat, "heartbeat", 30*time.Second, "how often to say how far the hunt is, where stderr is no terminal; 0: never")
	cmd.Flags().BoolVar(&h.keepOn, "keep-going", false, "do not stop at the first broken promise; keep the run of each")
	cmd.Flags().BoolVar(&noShrink, "no-shrink", false, "do not shrink what was found")
	cmd.Flags().BoolVar(&steady, "steady", false, "for every seed the same kinds of faults and, of what is not given, the defaults, rather than drawn ones")
	return cmd
}

// workersMax bounds the processes of a hunt.
const workersMax = 1024

// seeded makes the manifest of a seed: all that base leaves open drawn by it, or
// as it is by default.
func seeded(t targets.Target, base histories.Manifest, swarm bool) func(uint64) histories.Manifest {
	return func(seed uint64) histories.Manifest {
		m := base
		m.Seed = seed
		if swarm {
			m = run.Draw(t, m)
		}
		return m
	}
}

// kept is a find that was done again with a run's directory.
type kept struct {
	trial *run.Trial
	run   *outcome // nil if it could not be kept
	err   error    // why it was not, or not as it was
}

// bring does again what a hunt has found, with a run directory: at once, for a
// find is kept even if the hunt is interrupted. f learns of the directory; of
// the error too, if the seed does not repeat itself.
func (a *app) bring(ctx context.Context, t targets.Target, m histories.Manifest, f *seedResult) *kept {
	tr, err := run.NewTrial(t, m, nil)
	k := &kept{trial: tr, err: err}
	if err != nil {
		return k
	}
	if f.Stuck {
		k.run, k.err = a.conductApart(context.WithoutCancel(ctx), m)
	} else {
		k.run, k.err = a.conduct(context.WithoutCancel(ctx), tr, nil)
	}
	if k.run == nil {
		return k
	}
	f.Run = k.run.Run
	if b, err := os.ReadFile(histories.Dir(f.Run).Path(histories.HistoryName)); errors.Join(k.err, err) == nil && f.Hash != fmt.Sprintf("%x", sha256.Sum256(b)) {
		f.Error = fmt.Sprintf("it is not deterministic: done again it gave another history (%s), which is %s; torture hunt with --first %d --seeds 1 --twice 1 says where they differ\n%s",
			f.Run, k.run.Verdict, f.Seed, impure)
	}
	return k
}

// shrinkFound shrinks the first seed that was found, and returns what is to be
// shown of it.
func (a *app) shrinkFound(ctx context.Context, tally *tally, k *kept, shrink bool) *outcome {
	if k == nil || k.run == nil {
		return nil
	}
	tally.Run = k.run
	if k.err != nil || k.run.Verdict != checker.Invalid || !shrink {
		return k.run
	}
	if !a.json {
		fmt.Fprintf(a.stdout, "whole run: %s\n", k.run.Run)
	}
	if ctx.Err() != nil {
		fmt.Fprintf(a.stderr, "interrupted before it was shrunk: torture shrink %s\n", quoted(k.run.Run))
		return k.run
	}
	opened, err := a.limits.Open(k.run.Run)
	if err == nil {
		tally.Shrunk, err = a.shrink(ctx, k.trial, opened.History, k.run.Run, time.Minute)
	}
	if err != nil && !errors.As(err, new(verdictError)) { // else it was interrupted, and says so
		complain(a.stderr, "torture: it is not shrunk: ", err)
	}
	return cmp.Or(tally.Shrunk, k.run)
}

// tryStore tells why nothing can be kept in a store, if so. It leaves no trace.
func tryStore(store string) error {
	if !exists(store) {
		defer os.Remove(store) // unless somebody has put something there meanwhile
	}
	if err := os.MkdirAll(store, 0o777); err != nil {
		return fmt.Errorf("--store %s: %w", store, err)
	}
	f, err := os.CreateTemp(store, ".try-*")
	if err != nil {
		return fmt.Errorf("--store %s: %w", store, err)
	}
	defer os.Remove(f.Name())
	return f.Close()
}
