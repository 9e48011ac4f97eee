package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/report"
)

// selection are the flags that choose among the runs of a store.
type selection struct {
	target, verdict, since, sort string
}

const (
	verdictWords = "valid, invalid, unknown, vacuous, interrupted, failed, killed, unchecked, broken"
	sortWords    = "time, size, target, verdict"
)

func (s *selection) add(cmd *cobra.Command, targets []string) {
	fs := cmd.Flags()
	fs.StringVar(&s.target, "target", "", "only runs of this target")
	fs.StringVar(&s.verdict, "verdict", "", "only runs that came to one of these, by comma: "+verdictWords)
	fs.StringVar(&s.since, "since", "", "only runs begun since then: 2006-01-02, 2006-01-02T15:04, or how long ago: 90m, 24h")
	complete(cmd, "target", targets...)
	completeList(cmd, "verdict", strings.Split(verdictWords, ", ")...)
}

// verdict is the word, or the two, for what a run came to.
func verdict(r histories.Summary) string {
	switch {
	case r.Error != "":
		return "broken"
	case r.Verdict == "":
		return "not checked"
	case r.State != histories.Complete:
		return r.Verdict + " (" + string(r.State) + ")"
	}
	return r.Verdict
}

// choose returns those of runs that are selected, in the order asked for.
func (s *selection) choose(runs []histories.Summary, now time.Time) ([]histories.Summary, error) {
	var since time.Time
	if s.since != "" {
		var err error
		if since, err = parseSince(s.since, now); err != nil {
			return nil, err
		}
	}
	var wanted []string
	if s.verdict != "" {
		wanted = strings.Split(s.verdict, ",")
		for _, w := range wanted {
			if !slices.Contains(strings.Split(verdictWords, ", "), w) {
				return nil, fmt.Errorf("--verdict %s: want some of %s", s.verdict, verdictWords)
			}
		}
	}
	chosen := []histories.Summary{}
	for _, r := range runs {
		words := []string{r.Verdict, string(r.State)}
		switch {
		case r.Error != "":
			words = []string{"broken"}
		case r.Verdict == "":
			words = []string{"unchecked"}
		}
		switch {
		case s.target != "" && r.Manifest.Target != s.target:
		case r.Manifest.Started.Before(since):
		case wanted != nil && !slices.ContainsFunc(words, func(w string) bool { return slices.Contains(wanted, w) }):
		default:
			chosen = append(chosen, r)
		}
	}
	var by func(a, b histories.Summary) int
	switch s.sort {
	case "", "time":
		by = func(a, b histories.Summary) int { return a.Manifest.Started.Compare(b.Manifest.Started) }
	case "size":
		by = func(a, b histories.Summary) int { return cmp.Compare(a.Size, b.Size) }
	case "target":
		by = func(a, b histories.Summary) int { return cmp.Compare(a.Manifest.Target, b.Manifest.Target) }
	case "verdict":
		by = func(a, b histories.Summary) int { return cmp.Compare(verdict(a), verdict(b)) }
	default:
		return nil, fmt.Errorf("--sort %s: want one of %s", s.sort, sortWords)
	}
	slices.SortStableFunc(chosen, by)
	return chosen, nil
}

func parseSince(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %s: want a day (2006-01-02), a time (2006-01-02T15:04), or how long ago (90m, 24h)", s)
}

// runs are the runs in the store; none if there is no store yet.
func (a *app) runs() ([]histories.Summary, error) {
	runs, err := histories.List(a.store)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return runs, err
}

func newListCommand(a *app) *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the runs in the store, with their verdicts",
		Example: `  torture list
  torture list --target raft --verdict invalid,unknown --since 24h
  torture list --sort size`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := a.runs()
			if err != nil {
				return err
			}
			runs, err := s.choose(all, time.Now())
			if err != nil {
				return err
			}
			if a.json {
				printJSON(a.stdout, runs)
				return nil
			}
			switch {
			case len(all) == 0:
				fmt.Fprintf(a.stdout, "no runs in %s yet: torture run TARGET makes one\n", a.store)
				return nil
			case len(runs) == 0:
				fmt.Fprintf(a.stdout, "none of the %s in %s is selected\n", count(len(all), "run"), a.store)
				return nil
			}
			w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "RUN\tVERDICT\tTARGET\tWORLD\tSEED\tBUG\tSTARTED\tSIZE")
			var size int64
			for _, r := range runs {
				if r.Error != "" {
					fmt.Fprintf(w, "%s\tbroken: %s\n", field(r.Name), report.Plain(r.Error, 500))
					continue
				}
				m := r.Manifest
				size += r.Size
				fmt.Fprintf(w, "%s\t%s\t%s/%s\t%s\t%d\t%s\t%s\t%s\n", field(r.Name), field(verdict(r)), field(m.Target), field(m.Workload), field(m.World), m.Seed, field(m.Bug),
					m.Started.Local().Format(time.DateTime), bytesText(r.Size))
			}
			if err := w.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s, %s\n", count(len(runs), "run"), bytesText(size))
			return nil
		},
	}
	s.add(cmd, a.targets().Names())
	cmd.Flags().StringVar(&s.sort, "sort", "time", "order: "+sortWords)
	complete(cmd, "sort", strings.Split(sortWords, ", ")...)
	return cmd
}

// field is a text of a store, for a table.
func field(s string) string { return report.Plain(s, 200) }

// bytesText is a size for people: "2460 kB", "13.5 MB".
func bytesText(n int64) string {
	switch {
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", (n+999)/1000)
	case n < 10_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
