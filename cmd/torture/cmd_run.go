package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets"
)

func newRunCommand(a *app) *cobra.Command {
	return a.perTarget(&cobra.Command{
		Use:   "run TARGET",
		Short: "Run a target once, break it, and judge what it did",
		Long: `Run starts a cluster of a target's nodes, has clients work on it while faults
strike, cures all faults, lets the cluster recover, reads what became of it and
judges the record. Every fault is verified at its victims.

Nodes run in containers if a Docker Engine answers, else in the simulator.` + "\n" + exitStatus,
		Example: `  torture run raft
  torture run raft --world sim --seed 7 --bug ack-before-sync
  torture run primary --reads primary --nemesis partition,kill --time-limit 2m`,
	}, a.newRunTarget)
}

func (a *app) newRunTarget(t targets.Target) *cobra.Command {
	var flags *trialFlags
	var world string
	var seed uint64
	var swarm bool
	cmd := &cobra.Command{
		Use:     t.Name,
		Short:   t.Doc,
		Long:    targetHelp(t),
		Example: targetExamples("run", t, "--seed 7", "--world sim --bug BUG", "--nemesis FAULTS --time-limit 2m"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, why, err := chooseWorld(cmd.Context(), world)
			if err != nil {
				return err
			}
			m, err := flags.manifest(cmd, t, chosen)
			if err != nil {
				return err
			}
			m.Seed = seed
			if !cmd.Flags().Changed("seed") {
				m.Seed = newSeed()
			}
			if swarm {
				if chosen != "sim" || flags.schedule != "" {
					return errors.New("--swarm: only a simulated run without a schedule has its conditions drawn from the seed; give --world sim, and no --schedule")
				}
				m = seeded(t, m, true)(m.Seed)
			}
			var script []histories.Op
			if flags.schedule != "" {
				if script, err = a.scripted(cmd, flags.schedule, t.Nodes, &m); err != nil {
					return err
				}
			}
			tr, err := run.NewTrial(t, m, script)
			if err != nil {
				return err
			}
			if flags.note != "" {
				fmt.Fprintln(a.stderr, flags.note)
			}
			if why != "" {
				fmt.Fprintf(a.stderr, "in %s, since %s\n", worldName(chosen), why)
			}
			fmt.Fprintf(a.stderr, "%s in %s, seed %d: %s, %s, faults: %s\n", t.Name, worldName(chosen), m.Seed,
				count(tr.Manifest.Nodes, "node"), count(tr.Manifest.Clients, "client"), cmp.Or(join(m.Nemesis), "none"))
			ctx, stop := a.interrupts.until(cmd.Context())
			defer stop()
			return a.sayOf(a.conduct(ctx, tr, nil))
		},
	}
	flags = addTrialFlags(cmd, t)
	a.addContainerFlags(cmd)
	a.addLimitFlags(cmd)
	cmd.Flags().StringVar(&world, "world", "auto", "where nodes run: sim, docker, or auto: docker if an engine answers")
	complete(cmd, "world", "auto", "sim", "docker")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "what decides a simulated run, and the plan of any (default: drawn)")
	cmd.Flags().StringVar(&flags.schedule, "schedule", "", "file of faults to inject, in place of drawn ones")
	cmd.Flags().BoolVar(&swarm, "swarm", false, "have the seed draw what is not given, as torture hunt does")
	return cmd
}

// scripted reads the faults of a run from a file, and makes m say so. size is
// that of the cluster if m does not say it.
func (a *app) scripted(cmd *cobra.Command, path string, size int, m *histories.Manifest) ([]histories.Op, error) {
	for _, name := range []string{"nemesis", "interval", "targets", "budget"} {
		if cmd.Flags().Changed(name) {
			return nil, fmt.Errorf("--schedule and --%s: the schedule says which faults there are, whom they strike and when", name)
		}
	}
	s, err := a.limits.ReadSchedule(path)
	if err != nil {
		return nil, err
	}
	var nodes []string
	for i := range cmp.Or(m.Nodes, size) {
		nodes = append(nodes, fmt.Sprintf("n%d", i+1))
	}
	if err := nemesis.CheckScript(s.Ops, nodes); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.Schedule, m.Nemesis = true, nil
	for _, op := range s.Ops {
		if f, err := nemesis.Decode(op); err == nil && op.F == nemesis.Inject && !slices.Contains(m.Nemesis, string(f.Kind)) {
			m.Nemesis = append(m.Nemesis, string(f.Kind))
		}
	}
	return s.Ops, nil
}

func worldName(world string) string {
	if world == "sim" {
		return "the simulator"
	}
	return "containers"
}
