package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/docker"
	"github.com/torture-harness/torture/sim"
)

func newDoctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine can and cannot do, and why",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := a.interrupts.until(cmd.Context())
			defer stop()
			a.interrupts.leaves("torture clean lists what is left on the engine")
			type diagnosis struct {
				Simulator  []string            `json:"simulator"`
				Engine     string              `json:"engine,omitempty"`
				Why        string              `json:"why,omitempty"`
				Containers []docker.Capability `json:"containers,omitempty"`
			}
			var d diagnosis
			for _, k := range sim.Kinds() {
				d.Simulator = append(d.Simulator, string(k))
			}
			if info, err := docker.Available(ctx); err != nil {
				d.Why = err.Error()
			} else {
				d.Engine = fmt.Sprintf("Docker Engine %s, API %s", info.Version, info.API)
				if d.Containers, err = docker.Doctor(ctx, a.waiting); err != nil {
					d.Why = err.Error()
				}
			}
			if ctx.Err() != nil {
				fmt.Fprintln(a.stderr, "interrupted: not all was tried: "+d.Why)
				return verdictError(checker.Unknown)
			}
			if a.json {
				printJSON(a.stdout, d)
				return nil
			}
			fmt.Fprintf(a.stdout, "simulator   yes: all faults (%s)\n", join(d.Simulator))
			if d.Engine == "" {
				fmt.Fprintf(a.stdout, "containers  no: %s\n", d.Why)
				return nil
			}
			fmt.Fprintf(a.stdout, "containers  yes: %s\n", d.Engine)
			if d.Why != "" {
				fmt.Fprintf(a.stdout, "            the faults cannot be tried: %s\n", d.Why)
			}
			w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
			for _, c := range d.Containers {
				able := "yes"
				if !c.OK {
					able = "no"
				}
				if c.Reason != "" {
					able += "\t" + c.Reason
				}
				fmt.Fprintf(w, "  %s\t%s\n", c.Kind, able)
			}
			return w.Flush()
		},
	}
}
