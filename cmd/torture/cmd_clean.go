package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/docker"
	"github.com/torture-harness/torture/histories"
)

func newCleanCommand(a *app) *cobra.Command {
	var everything bool
	cmd := &cobra.Command{
		Use:   "clean [RUN…]",
		Short: "Remove what runs cut short left on the engine",
		Long: `Clean removes the containers, networks, volumes and images that carry torture's
label, and nothing else: with --all all of them, so that runs in progress, of
others too, lose their nodes; or those of the runs that are named, by their
directory or its name. Without either it removes nothing, and lists what --all
would remove.`,
		Example: `  torture clean
  torture clean runs/20261122T120000.000-raft-docker-7
  torture clean --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if everything && len(args) > 0 {
				return errors.New("--all and a run: give one or the other")
			}
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
			if len(runs) == 0 && !everything {
				return a.sayLeft(ctx)
			}
			r, err := docker.Clean(ctx, runs...)
			if a.json {
				printJSON(a.stdout, r)
			} else if err == nil {
				fmt.Fprintln(a.stdout, "removed", r)
			}
			if err != nil {
				return failed(err)
			}
			for i, arg := range args {
				if r.Empty() && !exists(histories.Dir(arg).Path(histories.ManifestName)) && !exists(filepath.Join(a.store, runs[i])) {
					return fmt.Errorf("%s: there is no such run, neither here nor on the engine", arg)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&everything, "all", false, "remove all that is torture's, also of runs in progress")
	return cmd
}

// sayLeft lists what torture clean --all would remove.
func (a *app) sayLeft(ctx context.Context) error {
	r, err := docker.Left(ctx)
	if err != nil {
		return failed(err)
	}
	if a.json {
		printJSON(a.stdout, r)
	} else {
		list(a.stdout, "container", r.Containers)
		list(a.stdout, "network", r.Networks)
		list(a.stdout, "volume", r.Volumes)
		list(a.stdout, "image", r.Images)
	}
	if r.Empty() {
		fmt.Fprintln(a.stderr, "nothing of torture's is on the engine")
		return nil
	}
	return errors.New("nothing was removed: torture clean RUN removes what is of a run, torture clean --all all of it")
}

func list(w io.Writer, what string, names []string) {
	for _, name := range names {
		fmt.Fprintf(w, "%-9s  %s\n", what, name)
	}
}
