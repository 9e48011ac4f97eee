package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

func newConvertCommand(a *app) *cobra.Command {
	var independent bool
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Write a history in another format",
		Long: `Convert reads a history, as check does, and writes it to OUT: as Jepsen's EDN if
the name ends in .edn, as JSON Lines if it ends in .jsonl, compressed if .gz or
.zst follows. IN may be a run's directory, whose records of nodes are in the
history then. Whatever is judged, OUT gets the verdict that IN gets.`,
		Example: `  torture convert runs/20261122T120000.000-raft-sim-7 history.edn
  torture convert history.edn.gz history.jsonl`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("convert needs an IN and an OUT, and got %s (see %s --help)", count(len(args), "argument"), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			in, out := args[0], args[1]
			if err := histories.Writable(out); err != nil {
				return err
			}
			h, err := a.historyOf(cmd, in, independent)
			if err != nil {
				return err
			}
			ctx, stop := a.interrupts.until(cmd.Context()) // which leaves no half of a file
			defer stop()
			switch err := histories.WriteFileUntil(ctx, out, h); {
			case ctx.Err() != nil && err != nil:
				return verdictError(checker.Unknown)
			case err != nil:
				return failed(err)
			}
			if a.json {
				printJSON(a.stdout, map[string]any{"file": out, "ops": h.Len()})
			} else {
				fmt.Fprintf(a.stdout, "%s: %s\n", out, count(h.Len(), "op"))
			}
			return nil
		},
	}
	a.addLimitFlags(cmd)
	cmd.Flags().BoolVar(&independent, "independent", false, "values are Jepsen's [key value] tuples: give each op its key")
	return cmd
}

// historyOf reads the history that path has, be it a file, a run or one of
// Jepsen's.
func (a *app) historyOf(cmd *cobra.Command, path string, independent bool) (histories.History, error) {
	if info, err := os.Stat(path); path != "-" && err == nil && info.IsDir() {
		if isRun(path) {
			opened, err := a.limits.Open(path)
			if err != nil {
				return histories.History{}, err
			}
			if opened.Torn > 0 {
				a.remark("%s: the last line of %s is torn and was dropped", path, count(opened.Torn, "file"))
			}
			return opened.History, nil
		}
		found, err := historyIn(path)
		if err != nil {
			return histories.History{}, err
		}
		path = found
	}
	h, _, err := a.readFile(path, cmd.InOrStdin(), histories.ReadOptions{Limits: a.limits, Independent: independent, Compact: true})
	return h, err
}
