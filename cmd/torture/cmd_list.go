package main

import (
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/histories"
)

func newListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the runs in the store, with their verdicts",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			runs, err := histories.List(a.store)
			if errors.Is(err, fs.ErrNotExist) {
				runs, err = []histories.Summary{}, nil // no run yet
			}
			if err != nil {
				return err
			}
			if a.json {
				printJSON(a.stdout, runs)
				return nil
			}
			if len(runs) == 0 {
				fmt.Fprintf(a.stdout, "no runs in %s yet: torture run TARGET makes one\n", a.store)
				return nil
			}
			w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "RUN\tVERDICT\tTARGET\tWORLD\tSEED\tBUG\tSTARTED\tSIZE")
			for _, r := range runs {
				if r.Error != "" {
					fmt.Fprintf(w, "%s\tbroken: %s\n", r.Name, r.Error)
					continue
				}
				verdict := r.Verdict
				switch {
				case verdict == "":
					verdict = "not checked"
				case r.State != histories.Complete:
					verdict += " (" + string(r.State) + ")"
				}
				m := r.Manifest
				fmt.Fprintf(w, "%s\t%s\t%s/%s\t%s\t%d\t%s\t%s\t%d kB\n", r.Name, verdict, m.Target, m.Workload, m.World, m.Seed, m.Bug,
					m.Started.Local().Format(time.DateTime), r.Size/1000)
			}
			return w.Flush()
		},
	}
}
