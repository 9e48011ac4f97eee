package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/sim"
	"github.com/torture-harness/torture/targets"
)

// selftest is what the search for all planted bugs came to. It is invalid if one
// is not found, and unknown if one was not looked for to the end.
type selftest struct {
	Verdict checker.Verdict `json:"verdict"`
	State   histories.State `json:"state"`
	Bugs    []power         `json:"bugs"`
}

// power is how well one planted bug is found.
type power struct {
	Target string   `json:"target"`
	Bug    string   `json:"bug"`
	Tried  bool     `json:"tried"` // to the end; false: interrupted before
	Seeds  int      `json:"seeds"` // simulated until it was found
	Found  bool     `json:"found"`
	Seed   uint64   `json:"seed"`
	Kinds  []string `json:"kinds,omitempty"` // anomalies of that run; if it was not found, of all
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
limit of seeds is reached. A bug that is not found makes selftest invalid, one
that was not looked for to the end, since it was interrupted, unknown.` + "\n" + exitStatus,
		Example: `  torture selftest
  torture selftest raft --first 1000`,
		ValidArgs: a.targets().Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if workers > workersMax {
				return fmt.Errorf("--workers %d: want at most %d", workers, workersMax)
			}
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
			var slips []error
			for _, t := range chosen {
				slips = append(slips, t.CheckKinds())
			}
			if err := errors.Join(slips...); err != nil {
				return failed(err)
			}
			ctx, stop := a.interrupts.until(cmd.Context())
			defer stop()
			test := selftest{Verdict: checker.Valid, State: histories.Complete, Bugs: []power{}}
			for _, t := range chosen {
				for _, b := range t.Bugs {
					if terminal(a.stderr) {
						redraw(a.stderr, t.Name+" "+b.Name)
					}
					p, err := plant(ctx, t, b, first, workers)
					if err != nil {
						return failed(err)
					}
					test.add(p)
				}
			}
			if terminal(a.stderr) {
				redraw(a.stderr, "")
			}
			if len(test.Bugs) == 0 {
				test.Verdict = checker.Vacuous
			}
			if a.json {
				printJSON(a.stdout, test)
			} else {
				test.say(a.stdout)
			}
			return test.err()
		},
	}
	cmd.Flags().Uint64Var(&first, "first", 0, "the first seed")
	cmd.Flags().IntVar(&workers, "workers", runtime.NumCPU(), "simulations at a time")
	return cmd
}

// plant hunts one bug.
func plant(ctx context.Context, t targets.Target, b targets.Bug, first uint64, workers int) (power, error) {
	p := power{Target: t.Name, Bug: b.Name}
	if ctx.Err() != nil {
		return p, nil
	}
	h := bugHunt(t, b, first, workers)
	found, instead := h.found, map[string]bool{}
	var mu sync.Mutex // of instead: each worker asks what was found
	h.found = func(r seedResult) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, k := range r.Kinds {
			instead[k] = true
		}
		return found(r)
	}
	tally, err := h.run(ctx)
	if err != nil {
		return p, err
	}
	p.Seeds, p.Found = tally.Seeds, len(tally.Found) > 0
	p.Tried = p.Found || tally.State != histories.Interrupted
	if p.Found {
		p.Seed, p.Kinds = tally.Found[0].Seed, tally.Found[0].Kinds
	} else {
		p.Kinds = slices.Sorted(maps.Keys(instead))
	}
	if tally.Failed > 0 {
		p.Error = tally.WhyFailed[0].String()
	}
	return p, nil
}

func (s *selftest) add(p power) {
	s.Bugs = append(s.Bugs, p)
	switch {
	case p.Error != "":
		s.State = histories.Failed
		s.Verdict = checker.Worse(s.Verdict, checker.Unknown)
	case p.Found:
	case p.Tried:
		s.Verdict = checker.Invalid
	default:
		s.State = histories.Interrupted
		s.Verdict = checker.Worse(s.Verdict, checker.Unknown)
	}
}

func (s *selftest) err() error {
	for _, p := range s.Bugs {
		if p.Error != "" {
			return failed(fmt.Errorf("%s %s: %s", p.Target, p.Bug, p.Error))
		}
	}
	if s.Verdict == checker.Valid {
		return nil
	}
	return verdictError(s.Verdict)
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

func (s *selftest) say(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tBUG\tFOUND\tSEEDS\tANOMALIES")
	hits := 0
	for _, p := range s.Bugs {
		found := "no"
		switch {
		case p.Found:
			found = fmt.Sprintf("seed %d", p.Seed)
			hits++
		case !p.Tried:
			found = "interrupted"
		}
		kinds := strings.Join(p.Kinds, " ")
		if !p.Found && kinds != "" {
			kinds = "others: " + kinds
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", p.Target, p.Bug, found, p.Seeds, kinds+p.Error)
	}
	w.Flush()
	fmt.Fprintf(out, "%d of %s found", hits, count(len(s.Bugs), "planted bug"))
	if s.State == histories.Interrupted {
		fmt.Fprint(out, "; interrupted: not every bug was tried")
	}
	fmt.Fprintln(out)
}
