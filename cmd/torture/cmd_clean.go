package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/docker"
)

func newCleanCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "clean [RUN…]",
		Short: "Remove what runs cut short left on the engine",
		Long: `Clean removes the containers, networks, volumes and images that carry torture's
label, and nothing else: all of them, so that runs in progress lose their nodes;
or those of the runs that are named, by their directory or its name.` + "\n" + exitStatus,
		Example: `  torture clean
  torture clean runs/20261122T120000.000-raft-docker-7`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var runs []string
			for _, arg := range args {
				run := filepath.Base(arg)
				if run == "." || run == ".." || run == string(filepath.Separator) {
					return fmt.Errorf("%q is not a run: want its directory, or the directory's name", arg)
				}
				runs = append(runs, run)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute)
			defer cancel()
			r, err := docker.Clean(ctx, runs...)
			if a.json {
				printJSON(a.stdout, r)
			} else if err == nil {
				fmt.Fprintln(a.stdout, r)
			}
			return failed(err)
		},
	}
}
