package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/sim"
	"github.com/torture-harness/torture/targets"
)

// power is how well one planted bug is found.
type power struct {
	Target string   `json:"target"`
	Bug    string   `json:"bug"`
	Seeds  int      `json:"seeds"` // simulated until it was found
	Found  bool     `json:"found"`
	Seed   uint64   `json:"seed"`
	Kinds  []string `json:"kinds,omitempty"` // anomalies of that run
	Error  string   `json:"error,omitempty"`
}

func newSelftestCommand(a *app) *cobra.Command {
	var first uint64
	var workers int
	cmd := &cobra.Command{
		Use:   "selftest [TARGET…]",
		Short: "Plant every known bug, and see that each is found by what it causes",
		Long: `Selftest says what a green run is worth: it plants each bug that a target knows
and hunts it, until a run shows an anomaly that belongs to the bug or the bug's
limit of seeds is reached. A bug that is not found makes selftest invalid.` + "\n" + exitStatus,
		Example: `  torture selftest
  torture selftest raft --first 1000`,
		ValidArgs: a.targets().Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen := a.targets()
			if len(args) > 0 {
				chosen = nil
				for _, name := range args {
					t, err := a.targets().Named(name)
					if err != nil {
						return err
					}
					chosen = append(chosen, t)
				}
			}
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			powers := []power{}
			missed := 0
			for _, t := range chosen {
				for _, b := range t.Bugs {
					if terminal(a.stderr) {
						fmt.Fprintf(a.stderr, "\r\x1b[K%s %s", t.Name, b.Name)
					}
					h := bugHunt(t, b, first, workers)
					tally, err := h.run(ctx)
					if ctx.Err() != nil {
						return failed(fmt.Errorf("interrupted at %s %s: not every bug was tried", t.Name, b.Name))
					}
					if err != nil {
						return failed(err)
					}
					p := power{Target: t.Name, Bug: b.Name, Seeds: tally.Seeds, Found: len(tally.Found) > 0}
					if p.Found {
						p.Seed, p.Kinds = tally.Found[0].Seed, tally.Found[0].Kinds
					}
					if tally.Failed > 0 {
						p.Error = tally.Errors[0]
					}
					if !p.Found || p.Error != "" {
						missed++
					}
					powers = append(powers, p)
				}
			}
			if terminal(a.stderr) {
				fmt.Fprint(a.stderr, "\r\x1b[K")
			}
			if a.json {
				printJSON(a.stdout, powers)
			} else {
				sayPowers(a, powers)
				fmt.Fprintf(a.stdout, "%d of %s found\n", len(powers)-missed, count(len(powers), "planted bug"))
			}
			switch {
			case missed > 0:
				return verdictError(checker.Invalid)
			case len(powers) == 0:
				return verdictError(checker.Vacuous)
			}
			return nil
		},
	}
	cmd.Flags().Uint64Var(&first, "first", 0, "the first seed")
	cmd.Flags().IntVar(&workers, "workers", runtime.NumCPU(), "simulations at a time")
	return cmd
}

// bugHunt searches for a run that shows what a bug causes.
func bugHunt(t targets.Target, b targets.Bug, first uint64, workers int) *hunt {
	base := histories.Manifest{Target: t.Name, Bug: b.Name, World: "sim"}
	for _, k := range sim.Kinds() {
		if slices.Contains(t.Faults, k) {
			base.Nemesis = append(base.Nemesis, string(k))
		}
	}
	if tr, err := run.NewTrial(t, base, nil); err == nil {
		base.Nemesis = nil
		for _, k := range promised(t, tr.Manifest.Workload, tr.Manifest.Flags, possible("sim", t)) {
			base.Nemesis = append(base.Nemesis, string(k))
		}
	}
	return &hunt{
		manifest: seeded(t, base, true), first: first, seeds: b.Within, workers: workers, seedMax: time.Minute,
		found: func(r seedResult) bool {
			return r.Verdict == checker.Invalid && slices.ContainsFunc(r.Kinds, func(k string) bool { return slices.Contains(b.Anomalies, k) })
		},
	}
}

func sayPowers(a *app, powers []power) {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tBUG\tFOUND\tSEEDS\tANOMALIES")
	for _, p := range powers {
		found := "no"
		if p.Found {
			found = fmt.Sprintf("seed %d", p.Seed)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", p.Target, p.Bug, found, p.Seeds, strings.Join(p.Kinds, " ")+p.Error)
	}
	w.Flush()
}
