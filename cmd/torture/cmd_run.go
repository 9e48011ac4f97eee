package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets"
)

func newRunCommand(a *app) *cobra.Command {
	return perTarget(&cobra.Command{
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
	cmd := &cobra.Command{
		Use:   t.Name,
		Short: t.Doc,
		Args:  cobra.NoArgs,
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
			var script []histories.Op
			if flags.schedule != "" {
				s, err := histories.ReadSchedule(flags.schedule)
				if err != nil {
					return err
				}
				script, m.Schedule = s.Ops, true
			}
			tr, err := run.NewTrial(t, m, script)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stderr, "%s in %s (%s), seed %d, %d nodes, %d clients, faults: %v\n",
				t.Name, worldName(chosen), why, m.Seed, tr.Manifest.Nodes, tr.Manifest.Clients, m.Nemesis)
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			o, err := a.conduct(ctx, tr)
			if o == nil {
				return err
			}
			said := a.say(o)
			if err != nil {
				return err
			}
			return said
		},
	}
	flags = addTrialFlags(cmd, t)
	cmd.Flags().StringVar(&world, "world", "auto", "where nodes run: sim, docker, or auto: docker if an engine answers")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "what decides a simulated run, and the plan of any (default: drawn)")
	cmd.Flags().StringVar(&flags.schedule, "schedule", "", "file of faults to inject, in place of drawn ones")
	return cmd
}

func worldName(world string) string {
	if world == "sim" {
		return "the simulator"
	}
	return "containers"
}
