package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/report"
)

// pruned is what prune came to.
type pruned struct {
	Removed []string `json:"removed"` // directories
	Kept    int      `json:"kept"`
	Bytes   int64    `json:"bytes"` // that the removed had
}

func newPruneCommand(a *app) *cobra.Command {
	var s selection
	var keep int
	var dry bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove old runs from the store, but no run that failed",
		Long: `Prune removes runs that were valid, or vacuous, from the store, and keeps the
last --keep of them. It never removes a run that was invalid or unknown, was cut
short, was not checked, or is none that it understands.`,
		Example: `  torture prune --keep 20
  torture prune --keep 0 --target raft --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("keep") {
				return errors.New("prune needs --keep: how many of the last valid and vacuous runs to keep")
			}
			if keep < 0 {
				return fmt.Errorf("--keep %d: want 0 or more", keep)
			}
			all, err := a.runs()
			if err != nil {
				return err
			}
			runs, err := s.choose(all, time.Now()) // the oldest first
			if err != nil {
				return err
			}
			runs = slices.DeleteFunc(runs, func(r histories.Summary) bool {
				return r.Error != "" || r.State != histories.Complete || r.Verdict != "valid" && r.Verdict != "vacuous"
			})
			ctx, stop := a.interrupts.until(cmd.Context()) // no run is removed by halves
			defer stop()
			p := pruned{Removed: []string{}}
			var errs []error
			for _, r := range runs[:max(0, len(runs)-keep)] {
				if ctx.Err() != nil {
					break
				}
				if !dry {
					if err := os.RemoveAll(string(r.Dir)); err != nil {
						errs = append(errs, err)
						continue
					}
				}
				p.Removed = append(p.Removed, string(r.Dir))
				p.Bytes += r.Size
			}
			p.Kept = len(all) - len(p.Removed)
			if a.json {
				printJSON(a.stdout, p)
			} else {
				verb := "removed"
				if dry {
					verb = "would remove"
				}
				for _, dir := range p.Removed {
					fmt.Fprintln(a.stdout, verb, report.Plain(dir, 1000))
				}
				fmt.Fprintf(a.stdout, "%s %s, %s; %d kept\n", verb, count(len(p.Removed), "run"), bytesText(p.Bytes), p.Kept)
			}
			if err := errors.Join(errs...); err != nil {
				return failed(err)
			}
			if ctx.Err() != nil {
				return verdictError(checker.Unknown)
			}
			return nil
		},
	}
	s.add(cmd, a.targets().Names())
	cmd.Flags().IntVar(&keep, "keep", 0, "how many of the last valid and vacuous runs to keep")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be removed")
	return cmd
}
