package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/docker"
)

func newCleanCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Remove what runs cut short left on the engine",
		Long: `Clean removes the containers, networks, volumes and images that carry torture's
label, and nothing else. Runs in progress lose their nodes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute)
			defer cancel()
			r, err := docker.Clean(ctx)
			if a.json {
				printJSON(a.stdout, r)
			} else if err == nil {
				fmt.Fprintf(a.stdout, "removed %d containers, %d networks, %d volumes, %d images\n",
					len(r.Containers), len(r.Networks), len(r.Volumes), len(r.Images))
			}
			return failed(err)
		},
	}
}
